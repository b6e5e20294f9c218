// Package types has methods, embedding, assertions and comparison.
package types

import (
	"fmt"
	"io"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "embedded host types", Run: embedding},
		{Name: "embedded interfaces", Run: embeddedInterfaces},
		{Name: "method values and expressions", Run: methodValues},
		{Name: "type switches", Run: switches},
		{Name: "assertions that hold", Run: assertions},
		{Name: "assertions that fail", Run: failures},
		{Name: "interface with an unexported method", Run: sealed},
		{Name: "comparison", Run: comparison},
		{Name: "hashing", Run: hashing},
		{Name: "comparison that panics", Run: uncomparable},
		{Name: "host variables", Run: variables},
		{Name: "reflection on types", Run: reflectTypes},
		{Name: "reflection on methods", Run: reflectMethods},
		{Name: "types made by reflection", Run: reflectMade},
		{Name: "functions made by reflection", Run: reflectFuncs},
		{Name: "reflection on fields", Run: reflectFields},
	}
}

type product struct {
	api.Base
	api.Logger
	extra [generation]string
}

func (p *product) Describe() string { return "product " + p.Base.Describe() }

type catalogue struct {
	*product
	Title string
}

type triangle struct{ a, h float64 }

func (t triangle) Area() float64 { return t.a * t.h / 2 }
func (t triangle) Name() string  { return "triangle" }

func newProduct() *product {
	return &product{Base: api.Base{ID: generation, Item: &api.Item{Name: "cup", Price: 250}}, Logger: api.Prefix("log: ")}
}

func embedding(w io.Writer) {
	c := catalogue{product: newProduct(), Title: "all"}
	fmt.Fprintln(w, c.Describe(), c.Base.Describe(), c.Total(2), c.Rename("mug").Name, c.Notes(), c.Log("x"))
	var d interface{ Describe() string } = c
	fmt.Fprintln(w, d.Describe())
	var t interface{ Total(int) api.Money } = &c
	fmt.Fprintln(w, t.Total(3))
	_, ok := d.(interface{ Rename(string) *api.Item })
	fmt.Fprintln(w, ok)
}

type loud struct{ api.Logger }

func (l loud) Log(s string) string { return l.Logger.Log(s) + "!" }

type shaped struct {
	api.Shape
	fmt.Stringer
}

func embeddedInterfaces(w io.Writer) {
	var l api.Logger = loud{loud{api.Prefix("> ")}}
	fmt.Fprintln(w, l.Log("hello"))
	s := shaped{Shape: triangle{2, 3}, Stringer: api.Money(5)}
	var i interface {
		api.Shape
		fmt.Stringer
	} = s
	fmt.Fprintln(w, i.Name(), i.Area(), i)
	s.Shape = &api.Circle{R: 2}
	fmt.Fprintln(w, s.Name(), s.Area())
}

func methodValues(w io.Writer) {
	p := newProduct()
	describe, total, rename := p.Describe, p.Total, (*api.Item).Rename
	p.ID = 9
	fmt.Fprintln(w, describe(), total(4), rename(p.Item, "jar").Name, api.Item.Total(*p.Item, 2))
	var s api.Shape = &api.Circle{R: 1}
	area := s.Area
	s = triangle{4, 4}
	fmt.Fprintln(w, area(), s.Area(), api.Shape.Name(s), triangle.Name(triangle{}), (*triangle).Area(&triangle{1, 1}))
	fs := map[string]func(api.Shape) float64{"area": api.Shape.Area}
	fmt.Fprintln(w, fs["area"](api.Square{Side: 3}))
}

func what(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case triangle:
		return "own"
	case *product, catalogue:
		return fmt.Sprintf("several %T", v)
	case api.Square, api.Money:
		return fmt.Sprintf("host's %v", v)
	case interface{ corners() int }:
		return "own unexported method"
	case api.Sealed:
		return "sealed " + v.Name()
	case api.Shape:
		return "shape " + v.Name()
	case error:
		return "error " + v.Error()
	case func(int) string:
		return v(1)
	case map[string]triangle:
		return "map"
	case [generation]triangle:
		return "array"
	case chan<- triangle:
		return "channel"
	case struct{ A int }:
		return "struct"
	}
	return rows.Plain(fmt.Sprintf("other %T", v))
}

func switches(w io.Writer) {
	_, err := api.Find("")
	for _, v := range []any{
		nil,
		triangle{},
		&triangle{}, newProduct(),
		catalogue{},
		api.Square{},
		api.Money(1), &api.Circle{}, err,
		api.Temporary{After: 2},
		func(n int) string { return fmt.Sprint("func ", n) },
		map[string]triangle{},
		[generation]triangle{},
		[9]triangle{},
		make(chan<- triangle), make(chan triangle),
		struct{ A int }{1},
		struct{ B int }{1},
		&api.Box[triangle]{},
	} {
		fmt.Fprintln(w, what(v))
	}
}

func assertions(w io.Writer) {
	var s api.Shape = api.Registry["square"]
	fmt.Fprintln(w, s.(api.Square).Side, s.(api.Sealed).Area())
	s = triangle{1, 2}
	_, sealed := s.(api.Sealed)
	_, str := s.(fmt.Stringer)
	t, ok := s.(triangle)
	fmt.Fprintln(w, sealed, str, t, ok)
	var e error = &api.Error{Code: 3}
	_, is := e.(interface{ Is(error) bool })
	fmt.Fprintln(w, is)
}

func failures(w io.Writer) {
	var s api.Shape = triangle{}
	var none api.Shape
	for _, f := range []func(){
		func() { _ = s.(api.Square) },
		func() { _ = s.(*triangle) },
		func() { _ = s.(fmt.Stringer) },
		func() { _ = s.(api.Sealed) },
		func() { _ = none.(triangle) },
		func() { _ = none.(fmt.Stringer) },
		func() { _ = any(api.Money(1)).(int64) },
		func() { _ = any(1).(api.Money) },
		func() { _ = any("x").(triangle) },
		func() { _ = any(newProduct()).(*api.Base) },
		func() { none.Area() },
	} {
		func() {
			defer func() {
				r := recover()
				_, isRuntime := r.(interface{ RuntimeError() })
				fmt.Fprintf(w, "%v %t %T\n", r, isRuntime, r)
			}()
			f()
		}()
	}
}

func sealed(w io.Writer) {
	for _, s := range []api.Sealed{api.Square{Side: 1}, &api.Circle{R: 1}} {
		fmt.Fprintln(w, s.Name(), api.Corners(s))
	}
	fmt.Fprintln(w, api.Corners(struct{ api.Sealed }{api.Square{}}))
}

type key struct {
	name  string
	f     float64
	shape api.Shape
	list  [3]any
	pad   int8
	c     complex128
	_     int32
	price api.Money
}

func makeKey(n int) key {
	return key{name: fmt.Sprint("k", n), f: 1.5, shape: triangle{1, 2}, list: [3]any{n, "x", api.Money(2)}, c: 2i, price: 7}
}

func comparison(w io.Writer) {
	a, b, c := makeKey(1), makeKey(1), makeKey(2)
	fmt.Fprintln(w, a == b, a == c, a != c)
	b.list[2] = int64(2)
	fmt.Fprintln(w, a == b)
	type pair struct {
		triangle
		api.Square
	}
	x, y := [4]pair{{triangle{1, 2}, api.Square{Side: 1}}}, [4]pair{{triangle{1, 2}, api.Square{Side: 1}}}
	fmt.Fprintln(w, x == y, any(x) == any(y), any(x[0]) == any(x[1]))
	y[3].h = 1
	fmt.Fprintln(w, x == y, any(x) == any(y), any(triangle{}) == any(api.Square{}))
	fmt.Fprintln(w, api.Shape(triangle{1, 1}) == api.Shape(triangle{1, 1}), error(api.Temporary{After: 1}) == error(api.Temporary{After: 1}))
	fmt.Fprintln(w, api.Pair[string, [2]float64]{Key: "a"} == api.Pair[string, [2]float64]{Key: "a"})
}

func hashing(w io.Writer) {
	m := map[key]int{}
	for i := range 100 {
		m[makeKey(i%10)] += i
	}
	fmt.Fprintln(w, len(m), m[makeKey(3)])
	n := map[any]string{triangle{1, 2}: "t", api.Money(1): "m", int64(1): "i", [2]any{1, "x"}: "a", makeKey(1): "k", api.Box[triangle]{}: "b"}
	fmt.Fprintln(w, n[triangle{1, 2}], n[api.Money(1)], n[int64(1)], n[[2]any{1, "x"}], n[makeKey(1)], n[api.Box[triangle]{}], n[api.Square{}])
	s := map[api.Shape]int{triangle{1, 1}: 1, api.Square{Side: 1}: 2}
	fmt.Fprintln(w, s[triangle{1, 1}], s[api.Square{Side: 1}], s[triangle{}])
}

func uncomparable(w io.Writer) {
	type slices struct{ s []triangle }
	for _, f := range []func(){
		func() { _ = any([]triangle{}) == any([]triangle{}) },
		func() { _ = any(slices{}) == any(slices{}) },
		func() { _ = map[any]int{newProduct().Describe: 1} },
		func() { _ = map[any]int{slices{}: 1} },
		func() { _ = map[any]int{api.Item{}: 1} },
	} {
		func() {
			defer func() { fmt.Fprintln(w, recover()) }()
			f()
		}()
	}
}

func variables(w io.Writer) {
	api.Registry["triangle"] = triangle{2, float64(generation)}
	defer delete(api.Registry, "triangle")
	fmt.Fprintln(w, len(api.Registry), api.Registry["triangle"].Area(), api.Registry["square"].Area())
	old := api.Hook
	api.Hook = func(s string) string { return "plugin " + old(s) }
	fmt.Fprintln(w, api.Hook("x"))
	api.Hook = old
	fmt.Fprintln(w, api.Table[15].Name, api.Table[3].Price, api.ErrGone)
}
