package carry

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// set gives the memory at a, of type t, the value n.
func (r *recall) set(n *node, a address, t reflect.Type) {
	if p, off, ok := pointerIn(t); ok {
		r.set(n, a.add(off), p)
		return
	}
	v := a.at(t)
	if ruleFor(t, t) != nil {
		r.keep(a, t) // it starts anew
		return
	}
	ok := false
	switch k := t.Kind(); n.mark {
	case markIdle:
		ok = true // what was a lock is another type now
	case markNil:
		switch k {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
			v.SetZero()
			ok = true
		}
	case markFalse, markTrue:
		if ok = k == reflect.Bool; ok {
			v.SetBool(n.mark == markTrue)
		}
	case markInt, markUint, markFloat, markComplex:
		ok = r.number(n, v)
	case markString:
		if ok = k == reflect.String; ok {
			v.SetString(n.text)
		}
	case markStruct:
		if ok = k == reflect.Struct && t != timeType && (len(n.kids) == 0 || !r.types.opaque(t)); ok {
			r.fields(n, a, t)
		}
	case markArray:
		if ok = k == reflect.Array; ok {
			r.array(n, a, t)
		}
	case markPointer:
		if ok = k == reflect.Pointer; ok {
			if p, fits := r.resolve(n.ref, 1, t.Elem()); fits {
				a.store(p)
			}
		}
	case markSlice:
		if ok = k == reflect.Slice && n.a <= n.b; ok {
			if p, fits := r.resolve(n.ref, n.b, t.Elem()); fits {
				v.Set(p.slice(t.Elem(), int(n.b)).Slice3(0, int(n.a), int(n.b)).Convert(t))
			}
		}
	case markEmpty:
		ok = r.empty(n, v, t)
	case markMap:
		if ok = k == reflect.Map; ok && r.objects[n.ref.object].typ == t {
			a.store(r.objects[n.ref.object].to)
		}
	case markBox:
		if ok = k == reflect.Interface; ok {
			r.box(n, v, t)
		}
	case markFunc:
		f, there := r.g.Functions[n.text]
		if ok = k == reflect.Func && there && f.Type().AssignableTo(t); ok {
			v.Set(f)
		}
	case markTime:
		if ok = t == timeType; ok {
			v.Set(reflect.ValueOf(n.time()))
		}
	}
	if !ok {
		r.fails("its value cannot become a %s", r.types.of(t))
	}
}

func (r *recall) number(n *node, v reflect.Value) bool {
	if !numeric(v.Kind()) {
		return false
	}
	var from any
	switch n.mark {
	case markInt:
		from = int64(n.a)
	case markUint:
		from = n.a
	case markFloat:
		from = math.Float64frombits(n.a)
	default:
		from = complex(math.Float64frombits(n.a), math.Float64frombits(n.b))
	}
	f := reflect.ValueOf(from)
	if fractional(f.Kind()) && (whole(v.Kind()) || f.CanComplex() != v.CanComplex()) || !fractional(f.Kind()) && v.CanComplex() {
		return false
	}
	if why := setNumber(v, f); why != nil {
		r.fails("%s", why.Reason)
	}
	return true
}

func (r *recall) fields(n *node, a address, t reflect.Type) {
	for i := range n.kids {
		f, ok := t.FieldByName(n.name[i])
		switch {
		case ok && len(f.Index) == 1:
			r.set(&n.kids[i], a.add(f.Offset), f.Type)
		case !n.kids[i].isZero():
			r.dropped[r.types.of(t)+"."+n.name[i]]++
		}
	}
	if t == onceType && !a.at(t).IsZero() {
		r.done(a)
	}
	if r.objects[r.here].vars == nil {
		return
	}
	for f := range fieldsOf(t) {
		if f.Name != "_" && !slices.Contains(n.name, f.Name) {
			r.keep(a.add(f.Offset), f.Type)
		}
	}
}

func (r *recall) array(n *node, a address, t reflect.Type) {
	for i := range n.kids {
		switch {
		case i < t.Len():
			r.set(&n.kids[i], a.add(uintptr(i)*t.Elem().Size()), t.Elem())
		case !n.kids[i].isZero():
			r.fails("an element that an array has lost is not zero")
			return
		}
	}
	for i := len(n.kids); i < t.Len() && r.objects[r.here].vars != nil; i++ {
		r.keep(a.add(uintptr(i)*t.Elem().Size()), t.Elem())
	}
}

// resolve gives where a reference to count values of t leads.
func (r *recall) resolve(ref reference, count uint64, t reflect.Type) (address, bool) {
	w, o := &r.written.objects[ref.object], &r.objects[ref.object]
	if o.typ == nil || o.to.isNil() {
		r.fails("a reference leads to what could not be made")
		return address{}, false
	}
	n := uint64(1)
	switch w.sort {
	case sortMemory:
		n = uint64(len(w.kids))
	case sortBytes:
		n = uint64(len(w.text))
	}
	room := n - min(n, ref.index) // values of t from there on
	steps := ref.steps
	if len(steps) > 0 && room > 0 {
		room = 1
		if last := steps[len(steps)-1]; last.field == "" {
			array, _, ok := r.follow(o.typ, steps[:len(steps)-1])
			if ok && array.Kind() == reflect.Array {
				room = uint64(array.Len()) - min(uint64(array.Len()), last.index)
			}
		}
	}
	at, off, ok := r.follow(o.typ, steps)
	if !ok || at != t || count == 0 || count > room || o.bad != "" && o.vars == nil {
		r.fails("a reference leads to what is not there any more")
		return address{}, false
	}
	return o.to.add(uintptr(ref.index)*o.typ.Size() + off), true
}

// empty makes what took no memory: a slice without elements, or of such as struct{}.
func (r *recall) empty(n *node, v reflect.Value, t reflect.Type) bool {
	switch {
	case t.Kind() == reflect.Pointer && n.a == 1:
		if !r.spends(1, t.Elem()) {
			return false
		}
		v.Set(reflect.New(t.Elem()).Convert(t))
		return true
	case t.Kind() != reflect.Slice || n.a > n.b || n.b > math.MaxInt32:
		return false
	case t.Elem().Size() > 0 && n.b > 0:
		r.fails("the elements of a slice had no size, and have one now")
		return true
	}
	v.Set(reflect.MakeSlice(t, int(n.a), int(n.b)))
	return true
}

func (r *recall) box(n *node, v reflect.Value, t reflect.Type) {
	held := r.types.find(n.text)
	switch {
	case held == nil:
		r.fails("the new code has no type %s, which an interface holds", n.text)
	case !held.Implements(t):
		r.fails("the type %s no longer has the methods of %s", n.text, r.types.of(t))
	case held.Kind() == reflect.Interface || !r.spends(1, held):
		r.fails("an interface cannot hold a %s", n.text)
	default:
		x := reflect.New(held)
		r.set(&n.kids[0], addressOf(x), held)
		v.Set(x.Elem())
	}
}

// time gives the zone of that name where the machine knows it and it says the same, else
// one of a fixed offset.
func (n *node) time() time.Time {
	t := time.Unix(int64(unzigzag(n.a)), int64(n.b%1e9))
	switch n.text {
	case "":
		return t
	case "UTC":
		return t.UTC()
	}
	offset := int(int32(unzigzag(n.ref.index)))
	if loc, err := time.LoadLocation(n.text); err == nil {
		if _, now := t.In(loc).Zone(); now == offset {
			return t.In(loc)
		}
	}
	return t.In(time.FixedZone(strings.TrimPrefix(n.text, "-"), offset))
}
