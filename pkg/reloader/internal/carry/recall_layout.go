package carry

import "reflect"

// layout is what there is to know of a type for values to be made of it, found once: there
// may be millions of its values.
type layout struct {
	typ       reflect.Type
	pointer   *layout // what it is in disguise, if that is a pointer: see pointerIn
	at        uintptr // where in it
	ruled     bool    // a rule says what becomes of it: it starts anew
	opaque    bool
	key, elem *layout // where they were asked for
	fits      map[*structShape]*fit
}

// fit says which fields the values of a struct in the file are now.
type fit struct {
	to   []target              // for each name
	rest []reflect.StructField // what the file says nothing of
}

// target is a field, without a layout if there is none.
type target struct {
	*layout
	off uintptr
}

func (r *recall) layout(t reflect.Type) *layout {
	l := r.layouts[t]
	if l == nil {
		l = &layout{typ: t, ruled: ruleFor(t, t) != nil, opaque: r.types.opaque(t)}
		r.layouts[t] = l
		if p, off, ok := pointerIn(t); ok {
			l.pointer, l.at = r.layout(p), off
		}
	}
	return l
}

// elem gives the layout of what a pointer, slice, array or map has.
func (r *recall) elem(l *layout) *layout {
	if l.elem == nil {
		l.elem = r.layout(l.typ.Elem())
	}
	return l.elem
}

// key gives that of the keys of a map.
func (r *recall) key(l *layout) *layout {
	if l.key == nil {
		l.key = r.layout(l.typ.Key())
	}
	return l.key
}

// fit finds the fields of a struct by their names.
func (r *recall) fit(l *layout, s *structShape) *fit {
	if f := l.fits[s]; f != nil {
		return f
	}
	f := &fit{}
	named := map[string]bool{}
	for _, name := range s.names {
		to := target{}
		if field, ok := l.typ.FieldByName(name); ok && len(field.Index) == 1 {
			to = target{r.layout(field.Type), field.Offset}
		}
		f.to = append(f.to, to)
		named[name] = true
	}
	for field := range fieldsOf(l.typ) {
		if field.Name != "_" && !named[field.Name] {
			f.rest = append(f.rest, field)
		}
	}
	if l.fits == nil {
		l.fits = map[*structShape]*fit{}
	}
	l.fits[s] = f
	return f
}
