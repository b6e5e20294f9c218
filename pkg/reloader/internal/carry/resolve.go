package carry

import (
	"cmp"
	"reflect"
	"slices"
)

// resolve finds the regions that lie inside of others, so that &s.f and &s lead
// into one copy, and slices that overlap share one array.
func (c *carrier) resolve() {
	type extent struct {
		from, to uintptr
		depth    int
		object   int
	}
	list := make([]extent, 0, c.objects.n)
	depths := map[*relation]int{}
	for i := range c.objects.n {
		o := c.objects.at(i)
		if o.kind != region {
			continue
		}
		depth, ok := depths[o.rel]
		if !ok {
			depth = nesting(o.rel.old)
			depths[o.rel] = depth
		}
		list = append(list, extent{o.from.word(), o.from.word() + uintptr(o.n)*o.rel.old.Size(), depth, i})
	}
	// What may contain another comes before it: a variable, what is larger, a
	// struct of one field before the field.
	slices.SortFunc(list, func(a, b extent) int {
		if order := cmp.Compare(a.from, b.from); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(b.to, a.to), cmp.Compare(b.depth, a.depth), cmp.Compare(a.object, b.object))
	})
	var outer, lost *extent // lost: what outer has no place for any more
	for i := range list {
		e := &list[i]
		if outer == nil || e.from >= outer.to {
			outer, lost = e, nil
			continue
		}
		p, o := c.objects.at(outer.object), c.objects.at(e.object)
		if p.rel == o.rel && (e.from-outer.from)%p.rel.old.Size() == 0 && p.root == 0 {
			size := p.rel.old.Size()
			p.n = max(p.n, int((e.to-outer.from)/size))
			outer.to = max(outer.to, e.to)
			o.in, o.at = outer.object, (e.from-outer.from)/size*p.rel.new.Size()
			continue
		}
		at, where := p.locate(e.from-outer.from, o.rel, e.to-e.from)
		around := outer
		if where == gone {
			if lost == nil || e.from >= lost.to {
				lost = e
				continue
			}
			around = lost
			at, where = c.objects.at(lost.object).locate(e.from-lost.from, o.rel, e.to-e.from)
		}
		o.in, o.at, o.odd = around.object, at, where != inside
	}
}

// nesting says how deep a type's structs and arrays are.
func nesting(t reflect.Type) int {
	deepest := 0
	switch t.Kind() {
	case reflect.Struct:
		for f := range fieldsOf(t) {
			deepest = max(deepest, nesting(f.Type))
		}
	case reflect.Array:
		deepest = nesting(t.Elem())
	default:
		return 0
	}
	return deepest + 1
}

type whereabouts uint8

const (
	nowhere whereabouts = iota
	inside
	gone // in a field that is dropped
)

// locate gives the place in the new memory of a region, of size bytes of want,
// that begins off bytes into the old.
func (o *object) locate(off uintptr, want *relation, size uintptr) (at uintptr, where whereabouts) {
	i := off / o.rel.old.Size()
	at, where = o.rel.locate(off%o.rel.old.Size(), want, size)
	return i*o.rel.new.Size() + at, where
}

func (r *relation) locate(off uintptr, want *relation, size uintptr) (uintptr, whereabouts) {
	if off == 0 && r == want && size == r.old.Size() {
		return 0, inside
	}
	switch r.shape {
	case structure:
		for i := range r.fields {
			f := &r.fields[i]
			if off >= f.at && off+size <= f.at+f.old.Size() {
				at, where := f.locate(off-f.at, want, size)
				return f.to + at, where
			}
		}
		for _, i := range r.dropped {
			if f := r.old.Field(i); off >= f.Offset && off+size <= f.Offset+f.Type.Size() {
				return 0, gone
			}
		}
	case array:
		if one, _ := r.run(1); one == want && off%one.old.Size() == 0 && off+size <= r.old.Size() {
			return off / one.old.Size() * one.new.Size(), inside
		}
		one := r.elem.old.Size()
		if one == 0 {
			return 0, nowhere
		}
		i := off / one
		switch {
		case i+(size+one-1)/one > uintptr(r.new.Len()):
			return 0, gone
		case r.elem == want && off%one == 0:
			return i * r.elem.new.Size(), inside
		}
		at, where := r.elem.locate(off%one, want, size)
		return i*r.elem.new.Size() + at, where
	}
	return 0, nowhere
}

// spread finds out what is copied: what the new generation cannot share, and
// whatever leads to such.
func (c *carrier) spread() *Refusal {
	rep := func(i int) int { return c.objects.at(i).in }
	first := make([]int32, c.objects.n) // of the edges that lead to an object, plus 1
	next := make([]int32, c.edges.n)
	for e := range c.edges.n {
		to := rep(int(c.edges.at(e)[1]))
		next[e], first[to] = first[to], int32(e+1)
	}
	var queue []int
	mark := func(i int) {
		if o := c.objects.at(i); !o.dirty {
			o.dirty = true
			queue = append(queue, i)
		}
	}
	for i := range c.objects.n {
		o := c.objects.at(i)
		p := rep(i)
		if p != i && o.dirty {
			mark(p)
		}
		if o.root != 0 || o.dirty || !o.rel.isTwin() {
			o.dirty = false
			mark(i)
			mark(p)
		}
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for e := first[i]; e != 0; e = next[e-1] {
			mark(rep(int(c.edges.at(int(e - 1))[0])))
		}
	}
	for i := range c.objects.n {
		if o := c.objects.at(i); o.odd && c.objects.at(o.in).dirty {
			return c.wayTo(i, &Refusal{
				Code: CodeUnknown, Old: c.types.old.of(o.rel.old),
				Reason: "a pointer leads into a " + c.types.old.of(c.objects.at(o.in).rel.old) + ", to what is no part of it any more",
			})
		}
	}
	return nil
}
