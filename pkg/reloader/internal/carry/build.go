package carry

import (
	"reflect"
	"sync"
)

// build makes the copies, and the new values of the variables, aside.
func (c *carrier) build() *Refusal {
	for i := range c.objects.n {
		o := c.objects.at(i)
		if !c.copies(i) {
			continue
		}
		switch {
		case o.kind == table:
			holder := addressOf(reflect.New(o.rel.old))
			holder.store(o.from)
			o.to = addressOf(reflect.MakeMapWithSize(o.rel.new, holder.at(o.rel.old).Len()))
		case o.kind == region && o.n != 1:
			o.to = addressOf(reflect.MakeSlice(reflect.SliceOf(o.rel.new), o.n, o.n))
		default:
			o.to = addressOf(reflect.New(o.rel.new))
		}
		c.transfer.Report.Copied++
	}
	// Boxes first: maps hash what is in them.
	for _, boxes := range []bool{true, false} {
		for i := range c.objects.n {
			if (c.objects.at(i).kind == box) == boxes {
				if why := c.fill(i); why != nil {
					return why
				}
			}
		}
	}
	return nil
}

// fill makes what is in the copy of object i.
func (c *carrier) fill(i int) *Refusal {
	o := c.objects.at(i)
	switch {
	case o.root != 0:
		return c.variable(i, o.root-1)
	case !c.copies(i):
		return nil
	case o.kind == table:
		return c.table(i)
	}
	c.here = place{object: i, base: o.from.word()}
	from, to := o.rel.old.Size(), o.rel.new.Size()
	for e := range uintptr(o.n) {
		if why := c.convert(o.rel, o.from.add(e*from), o.to.add(e*to)); why != nil {
			return why
		}
	}
	return nil
}

// copies reports whether object i is one of which a copy is made.
func (c *carrier) copies(i int) bool {
	o := c.objects.at(i)
	return o.dirty && o.in == i && o.root == 0
}

// variable makes the new value of a package variable. What the old type has no
// counterpart for stays as the new generation initialised it.
func (c *carrier) variable(object, i int) *Refusal {
	p := c.plan.pairs[i]
	if !p.carries() || c.skipped[i] {
		return nil
	}
	now := addressOf(p.new.Pointer)
	aside := addressOf(reflect.New(p.rel.new))
	aside.at(p.rel.new).Set(now.at(p.rel.new))
	o := c.objects.at(object)
	c.here = place{object: object, base: o.from.word()}
	if why := c.convert(p.rel, o.from, aside); why != nil {
		return why
	}
	c.transfer.stores = append(c.transfer.stores, commitment{p.rel.new, now, aside})
	return nil
}

func (c *carrier) table(i int) *Refusal {
	r := c.objects.at(i).rel
	e := newEntry(r.old)
	key, value := addressOf(reflect.New(r.key.new)), addressOf(reflect.New(r.elem.new))
	holder := addressOf(reflect.New(r.new))
	holder.store(c.objects.at(i).to)
	to := holder.at(r.new)
	n := 0
	iter := e.read(c.objects.at(i).from)
	for iter.Next() {
		e.set(iter)
		key.at(r.key.new).SetZero()
		value.at(r.elem.new).SetZero()
		c.here = place{object: i, part: keyPart, base: e.key.word()}
		if why := c.convert(r.key, e.key, key); why != nil {
			return why
		}
		c.here = place{object: i, part: valuePart, base: e.value.word()}
		if why := c.convert(r.elem, e.value, value); why != nil {
			return why
		}
		c.here = place{object: i, part: keyPart, base: e.key.word()}
		if why := c.hashable(r.key, e.key, key); why != nil {
			return why
		}
		to.SetMapIndex(key.at(r.key.new), value.at(r.elem.new))
		if n++; to.Len() != n {
			return c.refuse(e.key, r, CodeLayout, "two keys of a map become one")
		}
	}
	return nil
}

// convert gives the memory at b, of type r.new, the value at a.
func (c *carrier) convert(r *relation, a, b address) *Refusal {
	if why := c.tick(); why != nil {
		return why
	}
	if !r.pinned && c.rs.isInert(r) {
		b.at(r.new).Set(a.at(r.new))
		return nil
	}
	switch r.shape {
	case bits:
		switch to, from := b.at(r.new), a.at(r.old); {
		case r.old == r.new:
			to.Set(from)
		default:
			to.Set(from.Convert(r.new))
		}
	case number:
		if why := setNumber(b.at(r.new), a.at(r.old)); why != nil {
			return c.locate(why, a)
		}
	case structure:
		return c.convertFields(r, a, b)
	case array:
		return c.convertArray(r, a, b)
	case pointer, outward:
		if p := a.load(); !p.isNil() && r.old.Elem().Size() > 0 {
			id, _ := c.pointee(r, p)
			b.store(c.translate(id, p))
		} else if !p.isNil() {
			b.at(r.new).Set(reflect.New(r.new.Elem()))
		} else {
			b.store(p)
		}
	case slice:
		c.convertSlice(r, a, b)
	case mapping:
		m := a.load()
		b.store(c.translate(identity{table, false, m.word(), r}, m))
	case boxed:
		return c.convertBoxed(r, a, b)
	case function:
		f := a.load()
		if !f.isNil() {
			m, why := c.function(r, f)
			if why != nil {
				return c.locate(why, a)
			}
			f = m.to
		}
		b.store(f)
	case channel:
		b.store(a.load())
	case special:
		return c.convertSpecial(r, a, b)
	case refused:
		return c.refuse(a, r, r.code, r.why)
	}
	return nil
}

// hashable refuses a key that a map would panic at: what an interface holds may
// have become a struct with a slice.
func (c *carrier) hashable(r *relation, a, key address) *Refusal {
	if r.shape == bits || r.shape == number || key.at(r.new).Comparable() {
		return nil
	}
	return c.refuse(a, r, CodeLayout, "a key of a map can be none any more")
}

func (c *carrier) convertFields(r *relation, a, b address) *Refusal {
	for i := range r.fields {
		f := &r.fields[i]
		if why := c.convert(f.relation, a.add(f.at), b.add(f.to)); why != nil {
			return why
		}
	}
	for _, i := range r.dropped {
		if f := r.old.Field(i); !a.add(f.Offset).at(f.Type).IsZero() {
			c.drop(c.types.old.of(r.old) + "." + f.Name)
		}
	}
	return nil
}

func (c *carrier) convertArray(r *relation, a, b address) *Refusal {
	from, to := r.elem.old.Size(), r.elem.new.Size()
	for i := range r.old.Len() {
		e := a.add(uintptr(i) * from)
		if i >= r.new.Len() {
			if !e.at(r.elem.old).IsZero() {
				return c.refuse(e, r, CodeLayout, "the array is shorter now, and an element would be lost")
			}
			continue
		}
		if why := c.convert(r.elem, e, b.add(uintptr(i)*to)); why != nil {
			return why
		}
	}
	return nil
}

func (c *carrier) convertSlice(r *relation, a, b address) {
	v, to := a.at(r.old), b.at(r.new)
	switch n := v.Cap(); {
	case v.IsNil():
		to.SetZero()
	case n == 0 || r.elem.old.Size() == 0:
		to.Set(reflect.MakeSlice(r.new, v.Len(), n))
	default:
		id, _ := elements(r, v)
		p := c.translate(id, addressOf(v))
		to.Set(p.slice(r.elem.new, n).Slice3(0, v.Len(), n))
	}
}

// translate gives the address that stands for one of the old generation: itself,
// or where its object's copy has the same.
func (c *carrier) translate(id identity, p address) address {
	i, ok := c.known[id]
	if !ok {
		return p // it was not visited: it is shared
	}
	o := c.objects.at(i)
	outer := c.objects.at(o.in)
	if !outer.dirty {
		return p
	}
	to := outer.to
	if outer.root != 0 {
		to = addressOf(c.plan.pairs[outer.root-1].new.Pointer)
	}
	if id.kind != region {
		return to
	}
	within := (p.word() - o.from.word()) / o.rel.old.Size() * o.rel.new.Size()
	return to.add(o.at + within)
}

func (c *carrier) convertBoxed(r *relation, a, b address) *Refusal {
	v, to := a.at(r.old), b.at(r.new)
	if v.IsNil() {
		to.SetZero()
		return nil
	}
	held, why := c.held(r, v.Elem().Type())
	if why != nil {
		return c.locate(why, a)
	}
	if c.isDirect(held.old) {
		value := addressOf(reflect.New(held.new))
		if why := c.convert(held, a.boxWord(), value); why != nil {
			return why
		}
		to.Set(value.at(held.new))
		return nil
	}
	data := a.boxWord().load()
	b.setBox(r.new, held.new, c.translate(identity{box, false, data.word(), held}, data))
	return nil
}

func (c *carrier) convertSpecial(r *relation, a, b address) *Refusal {
	switch rule := r.rule; {
	case rule.value, rule.refers:
		b.at(r.new).Set(a.at(r.new)) // weak: what it refers to is shared, or it is zero
		return nil
	case rule.entries:
		return c.convertEntries(r, a, b)
	case rule.idle != nil:
		if why := rule.idle.met(r.old, a); why != nil {
			return c.locate(why, a)
		}
	case rule.keep && !b.at(r.new).FieldByName(rule.field).IsZero():
		return nil
	}
	return c.convertFields(r, a, b)
}

// convertEntries fills a sync.Map.
func (c *carrier) convertEntries(r *relation, a, b address) (why *Refusal) {
	from := a.at(r.old)
	if from.IsZero() {
		return nil
	}
	to := b.at(r.new).Addr().Interface().(*sync.Map)
	here := c.here
	defer func() { c.here = here }()
	from.Addr().Interface().(*sync.Map).Range(func(key, value any) bool {
		var entry [2]any
		for i, x := range []*any{&key, &value} {
			at := addressOf(reflect.ValueOf(x))
			c.here = place{object: here.object, part: keyPart + part(i), base: at.word()}
			if why = c.convert(r.elem, at, addressOf(reflect.ValueOf(&entry[i]))); why != nil {
				return false
			}
		}
		at := addressOf(reflect.ValueOf(&key))
		c.here = place{object: here.object, part: keyPart, base: at.word()}
		if why = c.hashable(r.key, at, addressOf(reflect.ValueOf(&entry[0]))); why != nil {
			return false
		}
		to.Store(entry[0], entry[1])
		return true
	})
	return why
}
