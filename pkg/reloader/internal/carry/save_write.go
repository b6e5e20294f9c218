package carry

import (
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"time"
)

// resolve finds the regions that lie inside of others, as carrier.resolve does.
func (s *Save) resolve() {
	type extent struct {
		from, to uintptr
		depth    int
		object   int
	}
	list := make([]extent, 0, s.objects.n)
	depths := map[reflect.Type]int{}
	for i := range s.objects.n {
		o := s.objects.at(i)
		if o.kind == region && o.typ.Size() > 0 {
			if _, ok := depths[o.typ]; !ok {
				depths[o.typ] = nesting(o.typ)
			}
			list = append(list, extent{o.from.word(), o.from.word() + uintptr(o.n)*o.typ.Size(), depths[o.typ], i})
		}
	}
	slices.SortFunc(list, func(a, b extent) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(b.depth, a.depth), cmp.Compare(a.object, b.object))
	})
	var outer *extent
	for i := range list {
		e := &list[i]
		if outer == nil || e.from >= outer.to {
			outer = e
			continue
		}
		p, o := s.objects.at(outer.object), s.objects.at(e.object)
		size := p.typ.Size()
		switch {
		case p.root == 0 && p.typ == o.typ && (e.from-outer.from)%size == 0:
			outer.to = max(outer.to, e.to)
			p.n = int((outer.to - outer.from) / size)
			p.spoil(o.bad, o.made)
		default:
			_, ok := stepsTo(p.typ, (e.from-outer.from)%size, o.typ, e.to-e.from)
			if !ok || e.to > outer.to {
				l := s.way(e.object, element, 0)
				l.Type, l.Reason = s.types.of(o.typ), "a pointer leads into the middle of other values"
				p.spoil(l, false)
				continue
			}
		}
		o.in = outer.object
	}
}

// stepsTo gives the steps from a value of t to a want that lies off bytes into it, or
// to the first of size bytes of them in an array.
func stepsTo(t reflect.Type, off uintptr, want reflect.Type, size uintptr) ([]step, bool) {
	if off == 0 && t == want && size == t.Size() {
		return nil, true
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range fieldsOf(t) {
			if off >= f.Offset && off+size <= f.Offset+f.Type.Size() {
				rest, ok := stepsTo(f.Type, off-f.Offset, want, size)
				return append([]step{{field: f.Name}}, rest...), ok && f.Name != "_"
			}
		}
	case reflect.Array:
		one := t.Elem().Size()
		if one == 0 || off+size > t.Size() {
			return nil, false
		}
		at := []step{{index: uint64(off / one)}}
		if t.Elem() == want && off%one == 0 {
			return at, true
		}
		rest, ok := stepsTo(t.Elem(), off%one, want, size)
		return append(at, rest...), ok
	}
	return nil, false
}

// spread marks what leads to what cannot be written. A pointer to a variable can be
// written whatever is in that.
func (s *Save) spread() {
	var queues [2][]int // what is a loss goes first
	for i := range s.objects.n {
		switch o := s.objects.at(i); {
		case o.in != i || o.bad == nil:
		case o.made:
			queues[1] = append(queues[1], i)
		default:
			queues[0] = append(queues[0], i)
		}
	}
	if len(queues[0])+len(queues[1]) == 0 {
		return
	}
	leads := make([][]int, s.objects.n)
	for i := range s.edges.n {
		e := s.edges.at(i)
		from, to := s.objects.at(int(e[0])).in, s.objects.at(int(e[1])).in
		leads[to] = append(leads[to], from)
	}
	for _, queue := range queues {
		for len(queue) > 0 {
			i := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			bad := s.objects.at(i)
			if bad.root != 0 {
				continue
			}
			for _, from := range leads[i] {
				if o := s.objects.at(from); !o.skip && o.spoil(bad.bad, bad.made) {
					queue = append(queue, from)
				}
			}
		}
	}
}

// Saved is state that was written.
type Saved struct {
	Variables int    // that are in it
	Fresh     int    // that start anew, as they should: their author wants it, or see made.go
	Lost      []Loss // those that are not in it and should be, sorted by name
	Busy      bool   // some are lost because a lock was held: it may go better in a moment

	names   []string
	body    []byte
	objects int
}

// writer writes the objects that good variables lead to.
type writer struct {
	*Save
	Saved
	named   map[string]uint64
	queue   []int
	stopped bool // time is up: nothing more is written
}

func (s *Save) write() (*Saved, error) {
	w := &writer{Save: s, named: map[string]uint64{}}
	for _, f := range s.all {
		for i := range f.fields {
			f.fields[i].index = 0
		}
	}
	for i := range s.objects.n {
		o := s.objects.at(i)
		switch {
		case o.root == 0:
		case o.skip, o.startsMade():
			w.Fresh++
		case o.bad != nil:
			l := *o.bad
			if name := s.g.Variables[o.root-1].Name; l.Variable != name {
				l = Loss{name, "", s.types.of(o.typ), "it leads to what " + l.Variable + l.Path + " does: " + l.Reason, l.busy}
			}
			w.Lost = append(w.Lost, l)
			w.Busy = w.Busy || l.busy
		default:
			w.Variables++
			w.number(i)
		}
	}
	for i := range s.objects.n { // those that start anew are named, too
		if s.objects.at(i).root != 0 {
			w.number(i)
		}
	}
	for len(w.queue) > 0 {
		i := w.queue[0]
		w.queue = w.queue[1:]
		if w.object(s.objects.at(i)); w.stopped {
			return nil, s.large()
		}
	}
	slices.SortFunc(w.Lost, func(a, b Loss) int { return cmp.Compare(a.Variable, b.Variable) })
	return &w.Saved, nil
}

func (w *writer) number(i int) uint64 {
	o := w.Save.objects.at(i)
	if o.number == 0 {
		w.Saved.objects++
		o.number = w.Saved.objects
		w.queue = append(w.queue, i)
	}
	return uint64(o.number - 1)
}

func (w *writer) uint(n uint64) { w.body = binary.AppendUvarint(w.body, n) }
func (w *writer) mark(m mark)   { w.body = append(w.body, byte(m)) }

func (w *writer) nameIndex(s string) uint64 {
	n, ok := w.named[s]
	if !ok {
		n = uint64(len(w.names))
		w.named[s] = n
		w.names = append(w.names, s)
	}
	return n
}

func (w *writer) object(o *saved) {
	switch {
	case o.root != 0:
		sort := sortVariable
		switch {
		case o.startsMade():
			sort = sortMade
		case o.skip || o.bad != nil:
			sort = sortAnew
		}
		w.mark(mark(sort))
		w.uint(w.nameIndex(w.g.Variables[o.root-1].Name))
		if sort == sortVariable {
			w.value(o.form, o.from)
		}
	case o.kind == table:
		e := newEntry(o.typ)
		iter := e.read(o.from)
		holder := addressOf(reflect.New(o.typ))
		holder.store(o.from)
		w.mark(mark(sortTable))
		w.uint(uint64(holder.at(o.typ).Len()))
		key, value := w.key(o.form), w.elem(o.form)
		for !w.stopped && iter.Next() {
			e.set(iter)
			w.value(key, e.key)
			w.value(value, e.value)
		}
	case o.typ.Kind() == reflect.Uint8:
		w.mark(mark(sortBytes))
		w.uint(uint64(o.n))
		w.body = append(w.body, o.from.slice(reflect.TypeFor[uint8](), o.n).Bytes()...)
	default:
		w.mark(mark(sortMemory))
		w.uint(uint64(o.n))
		for i := 0; i < o.n && !w.stopped; i++ {
			w.value(o.form, o.from.add(uintptr(i)*o.typ.Size()))
		}
	}
}

// reference writes one to size bytes of t at p, which object i was noted for.
func (w *writer) reference(k savedKey, p address, size uintptr) {
	i := w.Save.objects.at(w.index[k]).in
	o := w.Save.objects.at(i)
	w.uint(w.number(i))
	off, one := p.word()-o.from.word(), o.typ.Size()
	w.uint(uint64(off / one))
	var steps []step
	if k.form != o.form || o.root != 0 && size > one {
		steps, _ = stepsTo(o.typ, off%one, k.form.typ, size)
	}
	w.uint(uint64(len(steps)))
	for _, s := range steps {
		if s.field != "" {
			w.uint(w.nameIndex(s.field) << 1)
		} else {
			w.uint(s.index<<1 | 1)
		}
	}
}

func (w *writer) value(f *form, a address) {
	if w.stopped = w.stopped || w.late(); w.stopped {
		return
	}
	t := f.typ
	v := a.at(t)
	switch k := t.Kind(); {
	case t == timeType:
		w.time(v.Interface().(time.Time))
	case f.pointer != nil:
		w.value(f.pointer, a.add(f.at))
	case f.rule != nil:
		w.mark(markIdle)
	case k == reflect.Bool && v.Bool():
		w.mark(markTrue)
	case k == reflect.Bool:
		w.mark(markFalse)
	case v.CanInt():
		w.mark(markInt)
		w.uint(zigzag(v.Int()))
	case v.CanUint():
		w.mark(markUint)
		w.uint(v.Uint())
	case v.CanFloat():
		w.mark(markFloat)
		w.body = binary.BigEndian.AppendUint64(w.body, math.Float64bits(v.Float()))
	case v.CanComplex():
		w.mark(markComplex)
		w.body = binary.BigEndian.AppendUint64(w.body, math.Float64bits(real(v.Complex())))
		w.body = binary.BigEndian.AppendUint64(w.body, math.Float64bits(imag(v.Complex())))
	case k == reflect.String:
		w.mark(markString)
		w.body = appendText(w.body, v.String())
	case k == reflect.Struct:
		w.fields(f, a)
	case k == reflect.Array:
		w.mark(markArray)
		w.uint(uint64(t.Len()))
		for i := range t.Len() {
			w.value(f.elem, a.add(uintptr(i)*t.Elem().Size()))
		}
	case k == reflect.UnsafePointer || v.IsNil():
		w.mark(markNil)
	case k == reflect.Pointer && t.Elem().Size() == 0:
		w.mark(markEmpty)
		w.uint(1)
		w.uint(1)
	case k == reflect.Pointer:
		w.mark(markPointer)
		w.reference(savedKey{a.load().word(), w.elem(f), region, false}, a.load(), t.Elem().Size())
	case k == reflect.Slice:
		w.slice(f, v)
	case k == reflect.Map:
		w.mark(markMap)
		w.uint(w.number(w.index[savedKey{a.load().word(), f, table, false}]))
	case k == reflect.Interface:
		held := v.Elem().Type()
		w.mark(markBox)
		w.uint(w.nameIndex(w.known[held]))
		w.value(w.form(held), a.box(w.direct[held]))
	case k == reflect.Func:
		w.mark(markFunc)
		w.uint(w.nameIndex(w.entries[v.Pointer()]))
	}
}

func (w *writer) fields(f *form, a address) {
	w.mark(markStruct)
	if f.opaque { // it is zero
		w.uint(0)
		return
	}
	w.uint(uint64(len(f.fields)))
	for i := range f.fields {
		field := &f.fields[i]
		if field.index == 0 {
			field.index = w.nameIndex(field.name) + 1
		}
		w.uint(field.index - 1)
		w.value(field.form, a.add(field.off))
	}
}

func (w *writer) slice(f *form, v reflect.Value) {
	size := uintptr(v.Cap()) * w.elem(f).typ.Size()
	if size == 0 {
		w.mark(markEmpty)
	} else {
		w.mark(markSlice)
		from := addressOf(v)
		w.reference(savedKey{from.word() + size, w.elem(f), region, true}, from, size)
	}
	w.uint(uint64(v.Len()))
	w.uint(uint64(v.Cap()))
}

func (w *writer) time(t time.Time) {
	w.mark(markTime)
	w.uint(zigzag(t.Unix()))
	w.uint(uint64(t.Nanosecond()))
	zone, offset := "", 0
	switch loc := t.Location(); loc {
	case time.UTC:
		zone = "UTC"
	case time.Local:
	default:
		_, offset = t.Zone()
		zone = loc.String()
		if zone == "" {
			zone = "-" // a name in an empty text would be the local zone
		}
	}
	w.body = appendText(w.body, zone)
	w.uint(zigzag(int64(offset)))
}

func zigzag(n int64) uint64 { return uint64(n)<<1 ^ uint64(n>>63) }

func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }
