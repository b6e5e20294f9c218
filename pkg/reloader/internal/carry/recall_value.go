package carry

import (
	"math"
	"reflect"
	"strings"
	"time"
)

// set gives the memory at a, of the type of l, the value n.
func (r *recall) set(n *node, a address, l *form) {
	if l.pointer != nil {
		r.set(n, a.add(l.at), l.pointer)
		return
	}
	t := l.typ
	v := a.at(t)
	if l.rule != nil {
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
			v.SetString(r.text(n))
		}
	case markStruct:
		if ok = k == reflect.Struct && t != timeType && (len(n.more.kids) == 0 || !l.opaque); ok {
			r.fields(n, a, l)
		}
	case markArray:
		if ok = k == reflect.Array; ok {
			r.array(n, a, l)
		}
	case markPointer:
		if ok = k == reflect.Pointer; ok {
			if p, fits := r.resolve(n.ref(), 1, r.elem(l)); fits {
				a.store(p)
			}
		}
	case markSlice:
		if ok = k == reflect.Slice && n.more.a <= n.more.b; ok {
			if p, fits := r.resolve(n.ref(), n.more.b, r.elem(l)); fits {
				v.Set(p.slice(t.Elem(), int(n.more.b)).Slice3(0, int(n.more.a), int(n.more.b)).Convert(t))
			}
		}
	case markEmpty:
		ok = r.empty(n, v, t)
	case markMap:
		if ok = k == reflect.Map; ok && r.objects[n.a].form == l {
			a.store(r.objects[n.a].to)
		}
	case markBox:
		if ok = k == reflect.Interface; ok {
			r.box(n, v, t)
		}
	case markFunc:
		f, there := r.g.Functions[r.name(n)]
		if ok = k == reflect.Func && there && f.Type().AssignableTo(t); ok {
			v.Set(f)
		}
	case markTime:
		if ok = t == timeType; ok {
			v.Set(reflect.ValueOf(r.time(n)))
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
	// Most are of the same size as they were.
	switch {
	case n.mark == markInt && v.CanInt() && !v.OverflowInt(int64(n.a)):
		v.SetInt(int64(n.a))
		return true
	case n.mark == markUint && v.CanUint() && !v.OverflowUint(n.a):
		v.SetUint(n.a)
		return true
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
		from = complex(math.Float64frombits(n.more.a), math.Float64frombits(n.more.b))
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

func (r *recall) fields(n *node, a address, l *form) {
	f := r.fit(l, n.more.shape)
	for i, to := range f.to {
		switch kid := &n.more.kids[i]; {
		case to.form != nil:
			r.set(kid, a.add(to.off), to.form)
		case !kid.isZero():
			r.dropped[r.types.of(l.typ)+"."+n.more.shape.names[i]]++
		}
	}
	if l.typ == onceType && !a.at(l.typ).IsZero() {
		r.done(a)
	}
	for _, field := range f.rest {
		r.keep(a.add(field.Offset), field.Type)
	}
}

func (r *recall) array(n *node, a address, l *form) {
	t := l.typ
	for i := range n.more.kids {
		switch {
		case i < t.Len():
			r.set(&n.more.kids[i], a.add(uintptr(i)*t.Elem().Size()), r.elem(l))
		case !n.more.kids[i].isZero():
			r.fails("an element that an array has lost is not zero")
			return
		}
	}
	for i := len(n.more.kids); i < t.Len() && r.objects[r.here].root != nil; i++ {
		r.keep(a.add(uintptr(i)*t.Elem().Size()), t.Elem())
	}
}

// resolve gives where a reference to count values leads.
func (r *recall) resolve(ref reference, count uint64, l *form) (address, bool) {
	w, o := &r.written.objects[ref.object], &r.objects[ref.object]
	if o.form == nil || o.to.isNil() {
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
	room := n - min(n, ref.index) // values from there on
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
	if !ok || at != l.typ || count == 0 || count > room || o.bad != "" && o.root == nil {
		r.fails("a reference leads to what is not there any more")
		return address{}, false
	}
	return o.to.add(uintptr(ref.index)*o.typ.Size() + off), true
}

// empty makes what took no memory: a slice without elements, or of such as struct{}.
func (r *recall) empty(n *node, v reflect.Value, t reflect.Type) bool {
	switch {
	case t.Kind() == reflect.Pointer && n.more.a == 1:
		if !r.spends(1, t.Elem()) {
			return false
		}
		v.Set(reflect.New(t.Elem()).Convert(t))
		return true
	case t.Kind() != reflect.Slice || n.more.a > n.more.b || n.more.b > math.MaxInt32:
		return false
	case t.Elem().Size() > 0 && n.more.b > 0:
		r.fails("the elements of a slice had no size, and have one now")
		return true
	}
	v.Set(reflect.MakeSlice(t, int(n.more.a), int(n.more.b)))
	return true
}

func (r *recall) box(n *node, v reflect.Value, t reflect.Type) {
	name := r.name(n)
	held := r.types.find(name)
	switch {
	case held == nil:
		r.fails("the new code has no type %s, which an interface holds", name)
	case !held.Implements(t):
		r.fails("the type %s no longer has the methods of %s", name, r.types.of(t))
	case held.Kind() == reflect.Interface || !r.spends(1, held):
		r.fails("an interface cannot hold a %s", name)
	default:
		x := reflect.New(held)
		r.set(&n.more.kids[0], addressOf(x), r.form(held))
		v.Set(x.Elem())
	}
}

// time gives the zone of that name where the machine knows it and it says the same, else
// one of a fixed offset.
func (r *recall) time(n *node) time.Time {
	t := time.Unix(int64(unzigzag(n.more.a)), int64(n.more.b%1e9))
	zone := r.text(n)
	switch zone {
	case "":
		return t
	case "UTC":
		return t.UTC()
	}
	offset := int(int32(unzigzag(n.more.index)))
	if loc, err := time.LoadLocation(zone); err == nil {
		if _, now := t.In(loc).Zone(); now == offset {
			return t.In(loc)
		}
	}
	return t.In(time.FixedZone(strings.TrimPrefix(zone, "-"), offset))
}
