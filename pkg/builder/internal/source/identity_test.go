package source

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

const key = "3fa91c2b4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8"

func pricing() Identity {
	return NewIdentity(key, []string{"example.com/shop/pricing", "example.com/shop/pricing/internal/calc", "example.com/shop/b.v2"})
}

func rewrite(t *testing.T, src string) string {
	t.Helper()
	out, err := pricing().Go("/src/shop/pricing/rules.go", "example.com/shop/pricing", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(out), "\n")
	if head != "//line /src/shop/pricing/rules.go:1:1" {
		t.Fatalf("the file begins with %q", head)
	}
	return rest
}

func TestOnlyPrivateImportsMove(t *testing.T) {
	got := rewrite(t, `package pricing

import (
	"fmt"
	. "example.com/shop/api"
	c "example.com/shop/pricing/internal/calc"
	_ `+"`example.com/shop/b.v2`"+`
)

const text = "example.com/shop/pricing/internal/calc"
`)
	want := `package pricing

import (
	"fmt"
	. "example.com/shop/api"
	c "example.com/shop/pricing/internal/calc/hotgo_3fa91c2b4d5e"
	_ "example.com/shop/b.v2/hotgo_3fa91c2b4d5e"
)

const text = "example.com/shop/pricing/internal/calc"
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestCommentsToTheToolchainFollow(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"linkname", "//go:linkname f example.com/shop/pricing/internal/calc.hidden\n", "//go:linkname f example.com/shop/pricing/internal/calc/hotgo_3fa91c2b4d5e.hidden\n"},
		{"linkname of a method", "//go:linkname f example.com/shop/pricing.(*T).m\n", "//go:linkname f example.com/shop/pricing/hotgo_3fa91c2b4d5e.(*T).m\n"},
		{"linkname, escaped", "//go:linkname f example.com/shop/b%2ev2.x\n", "//go:linkname f example.com/shop/b.v2/hotgo_3fa91c2b4d5e.x\n"},
		{"linkname elsewhere", "//go:linkname f runtime.nanotime\n", "//go:linkname f runtime.nanotime\n"},
		{"linkname with one name", "//go:linkname f\n", "//go:linkname f\n"},
		{"relative line", "//line rules.y:10\n", "//line /src/shop/pricing/rules.y:10\n"},
		{"relative line and column", "/*line rules.y:10:4*/\n", "/*line /src/shop/pricing/rules.y:10:4*/\n"},
		{"absolute line", "//line /gen/rules.y:10\n", "//line /gen/rules.y:10\n"},
		{"same file", "//line :10:2\n", "//line :10:2\n"},
		{"no line", "//line up, please\n", "//line up, please\n"},
		{"prose", "// see ${SRCDIR}\n", "// see ${SRCDIR}\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			src := "package pricing\n\nimport _ \"unsafe\"\n\n"
			if got := rewrite(t, src+c.src+"func f()\n"); got != src+c.want+"func f()\n" {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestCgoFindsTheUsersDirectory(t *testing.T) {
	got := rewrite(t, "package pricing\n\n// #cgo CFLAGS: -I${SRCDIR}/inc\nimport \"C\"\n")
	if !strings.Contains(got, "-I/src/shop/pricing/inc") {
		t.Errorf("got\n%s", got)
	}
}

func TestBrokenFileIsLeftToTheCompiler(t *testing.T) {
	got := rewrite(t, "package pricing\n\nimport \"example.com/shop/pricing/internal/calc\"\n\nfunc f() { return + }\n")
	if !strings.Contains(got, "calc/hotgo_") || !strings.Contains(got, "return + }") {
		t.Errorf("got\n%s", got)
	}
	if _, err := pricing().Go("/x.go", "x", []byte("this is no Go"), nil); err == nil {
		t.Error("no error for a file without a package clause")
	}
}

func TestAssemblyFollows(t *testing.T) {
	got := string(pricing().Assembly([]byte("CALL example·com∕shop∕pricing∕internal∕calc·f(SB)\nCALL example·com∕shop∕pricing·g(SB)\nCALL ·h(SB)\n")))
	want := "CALL example·com∕shop∕pricing∕internal∕calc∕hotgo_3fa91c2b4d5e·f(SB)\nCALL example·com∕shop∕pricing∕hotgo_3fa91c2b4d5e·g(SB)\nCALL ·h(SB)\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestOriginalUndoesFresh(t *testing.T) {
	id := pricing()
	for path := range id.Private {
		if got := id.Original(id.Fresh(path)); got != path {
			t.Errorf("%s became %s", path, got)
		}
	}
}

// Whatever the source, positions and text outside imports and toolchain
// comments stay: the rewritten file parses like the original.
func FuzzRewriteKeepsTheProgram(f *testing.F) {
	f.Add("package p\nimport a \"example.com/shop/pricing\"\nfunc F() { a.G() }\n")
	f.Add("package p\n//line x.y:3\nvar a = 1 //go:linkname\n/*line :1:1*/var b=2\n")
	f.Add("package p\nimport(\"C\";`example.com/shop/pricing`)\n")
	f.Fuzz(func(t *testing.T, src string) {
		fset := token.NewFileSet()
		orig, err := parser.ParseFile(fset, "rules.go", src, parser.SkipObjectResolution)
		out, rerr := pricing().Go("/src/rules.go", "", []byte(src), nil)
		if err != nil {
			return // broken either way; it only must not panic
		}
		if rerr != nil {
			t.Fatalf("rewrite: %v", rerr)
		}
		got, err := parser.ParseFile(fset, "out.go", out, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("the rewritten file does not parse: %v\n%s", err, out)
		}
		if len(got.Decls) != len(orig.Decls) || len(got.Imports) != len(orig.Imports) || got.Name.Name != orig.Name.Name {
			t.Fatalf("the program changed:\n%s", out)
		}
	})
}
