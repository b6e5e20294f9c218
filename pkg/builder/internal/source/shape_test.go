package source

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

const shaped = `// Package p is an example.
package p

import (
	"embed"
	s "strings"
)

//go:embed a.txt
var files embed.FS

// F is a function.
func F() string { return s.ToUpper("a") }
`

func TestShapeHoldsWhatTheGoCommandReads(t *testing.T) {
	of := func(text string) [32]byte {
		t.Helper()
		sum, err := shape([]byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return sum
	}
	for _, c := range []struct{ name, old, text string }{
		{"body", `"a"`, `"b"`},
		{"comments", "// F is a function.", "// F is\n// another."},
		{"package comment", "// Package p is an example.", "/* nothing */"},
		{"a declaration", "func F()", "func G() {}\n\nfunc F()"},
		{"an error after the imports", "func F()", "func F( {"},
		{"a directive for the compiler alone", "func F()", "//go:noinline\nfunc F()"},
		{"order of lines", "\n\n//go:embed", "\n\nvar x int\n\n//go:embed"},
	} {
		if of(strings.Replace(shaped, c.old, c.text, 1)) != of(shaped) {
			t.Errorf("%s: the shape changed", c.name)
		}
	}
	for _, c := range []struct{ name, old, text string }{
		{"package clause", "package p", "package q"},
		{"import added", `"embed"`, "\"embed\"\n\t\"fmt\""},
		{"import removed", "\ts \"strings\"\n", ""},
		{"import renamed", `s "strings"`, `_ "strings"`},
		{"dot import", `s "strings"`, `. "strings"`},
		{"constraint added", "// Package p", "//go:build linux\n\n// Package p"},
		{"old constraint added", "// Package p", "// +build linux\n\n// Package p"},
		{"embed pattern", "//go:embed a.txt", "//go:embed a.txt b.txt"},
		{"embed removed", "//go:embed a.txt\n", ""},
		{"linkname", "func F()", "//go:linkname F x.F\nfunc F()"},
		{"debug setting", "// Package p", "//go:debug madvdontneed=1\n\n// Package p"},
		{"cgo", `"embed"`, "\"embed\"\n\t\"C\""},
	} {
		if of(strings.Replace(shaped, c.old, c.text, 1)) == of(shaped) {
			t.Errorf("%s: the shape stayed the same", c.name)
		}
	}
	if _, err := shape([]byte("package p\n\nimport (\n\t\"a")); err == nil {
		t.Error("half an import section has a shape")
	}
	preamble := "package p\n\n// int x;\nimport \"C\"\n"
	if of(preamble) == of(strings.Replace(preamble, "int x", "int y", 1)) {
		t.Error("the comment above import \"C\" is not in the shape")
	}
}

// Two texts of one shape import the same packages under the same names.
func FuzzShape(f *testing.F) {
	f.Add(shaped, strings.Replace(shaped, `"a"`, `"b"`, 1))
	f.Add(shaped, strings.Replace(shaped, `s "strings"`, `"strings"`, 1))
	f.Add("package p;import \"a\"", "package p\nimport `a`")
	f.Add("//go:build x\npackage p", "package p")
	f.Fuzz(func(t *testing.T, a, b string) {
		one, err := shape([]byte(a))
		if err != nil {
			return
		}
		two, err := shape([]byte(b))
		if err != nil || one != two {
			return
		}
		if x, y := header(t, a), header(t, b); !slices.Equal(x, y) {
			t.Errorf("one shape, but %q and %q", x, y)
		}
	})
}

func header(t *testing.T, text string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{f.Name.Name}
	for _, imp := range f.Imports {
		name := ""
		if imp.Name != nil {
			name = imp.Name.Name
		}
		lines = append(lines, name+" "+imp.Path.Value)
	}
	return lines
}
