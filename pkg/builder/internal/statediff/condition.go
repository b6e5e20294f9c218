package statediff

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// # What is left to the values
//
// A condition is a clause that says what has to hold for the outcome; a note says
// what else becomes of a value. They follow from what the types allow, so a condition
// may be one that nothing ever breaks. Interfaces allow every type of the plugin that
// has their methods: what such a type asks for, the variable does.

// maxHeld bounds the types that a clause about an interface names.
const maxHeld = 3

// conditions says what a variable's values have to be, and what else becomes of them.
func (j *judge) conditions(r *relation) (ifs, notes []string) {
	add := func(list *[]string, clause string) {
		if clause != "" && !slices.Contains(*list, clause) {
			*list = append(*list, clause)
		}
	}
	library := func(x *relation) {
		add(&ifs, x.rule.idle)
		add(&notes, x.rule.note)
	}
	inline(r, library)      // a variable is another one, always
	roots := []*relation{r} // and what interfaces below it may hold
	for i := 0; i < len(roots); i++ {
		root := roots[i]
		keys := keysOf(root)
		root.contents(func(x *relation) {
			condition, note := j.condition(x)
			add(&ifs, condition)
			add(&notes, note)
			for _, y := range x.memory() {
				if j.rs.apart || !j.rs.isInert(y) {
					inline(y, library)
				}
			}
			if i > 0 && len(x.dropped) > 0 { // of r itself its changes say it
				add(&notes, fmt.Sprintf("%s, which an interface can lead to, drops %s", j.rs.spell(x.new), strings.Join(x.dropped, ", ")))
			}
			if x.shape == boxed {
				held, clauses := j.boxed(x, keys[x])
				for _, clause := range clauses {
					add(&ifs, clause)
				}
				for _, h := range held {
					if slices.Contains(roots, h) {
						continue
					}
					if roots = append(roots, h); j.rs.apart || !j.rs.isInert(h) {
						inline(h, library)
					}
				}
			}
		})
	}
	return ifs, notes
}

// condition gives what x asks of values, and what becomes of them.
func (j *judge) condition(x *relation) (condition, note string) {
	rs := j.rs
	switch x.shape {
	case number:
		if !fits(kindOf(x.old), kindOf(x.new)) {
			condition = fmt.Sprintf("every %s fits into %s", rs.spell(x.old), rs.spell(x.new))
		}
	case array:
		if length(x.new) < length(x.old) {
			condition = fmt.Sprintf("the last %d elements of every %s are zero", length(x.old)-length(x.new), rs.spell(x.old))
		}
	case mapping:
		if dropsSome(x.key) {
			condition = fmt.Sprintf("no two keys of a %s become one", rs.spell(x.old))
		}
	case pointer, slice:
		if rs.paired(elemOf(x.old)) {
			condition = fmt.Sprintf("no %s leads to what has another type now", rs.spell(x.old))
		}
	case channel:
		if !x.same && !rs.isTwin(x) {
			condition = fmt.Sprintf("every %s is nil", rs.spell(x.old))
		}
	case function:
		if !rs.isTwin(x) {
			condition = fmt.Sprintf("every %s is nil or a function declared at package level", rs.spell(x.old))
		} else {
			note = "function literals and method values keep the old code and what they captured"
		}
	case boxed:
		if pathOf(x.old) == "reflect" && named(x.old).Obj().Name() == "Type" {
			note = "a reflect.Type stays one of the old code"
		}
	case special:
		if x.rule.refers && !rs.isInert(x) {
			condition = fmt.Sprintf("every %s is zero", rs.spell(x.old))
		}
	}
	return condition, note
}

// contents visits r and what its values are made of or lead to. What is in a channel, or
// only in the type of a function, is not looked at.
func (r *relation) contents(visit func(*relation)) {
	seen := map[*relation]bool{r: true}
	queue := []*relation{r}
	for i := 0; i < len(queue); i++ {
		visit(queue[i])
		if queue[i].shape == channel {
			continue
		}
		for _, n := range append(slices.Clone(queue[i].fields), queue[i].key, queue[i].elem) {
			if n != nil && !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
}

// memory gives what lies in memory of its own that x leads to.
func (r *relation) memory() (list []*relation) {
	switch r.shape {
	case pointer, slice:
		list = append(list, r.elem)
	case mapping:
		list = append(list, r.key, r.elem)
	}
	return list
}

// inline visits the types of the standard library that lie in a value of r itself.
func inline(r *relation, visit func(*relation)) {
	switch r.shape {
	case special:
		visit(r)
	case array:
		inline(r.elem, visit)
	}
	for _, f := range r.fields {
		inline(f, visit)
	}
}

// dropsSome reports whether keys of r can become equal that were not: something of
// them is dropped.
func dropsSome(r *relation) bool {
	return len(r.dropped) > 0 || r.shape == array && (!r.like || dropsSome(r.elem)) || slices.ContainsFunc(r.fields, dropsSome)
}

// keysOf finds the interfaces below r that are keys of maps, or parts of them.
func keysOf(r *relation) map[*relation]bool {
	keys := map[*relation]bool{}
	var mark func(x *relation)
	mark = func(x *relation) {
		if x.shape == boxed {
			keys[x] = true
		}
		if x.shape == array {
			mark(x.elem)
		}
		for _, f := range x.fields {
			mark(f)
		}
	}
	r.contents(func(x *relation) {
		if x.shape == mapping || x.rule != nil && x.rule.entries {
			mark(x.key)
		}
	})
	return keys
}

// holdable is a type of the old version that interfaces may hold.
type holdable struct {
	name    string
	old     types.Type      // nil where methods says what it has
	methods map[string]bool // by name
	rel     *relation       // nil where the new version has none
	why     string          // a value of it cannot be carried, "" where it can
	keyWhy  string          // or not as a key of a map
}

// holdables lists them.
func (j *judge) holdables() (list []holdable) {
	for _, at := range j.before.sortedTypes() {
		was, now := j.before.types[at], j.after.types[at]
		if types.IsInterface(was) {
			continue
		}
		h := holdable{name: at.String(), old: was}
		switch {
		case was.TypeParams() != nil:
			h.name, h.old, h.methods = "instance of "+h.name, nil, methodsOf(was)
			h.why = "where no variable of the new code leads to one"
		case now == nil:
			h.why = "which is gone"
		case now.TypeParams() != nil:
			h.why = "which is generic now"
		default:
			h.rel = j.rs.of(was, now)
			if x := j.refusal(h.rel); x != nil {
				h.rel, h.why = nil, x.why
			}
			switch {
			case h.rel == nil:
			case types.Comparable(was) && !types.Comparable(now):
				h.keyWhy = "which can be no key any more"
			case dropsSome(h.rel):
				h.keyWhy = "of which two may become one key"
			}
		}
		list = append(list, h)
	}
	for _, name := range j.before.local {
		list = append(list, holdable{name: name, methods: map[string]bool{}, why: "declared inside a function"})
	}
	return list
}

func methodsOf(t *types.Named) map[string]bool {
	names := map[string]bool{}
	for m := range t.Methods() {
		names[m.Name()] = true
	}
	return names
}

// boxed gives what an interface may hold, as far as it can be carried, and clauses
// about what it must not. key says whether it is a key of a map.
func (j *judge) boxed(x *relation, key bool) (held []*relation, clauses []string) {
	was, now := x.old.Underlying().(*types.Interface), x.new.Underlying().(*types.Interface)
	var not []string
	for _, h := range j.holds {
		if !h.implements(was) {
			continue
		}
		why := h.why
		switch {
		case why == "" && !implements(h.rel.new, now):
			why = "which no longer has the methods of " + j.rs.spell(x.new)
		case why == "" && key && h.keyWhy != "":
			why = h.keyWhy
		case why == "":
			held = append(held, h.rel)
			continue
		}
		not = append(not, h.name+" ("+why+")")
	}
	if more := len(not) - maxHeld; more > 0 {
		not = append(not[:maxHeld], fmt.Sprintf("%d other types like these", more))
	}
	if len(not) > 0 {
		clauses = append(clauses, fmt.Sprintf("no %s holds a value of %s", j.rs.spell(x.old), strings.Join(not, ", ")))
	}
	if was.NumMethods() == 0 && j.rs.anyPaired() {
		clauses = append(clauses, fmt.Sprintf("no %s holds a pointer to what has another type now", j.rs.spell(x.old)))
	}
	return held, clauses
}

func (h *holdable) implements(i *types.Interface) bool {
	if h.old != nil {
		return implements(h.old, i)
	}
	for m := range i.Methods() {
		if !h.methods[m.Name()] {
			return false
		}
	}
	return true
}

// implements reports whether a value of t, or a pointer to one, can be in an
// interface.
func implements(t types.Type, i *types.Interface) bool {
	return types.Implements(t, i) || types.Implements(types.NewPointer(t), i)
}
