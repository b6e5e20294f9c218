package carry

import "reflect"

// Learn makes what the last Prepare lacked. It may lock.
func (p *Plan) Learn() {
	for t := range p.unknown {
		if to, why := p.types.of(t); why == nil {
			p.warmUp(p.rs.of(t, to))
		}
	}
	clear(p.unknown)
}

// warmUp has reflect make the types that values of r are handled by: to point to
// them, and to lie side by side (go1.26 reflect/type.go: (*rtype).ptrTo and SliceOf
// keep what they made, and find it again without a lock).
func (p *Plan) warmUp(r *relation) {
	if p.warm[r] {
		return
	}
	visited, _ := r.all(func(*relation) bool { return true })
	for _, r := range visited {
		if p.warm[r] {
			continue
		}
		p.warm[r] = true
		for _, t := range []reflect.Type{r.old, r.new} {
			reflect.PointerTo(t)
			reflect.SliceOf(t)
		}
		for _, i := range r.dropped {
			reflect.PointerTo(r.old.Field(i).Type)
		}
	}
}

// learned reports whether a type can be handled without a lock, and has Learn make
// it where not.
func (c *carrier) learned(t reflect.Type) bool {
	if !c.opts.Still || c.types.knows(t) {
		return true
	}
	c.plan.unknown[t] = true
	return false
}
