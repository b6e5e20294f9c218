//go:build cgo

package retained

import (
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
)

// look is one look under way. What is to be visited is a queue, so that the way to
// each thing is one with the fewest steps.
type look struct {
	*meaning
	*heap
	gens []Generation
	opts Options

	roots    []Variable
	queue    []*[chunk]visit
	visited  int              // of the queue
	queued   int              //
	types    map[int]typed    // of what an interface or something typed led to
	literals map[uintptr]bool // that were come upon
	found    map[finding]*Found
	order    []*Found
	bytes    int64
	paused   int64 // bytes at the last pause
	stopped  bool
}

// typed says that an object has a value of a type at an offset.
type typed struct {
	reflect.Type
	from uintptr
}

// visit is an object, and the word that led to it.
type visit struct {
	object uintptr
	parent int32  // index of the visit, or of a root: -1-index
	offset uint32 // in the parent; from 32 GB on it is wrong
}

const (
	chunk     = 1 << 14
	mostTyped = 1 << 18 // beyond, the ways get less precise
)

type finding struct {
	root string
	thing
}

// Find looks for what the program holds of generations. Looks may overlap. Each takes
// memory for the marks, a bit an object, and for the queue; see Options.
//
// An object may be freed, and its memory used for another, between the moment in which
// something led to it and that in which it is read: then what the other one has seems to
// be there. So where something was found all is looked through once more, and what is
// found both times counts. The bounds are those of each time.
//
// Errors: *[Error], where this process cannot be looked through.
func Find(gens []Generation, opts Options) (*Look, error) {
	first, err := find(gens, opts)
	if err != nil || len(first.Found) == 0 {
		return first, err
	}
	again, err := find(gens, opts)
	if err != nil {
		return nil, err
	}
	again.Found = slices.DeleteFunc(again.Found, func(f Found) bool {
		return !slices.ContainsFunc(first.Found, func(was Found) bool {
			return was.Generation == f.Generation && was.Kind == f.Kind && was.Name == f.Name && was.Root == f.Root
		})
	})
	again.Bytes, again.Objects, again.Part = again.Bytes+first.Bytes, max(again.Objects, first.Objects), again.Part || first.Part
	return again, nil
}

// find looks once.
func find(gens []Generation, opts Options) (_ *Look, err error) {
	opts.complete()
	p, err := findProgram()
	if err != nil {
		return nil, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if caught := recover(); caught != nil {
			err = fail("memory that should have been there was not: %v", caught)
		}
	}()
	l := &look{gens: gens, opts: opts, types: map[int]typed{}, found: map[finding]*Found{}, literals: map[uintptr]bool{}}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, &Error{Detail: "the list of what is on the heap cannot be read", Err: err}
	}
	defer mem.Close()
	// The heap may grow while it is read, and the list of what is mapped then lack what
	// is there: the probes tell.
	for try := 1; ; try++ {
		if l.heap, err = p.readHeap(mem); err != nil {
			return nil, err
		}
		l.meaning = p.newMeaning(gens, l.heap.mapped)
		if err = l.checkMasks(); err == nil {
			break
		}
		if try == readings {
			return nil, err
		}
	}
	for _, addr := range slices.Concat(opts.Closed, p.processors()) {
		if from, s := l.object(addr); s != nil {
			s.mark(from)
		}
	}
	l.scanVariables()
	l.drain()
	l.scanTimers(mem)
	l.drain()
	l.scanSpecials(mem)
	l.drain()
	out := &Look{Bytes: l.bytes, Objects: l.visited, Part: l.stopped}
	for _, f := range l.order {
		out.Found = append(out.Found, *f)
	}
	return out, nil
}

// drain goes through the queue.
func (l *look) drain() {
	for l.visited < l.queued && l.more() {
		v := l.at(l.visited)
		l.scan(v.object, v.object+l.sizeOf(v.object), int32(l.visited), l.maskOf(v.object))
		l.visited++
	}
}

func (l *look) at(i int) *visit { return &l.queue[i/chunk][i%chunk] }

// more reports whether the look may go on, after a pause where one is due.
func (l *look) more() bool {
	const step = 1 << 20
	if l.bytes-l.paused >= step {
		l.paused = l.bytes
		l.stopped = l.stopped || l.bytes >= l.opts.MaxBytes || !l.opts.Pause()
	}
	return !l.stopped
}

// scanVariables begins with the variables of main and of packages outside the standard
// library: what several lead to is told of the one that is fewest steps away, and of the
// first of these.
func (l *look) scanVariables() {
	for _, own := range []bool{true, false} {
		for _, v := range l.program.variables {
			path := packageOf(v.Name)
			if isLiteral(v) || ofRuntime(path) || l.opts.Hidden(path) || own != (path == "main" || strings.Contains(path, ".")) {
				continue
			}
			l.roots = append(l.roots, v)
			l.scan(v.Address, v.Address+v.Size, int32(-len(l.roots)), l.maskOf(v.Address))
			if !l.more() {
				return
			}
		}
	}
}

// scan visits the words of a variable or an object, of which m says what they are. They
// may change meanwhile.
//
//go:norace
func (l *look) scan(from, to uintptr, parent int32, m mask) {
	const step = 1 << 20 // of a large object
	before := uintptr(0)
	for addr := (from + 7) &^ 7; addr+8 <= to; addr += 8 {
		if addr%step == 0 && !l.more() {
			return
		}
		w := word(addr)
		l.bytes += 8
		switch pointer := m.pointer(addr); {
		case w < 4096:
		case pointer && w-l.heap.low < l.heap.high-l.heap.low:
			l.lead(w, parent, addr-from, before)
		case pointer && l.modules[0].end(w) != 0:
			l.leadToLiteral(w, parent, addr-from, before)
		default:
			t := l.thingAt(w)
			if t == nil || t.kind == Value && !l.isHalf(addr, to, &m, before) || t.kind != Value && !pointer {
				break
			}
			l.note(t, parent, addr-from)
			if t.kind == Value {
				addr += 8 // what is in the interface goes with it
				w = 0
			}
		}
		before = w
	}
}

// isHalf reports whether a type at addr says what is in the word after it, or in the
// object that it is the header of: as it does in an interface and in a reflect.Value, but
// not in a reflect.Type.
//
//go:norace
func (l *look) isHalf(addr, to uintptr, m *mask, before uintptr) bool {
	switch {
	case addr < m.from:
		return true
	case addr+16 > to || !m.pointer(addr+8):
		return false
	}
	return !m.pointer(addr) || word(addr+8) >= 4096 && !l.isTypeOnly(before)
}

// thingAt says what a word means that does not lead to the heap.
func (l *look) thingAt(w uintptr) *thing {
	if o := l.image(w); o != nil {
		return l.thing(l.gens, o, w)
	}
	return l.ownItabs[w]
}

// lead follows a word to an object.
//
//go:norace
func (l *look) lead(w uintptr, parent int32, offset, before uintptr) {
	object, s := l.object(w)
	if s == nil || s.elem < 8 {
		return
	}
	if w == object || w == object+userHeaders {
		// A function value with captured variables begins with its code.
		if code := word(w); code >= l.meaning.low && code < l.meaning.high {
			if t := l.closure(code); t != nil {
				l.note(t, parent, offset)
				return
			}
		}
	}
	switch {
	case s.plain && s.specials == 0, !s.mark(object), s.plain:
	case l.isTypeOnly(before): // a type that reflect has made has no values in it
	default:
		l.enqueue(w, object, parent, offset, before)
	}
}

// leadToLiteral follows a word to what the compiler has laid out. Other variables of the
// program are begun with anyway.
func (l *look) leadToLiteral(w uintptr, parent int32, offset, before uintptr) {
	if v, ok := l.variable(w); ok && isLiteral(v) && !l.literals[v.Address] {
		l.literals[v.Address] = true
		l.enqueue(w, v.Address, parent, offset, before)
	}
}

// sizeOf gives that of an object or a literal.
func (l *look) sizeOf(object uintptr) uintptr {
	if from, s := l.object(object); s != nil {
		return min(s.elem, s.to-from)
	}
	v, _ := l.variable(object)
	return v.Size
}

// enqueue has the object be visited that w leads to.
func (l *look) enqueue(w, object uintptr, parent int32, offset, before uintptr) {
	if l.queued >= l.opts.MaxObjects {
		l.stopped = true
		return
	}
	if l.queued%chunk == 0 {
		l.queue = append(l.queue, new([chunk]visit))
	}
	*l.at(l.queued) = visit{object, parent, uint32(offset / 8)}
	if t := l.typeOf(parent, offset, before); t != nil && len(l.types) < mostTyped {
		l.types[l.queued] = typed{t, w - object}
	}
	l.queued++
}

// closure says of which function of a generation code is the beginning.
func (l *look) closure(code uintptr) *thing {
	if t, ok := l.closures[code]; ok {
		return t
	}
	var t *thing
	if o := l.image(code); o != nil {
		if name := l.ownFunc(l.gens, o, code); name != "" {
			t = &thing{o.generation, Func, name}
		}
	}
	l.closures[code] = t
	return t
}

// typeOf tells what w leads to, where something does: an interface's first word, or the
// type of what the word lies in.
func (l *look) typeOf(parent int32, offset, before uintptr) reflect.Type {
	if t := l.dynamic(before); t != nil {
		switch t.Kind() {
		case reflect.Pointer:
			return t.Elem()
		case reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
			return nil
		}
		if t.Size() == 8 && (t.Kind() == reflect.Struct || t.Kind() == reflect.Array) {
			return nil // it may be the word itself
		}
		return t
	}
	if _, t := l.fieldOf(parent, offset); t != nil && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return nil
}

// fieldOf names what is at an offset in a visit, if that is known.
func (l *look) fieldOf(parent int32, offset uintptr) (string, reflect.Type) {
	t, ok := l.types[int(parent)]
	if !ok || offset < t.from || offset-t.from >= t.Size() {
		return "", nil
	}
	return fieldAt(t.Type, offset-t.from)
}

// note enters that a thing was found at a word of a visit or root.
func (l *look) note(t *thing, parent int32, offset uintptr) {
	root := parent
	for root >= 0 {
		root = l.at(int(root)).parent
	}
	name := l.roots[-1-root].Name
	key := finding{name, *t}
	if f := l.found[key]; f != nil {
		f.Count++
		return
	}
	f := &Found{Generation: t.generation, Kind: t.kind, Name: t.name, Root: name, Path: l.path(parent, offset), Count: 1}
	l.found[key] = f
	l.order = append(l.order, f)
}

// path says how one gets from a root to a word.
func (l *look) path(parent int32, offset uintptr) string {
	var steps []string // last first
	for parent >= 0 {
		v := l.at(int(parent))
		step := " …"
		if name, _ := l.fieldOf(parent, offset); name != "" {
			step = name
			if _, known := l.types[int(v.parent)]; !known {
				step = fmt.Sprintf(" (%v)%s", l.types[int(parent)].Type, name)
			}
		}
		steps = append(steps, step)
		parent, offset = v.parent, uintptr(v.offset)*8
	}
	path := l.roots[-1-parent].Name
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i] != " …" || i == len(steps)-1 || steps[i+1] != " …" {
			path += steps[i]
		}
	}
	return path
}

// fieldAt names what is at an offset in a value of type t, ".name" and "[…]", and gives
// its type: nil where it is a part of something that has no fields.
func fieldAt(t reflect.Type, offset uintptr) (name string, _ reflect.Type) {
	for {
		switch t.Kind() {
		case reflect.Struct:
			f, ok := fieldOver(t, offset)
			if !ok {
				return name, nil
			}
			name, t, offset = name+"."+f.Name, f.Type, offset-f.Offset
		case reflect.Array:
			size := t.Elem().Size()
			if size == 0 || offset >= t.Size() {
				return name, nil
			}
			name, t, offset = name+"[…]", t.Elem(), offset%size
		default:
			if offset != 0 {
				return name, nil
			}
			return name, t
		}
	}
}

func fieldOver(t reflect.Type, offset uintptr) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Offset <= offset && offset < f.Offset+f.Type.Size() {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
