package typename

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	dotted "github.com/hotgo/hotgo/pkg/internal/typename/internal/dot.ted"
)

type (
	local          struct{}
	pair[A, B any] struct {
		a A
		b B
	}
)

var _ = pair[int, int]{a: 1, b: 2}

const (
	here = "github.com/hotgo/hotgo/pkg/internal/typename"
	dot  = here + "/internal/dot.ted"
)

func TestOfWritesTheGrammar(t *testing.T) {
	type inside struct{}
	fields := `struct{` + dot + `.n int "k:\"] v, x\""; N *` + dot + `.u; embed ` + dot + `.u ` + dot + `.u; embed T *` + dot + `.T; ` +
		`embed B ` + dot + `.u; embed G ` + dot + `.G[int]; embed ` + dot + `.error error}`
	sealed := `interface{M(int); ` + dot + `.seal()}`
	for _, c := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[byte](), "uint8"},
		{reflect.TypeFor[rune](), "int32"},
		{reflect.TypeFor[error](), "error"},
		{reflect.TypeFor[any](), "interface{}"},
		{reflect.TypeFor[unsafe.Pointer](), "unsafe.Pointer"},
		{reflect.TypeFor[complex128](), "complex128"},
		{reflect.TypeFor[func()](), "func()"},
		{reflect.TypeFor[func(io.Reader, ...string) (int, error)](), "func(io.Reader, ...string) (int, error)"},
		{reflect.TypeFor[func([]string) error](), "func([]string) error"},
		{reflect.TypeFor[func(func(a int)) func() func() (int, int)](), "func(func(int)) func() func() (int, int)"},
		{reflect.TypeFor[map[string][]*local](), "map[string][]*" + here + ".local"},
		{reflect.TypeFor[[4]chan int](), "[4]chan int"},
		{reflect.TypeFor[<-chan int](), "<-chan int"},
		{reflect.TypeFor[chan<- chan int](), "chan<- chan int"},
		{reflect.TypeFor[chan (<-chan int)](), "chan (<-chan int)"},
		{reflect.TypeFor[chan<- (<-chan int)](), "chan<- <-chan int"},
		{reflect.TypeFor[struct{}](), "struct{}"},
		{reflect.TypeFor[struct {
			ID   int `json:"id"`
			b, c string
			io.Reader
		}](), `struct{ID int "json:\"id\""; ` + here + `.b string; ` + here + `.c string; embed Reader io.Reader}`},
		{reflect.TypeFor[interface {
			io.Closer
			Add(...any)
		}](), "interface{Add(...interface{}); Close() error}"},
		{reflect.TypeFor[dotted.Fields](), fields},
		{reflect.TypeFor[dotted.FieldsAlias](), `struct{embed A *` + dot + `.T}`},
		{reflect.TypeFor[dotted.SealedBody](), sealed},
		{reflect.TypeFor[dotted.Sealed](), dot + ".Sealed"},
		{reflect.TypeFor[inside](), here + ".inside"},

		// The same types as type arguments, where reflect gives text only.
		{reflect.TypeFor[pair[byte, any]](), here + ".pair[uint8,interface{}]"},
		{reflect.TypeFor[pair[local, inside]](), here + ".pair[" + here + ".local," + here + ".inside]"},
		{reflect.TypeFor[pair[dotted.Fields, dotted.SealedBody]](), here + ".pair[" + fields + "," + sealed + "]"},
		{reflect.TypeFor[pair[dotted.FieldsAlias, error]](), here + ".pair[struct{embed A *" + dot + ".T},error]"},
		{reflect.TypeFor[*dotted.G[dotted.G[[2]dotted.T]]](), "*" + dot + ".G[" + dot + ".G[[2]" + dot + ".T]]"},
		{reflect.TypeFor[pair[func(), func(io.Reader, ...string) (int, error)]](), here + ".pair[func(),func(io.Reader, ...string) (int, error)]"},
		{reflect.TypeFor[pair[func(func(int)) func() int, map[string]*int]](), here + ".pair[func(func(int)) func() int,map[string]*int]"},
		{reflect.TypeFor[pair[chan<- chan int, chan (<-chan int)]](), here + ".pair[chan<- chan int,chan (<-chan int)]"},
		{reflect.TypeFor[pair[chan<- (<-chan int), <-chan []int]](), here + ".pair[chan<- <-chan int,<-chan []int]"},
		{reflect.TypeFor[pair[struct{}, struct {
			F func() `a:"b"`
			G func() error
		}]](), here + `.pair[struct{},struct{F func() "a:\"b\""; G func() error}]`},
		{reflect.TypeFor[pair[interface {
			M()
			A(int) string
		}, interface{ M() func() }]](), here + ".pair[interface{A(int) string; M()},interface{M() func()}]"},
		{reflect.TypeFor[func(pair[int, unsafe.Pointer])](), "func(" + here + ".pair[int,unsafe.Pointer])"},
	} {
		if got := Of(c.typ); got != c.want {
			t.Errorf("Of(%v)\n got %s\nwant %s", c.typ, got, c.want)
		}
	}
}

func TestMentionsFindsEveryPackage(t *testing.T) {
	in := Of(reflect.TypeFor[func(...dotted.G[map[string]local]) (dotted.Fields, io.Reader)]())
	want := []string{dot + ".G", here + ".local", dot + ".n", dot + ".u", dot + ".T", dot + ".error", "io.Reader"}
	if got := Mentions(in); !reflect.DeepEqual(got, want) {
		t.Errorf("Mentions(%s)\n got %q\nwant %q", in, got, want)
	}
	if got := PackageOf("example.com/v1.2/x"); got != "" {
		t.Errorf("PackageOf a name without a package = %q", got)
	}
}

func TestIsNamed(t *testing.T) {
	for s, want := range map[string]bool{
		"a.b/c.T": true, "c.T[int,[]x.Y]": true, "int": false, "*c.T": false, "[]c.T": false, "map[c.T]c.T": false,
		"func(c.T)": false, "chan c.T": false, "struct{c.t int}": false, "<-chan c.T": false, "": false,
	} {
		if got := IsNamed(s); got != want {
			t.Errorf("IsNamed(%q) = %v", s, got)
		}
	}
}

// FuzzArgs: any text either parses into canonical spelling or comes back
// unchanged, and what came out canonical mentions no escape of the linker.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{
		"[int]", "[main.L,[]ex.com/c%2ed.T]", "[struct { ex.com/p.a int \"k\"; ex.com/p.u; *ex.com/p.T; ex.com/p.e = error }]",
		"[interface { M(int, ...string) (int, int); ex.com/p.m() }]", "[chan (<-chan int)]", "[main.P[int,int]]", "[func() ", "[[", "[%zz.T]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := canonicalArgs(s)
		if out != s && !(strings.HasPrefix(out, "[") && strings.HasSuffix(out, "]")) {
			t.Errorf("canonicalArgs(%q) = %q", s, out)
		}
		Mentions(out)
	})
}
