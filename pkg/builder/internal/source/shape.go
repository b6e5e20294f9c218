package source

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/parser"
	"go/token"
	"strings"
)

// shape hashes what the go command reads in a Go file before it runs a
// compiler: two texts of equal shape give the same `go list`, and the same
// commands to build them with. It is taken widely; what is in it for nothing
// only makes the go command be asked once more.
//
//   - the package clause
//   - the imports with their names
//   - build constraints
//   - every //go: directive for the go command and the linker: embed, debug,
//     linkname, cgo_*; found as text, so also inside of strings and comments
//     (cmd/go finds //go:embed without parsing the file, go/build/read.go)
//   - the comment above import "C"
//
// Left out: functions without a body. A package that consists of Go files
// alone is compiled with -complete whatever is in them, and any other without
// (cmd/go/internal/work/gc.go, Go 1.26: extFiles), so what they change is for
// the compiler to report.
//
// The error says that the file does not parse as far as its imports go. What
// comes after does not matter: neither does the go command look at it.
func shape(src []byte) ([32]byte, error) {
	const mode = parser.ImportsOnly | parser.ParseComments | parser.SkipObjectResolution
	f, err := parser.ParseFile(token.NewFileSet(), "", src, mode)
	if err != nil {
		return [32]byte{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "package %q\n", f.Name.Name)
	for _, imp := range f.Imports {
		name := ""
		if imp.Name != nil {
			name = imp.Name.Name
		}
		fmt.Fprintf(&b, "import %q %s\n", name, imp.Path.Value)
		if imp.Path.Value == `"C"` {
			for _, group := range f.Comments {
				for _, c := range group.List {
					fmt.Fprintf(&b, "preamble %q\n", c.Text)
				}
			}
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && (strings.HasPrefix(c.Text, "//go:build") || strings.Contains(c.Text, "+build")) {
				fmt.Fprintf(&b, "constraint %q\n", c.Text)
			}
		}
	}
	for _, d := range [][]byte{[]byte("//go:embed"), []byte("//go:debug"), []byte("//go:linkname"), []byte("//go:cgo_")} {
		for rest := src; ; {
			i := bytes.Index(rest, d)
			if i < 0 {
				break
			}
			line, after, _ := bytes.Cut(rest[i:], []byte("\n"))
			fmt.Fprintf(&b, "directive %q\n", bytes.TrimSpace(line))
			rest = after
		}
	}
	return sha256.Sum256([]byte(b.String())), nil
}
