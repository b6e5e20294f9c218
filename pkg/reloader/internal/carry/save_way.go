package carry

import (
	"reflect"
	"slices"
	"strings"
)

// way gives where something is, from the variable that it was come upon by.
func (s *Save) way(i int, p part, off uintptr) *Loss {
	var steps []string
	for {
		o := s.objects.at(i)
		if len(steps) < shownSteps {
			steps = append(steps, s.spell(o, p, off))
		} else if len(steps) == shownSteps {
			steps = append(steps, "…")
		}
		if o.root != 0 {
			slices.Reverse(steps)
			return &Loss{Variable: s.g.Variables[o.root-1].Name, Path: strings.Join(steps, "")}
		}
		i, p, off = o.parent, o.part, o.offset
	}
}

func (s *Save) spell(o *saved, p part, off uintptr) string {
	switch {
	case o.kind == table && p == keyPart:
		return "[key]" + spellTo(o.typ.Key(), off)
	case o.kind == table:
		return "[…]" + spellTo(o.typ.Elem(), off)
	case o.n > 1:
		return index(off/o.typ.Size()) + spellTo(o.typ, off%o.typ.Size())
	}
	return spellTo(o.typ, off)
}

// spellTo spells the fields and elements that lead to an offset.
func spellTo(t reflect.Type, off uintptr) string {
	if ruleFor(t, t) != nil || t == timeType {
		return ""
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range fieldsOf(t) {
			if off >= f.Offset && off < f.Offset+f.Type.Size() {
				return "." + f.Name + spellTo(f.Type, off-f.Offset)
			}
		}
	case reflect.Array:
		if size := t.Elem().Size(); size > 0 {
			return index(off/size) + spellTo(t.Elem(), off%size)
		}
	}
	return ""
}
