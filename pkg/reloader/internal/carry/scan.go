package carry

import (
	"reflect"
	"sync"
)

// kind says what an object is.
type kind uint8

const (
	region kind = iota // memory that pointers or slices lead to
	table              // a map
	box                // what an interface leads to: nobody writes to it
)

// object is something that references lead to. It is noted once, however many do.
type object struct {
	kind kind
	rel  *relation // of an element of a region, of a map, of what is in a box
	from address
	n    int // elements of a region
	root int // index of the package variable that it is, plus 1; else 0

	dirty bool // the new generation cannot share it
	odd   bool // it lies inside of another, in a way that nothing explains
	in    int  // the object that it lies inside of; else its own index
	at    uintptr
	to    address // the copy

	parent int // how it was come upon: the object, the part of a map's entry,
	part   part
	offset uintptr // and where in the object or entry
}

type part uint8

const (
	element part = iota // of a region, or what is in a box
	keyPart
	valuePart
)

// identity tells objects apart. Slices of one array mostly end where it ends, so
// they are known by their end: one that begins earlier is more of the same
// object.
type identity struct {
	kind  kind
	slice bool
	word  uintptr
	rel   *relation
}

// task is a part of an object that is still to be visited.
type task struct {
	object int
	from   address
	n      int
}

// place is what is being visited or built.
type place struct {
	object int
	part   part
	base   uintptr // address of the object's element 0, or of the entry's part
}

// carrier is one Prepare under way.
type carrier struct {
	plan  *Plan
	rs    *relations
	types *counterparts
	opts  Options

	objects rows[object]
	known   map[identity]int
	edges   rows[[2]int32] // from, to
	tasks   []task
	here    place
	again   bool // more may be copied than was known when something was passed over
	skipped map[int]bool

	visits    int // values that were looked at; twice for those that are converted
	functions map[uintptr]moved
	direct    map[reflect.Type]bool
	admitted  map[*relation]bool
	found     map[Finding]bool
	dropped   map[string]int

	transfer *Transfer
}

// scan visits everything that the roots lead to.
func (c *carrier) scan() *Refusal {
	for len(c.tasks) > 0 && !c.again {
		t := c.tasks[len(c.tasks)-1]
		c.tasks = c.tasks[:len(c.tasks)-1]
		o := c.objects.at(t.object)
		if o.kind == table {
			if why := c.scanTable(t.object, o.rel, o.from); why != nil {
				return why
			}
			continue
		}
		rel, size := o.rel, o.rel.old.Size()
		if c.rs.isInert(rel) {
			continue
		}
		c.here = place{object: t.object, base: o.from.word()}
		for i := range t.n {
			if why := c.walk(rel, t.from.add(uintptr(i)*size)); why != nil {
				return why
			}
		}
	}
	return nil
}

func (c *carrier) scanTable(o int, r *relation, from address) *Refusal {
	e := newEntry(r.old)
	iter := e.read(from)
	for iter.Next() {
		e.set(iter)
		c.here = place{object: o, part: keyPart, base: e.key.word()}
		if why := c.walk(r.key, e.key); why != nil {
			return why
		}
		c.here = place{object: o, part: valuePart, base: e.value.word()}
		if why := c.walk(r.elem, e.value); why != nil {
			return why
		}
	}
	return nil
}

// entry is room for one entry of a map of type t.
type entry struct {
	t          reflect.Type
	key, value address
}

func newEntry(t reflect.Type) *entry {
	return &entry{t, addressOf(reflect.New(t.Key())), addressOf(reflect.New(t.Elem()))}
}

// read gives the entries of the map at from.
func (e *entry) read(from address) *reflect.MapIter {
	holder := addressOf(reflect.New(e.t))
	holder.store(from)
	return holder.at(e.t).MapRange()
}

func (e *entry) set(iter *reflect.MapIter) {
	e.key.at(e.t.Key()).SetIterKey(iter)
	e.value.at(e.t.Elem()).SetIterValue(iter)
}

// walk visits the value of r.old at a, and notes what it leads to.
func (c *carrier) walk(r *relation, a address) *Refusal {
	if c.rs.isInert(r) {
		return nil
	}
	if why := c.tick(); why != nil {
		return why
	}
	switch r.shape {
	case structure:
		return c.walkFields(r, a)
	case array:
		size := r.elem.old.Size()
		for i := range min(r.old.Len(), r.new.Len()) {
			if why := c.walk(r.elem, a.add(uintptr(i)*size)); why != nil {
				return why
			}
		}
	case pointer, outward:
		if p := a.load(); !p.isNil() && r.old.Elem().Size() > 0 {
			id, n := c.pointee(r, p)
			c.lead(id, p, n, a, r.shape == pointer)
		}
	case slice:
		v := a.at(r.old)
		if v.Cap() > 0 && r.elem.old.Size() > 0 {
			id, n := elements(r, v)
			c.lead(id, addressOf(v), n, a, true)
		}
	case mapping:
		if m := a.load(); !m.isNil() {
			c.lead(identity{table, false, m.word(), r}, m, 1, a, true)
		}
	case boxed:
		return c.walkBoxed(r, a)
	case function:
		if f := a.load(); !f.isNil() {
			m, why := c.function(r, f)
			if why != nil {
				return c.locate(why, a)
			}
			if m.moved {
				c.objects.at(c.here.object).dirty = true
			}
		}
	case channel:
		if !a.load().isNil() && r.old != r.new && !r.isTwin() {
			return c.refuse(a, r, CodeUnknown, "a channel of a type that has changed cannot be carried: goroutines may wait at it")
		}
	case special:
		return c.walkSpecial(r, a)
	case refused:
		return c.refuse(a, r, r.code, r.why)
	}
	return nil
}

// pointee identifies what a pointer leads to.
func (c *carrier) pointee(r *relation, p address) (identity, int) {
	elem := r.elem
	if r.shape == outward {
		elem = c.rs.of(r.old.Elem(), r.old.Elem())
	}
	elem, n := elem.run(1)
	return identity{region, false, p.word(), elem}, n
}

// elements identifies the array of a slice that has one.
func elements(r *relation, v reflect.Value) (identity, int) {
	elem, n := r.elem.run(v.Cap())
	return identity{region, true, addressOf(v).word() + uintptr(n)*elem.old.Size(), elem}, n
}

func (c *carrier) walkFields(r *relation, a address) *Refusal {
	for i := range r.fields {
		if why := c.walk(r.fields[i].relation, a.add(r.fields[i].at)); why != nil {
			return why
		}
	}
	return nil
}

func (c *carrier) walkSpecial(r *relation, a address) (why *Refusal) {
	switch v := a.at(r.old); {
	case r.rule.value:
		if v := v.Interface().(reflect.Value); v.IsValid() && c.types.old.mentions(v.Type()) {
			c.note(CodeUnknown, a, "a reflect.Value keeps a type of the old code")
		}
	case r.rule.refers:
		if !v.IsZero() {
			return c.refuse(a, r, CodeUnknown, "it refers to memory that is copied, and cannot be translated")
		}
	case r.rule.entries:
		if v.IsZero() {
			return nil // Range would lock it, to make it ready
		}
		here := c.here
		defer func() { c.here = here }()
		v.Addr().Interface().(*sync.Map).Range(func(key, value any) bool {
			for i, x := range []*any{&key, &value} {
				at := addressOf(reflect.ValueOf(x))
				c.here = place{object: here.object, part: keyPart + part(i), base: at.word()}
				if why = c.walk(r.elem, at); why != nil {
					return false
				}
			}
			return true
		})
		return why
	case r.rule.keep:
		return nil
	}
	return c.walkFields(r, a)
}

// walkBoxed visits what an interface holds.
func (c *carrier) walkBoxed(r *relation, a address) *Refusal {
	v := a.at(r.old)
	if v.IsNil() {
		return nil
	}
	if !c.learned(v.Elem().Type()) {
		return nil // what else is there is looked at all the same, to learn it at once
	}
	held, why := c.held(r, v.Elem().Type())
	if why != nil {
		return c.locate(why, a)
	}
	if held.old != held.new || r.old != r.new && r.old.NumMethod() > 0 {
		c.objects.at(c.here.object).dirty = true // its first word is another
	}
	if t, ok := v.Elem().Interface().(reflect.Type); ok && c.types.old.mentions(t) {
		c.note(CodeUnknown, a, "a reflect.Type is one of the old code: "+c.types.old.of(t))
	}
	switch {
	case c.isDirect(held.old):
		return c.walk(held, a.boxWord())
	case !c.rs.isInert(held):
		data := a.boxWord().load()
		c.lead(identity{box, false, data.word(), held}, data, 1, a, true)
	}
	return nil
}

// held gives the relation of what an interface holds.
func (c *carrier) held(r *relation, t reflect.Type) (*relation, *Refusal) {
	to, why := c.types.of(t)
	if why != nil {
		copied := *why
		return nil, &copied
	}
	if !to.Implements(r.new) {
		return nil, &Refusal{
			Code: CodeUnknown, Old: c.types.old.of(t), New: c.types.new.of(to),
			Reason: "the type no longer has the methods of " + c.types.new.of(r.new),
		}
	}
	held := c.rs.of(t, to)
	if !c.admitted[held] {
		c.admitted[held] = true
		if c.rs.admit(held) {
			c.again = true
		}
	}
	return held, nil
}

func (c *carrier) isDirect(t reflect.Type) bool {
	d, ok := c.direct[t]
	if !ok {
		d = direct(t)
		c.direct[t] = d
	}
	return d
}

// lead notes that what lies at slot refers to an object. visit says whether what
// is in the object is the plugin's.
func (c *carrier) lead(id identity, from address, n int, slot address, visit bool) {
	i, ok := c.known[id]
	switch {
	case !ok:
		i = c.objects.n
		c.known[id] = i
		c.objects.add(object{
			kind: id.kind, rel: id.rel, from: from, n: n, in: i, dirty: c.opts.Apart && visit && id.kind != box,
			parent: c.here.object, part: c.here.part, offset: slot.word() - c.here.base,
		})
		if visit {
			c.tasks = append(c.tasks, task{i, from, n})
		}
	case n > c.objects.at(i).n:
		o := c.objects.at(i)
		more := from // of a slice that begins earlier
		if !id.slice {
			more = from.add(uintptr(o.n) * o.rel.old.Size())
		}
		if visit {
			c.tasks = append(c.tasks, task{i, more, n - o.n})
		}
		o.from, o.n = from, n
	}
	c.edges.add([2]int32{int32(c.here.object), int32(i)})
}
