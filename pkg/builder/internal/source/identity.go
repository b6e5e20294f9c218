// Package source decides which packages of a program belong to a plugin and
// gives those a fresh identity.
//
// # Why an identity
//
// The Go runtime knows a plugin by its plugin path and a package by its import
// path (runtime/plugin.go, Go 1.26: "plugin already loaded"). Loading edited
// code therefore takes new import paths for the plugin and for every package
// that is its own. Packages that the host has must keep theirs: their types
// and their state are what host and plugin share.
//
// # How
//
// A private package P is built as P/hotgo_<key>, a directory that exists only
// in the go command's -overlay. A child of P may import all that P may import,
// internal packages too, and may itself be imported by all that import P, so
// no visibility rule changes. Imports are rewritten in the text, nothing else
// moves, and a //line directive ties every position to the user's own file.
//
// The go command runs cgo, the assembler and the C compiler inside the
// package's directory (cmd/go/internal/work/exec.go, Go 1.26), so a package
// that needs them cannot live in a directory that does not exist. Such a
// package is copied to a real directory and becomes a module of its own, by a
// replace directive in a copy of go.mod or a use directive in a copy of
// go.work.
package source

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Prefix begins the path element that makes an import path fresh. It is a
// valid identifier, because assembly spells import paths as identifiers.
const Prefix = "hotgo_"

// Identity gives the private packages of one build their import paths.
type Identity struct {
	// Element is the last element of every fresh path: Prefix and the
	// first 12 hex digits of the key.
	Element string
	// Private holds the user's import paths.
	Private map[string]bool
	// Trim names files by import path, as -trimpath does, below TrimRoot.
	Trim bool
}

// TrimRoot stands before the import path in the //line directives of a build
// with -trimpath. The go command trims the directory in which it takes a
// package to be, the fresh one, and nothing else; a root that is the same
// everywhere can be trimmed by one more flag that is the same everywhere, so
// that the artifact does not depend on where it was built.
const TrimRoot = "/_hotgo_"

// NewIdentity makes the identity of the build with the given key.
func NewIdentity(key string, private []string) Identity {
	id := Identity{Element: Prefix + key[:12], Private: map[string]bool{}}
	for _, p := range private {
		id.Private[p] = true
	}
	return id
}

// Fresh gives the import path under which path is built: a new one where the
// package is private, else path itself.
func (id Identity) Fresh(path string) string {
	if id.Private[path] {
		return path + "/" + id.Element
	}
	return path
}

// Original takes fresh identities out of text: compiler messages, type names,
// stack traces.
func (id Identity) Original(text string) string {
	return strings.ReplaceAll(text, "/"+id.Element, "")
}

// edit replaces src[start:end].
type edit struct {
	start, end int
	text       string
}

// Go rewrites a Go file of a private package. file is its absolute path,
// importPath that of its package ("" keeps the path of the file even where
// others are trimmed); resolve maps the paths it imports to packages
// (vendoring), nil where they are the same.
//
// A file that does not parse is rewritten as far as its import section goes,
// so that the compiler reports the error in its own words; where even that
// cannot be read, the error is a scanner.ErrorList.
func (id Identity) Go(file, importPath string, src []byte, resolve func(string) string) ([]byte, error) {
	fset := token.NewFileSet()
	const mode = parser.ParseComments | parser.SkipObjectResolution
	f, err := parser.ParseFile(fset, file, src, mode)
	if err != nil {
		if f, err = parser.ParseFile(fset, file, src, mode|parser.ImportsOnly); err != nil {
			return nil, err
		}
	}
	// Offsets, not positions: the file's own line directives must not move edits.
	at := func(p token.Pos) int { return fset.File(f.FileStart).Offset(p) }

	var edits []edit
	cgo := false
	for _, imp := range f.Imports {
		path, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			continue
		}
		cgo = cgo || path == "C"
		if resolve != nil {
			if r := resolve(path); r != path {
				continue // vendored: never private
			}
		}
		if fresh := id.Fresh(path); fresh != path {
			edits = append(edits, edit{at(imp.Path.Pos()), at(imp.Path.End()), strconv.Quote(fresh)})
		}
	}
	dir := filepath.Dir(file)
	for _, group := range f.Comments {
		for _, c := range group.List {
			if text := id.comment(c, dir, cgo); text != c.Text {
				edits = append(edits, edit{at(c.Pos()), at(c.Pos()) + len(c.Text), text})
			}
		}
	}
	shown := file
	if id.Trim && importPath != "" {
		shown = TrimRoot + "/" + importPath + "/" + filepath.Base(file)
	}
	head := fmt.Sprintf("//line %s:1:1\n", shown)
	return append([]byte(head), apply(src, edits)...), nil
}

// comment rewrites what a comment says to the toolchain.
func (id Identity) comment(c *ast.Comment, dir string, cgo bool) string {
	text := c.Text
	switch {
	case strings.HasPrefix(text, "//go:linkname "):
		return id.linkname(text)
	case strings.HasPrefix(text, "//line "), strings.HasPrefix(text, "/*line "):
		return absoluteLine(text, dir)
	case cgo:
		// The fresh directory is not the user's: what lies beside the
		// package is still found where it is.
		return strings.ReplaceAll(text, "${SRCDIR}", dir)
	}
	return text
}

// linkname rewrites "//go:linkname local path.name". The linker's form of a
// path escapes the dots of its last element (cmd/internal/objabi/path.go,
// PathToPrefix); people write either.
func (id Identity) linkname(text string) string {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return text
	}
	target := fields[2]
	for path := range id.Private {
		for _, form := range []string{path, escapeLast(path)} {
			if name, ok := strings.CutPrefix(target, form+"."); ok && !strings.Contains(name, "/") {
				return fields[0] + " " + fields[1] + " " + path + "/" + id.Element + "." + name
			}
		}
	}
	return text
}

func escapeLast(path string) string {
	i := strings.LastIndexByte(path, '/') + 1
	return path[:i] + strings.ReplaceAll(path[i:], ".", "%2e")
}

// absoluteLine makes the file name of a line directive absolute: the compiler
// takes a relative one from the directory it runs in.
func absoluteLine(text, dir string) string {
	prefix, rest := text[:len("//line ")], text[len("//line "):]
	name, nums := rest, ""
	for range 2 {
		i := strings.LastIndexByte(name, ':')
		if i < 0 || !number(strings.TrimSuffix(strings.TrimSpace(name[i+1:]), "*/")) {
			break
		}
		name, nums = name[:i], name[i:]+nums
	}
	if nums == "" || name == "" || filepath.IsAbs(name) {
		return text
	}
	return prefix + filepath.Join(dir, name) + nums
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// Assembly rewrites the symbols of private packages in assembly source, where
// the middle dot stands for "." and the division slash for "/" (cmd/asm).
func (id Identity) Assembly(src []byte) []byte {
	spell := strings.NewReplacer(".", "·", "/", "∕")
	paths := make([]string, 0, len(id.Private))
	for p := range id.Private {
		paths = append(paths, p)
	}
	// Longest first: "a∕b·" must not be found inside "x∕a∕b·" of a longer path.
	sort.Slice(paths, func(i, j int) bool { return len(paths[i]) > len(paths[j]) })
	for _, p := range paths {
		old, fresh := spell.Replace(p)+"·", spell.Replace(p+"/"+id.Element)+"·"
		src = bytes.ReplaceAll(src, []byte(old), []byte(fresh))
	}
	return src
}

func apply(src []byte, edits []edit) []byte {
	sort.Slice(edits, func(i, j int) bool { return edits[i].start < edits[j].start })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(src[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(src[at:])
	return out.Bytes()
}
