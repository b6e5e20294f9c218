package carry

import (
	"fmt"
	"reflect"
	"slices"
)

// shape says how a value of a relation is carried.
type shape uint8

const (
	bits      shape = iota // copied as it is
	number                 // to another numeric kind
	structure              // field by field
	array
	pointer
	outward // a pointer to another package's type: kept
	slice
	mapping
	boxed // an interface
	function
	channel
	special // a type of the standard library with rules of its own
	refused
)

// relation pairs a type of the old generation with one of the new.
type relation struct {
	old, new reflect.Type
	shape    shape
	fields   []fieldRelation // of a structure
	dropped  []int           // its fields that the new type lacks
	elem     *relation       // of array, pointer, slice, mapping, channel
	key      *relation       // of mapping
	also     []*relation     // types in signatures: what a twin has to agree on, too
	rule     *rule           // of special
	like     bool            // both have the same definition, apart from what the relations above say
	why      string          // of refused
	code     string          // of refused
	pinned   bool            // holds something inline that must not be copied word by word

	twin  answer // what was found out about all that is reachable
	inert answer // holds for one epoch of relations
	epoch int
}

type fieldRelation struct {
	name   string
	at, to uintptr // offsets
	*relation
}

type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// relations makes each relation once.
type relations struct {
	own   func(reflect.Type) bool // a named type of the old or the new generation
	known map[[2]reflect.Type]*relation
	// copied are the types that lie in memory of which there may be a copy,
	// arrays aside: a pointer to one of them may have to lead elsewhere. So may a
	// slice, where several of a type lie side by side.
	copied, runs map[reflect.Type]bool
	epoch        int // grows with both
	// apart has no memory of the plugin shared.
	apart bool
}

func newRelations(own func(reflect.Type) bool) *relations {
	return &relations{own: own, known: map[[2]reflect.Type]*relation{}, copied: map[reflect.Type]bool{}, runs: map[reflect.Type]bool{}, epoch: 1}
}

// of gives the relation of two types.
func (rs *relations) of(from, to reflect.Type) *relation {
	pair := [2]reflect.Type{from, to}
	if r := rs.known[pair]; r != nil {
		return r
	}
	r := &relation{old: from, new: to, like: true}
	rs.known[pair] = r
	if from.Kind() != to.Kind() {
		rs.otherKind(r)
		return r
	}
	if rule := ruleFor(from, to); rule != nil {
		rs.ruled(r, rule)
		return r
	}
	switch from.Kind() {
	case reflect.Struct:
		rs.structure(r)
	case reflect.Array:
		r.shape, r.elem = array, rs.of(from.Elem(), to.Elem())
		r.like, r.pinned = from.Len() == to.Len(), r.elem.pinned
	case reflect.Pointer:
		if from == to && rs.foreign(from.Elem()) {
			r.shape = outward
			return r
		}
		r.shape, r.elem = pointer, rs.of(from.Elem(), to.Elem())
	case reflect.Slice:
		r.shape, r.elem = slice, rs.of(from.Elem(), to.Elem())
	case reflect.Map:
		r.shape, r.key, r.elem = mapping, rs.of(from.Key(), to.Key()), rs.of(from.Elem(), to.Elem())
	case reflect.Chan:
		r.shape, r.elem, r.like = channel, rs.of(from.Elem(), to.Elem()), from.ChanDir() == to.ChanDir()
	case reflect.Func:
		r.shape, r.like = function, rs.signature(r, from, to)
	case reflect.Interface:
		r.shape, r.like = boxed, rs.methods(r)
	}
	return r
}

// foreign reports whether memory of type t, behind a pointer, is another
// package's.
func (rs *relations) foreign(t reflect.Type) bool {
	return t.PkgPath() != "" && !rs.own(t) && !plain(t) && ruleFor(t, t) == nil
}

func (rs *relations) otherKind(r *relation) {
	r.like = false
	if numeric(r.old.Kind()) && numeric(r.new.Kind()) && !(fractional(r.old.Kind()) && whole(r.new.Kind())) {
		if (r.old.Kind() >= reflect.Complex64) == (r.new.Kind() >= reflect.Complex64) {
			r.shape = number
			return
		}
	}
	r.refuse(CodeType, fmt.Sprintf("what is %s cannot become %s without loss", r.old.Kind(), r.new.Kind()))
}

func (r *relation) refuse(code, why string) {
	r.shape, r.code, r.why, r.like = refused, code, why, false
}

// structure pairs fields by name. Blank fields hold nothing.
func (rs *relations) structure(r *relation) {
	r.shape = structure
	r.like = r.old.NumField() == r.new.NumField()
	to := make(map[string]reflect.StructField, r.new.NumField())
	for f := range fieldsOf(r.new) {
		to[f.Name] = f
	}
	for f := range fieldsOf(r.old) {
		n, ok := to[f.Name]
		i := f.Index[0]
		if f.Name == "_" {
			r.like = r.like && r.new.Field(i).Name == "_" && r.new.Field(i).Offset == f.Offset && rs.blank(f.Type, r.new.Field(i).Type)
			continue
		}
		if !ok {
			r.like, r.dropped = false, append(r.dropped, i)
			continue
		}
		e := fieldRelation{name: f.Name, at: f.Offset, to: n.Offset, relation: rs.of(f.Type, n.Type)}
		r.fields = append(r.fields, e)
		r.like = r.like && f.Offset == n.Offset && f.Index[0] == n.Index[0] && f.Anonymous == n.Anonymous
		r.pinned = r.pinned || e.pinned
	}
}

// blank reports whether two blank fields keep a struct what it is. Their types
// name others at most ([0]*T), and the fields beside them say what matters.
func (rs *relations) blank(a, b reflect.Type) bool {
	return a == b || a.Size() == 0 && b.Size() == 0 && a.Kind() == b.Kind()
}

// signature compares two function types, and notes what they mention.
func (rs *relations) signature(r *relation, a, b reflect.Type) bool {
	if a == b {
		return true // and nothing of the plugin is in it
	}
	if a.NumIn() != b.NumIn() || a.NumOut() != b.NumOut() || a.IsVariadic() != b.IsVariadic() {
		return false
	}
	for i := range a.NumIn() {
		r.also = append(r.also, rs.of(a.In(i), b.In(i)))
	}
	for i := range a.NumOut() {
		r.also = append(r.also, rs.of(a.Out(i), b.Out(i)))
	}
	return true
}

// methods compares two interfaces. reflect sorts methods by name.
func (rs *relations) methods(r *relation) bool {
	if r.old == r.new {
		return true
	}
	if r.old.NumMethod() != r.new.NumMethod() {
		return false
	}
	for i := range r.old.NumMethod() {
		a, b := r.old.Method(i), r.new.Method(i)
		if a.Name != b.Name || !rs.signature(r, a.Type, b.Type) {
			return false
		}
	}
	return true
}

// leads are the relations of what a value is made of or leads to.
func (r *relation) leads(yield func(*relation) bool) {
	for i := range r.fields {
		if !yield(r.fields[i].relation) {
			return
		}
	}
	if r.key != nil && !yield(r.key) || r.elem != nil && !yield(r.elem) {
		return
	}
	for _, a := range r.also {
		if !yield(a) {
			return
		}
	}
}

// all reports whether holds is true of r and of everything reachable.
func (r *relation) all(holds func(*relation) bool) (visited []*relation, ok bool) {
	seen := map[*relation]bool{r: true}
	visited = []*relation{r}
	for i := 0; i < len(visited); i++ {
		if !holds(visited[i]) {
			return visited, false
		}
		for n := range visited[i].leads {
			if !seen[n] {
				seen[n] = true
				visited = append(visited, n)
			}
		}
	}
	return visited, true
}

// guarded reports whether a lock lies in a value itself.
func (r *relation) guarded() bool {
	switch r.shape {
	case special:
		return r.rule.idle != nil && r.rule.idle.busy
	case array:
		return r.elem.guarded()
	}
	return slices.ContainsFunc(r.fields, func(f fieldRelation) bool { return f.guarded() })
}

// isTwin reports whether both types have one definition, and all that is
// reachable from them have.
func (r *relation) isTwin() bool {
	if r.twin == unknown {
		r.twin = no
		visited, ok := r.all(func(x *relation) bool { return x.like && x.old.Size() == x.new.Size() })
		if ok {
			for _, v := range visited {
				v.twin = yes
			}
		}
	}
	return r.twin == yes
}

// isInert reports whether values of r can be shared and copied without a look at
// what is in them.
func (rs *relations) isInert(r *relation) bool {
	if r.epoch == rs.epoch && r.inert != unknown {
		return r.inert == yes
	}
	visited, ok := r.all(func(x *relation) bool {
		switch x.shape {
		case boxed, function, refused, number:
			return false
		case pointer:
			return !rs.apart && !rs.copied[unit(x.old.Elem())]
		case outward:
			return !rs.copied[unit(x.old.Elem())]
		case slice:
			return !rs.apart && !rs.runs[unit(x.old.Elem())]
		case mapping:
			return !rs.apart
		case special:
			return x.rule.inert
		}
		return true
	})
	r.epoch, r.inert = rs.epoch, no
	if ok && r.isTwin() {
		for _, v := range visited {
			v.epoch, v.inert = rs.epoch, yes
		}
	}
	return r.inert == yes
}

// share says whether memory of the plugin may be shared.
func (rs *relations) share(yes bool) {
	if rs.apart == yes {
		rs.apart = !yes
		rs.epoch++
	}
}

// mayBeCopied notes that there may be a copy of memory of type t, with others
// of it beside it or not, and reports whether that is news.
func (rs *relations) mayBeCopied(t reflect.Type, run bool) (news bool) {
	if t.Kind() == reflect.Array {
		t, run = unit(t), true
	}
	if run && !rs.runs[t] {
		rs.runs[t], news = true, true
	}
	if !rs.copied[t] {
		rs.copied[t], news = true, true
		if t.Kind() == reflect.Struct {
			for f := range fieldsOf(t) {
				rs.mayBeCopied(f.Type, false)
			}
		}
	}
	if news {
		rs.epoch++
	}
	return news
}

// admit notes what may be copied of all that r leads to, and reports whether
// that is news. What becomes visited by it may lead to more.
func (rs *relations) admit(r *relation) (news bool) {
	for again := true; again; {
		again = false
		r.all(func(x *relation) bool {
			if (x.shape == pointer || x.shape == slice) && !rs.isInert(x) && rs.mayBeCopied(x.old.Elem(), x.shape == slice) {
				again, news = true, true
			}
			return true
		})
	}
	return news
}

// run gives what a region of n of r consists of: arrays are as many of what is
// in them, where both have as many.
func (r *relation) run(n int) (*relation, int) {
	for r.shape == array && r.old.Len() == r.new.Len() {
		r, n = r.elem, n*r.old.Len()
	}
	return r, n
}

// unit is what an array is an array of.
func unit(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Array {
		t = t.Elem()
	}
	return t
}

// partsOf gives the types that values of t are made of, or lead to by their type.
func partsOf(t reflect.Type) func(yield func(reflect.Type) bool) {
	return func(yield func(reflect.Type) bool) {
		switch t.Kind() {
		case reflect.Struct:
			for f := range fieldsOf(t) {
				if !yield(f.Type) {
					return
				}
			}
		case reflect.Map:
			_ = yield(t.Key()) && yield(t.Elem())
		case reflect.Pointer, reflect.Slice, reflect.Array:
			yield(t.Elem())
		}
	}
}

// fieldsOf gives the fields of a struct.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
