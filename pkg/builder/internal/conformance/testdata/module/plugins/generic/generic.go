// Package generic instantiates its own and the host's generic code over its own
// and the host's types.
package generic

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "host generics over host types", Run: hostOverHost},
		{Name: "host generics over own types", Run: hostOverOwn},
		{Name: "own generics over host types", Run: ownOverHost},
		{Name: "own generics over own types", Run: ownOverOwn},
		{Name: "type switch on a type parameter", Run: kinds},
		{Name: "constraint with a pointer method", Run: pointers},
		{Name: "generic closures and method values", Run: closures},
		{Name: "generic methods through interfaces", Run: interfaces},
		{Name: "generic types of generic types", Run: nested},
		{Name: "instantiations by reflection names", Run: names},
		{Name: "standard generics over own types", Run: standard},
	}
}

type celsius float64

func (c celsius) String() string { return fmt.Sprintf("%.1f°", float64(c)) }

type point struct{ X, Y int }

func (p *point) Init(n int) { p.X, p.Y = n, n*generation }

type stack[T any] struct{ list []T }

func (s *stack[T]) Push(v T) *stack[T] { s.list = append(s.list, v); return s }

func (s *stack[T]) Pop() (v T, err error) {
	if len(s.list) == 0 {
		return v, fmt.Errorf("empty stack of %T", v)
	}
	v = s.list[len(s.list)-1]
	s.list = s.list[:len(s.list)-1]
	return v, nil
}

func hostOverHost(w io.Writer) {
	b := api.Box[api.Money]{V: 150}
	old := b.Set(250)
	fmt.Fprintln(w, b.Get(), old, b)
	var t api.Tree[string, *api.Item]
	for _, n := range []string{"c", "a", "b", "a"} {
		t.Put(n, &api.Item{Name: strings.ToUpper(n)})
	}
	for k, v := range t.All() {
		fmt.Fprintln(w, k, v.Name)
	}
	fmt.Fprintln(w, api.Sum[api.Money](1, 2, 300), api.Sum(1.5, 2), api.Sorted(api.Set[api.Money]{}.Add(5, 3, 5)))
}

func hostOverOwn(w io.Writer) {
	b := &api.Box[point]{V: point{1, 2}}
	fmt.Fprintln(w, b.Set(point{3, 4}), b.Get(), b.V.X)
	fmt.Fprintln(w, api.Sum[celsius](1.5, 2.25), api.Sorted(api.Set[celsius]{}.Add(2, 1)))
	fmt.Fprintln(w, api.Map([]celsius{1, 2}, func(c celsius) point { return point{int(c), generation} }))
	var t api.Tree[celsius, point]
	t.Put(3, point{3, 3})
	t.Put(1, point{1, 1})
	for k, v := range t.All() {
		fmt.Fprintln(w, k, v)
		break
	}
	fmt.Fprintln(w, api.Call(func(p point) error { return fmt.Errorf("point %v", p) }, point{5, 6}))
	fmt.Fprintln(w, api.Call(func(p *point) error { p.X = 1; return nil }, nil))
}

func ownOverHost(w io.Writer) {
	s := &stack[*api.Item]{}
	s.Push(&api.Item{Name: "one"}).Push((&api.Item{Name: "two"}).Rename("three"))
	for range 3 {
		v, err := s.Pop()
		if err != nil {
			fmt.Fprintln(w, rows.Plain(err.Error()))
			continue
		}
		fmt.Fprintln(w, v.Name, v.Notes())
	}
	m := &stack[api.Shape]{}
	m.Push(api.Square{Side: 2}).Push(&api.Circle{R: 1})
	v, _ := m.Pop()
	fmt.Fprintln(w, v.Name(), v.Area())
}

func ownOverOwn(w io.Writer) {
	s := &stack[point]{}
	s.Push(point{1, generation})
	v, err := s.Pop()
	fmt.Fprintln(w, v, err)
	_, err = s.Pop()
	fmt.Fprintln(w, err)
	fmt.Fprintln(w, largest([]celsius{3, 9, 4}), largest([]string{"x", "yy", "a"}), largest([]api.Money{5, 700}))
}

func largest[T cmp.Ordered](list []T) T { return slices.Max(list) }

func kinds(w io.Writer) {
	fmt.Fprintln(w, api.Kind(1), api.Kind("a"), api.Kind(celsius(1)), api.Kind(point{}), api.Kind(api.Money(1)),
		api.Kind(errors.New("e")), api.Kind[error](&api.Error{}), api.Kind(1.5), api.Kind[any](nil))
	fmt.Fprintln(w, own(1), own(point{}), own(&point{}), own([]point{}), own(api.Box[point]{}), own(stack[int]{}), own[api.Shape](api.Square{}))
}

func own[T any](v T) string {
	switch v := any(v).(type) {
	case point:
		return "point"
	case *T:
		return "pointer to itself"
	case *point:
		return "*point"
	case []point:
		return "points"
	case api.Box[point]:
		return "box of point"
	case stack[T]:
		return "stack of itself"
	case stack[int]:
		return "stack of int"
	case api.Shape:
		return "shape " + v.Name()
	}
	return "other"
}

func pointers(w io.Writer) {
	p := api.New[point](7)
	fmt.Fprintln(w, *p)
	f := api.New[point]
	fmt.Fprintln(w, *f(8))
}

func closures(w io.Writer) {
	counter := func() func() celsius {
		var b api.Box[celsius]
		return func() celsius { b.Set(b.Get() + generation); return b.Get() }
	}()
	counter()
	fmt.Fprintln(w, counter())
	b := &api.Box[point]{}
	set, get := b.Set, b.Get
	set(point{9, 9})
	fmt.Fprintln(w, b.Get(), get(), (*api.Box[point]).Set(b, point{}), api.Box[celsius].Get(api.Box[celsius]{V: 3}))
	push := (*stack[celsius]).Push
	v, _ := push(&stack[celsius]{}, 4).Pop()
	fmt.Fprintln(w, v)
	fmt.Fprintln(w, compose(func(c celsius) point { return point{int(c), 0} }, func(p point) string { return fmt.Sprint(p) })(6))
}

func compose[A, B, C any](f func(A) B, g func(B) C) func(A) C { return func(a A) C { return g(f(a)) } }

type getter[T any] interface{ Get() T }

func interfaces(w io.Writer) {
	var g getter[point] = api.Box[point]{V: point{1, 1}}
	fmt.Fprintln(w, g.Get())
	g = &api.Box[point]{V: point{2, 2}}
	fmt.Fprintln(w, g.Get())
	_, ok := any(api.Box[celsius]{}).(getter[point])
	_, is := any(api.Box[celsius]{}).(getter[celsius])
	_, str := any(api.Box[celsius]{}).(fmt.Stringer)
	fmt.Fprintln(w, ok, is, str)
}

type list[T any] struct {
	head T
	tail *list[T]
}

func cons[T any](v T, l *list[T]) *list[T] { return &list[T]{v, l} }

func (l *list[T]) each(yield func(T) bool) {
	for ; l != nil && yield(l.head); l = l.tail {
	}
}

func nested(w io.Writer) {
	l := cons(api.Pair[string, stack[point]]{Key: "a"}, cons(api.Pair[string, stack[point]]{Key: "b"}, nil))
	l.head.Val.Push(point{1, 2})
	for p := range l.each {
		fmt.Fprintln(w, p.Key, p.Val.list)
	}
	m := api.Set[api.Pair[celsius, [2]api.Box[int]]]{}.Add(api.Pair[celsius, [2]api.Box[int]]{Key: 1}, api.Pair[celsius, [2]api.Box[int]]{Key: 1})
	fmt.Fprintln(w, len(m))
}

func names(w io.Writer) {
	for _, v := range []any{stack[point]{}, api.Box[point]{}, api.Pair[celsius, *stack[api.Item]]{}, &list[api.Set[string]]{}, func(list[int]) {}} {
		fmt.Fprintf(w, "%T\n", v)
	}
}

func standard(w io.Writer) {
	list := []point{{3, 1}, {1, 2}, {2, 3}}
	slices.SortFunc(list, func(a, b point) int { return cmp.Compare(a.X, b.X) })
	i, ok := slices.BinarySearchFunc(list, 2, func(p point, x int) int { return cmp.Compare(p.X, x) })
	fmt.Fprintln(w, list, i, ok, slices.Index(list, point{1, 2}), slices.Contains(list, point{}))
	fmt.Fprintln(w, slices.Compact([]celsius{1, 1, 2}), slices.Collect(slices.Values(list)), slices.MinFunc(list, func(a, b point) int { return a.Y - b.Y }))
}
