package carry

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Recall makes of a file that Save wrote the values of a generation's variables, aside,
// by the rules that Prepare has for a change of types: the code may have been edited
// meanwhile. A variable that cannot get its value starts anew, as a whole, and a finding
// says so. Nothing has changed until Transfer.Commit.
//
// It goes over the file twice. First it finds the type of each object, which is what
// the references to it want, and then makes all of them. It may lock, so it is not to be
// called while the world stands still.
//
// Errors: the file is damaged, or of another version. Any bytes give one, or a Transfer.
func Recall(data []byte, g *Generation) (*Transfer, error) {
	w, err := read(data)
	if err != nil {
		return nil, err
	}
	r := &recall{
		written: w, g: g, forms: formsOf(g), objects: make([]recalled, len(w.objects)),
		dropped: map[string]int{}, transfer: &Transfer{Plugin: w.plugin}, budget: freeBytes + growth*uint64(len(data)),
	}
	r.roots()
	for len(r.queue) > 0 {
		i := r.queue[len(r.queue)-1]
		r.queue = r.queue[:len(r.queue)-1]
		r.references(i, r.want)
	}
	r.inner()
	for i := range r.objects {
		r.allocate(i)
	}
	r.fill()
	r.spread()
	r.settleOnces()
	r.commitments()
	return r.transfer, nil
}

// recalled is an object as it is made.
type recalled struct {
	*form // of an element, of a map; nil while nobody has asked for it
	to    address
	root  *root // the variable that it is
	bad   string
}

// root is a variable as it is made.
type root struct {
	*Variable
	aside address      // where its value is made
	keeps []commitment // parts of it that the file says nothing of
	onces []address    // in it, that are done
}

type recall struct {
	*written
	forms
	g        *Generation
	objects  []recalled
	queue    []int
	late     []wanted // references into objects whose type was not known
	here     int
	dropped  map[string]int
	budget   uint64 // bytes that may still be allocated
	transfer *Transfer
}

// wanted is a reference to a value of a type.
type wanted struct {
	from int
	ref  reference
	*form
}

func (r *recall) roots() {
	vars := map[string]*Variable{}
	for i := range r.g.Variables {
		vars[r.g.Variables[i].Name] = &r.g.Variables[i]
	}
	report := &r.transfer.Report
	for i := range r.written.objects {
		w, o := &r.written.objects[i], &r.objects[i]
		if w.sort != sortVariable && !w.anew() {
			continue
		}
		v := vars[w.name]
		delete(vars, w.name)
		switch {
		case v == nil && w.sort == sortVariable && !r.g.Unused[w.name]:
			report.Lost++
			report.Findings = append(report.Findings, Finding{CodeDropped, w.name, "the new code has no such variable, and its value is gone"})
		case v == nil:
		default:
			o.root, o.form, o.to = &root{Variable: v}, r.form(v.Pointer.Type().Elem()), addressOf(v.Pointer)
			r.queue = append(r.queue, i)
		}
	}
	report.New = len(vars)
}

// fails notes why the object at hand cannot be made.
func (r *recall) fails(format string, args ...any) {
	if o := &r.objects[r.here]; o.bad == "" {
		o.bad = fmt.Sprintf(format, args...)
	}
}

// references tells of each reference in an object that fits the type of what it is in,
// and what it leads to then: an element, or the map itself.
func (r *recall) references(i int, add func(ref reference, to *form)) {
	r.here = i
	w, o := &r.written.objects[i], &r.objects[i]
	if o.root != nil && o.root.Fresh {
		return
	}
	for j := range w.kids {
		l := o.form
		if w.sort == sortTable {
			l = [2]*form{r.key(l), r.elem(l)}[j%2]
		}
		r.referencesIn(&w.kids[j], l, add)
	}
}

func (r *recall) referencesIn(n *node, l *form, add func(reference, *form)) {
	if l.pointer != nil {
		l = l.pointer
	}
	switch k := l.typ.Kind(); {
	case n.mark == markPointer && k == reflect.Pointer, n.mark == markSlice && k == reflect.Slice:
		add(n.ref(), r.elem(l))
	case n.mark == markMap && k == reflect.Map:
		add(n.ref(), l)
	case n.mark == markBox && k == reflect.Interface:
		if held := r.types.find(r.name(n)); held != nil {
			r.referencesIn(&n.more.kids[0], r.form(held), add)
		}
	case n.mark == markStruct && k == reflect.Struct:
		for i, f := range r.fit(l, n.more.shape).to {
			if f.form != nil {
				r.referencesIn(&n.more.kids[i], f.form, add)
			}
		}
	case n.mark == markArray && k == reflect.Array:
		for i := range n.more.kids {
			r.referencesIn(&n.more.kids[i], r.elem(l), add)
		}
	}
}

// want says what type an object has. All who refer to it have to agree.
func (r *recall) want(ref reference, l *form) {
	switch p := &r.objects[ref.object]; {
	case len(ref.steps) > 0 || p.root != nil:
		r.late = append(r.late, wanted{r.here, ref, l})
	case p.form == nil:
		p.form = l
		r.queue = append(r.queue, ref.object)
	case p.form != l:
		r.fails("what were references to one object are references to a %s and a %s now", r.types.of(p.typ), r.types.of(l.typ))
	}
}

// inner checks the references that lead into objects.
func (r *recall) inner() {
	for _, w := range r.late {
		r.here = w.from
		o := &r.objects[w.ref.object]
		if o.form == nil {
			r.fails("a reference leads into what nothing else leads to")
			continue
		}
		if t, _, ok := r.follow(o.typ, w.ref.steps); !ok || t != w.typ {
			r.fails("a reference leads to a field or element that is gone or has another type: %s", r.types.of(w.typ))
		}
	}
}

// follow goes the steps from a value of t.
func (r *recall) follow(t reflect.Type, steps []step) (_ reflect.Type, off uintptr, ok bool) {
	for _, s := range steps {
		switch {
		case s.field != "" && t.Kind() == reflect.Struct:
			f, ok := t.FieldByName(s.field)
			if !ok || len(f.Index) != 1 {
				return nil, 0, false
			}
			t, off = f.Type, off+f.Offset
		case s.field == "" && t.Kind() == reflect.Array && s.index < uint64(t.Len()):
			t = t.Elem()
			off += uintptr(s.index) * t.Size()
		default:
			return nil, 0, false
		}
	}
	return t, off, true
}

// What is made of a file may take growth bytes for each of its own, and freeBytes
// more: a struct may have grown, but no file makes the process run out of memory.
const (
	freeBytes = 64 << 20
	growth    = 256
)

// spends reports whether n values of t may still be made.
func (r *recall) spends(n int, t reflect.Type) bool {
	size := uint64(t.Size())
	if size == 0 {
		return true
	}
	if uint64(n) > r.budget/size {
		return false
	}
	r.budget -= uint64(n) * size
	return true
}

func (r *recall) allocate(i int) {
	w, o := &r.written.objects[i], &r.objects[i]
	n := len(w.kids)
	if w.sort == sortBytes {
		n = len(w.text)
	}
	const large = "what it leads to is too large now for what was written of it"
	switch {
	case o.form == nil:
	case o.root != nil:
		o.root.aside = addressOf(reflect.New(o.typ))
		o.root.aside.at(o.typ).Set(o.to.at(o.typ))
	case w.sort == sortTable && r.spends(n/2, o.typ.Key()) && r.spends(n/2, o.typ.Elem()):
		o.to = addressOf(reflect.MakeMapWithSize(o.typ, n/2))
	case w.sort == sortTable:
		o.bad = large
	case !r.spends(max(n, 1), o.typ):
		o.bad = large
	case w.anew():
		o.to = addressOf(reflect.New(o.typ))
	default:
		o.to = addressOf(reflect.MakeSlice(reflect.SliceOf(o.typ), n, n))
	}
}

// fill makes memory first, and then maps, which hash what their keys hold.
func (r *recall) fill() {
	for _, tables := range []bool{false, true} {
		for i := range r.objects {
			w, o := &r.written.objects[i], &r.objects[i]
			if o.form == nil || o.bad != "" || (w.sort == sortTable) != tables {
				continue
			}
			r.here = i
			switch {
			case tables:
				r.table(w, o)
			case w.anew() || o.root != nil && o.root.Fresh:
			case o.root != nil:
				r.set(&w.kids[0], o.root.aside, o.form)
			case w.sort == sortBytes && o.typ.Kind() == reflect.Uint8:
				copy(o.to.slice(reflect.TypeFor[uint8](), len(w.text)).Bytes(), w.text)
			case w.sort == sortBytes:
				for j, b := range w.text {
					r.set(&node{mark: markUint, a: uint64(b)}, o.to.add(uintptr(j)*o.typ.Size()), o.form)
				}
			default:
				for j := range w.kids {
					r.set(&w.kids[j], o.to.add(uintptr(j)*o.typ.Size()), o.form)
				}
			}
		}
	}
}

func (r *recall) table(w *wireObject, o *recalled) {
	holder := addressOf(reflect.New(o.typ))
	holder.store(o.to)
	m := holder.at(o.typ)
	key, value := reflect.New(o.typ.Key()), reflect.New(o.typ.Elem()) // the map copies them
	for j := 0; j < len(w.kids); j += 2 {
		key.Elem().SetZero()
		value.Elem().SetZero()
		r.set(&w.kids[j], addressOf(key), r.key(o.form))
		r.set(&w.kids[j+1], addressOf(value), r.elem(o.form))
		if !key.Elem().Comparable() {
			r.fails("a key of a map cannot be one any more")
			return
		}
		m.SetMapIndex(key.Elem(), value.Elem())
		if m.Len() != j/2+1 {
			r.fails("two keys of a map become one")
			return
		}
	}
}

// spread marks what leads to what could not be made. A variable is there in any case.
func (r *recall) spread() {
	var queue []int
	for i := range r.objects {
		if r.objects[i].bad != "" {
			queue = append(queue, i)
		}
	}
	if len(queue) == 0 {
		return
	}
	leads := make([][]int, len(r.objects))
	for i := range r.objects {
		if r.objects[i].form != nil {
			r.references(i, func(ref reference, _ *form) { leads[ref.object] = append(leads[ref.object], i) })
		}
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if r.objects[i].root != nil {
			continue
		}
		for _, from := range leads[i] {
			if o := &r.objects[from]; o.bad == "" {
				o.bad = r.objects[i].bad
				queue = append(queue, from)
			}
		}
	}
}

// keep has a part of a variable, at a in its value that is made aside, be what it is when
// the values are stored. That is a lock, which somebody may take meanwhile, or what the
// file says nothing of.
func (r *recall) keep(a address, t reflect.Type) {
	o := &r.objects[r.here]
	if o.root == nil || t.Size() == 0 {
		return
	}
	if off := a.word() - o.root.aside.word(); off+t.Size() <= o.typ.Size() {
		o.root.keeps = append(o.root.keeps, commitment{t, a, o.to.add(off)})
	}
}

// commitments are the values of variables that could be made.
func (r *recall) commitments() {
	t := r.transfer
	for i := range r.objects {
		w, o := &r.written.objects[i], &r.objects[i]
		switch {
		case o.root == nil:
		case w.sort == sortMade:
		case w.anew() || o.root.Fresh:
			t.Report.Fresh++
		case o.bad != "":
			t.Report.Fresh++
			t.Report.Findings = append(t.Report.Findings, Finding{CodeType, w.name, "it starts anew: " + o.bad})
		default:
			t.Report.Carried++
			t.stores = append(append(t.stores, o.root.keeps...), commitment{o.typ, o.to, o.root.aside})
		}
	}
	t.Report.Visited, t.Report.Copied = len(r.objects), len(r.objects)
	for field, n := range r.dropped {
		t.Report.Findings = append(t.Report.Findings, Finding{CodeDropped, field, fmt.Sprintf("the field is gone, and its value in %d places with it", n)})
	}
	slices.SortFunc(t.Report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Symbol, b.Symbol), cmp.Compare(a.Text, b.Text))
	})
	t.Report.Findings = t.Report.Findings[:min(len(t.Report.Findings), maxFindings)]
}
