package carry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// dice decides by what a fuzzer gives, and by nothing more once that is used up.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := int(d.data[0])
	d.data = d.data[1:]
	return b % n
}

// graph is a random type with an edit of it, and a random value.
type graph struct {
	dice
	edits  map[reflect.Type]reflect.Type
	places map[reflect.Type][]address // what pointers can lead to
	slices map[reflect.Type][]reflect.Value
	nodes  int
}

var scalars = []reflect.Type{
	reflect.TypeFor[int8](), reflect.TypeFor[int64](), reflect.TypeFor[uint16](), reflect.TypeFor[string](),
	reflect.TypeFor[bool](), reflect.TypeFor[float32](), reflect.TypeFor[any](),
}

func (g *graph) typ(depth int) reflect.Type {
	if depth == 0 {
		return scalars[g.roll(len(scalars))]
	}
	switch g.roll(8) {
	case 0:
		return scalars[g.roll(len(scalars))]
	case 1:
		return reflect.PointerTo(g.typ(depth - 1))
	case 2:
		return reflect.SliceOf(g.typ(depth - 1))
	case 3:
		return reflect.MapOf(scalars[g.roll(4)], g.typ(depth-1))
	case 4:
		return reflect.ArrayOf(1+g.roll(3), g.typ(depth-1))
	}
	var fields []reflect.StructField
	for i := range 1 + g.roll(4) {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: g.typ(depth - 1)})
	}
	// Pointers into what lies beside them.
	if g.roll(2) == 0 {
		fields = append(fields, reflect.StructField{Name: "P", Type: reflect.PointerTo(fields[g.roll(len(fields))].Type)})
	}
	return reflect.StructOf(fields)
}

// edit gives a type's edited form, always the same for one type.
func (g *graph) edit(t reflect.Type) reflect.Type {
	if e, ok := g.edits[t]; ok {
		return e
	}
	e := t
	switch t.Kind() {
	case reflect.Int8, reflect.Int64, reflect.Uint16, reflect.Float32:
		e = map[reflect.Kind][]reflect.Type{
			reflect.Int8: {t, reflect.TypeFor[int32]()}, reflect.Int64: {t, reflect.TypeFor[int16]()},
			reflect.Uint16: {t, reflect.TypeFor[int]()}, reflect.Float32: {t, reflect.TypeFor[float64]()},
		}[t.Kind()][g.roll(2)]
	case reflect.Pointer:
		e = reflect.PointerTo(g.edit(t.Elem()))
	case reflect.Slice:
		e = reflect.SliceOf(g.edit(t.Elem()))
	case reflect.Array:
		e = reflect.ArrayOf(t.Len(), g.edit(t.Elem()))
	case reflect.Map:
		e = reflect.MapOf(t.Key(), g.edit(t.Elem()))
	case reflect.Struct:
		e = g.editStruct(t)
	}
	g.edits[t] = e
	return e
}

func (g *graph) editStruct(t reflect.Type) reflect.Type {
	var fields []reflect.StructField
	for f := range fieldsOf(t) {
		fields = append(fields, reflect.StructField{Name: f.Name, Type: g.edit(f.Type)})
	}
	switch g.roll(4) {
	case 0:
		fields = append([]reflect.StructField{{Name: "New", Type: scalars[g.roll(len(scalars))]}}, fields...)
	case 1:
		i := g.roll(len(fields))
		fields = slices.Delete(fields, i, i+1)
	case 2:
		slices.Reverse(fields)
	}
	return reflect.StructOf(fields)
}

// fill gives the memory at a a random value of t.
func (g *graph) fill(a address, t reflect.Type, addressable bool) {
	v := a.at(t)
	if g.nodes++; g.nodes > 300 {
		return
	}
	if addressable && t.Size() > 0 {
		g.places[t] = append(g.places[t], a)
	}
	switch t.Kind() {
	case reflect.Int8, reflect.Int64:
		v.SetInt(int64(g.roll(100) - 50))
	case reflect.Uint16:
		v.SetUint(uint64(g.roll(200)))
	case reflect.Float32:
		v.SetFloat(float64(g.roll(100)) / 4)
	case reflect.Bool:
		v.SetBool(g.roll(2) == 0)
	case reflect.String:
		v.SetString(strings.Repeat("x", g.roll(4)))
	case reflect.Struct:
		for f := range fieldsOf(t) {
			g.fill(a.add(f.Offset), f.Type, addressable)
		}
	case reflect.Array:
		for i := range t.Len() {
			g.fill(a.add(uintptr(i)*t.Elem().Size()), t.Elem(), addressable)
		}
	case reflect.Pointer:
		switch places := g.places[t.Elem()]; {
		case g.roll(5) == 0:
		case len(places) > 0 && g.roll(2) == 0:
			a.store(places[g.roll(len(places))])
		default:
			p := addressOf(reflect.New(t.Elem()))
			g.fill(p, t.Elem(), true)
			a.store(p)
		}
	case reflect.Slice:
		switch known := g.slices[t]; {
		case g.roll(5) == 0:
		case len(known) > 0 && g.roll(2) == 0:
			k := known[g.roll(len(known))]
			from := g.roll(k.Len() + 1)
			v.Set(k.Slice3(from, k.Len(), k.Len()+g.roll(k.Cap()-k.Len()+1)))
		default:
			n := g.roll(4)
			s := reflect.MakeSlice(t, n, n+g.roll(3))
			for i := range n {
				g.fill(addressOf(s).add(uintptr(i)*t.Elem().Size()), t.Elem(), true)
			}
			g.slices[t] = append(g.slices[t], s)
			v.Set(s)
		}
	case reflect.Map:
		if g.roll(5) == 0 {
			return
		}
		m := reflect.MakeMap(t)
		if g.roll(4) > 0 { // one entry: more have no order in which to compare them
			k, e := reflect.New(t.Key()), reflect.New(t.Elem())
			g.fill(addressOf(k), t.Key(), false)
			g.fill(addressOf(e), t.Elem(), false)
			m.SetMapIndex(k.Elem(), e.Elem())
		}
		v.Set(m)
	case reflect.Interface:
		switch g.roll(3) {
		case 1:
			v.Set(reflect.ValueOf(g.roll(9)))
		case 2:
			v.Set(reflect.ValueOf([]string{"a"}))
		}
	}
}

// carryRandom carries a random value to a random edit of its type, and compares
// the result with the reference.
func carryRandom(t *testing.T, data []byte, step func()) {
	g := &graph{dice: dice{data}, edits: map[reflect.Type]reflect.Type{}, places: map[reflect.Type][]address{}, slices: map[reflect.Type][]reflect.Value{}}
	a := g.typ(3)
	b := g.edit(a)
	// Two variables, so that one may lead into the other.
	from, to := [2]reflect.Value{}, [2]reflect.Value{}
	for i := range from {
		from[i], to[i] = reflect.New(a), reflect.New(b)
		g.fill(addressOf(from[i]), a, true)
	}
	// Shown as one, so that numbers count across both.
	both := func(vs [2]reflect.Value, as reflect.Type) string {
		s := shower{seen: map[seen]int{}, places: true}
		for _, v := range vs {
			s.value(addressOf(v), v.Type().Elem(), as, 0)
			s.b.WriteString("\n")
		}
		return s.b.String()
	}
	was, want := both(from, a), both(from, b)
	x, err := Compare(oldGeneration(state{"a": from[0].Interface(), "b": from[1].Interface()}),
		newGeneration(state{"a": to[0].Interface(), "b": to[1].Interface()})).Prepare(Options{step: step, Apart: g.roll(2) == 1})
	if err != nil {
		var why *Refusal
		if !errors.As(err, &why) {
			t.Fatal(err)
		}
		t.Fatalf("%v to\n%v:\n%v\n%s", a, b, why, was)
	}
	x.Commit()
	if now := both(from, a); now != was {
		t.Fatalf("%v: the old state has changed:\n%s\n%s", a, was, now)
	}
	if got := both(to, b); got != want {
		t.Fatalf("%v to\n%v:\nwas\n%s\ngot\n%s\nwant\n%s", a, b, was, got, want)
	}
}

func TestRandomChangesAreCarriedAsTheReferenceDoesIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		data := make([]byte, 200)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		carryRandom(t, data, runtime.GC)
	}
}

func FuzzCarry(f *testing.F) {
	for _, seed := range []string{"", "\x05\x03\x01\x01\x02\x00\x00\x01", "\x02\x05\x02\x01\x04\x00\x03\x01\x00\x02\x01\x00\x01\x03\x02\x01\x01", "\x06\x03\x01\x06\x02\x00\x01\x00\x01\x01\x01\x00\x00\x02\x04\x02\x01\x03"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { carryRandom(t, data, func() {}) })
}
