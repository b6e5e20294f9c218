package funcdiff

import (
	"errors"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

const shop = "example.com/shop"

// one compares two texts of one package that differ in one part: old and now take
// the place of "$".
func one(t *testing.T, text, old, now string) *Diff {
	t.Helper()
	version := func(s string) [][2]string {
		return [][2]string{{shop, "package shop\n\n" + strings.ReplaceAll(text, "$", s)}}
	}
	return compare(t, version(old), version(now))
}

func TestEditsOfOnePackage(t *testing.T) {
	for _, row := range []struct {
		name, text, old, now string
		want                 []string
	}{
		{
			"a comment is no change", `$
func F() int { return 1 }
`, "// F is one.", "// F is\n// 1.", nil,
		},
		{
			"a moved line is no change", `import "fmt"
$
func F(m map[string]int) { m["x"]++; fmt.Println(m, func() int { return m["y"] }()) }
`, "", "\n\n\n", nil,
		},
		{
			"a body", `
//go:noinline
func F() int { return $ }
func G() int { return F() }
`, "1", "2", []string{"changed shop.F"},
		},
		{
			"an inlined callee", `
func f() int { return $ }
//go:noinline
func G(n int) int { return f() + n }
`, "1", "2", []string{"changed shop.G: uses a constant or type that changed, or what is inlined into it", "changed shop.f"},
		},
		{
			"an inlined callee that leaves a trace", `
var v int
func f(n int) int { v++; return n $ v }
//go:noinline
func G(n int) int { return f(n) }
`, "+", "-", []string{"changed shop.G: inlines shop.f, which changed", "changed shop.f"},
		},
		{
			"a constant", `
const c = $
func F(n int) bool { return n < c }
func G() int { return 7 }
`, "10", "20", []string{"changed shop.F: uses a constant or type that changed, or what is inlined into it"},
		},
		{
			"the body of a function literal is its function's", `
var keep func() int
func F(n int) { keep = func() int { return n $ 2 } }
func G(n int) { keep = func() int { return n } }
`, "+", "*", []string{"changed shop.F"},
		},
		{
			"literals that are renumbered and equal are no change", `
var keep []func() int
$
func F(n int) { keep = append(keep, func() int { return n }, func() int { return n * n }) }
`, "", "func E() { keep = append(keep, func() int { return 5 }) }", []string{"added shop.E"},
		},
		{
			"literals in another order are a change", `
var keep []func() int
func F(n int) { keep = append(keep, $) }
`, "func() int { return n }, func() int { return n * n }", "func() int { return n * n }, func() int { return n }", []string{"changed shop.F"},
		},
		{
			"temporaries that are renumbered and equal are no change", `
$
func F() []int { return []int{1, 2, 3, 4, 5, 6, 7, 8} }
func G() []string { return []string{"a", "b", "c", "d", "e"} }
`, "", "func E() []int { return []int{9, 8, 7, 6, 5, 4, 3, 2} }", []string{"added shop.E"},
		},
		{
			"the content of a temporary", `
func F() []string { return []string{"a", $, "c", "d", "e"} }
`, `"b"`, `"B"`, []string{"changed shop.F"},
		},
		{
			"caches of type switches are renumbered and no change", `
type named interface{ Name() string }
$
func F(x any) string {
	switch x := x.(type) {
	case named:
		return x.Name()
	case interface{ Other() string }:
		return x.Other()
	}
	return ""
}
func G(x any) bool { _, ok := x.(named); return ok }
`, "", "func E(x any) bool { _, ok := x.(interface{ E() }); return ok }", []string{"added shop.E"},
		},
		{
			"another interface in a type switch", `
func F(x any) bool {
	switch x.(type) {
	case interface{ $() string }:
		return true
	}
	return false
}
`, "One", "Two", []string{"changed shop.F"},
		},
		{
			"jump tables", `
func F(n int) int {
	switch n {
	case 0: return 3
	case 1: return 1
	case 2: return 4
	case 3: return 1
	case 4: return 5
	case 5: return 9
	case 6: return 2
	case 7: return $
	case 8: return 5
	}
	return 0
}
`, "6", "7", []string{"changed shop.F"},
		},
		{
			"equal code with other pointers on the stack", `
import "unsafe"
//go:noinline
func g() {}
//go:noinline
func F(p *int) uintptr {
	x := $(unsafe.Pointer(p))
	g()
	return uintptr(x)
}
`, "uintptr", "unsafe.Pointer", []string{"changed shop.F"},
		},
		{
			"a generic body: every instance", `
func f[T any](x T) []T { return []T{x$} }
var A, B, C = f[int], f[string], f[*int]
`, "", ", x", []string{
				"changed shop.f[*int]", "changed shop.f[go.shape.*uint8]", "changed shop.f[go.shape.int]", "changed shop.f[go.shape.string]",
				"changed shop.f[int]", "changed shop.f[string]",
			},
		},
		{
			"a new dictionary: beside the old one, with all callers", `
//go:noinline
func f[T any](x T) any { return any($) }
//go:noinline
func G(n int) any { return f(n) }
func H(n int) any { return n }
`, "x", "[]T{x}", []string{
				"changed shop.G: calls shop.f[go.shape.int], whose signature changed", "changed shop.f[go.shape.int] beside", "changed shop.f[int] beside",
			},
		},
		{
			"an instance whose type arguments have dots", `
type V func(...int) string
//go:noinline
func f[T any](x T) int { return $ }
func G(v V) int { return f(v) }
`, "1", "2", []string{"changed shop.f[go.shape.func(...int) string]"},
		},
		{
			"a signature, of a function that is called", `
//go:noinline
func f(n $) int { return 1 }
func G() int { return f(2) }
func H() int { return G() }
`, "int", "float64", []string{"changed shop.G: calls shop.f, whose signature changed", "changed shop.H: calls shop.f, whose signature changed", "changed shop.f beside"},
		},
		{
			"a signature, of a function whose value is taken", `
//go:noinline
func f(n $) { }
var V any = f
`, "int", "int64", []string{"changed shop.f beside", "refuse HG0010 shop.f"},
		},
		{
			"parameter names are no signature", `
//go:noinline
func f($ int) int { return 1 }
var V any = f
`, "a", "b", nil,
		},
		{
			"a kept argument, of a function that is called", `
var keep *int
//go:noinline
func f(p *int) int { $; return *p }
func G() int { n := 5; return f(&n) }
func H(p *int) int { return f(p) }
`, "_ = p", "keep = p", []string{
				"changed shop.G: passes arguments to shop.f, which keeps others than before", "changed shop.H unlike: passes arguments to shop.f, which keeps others than before",
				"changed shop.f beside unlike",
			},
		},
		{
			"a kept argument, where all callers had it on the heap", `
var keep, other *int
//go:noinline
func f(p *int) int { $; return *p }
//go:noinline
func G() int { n := 5; other = &n; return f(&n) }
`, "_ = p", "keep = p", []string{"changed shop.f unlike"},
		},
		{
			"a kept argument, of a function whose value is taken and that is called", `
var keep *int
//go:noinline
func f(p *int) int { $; return *p }
func G() int { n := 5; return f(&n) }
var V = f
`, "_ = p", "keep = p", []string{
				"changed shop.G: passes arguments to shop.f, which keeps others than before", "changed shop.f unlike", "refuse HG0062 shop.f",
			},
		},
		{
			"a kept argument, passed by literals of initialisers", `
var keep *int
//go:noinline
func f(p *int) int { $; return *p }
var V = func() int { n := 5; return f(&n) }
`, "_ = p", "keep = p", []string{"changed shop.f beside unlike"},
		},
		{
			"a written argument counts as well", `
//go:noinline
func f(p []byte) int { $; return len(p) }
func G(s string) int { return f([]byte(s)) }
`, "_ = p", "p[0] = 1", []string{"changed shop.G: passes arguments to shop.f, which keeps others than before", "changed shop.f beside unlike"},
		},
		{
			"a method that is promoted", `
type in struct{ n int }
//go:noinline
func (i in) Get() int { return i.n $ 1 }
type Out struct{ in }
var V interface{ Get() int } = Out{}
`, "+", "-", []string{"changed shop.in.Get"},
		},
		{
			"a method", `
type T struct{ n int }
func (t *T) Get() int { return t.n $ 1 }
var V interface{ Get() int } = &T{}
`, "+", "-", []string{"changed shop.(*T).Get"},
		},
		{
			"a method with a name like a literal's", `
type T struct{ n int }
//go:noinline
func (t T) func1() int { return t.n $ 1 }
type U struct{ T }
var V interface{ func1() int } = U{}
//go:noinline
func func2() int { return 1 $ 1 }
`, "+", "-", []string{"changed shop.T.func1", "changed shop.func2"},
		},
		{"a field more", "type T struct{ a int $ }\nvar V any = T{}\n", "", "; b int", []string{"refuse HG0001 shop.T"}},
		{"a field of another type", "type T struct{ a $ }\nvar V any = T{}\n", "int", "uint", []string{"refuse HG0001 shop.T"}},
		{"fields in another order", "type T struct{ $ }\nvar V any = T{}\n", "a, b int; c string", "c string; a, b int", []string{"refuse HG0001 shop.T"}},
		{"a field renamed", "type T struct{ $ int }\nvar V any = T{}\n", "a", "b", []string{"refuse HG0002 shop.T"}},
		{"a type renamed", "type $ struct{ a int }\n", "T", "U", []string{"type shop.U", "type shop.U", "refuse HG0002 shop.T"}},
		{"a tag", "type T struct{ a int $ }\nvar V any = T{}\n", "`a`", "`b`", []string{"refuse HG0003 shop.T"}},
		{"a method more", "type T int\nvar V any = T(0)\n$\n", "", "func (T) M() {}", []string{"added shop.T.M", "refuse HG0020 shop.T"}},
		{"an interface", "type I interface{ M($) }\nvar V any = (*I)(nil)\n", "int", "uint", []string{"refuse HG0020 shop.I"}},
		{"a variable's type", "var V $\n", "int", "uint", []string{"refuse HG0032 shop.V"}},
		{"a variable's type, by its initialiser", "var V = $\n", "1", "1.5", []string{"refuse HG0032 shop.V"}},
		{"the length of an array", "const n = $\nvar V [n]int\n", "1", "2", []string{"refuse HG0032 shop.V"}},
		{"another constant beside an array", "const n, m = 1, $\nvar V [n]int\nfunc F() int { return m }\n", "1", "2", []string{
			"changed shop.F: uses a constant or type that changed, or what is inlined into it",
		}},
		{"an initialiser", "var V = $\n", "1", "2", []string{"note HG0031 shop.V"}},
		{"an init function", "var V int\nfunc init() { V = $ }\n", "1", "2", []string{"refuse HG0040 shop.init"}},
		{"an init function more", "var V int\n$\n", "", "func init() { V = 1 }", []string{"refuse HG0040 shop.init"}},
		{"a new variable", "$\nfunc F() {}\n", "", "var V = 5", []string{"var shop.V"}},
		{"a new variable that code initialises", "func F() int { return len(s) }\nvar s []int\n$\n", "", "var V = F()", []string{"var shop.V", "refuse HG0030 shop.V"}},
		{"a new type", "$\nfunc F() {}\n", "", "type T struct{ a int }\nfunc (T) M() {}", []string{"added shop.T.M", "type shop.T", "type shop.T"}},
		{"nosplit", "//go:nosplit\nfunc F() int { return $ }\n", "1", "2", []string{"changed shop.F", "refuse HG0063 shop.F"}},
		{"a function gone, one new", "$\nvar V any = 1\n", "//go:noinline\nfunc F() int { return 1 }", "//go:noinline\nfunc G() int { return 1 }", []string{"removed shop.F", "added shop.G"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			check(t, one(t, row.text, row.old, row.now), row.want...)
		})
	}
}

// What calls a function that newly keeps its argument may run for ever, though
// the sources have it no more.
func TestCallerThatIsGoneCounts(t *testing.T) {
	const text = `
var keep *int
//go:noinline
func f(p *int) int { $; return *p }
//go:noinline
func F(p *int) int { return f(p) }
`
	old := strings.Replace(text, "$", "_ = p", 1) + "func Loop() { for { n := 5; f(&n) } }\n"
	now := strings.Replace(text, "$", "keep = p", 1)
	d := one(t, "$", old, now)
	for _, f := range d.Functions {
		if f.Name == shop+".f" && f.Redirect {
			t.Errorf("Loop goes on passing what is on its stack to the new function: %v", lines(d))
		}
	}
}

func TestImportersJoin(t *testing.T) {
	version := func(price, cart string) [][2]string {
		return [][2]string{
			{"example.com/price", "package price\n\n" + price},
			{"example.com/cart", "package cart\n\nimport \"example.com/price\"\n\n" + cart},
		}
	}
	const cart = "//go:noinline\nfunc Total(n int) int { return price.Round(n) + price.Plain(n) }\nfunc Other() int { return 1 }\n"
	const plain = "//go:noinline\nfunc Plain(n int) int { return n }\n"
	d := compare(t,
		version("var last int\nfunc Round(n int) int { last = n; return n + 1 }\n"+plain, cart),
		version("var last int\nfunc Round(n int) int { last = n; return n + 2 }\n"+plain, cart))
	check(t, d, "changed cart.Total: inlines price.Round, which changed", "changed price.Round")

	// A signature: the importer's text changed, too.
	d = compare(t,
		version("//go:noinline\nfunc Round(n int) int { return n }\n"+plain, cart),
		version("//go:noinline\nfunc Round(n int) (int, bool) { return n, true }\n"+plain, strings.Replace(cart, "return price.Round(n) +", "m, _ := price.Round(n); return m +", 1)))
	check(t, d, "changed cart.Total", "changed price.Round beside")
}

// Code that is compiled as for a program refers to the runtime by positions in a
// list that belongs to the toolchain.
func TestCodeOfProgramsIsNotCompared(t *testing.T) {
	src := [2]string{shop, "package shop\n\nvar keep any\n\nfunc F(n int) { keep = n }\n"}
	was, is := compile(t, nil, src), compile(t, nil, src)
	_, err := Compare(Program{Has: func(string, uint16) bool { return true }}, []Package{{Path: shop, Old: was[shop], New: is[shop]}})
	if !errors.Is(err, goobj.ErrBuiltin) {
		t.Errorf("got %v", err)
	}
}

func TestIdentityReplacesAll(t *testing.T) {
	src := [][2]string{{shop, "package shop\n\n//go:noinline\nfunc F() int { return 1 }\n\ntype T int\n\nfunc (t T) M() func() int { return func() int { return int(t) } }\n\nvar V = func() {}\n\nfunc init() { V() }\n"}}
	was, is := compile(t, dynlink, src...), compile(t, dynlink, src...)
	d, err := Identity(Program{Has: func(string, uint16) bool { return true }}, []Package{{Path: shop, Old: was[shop], New: is[shop]}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, d, "changed shop.(*T).M", "changed shop.F", "changed shop.T.M")
}
