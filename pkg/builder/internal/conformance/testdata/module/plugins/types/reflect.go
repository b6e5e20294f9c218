package types

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

func reflectTypes(w io.Writer) {
	for _, v := range []any{
		triangle{},
		&product{},
		catalogue{},
		api.Item{},
		&api.Circle{},
		[]triangle{},
		map[api.Money]*triangle{},
		func(triangle, ...api.Item) error { return nil },
		struct {
			T triangle `k:"v"`
			api.Base
		}{},
		make(<-chan triangle),
		api.Box[triangle]{},
		(*api.Shape)(nil), (*interface{ F(triangle) })(nil),
	} {
		t := reflect.TypeOf(v)
		fmt.Fprintln(w, t, t.Kind(), t.Name(), rows.Plain(t.PkgPath()), t.NumMethod(), t.Comparable(), t.Size() > 0)
	}
	shape := reflect.TypeFor[api.Shape]()
	fmt.Fprintln(w, reflect.TypeOf(triangle{}).Implements(shape), reflect.TypeOf(&product{}).Implements(shape), reflect.TypeFor[*api.Circle]().Implements(shape))
	fmt.Fprintln(w, reflect.TypeFor[triangle]() == reflect.TypeOf(triangle{}), reflect.TypeFor[map[string]triangle]() == reflect.MapOf(reflect.TypeFor[string](), reflect.TypeFor[triangle]()))
}

func reflectMethods(w io.Writer) {
	for _, v := range []any{newProduct(), catalogue{product: newProduct()}, triangle{2, 2}, &api.Item{Name: "n", Price: 3}, &api.Circle{R: 1}, &api.Box[triangle]{}} {
		t := reflect.TypeOf(v)
		var names []string
		for m := range t.Methods() {
			names = append(names, m.Name+strings.TrimPrefix(m.Type.String(), "func"))
		}
		fmt.Fprintln(w, t, names)
	}
	call := func(v any, name string, args ...any) {
		var in []reflect.Value
		for _, a := range args {
			in = append(in, reflect.ValueOf(a))
		}
		m := reflect.ValueOf(v).MethodByName(name)
		if !m.IsValid() {
			fmt.Fprintln(w, name, "missing")
			return
		}
		for _, out := range m.Call(in) {
			fmt.Fprint(w, out.Interface(), " ")
		}
		fmt.Fprintln(w)
	}
	p := newProduct()
	call(p, "Describe")
	call(p, "Total", 4)
	call(p, "Log", "m")
	call(p, "Nothing")
	call(&api.Circle{R: 3}, "Area")
	call(api.Square{Side: 3}, "Name")
	call(&api.Box[string]{V: "a"}, "Set", "b")
	call(&api.Box[triangle]{}, "Get")
	call(&api.Error{Code: 1, Text: "t"}, "Error")
	call((&api.Item{Name: "i"}).Rename("j"), "Notes")
}

func reflectMade(w io.Writer) {
	v := reflect.New(reflect.TypeFor[product]())
	v.Elem().FieldByName("ID").SetInt(5)
	fmt.Fprintln(w, v.Interface().(*product).ID, v.Type())
	s := reflect.StructOf([]reflect.StructField{
		{Name: "T", Type: reflect.TypeFor[triangle]()},
		{Name: "I", Type: reflect.TypeFor[*api.Item](), Tag: `json:"i"`},
	})
	fmt.Fprintln(w, s, reflect.New(s).Elem().Interface() == reflect.Zero(s).Interface())
	_, ok := reflect.Zero(s).Interface().(struct {
		T triangle
		I *api.Item `json:"i"`
	})
	fmt.Fprintln(w, ok)
	m := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[triangle](), reflect.TypeFor[[]api.Money]()))
	m.SetMapIndex(reflect.ValueOf(triangle{1, 2}), reflect.ValueOf([]api.Money{7}))
	fmt.Fprintln(w, m.Interface().(map[triangle][]api.Money)[triangle{1, 2}], m.Type())
	a := reflect.ArrayOf(3, reflect.TypeFor[triangle]())
	_, ok = reflect.Zero(a).Interface().([3]triangle)
	fmt.Fprintln(w, a, ok)
	c := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, reflect.TypeFor[*triangle]()), 1)
	c.Send(reflect.ValueOf(&triangle{3, 3}))
	fmt.Fprintln(w, *<-c.Interface().(chan *triangle))
	f := reflect.FuncOf([]reflect.Type{reflect.TypeFor[triangle]()}, []reflect.Type{reflect.TypeFor[api.Money]()}, false)
	fmt.Fprintln(w, f, f == reflect.TypeFor[func(triangle) api.Money]())
	fmt.Fprintln(w, reflect.PointerTo(reflect.TypeFor[catalogue]()), reflect.SliceOf(reflect.TypeFor[catalogue]()))
}

func reflectFuncs(w io.Writer) {
	var add func(triangle, *api.Item, float64) (string, error)
	made := reflect.MakeFunc(reflect.TypeOf(add), func(args []reflect.Value) []reflect.Value {
		t, i := args[0].Interface().(triangle), args[1].Interface().(*api.Item)
		return []reflect.Value{reflect.ValueOf(fmt.Sprint(t.a, i.Name, args[2].Float())), reflect.Zero(reflect.TypeFor[error]())}
	})
	reflect.ValueOf(&add).Elem().Set(made)
	fmt.Fprintln(w, fmt.Sprint(add(triangle{a: 1}, &api.Item{Name: "n"}, 2.5)))
	f := reflect.ValueOf(triangle.Area)
	fmt.Fprintln(w, f.Type(), f.Call([]reflect.Value{reflect.ValueOf(triangle{2, 5})})[0])
	m := reflect.ValueOf(newProduct()).MethodByName("Total").Interface().(func(int) api.Money)
	fmt.Fprintln(w, m(2))
	swap := reflect.Swapper([]triangle{{1, 1}, {2, 2}})
	swap(0, 1)
}

func reflectFields(w io.Writer) {
	t := reflect.TypeFor[catalogue]()
	for _, f := range reflect.VisibleFields(t) {
		fmt.Fprintln(w, f.Name, f.Index, f.Type, f.Tag.Get("json"), f.Anonymous, rows.Plain(f.PkgPath))
	}
	v := reflect.ValueOf(key{name: "n"})
	fmt.Fprintln(w, v.Field(0), v.Field(0).CanInterface(), v.NumField(), v.FieldByName("price"))
	fmt.Fprintln(w, reflect.DeepEqual(newProduct(), newProduct()), reflect.DeepEqual(makeKey(1), makeKey(2)))
	fmt.Fprintln(w, reflect.ValueOf(api.Money(3)).Convert(reflect.TypeFor[int]()).Interface(), reflect.TypeFor[triangle]().ConvertibleTo(reflect.TypeFor[struct{ a, h float64 }]()))
}
