package builder

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"go/scanner"
	"go/token"
	"maps"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// # Embedded files
//
// What a variable embeds is its initial value, and variables keep theirs. So the
// old version of a package, which is compiled to compare functions, does without
// its go:embed directives: the files that they name may be gone.

const embedDirective = "//go:embed "

// withoutEmbeds gives files to compile as if they embedded nothing. Everything
// stays on its line.
func withoutEmbeds(files []goSource) []goSource {
	list := slices.Clone(files)
	for i, f := range list {
		if !bytes.Contains(f.data, []byte(embedDirective)) {
			continue
		}
		data := bytes.Clone(f.data)
		var sc scanner.Scanner
		set := token.NewFileSet()
		file := set.AddFile("", -1, len(data))
		sc.Init(file, f.data, nil, scanner.ScanComments)
		for {
			pos, tok, text := sc.Scan()
			if tok == token.EOF {
				break
			}
			if tok == token.COMMENT && strings.HasPrefix(text, embedDirective) {
				data[file.Offset(pos)+len("//")] = ' ' // a space makes it prose
			}
		}
		list[i] = goSource{name: f.name, data: data, text: f.original()}
	}
	return list
}

// embedNotes says which of the files that a package embeds are others than they
// were.
func embedNotes(u *source.Unit, was baselinePackage) []funcdiff.Finding {
	other := map[string]bool{}
	for _, f := range u.Files {
		if slices.Contains(u.Package.EmbedFiles, f.Name) {
			old, ok := was.Files[f.Name]
			other[f.Name] = !ok || old.Raw != hex.EncodeToString(f.Raw[:])
		}
	}
	for name := range was.Files {
		if _, there := other[name]; !there && !strings.HasSuffix(name, ".go") && !isForeign(name) {
			other[name] = true
		}
	}
	var notes []funcdiff.Finding
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if other[name] {
			notes = append(notes, funcdiff.Finding{
				Code: funcdiff.CodeEmbed, Symbol: name, Fresh: true,
				Text: fmt.Sprintf("%s of %s changed; variables keep what they embedded until the program starts again", name, funcdiff.Short(u.Package.ImportPath)),
			})
		}
	}
	return notes
}
