package funcdiff

import (
	"go/format"
	"maps"
	"slices"
	"strings"
	"testing"
)

func declare(t testing.TB, text string) *Declarations {
	t.Helper()
	d, err := Declare("example.com/p", []Source{{"p.go", []byte("package p\n" + text)}})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

// signature gives that of function F.
func signature(t testing.TB, text string) string {
	t.Helper()
	for name, f := range declare(t, text).Funcs {
		if strings.HasSuffix(name, "F") {
			return f.Signature
		}
	}
	t.Fatalf("no F in %s", text)
	return ""
}

func TestSignaturesAreTheSameWhereTypesAre(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"func F(a, b int)", "func F(int, int)", true},
		{"func F(a int, b int) (c int)", "func F(a, x int) int", true},
		{"func F(a int) int", "func F(a int) uint", false},
		{"func F(a ...int)", "func F(a []int)", false},
		{"func F(a chan int)", "func F(a <-chan int)", false},
		{"func F(f func(x int) (y string))", "func F(f func(int) string)", true},
		{"func F(s struct{ A int })", "func F(s struct{ A int `t` })", false},
		{"func F(s struct{ A int })", "func F(s struct{ B int })", false},
		{"func F(i interface{ M(x int) })", "func F(i interface{ M(int) })", true},
		{"import \"a/x\"\nfunc F(x.T)", "import y \"a/x\"\nfunc F(y.T)", true},
		{"import \"a/x\"\nfunc F(x.T)", "import \"b/x\"\nfunc F(x.T)", false},
		{"import . \"a/x\"\nfunc F(T)", "import . \"b/x\"\nfunc F(T)", false},
		{"type A = int\nfunc F(A)", "func F(int)", true},
		{"type A = int\nfunc F(A)", "type A = uint\nfunc F(A)", false},
		{"type A = B\ntype B = []A2\ntype A2 = int\nfunc F(A)", "func F([]int)", true},
		{"type A = *A\nfunc F(A)", "type A = *A\nfunc F(A)", true},
		{"type T int\nfunc F(T)", "type T uint\nfunc F(T)", true}, // its descriptor differs
		{"func F(a [3]int)", "func F(a [4]int)", false},
		{"const n = 3\nfunc F(a [n]int)", "const n = 4\nfunc F(a [n]int)", false},
		{"const n = 3\nfunc F(a [n]int)", "const n = 3\nfunc F(b [n]int)", true},
		{"func F(a [n]int)\nconst n = 3", "func F(a [n]int)\nconst n = 4", false},
		{"type A = T\ntype T int\nfunc F[T any](x A)", "type T int\nfunc F[U any](x T)", true},
		{"const (\na = iota\nn\n)\nfunc F(a [n]int)", "const (\na = iota\nb\nn\n)\nfunc F(a [n]int)", false},
		{"func F[T any](x T)", "func F[U any](x U)", true},
		{"func F[T, U any](T, U)", "func F[T, U any](U, T)", false},
		{"func F[T any](x T)", "func F[T comparable](x T)", false},
		{"func F[T ~int|~string](x T)", "func F[S ~int | ~string](x S)", true},
		{"type L[T any] []T\nfunc (l L[T]) F(x T)", "type L[T any] []T\nfunc (l L[U]) F(x U)", true},
		{"type L[T any] []T\nfunc (l L[T]) F(x T)", "type L[T any] []T\nfunc (l *L[T]) F(x T)", false},
		{"type M[K comparable, V any] map[K]V\nfunc (m M[K, V]) F(K) V", "type M[K comparable, V any] map[K]V\nfunc (m M[A, B]) F(A) B", true},
		{"type M[K comparable, V any] map[K]V\nfunc (m M[K, V]) F(K) V", "type M[K comparable, V any] map[K]V\nfunc (m M[K, V]) F(V) K", false},
		{"func F(m map[string][]*int)", "func F(n map[string]([](*int)))", true},
	} {
		if a, b := signature(t, row.a), signature(t, row.b); (a == b) != row.same {
			t.Errorf("%s: %s\n%s: %s", row.a, a, row.b, b)
		}
	}
}

func TestDeclarationsHaveTheLinkersNames(t *testing.T) {
	d, err := Declare("example.com/a.b/p.q", []Source{{"a.go", []byte(`package pq

import "fmt"

type T struct{}
type L[X any] []X

func (T) Value()      {}
func (t *T) Pointer() {}
func (l *L[X]) Add()  {}
func (L[X]) Len()     {}
func F()              {}
func G[X any]()       {}
func _()              {}
func init()           { fmt.Println(1) }
func external() int
`)}, {"b.go", []byte("package pq\n\nfunc init() {}\n\nvar a, b = 1, 2\nvar _ = a\n\nvar c int\n")}})
	if err != nil {
		t.Fatal(err)
	}
	const p = "example.com/a.b/p%2eq."
	if got, want := slices.Sorted(maps.Keys(d.Funcs)), []string{p + "(*L).Add", p + "(*T).Pointer", p + "F", p + "G", p + "L.Len", p + "T.Value", p + "external"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got, want := slices.Sorted(maps.Keys(d.Vars)), []string{p + "a", p + "b", p + "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if len(d.Inits) != 2 {
		t.Errorf("%d init functions", len(d.Inits))
	}
	if !d.Funcs[p+"external"].NoBody || d.Funcs[p+"F"].NoBody || !d.Funcs[p+"G"].Generic || !d.Funcs[p+"(*L).Add"].Generic {
		t.Errorf("%+v", d.Funcs)
	}
	for name, want := range map[string]bool{
		p + "F": true, p + "G[int]": true, p + "(*L[int]).Add": true, p + "L[go.shape.func(...int)].Len": true,
		p + "H": false, p + "F.func1": false, p + "(*T).Value": false, "q.F": false,
	} {
		if got := d.Declares(name); got != want {
			t.Errorf("%s is declared: %t", name, got)
		}
	}
	// The compiler makes (*T).Value.
	for name, want := range map[string]bool{p + "(*T).Value": true, p + "(*T).func1": true, p + "F.func1": false, p + "(*T).Pointer.func1": false, p + "(*T).Pointer-range1": false, "q.T.func1": false} {
		if got := d.Names(name); got != want {
			t.Errorf("%s is a name: %t", name, got)
		}
	}
}

func TestBodiesAreTheSameWhereTokensAre(t *testing.T) {
	body := func(text string) string { return declare(t, text).Funcs["example.com/p.F"].Body }
	a := body("func F() int { return 1 + /* one */ 2 }")
	if b := body("// F\nfunc  F ( )  int  { return  1+2 } // F"); a != b {
		t.Error("comments and layout count")
	}
	if b := body("func F() int { return 1 + 3 }"); a == b {
		t.Error("tokens don't count")
	}
}

func TestDirectives(t *testing.T) {
	for text, want := range map[string]string{
		"//go:nosplit\nfunc F() {}":            "nosplit",
		"// F.\n//\n//go:nosplit\nfunc F() {}": "nosplit",
		"//go:noinline\nfunc F() {}":           "",
		"//go:linkname F x.y\nfunc F() {}":     "linkname",
		"//go:systemstack\nfunc F() {}":        "systemstack",
		"func F() {}\n":                        "",
		"import _ \"unsafe\"\n\nfunc F() {}\n\n//go:linkname F example.com/q.taken\n": "linkname",
	} {
		if got := declare(t, text).Funcs["example.com/p.F"].Pragma; got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	d := declare(t, "//go:linkname F example.com/q.taken\nfunc F() {}\n")
	if f := d.Funcs["example.com/q.taken"]; f == nil || f.Pragma != "linkname" {
		t.Errorf("the function's code has another name: %+v", f)
	}
}

// FuzzDeclare: layout means nothing.
func FuzzDeclare(f *testing.F) {
	for _, src := range []string{
		"func F(a, b int, c ...string) (x, y error) { return nil, nil }",
		"type T[K comparable, V interface{ ~int | M() }] struct {\n\ta, b int `t`\n\tT2\n\t*x.Y\n}\n\nfunc (t *T[K, V]) M(f func(K) [n]V) {}\n\nconst (\n\tm = iota\n\tn\n)",
		"type A = []A\n\nvar a, b A = nil, nil\n\nfunc init() {}\n",
		"import . \"q\"\n\nimport z \"r\"\n\n//go:embed x\nvar v, w z.T\n\n//go:linkname F a.b\nfunc F(chan<- <-chan int)",
		"func F(int) ()\n\nvar f func() ()",
		"func (T) _() {}\nfunc (x.T) F()\nfunc () G()\nfunc (a, b int) H()",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		text := []byte("package p\n" + src)
		d, err := Declare("p", []Source{{"p.go", text}})
		formatted, bad := format.Source(text)
		if err != nil || bad != nil {
			return
		}
		e, err := Declare("p", []Source{{"p.go", formatted}})
		if err != nil {
			t.Fatalf("formatted: %v", err)
		}
		for name, was := range d.Funcs {
			is := e.Funcs[name]
			if is == nil || is.Signature != was.Signature || is.Pragma != was.Pragma {
				t.Errorf("%s: %+v formatted: %+v", name, was, is)
			}
		}
		for name, was := range d.Types {
			if is := e.Types[name]; is == nil || is.Text != was.Text {
				t.Errorf("%s: %+v formatted: %+v", name, was, is)
			}
		}
		for name, was := range d.Vars {
			if is := e.Vars[name]; is == nil || is.Type != was.Type {
				t.Errorf("%s: %+v formatted: %+v", name, was, is)
			}
		}
		if len(d.Inits) != len(e.Inits) {
			t.Errorf("%d init functions, %d formatted", len(d.Inits), len(e.Inits))
		}
	})
}
