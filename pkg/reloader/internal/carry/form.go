package carry

import "reflect"

// form is what there is to know of a type for its values to be written, or made of what
// was written, found once: there may be millions of them.
type form struct {
	typ       reflect.Type
	data      bool    // no value of it has to be looked at before it is written
	pointer   *form   // what it is in disguise, if that is a pointer: see pointerIn
	at        uintptr // where in it
	rule      *rule
	opaque    bool
	fields    []formField // but those named _
	key, elem *form       // where they were asked for
	fits      map[*structShape]*fit
}

type formField struct {
	name  string
	index uint64 // of the name in the file that is being written, plus 1
	off   uintptr
	*form
}

// forms has those that were asked for. Nothing that finds one locks: it may be first met
// while the world stands still.
type forms struct {
	types *dictionary
	all   map[reflect.Type]*form
}

func formsOf(g *Generation) forms {
	return forms{dictionaryOf(g), map[reflect.Type]*form{}}
}

func (s *forms) form(t reflect.Type) *form {
	f := s.all[t]
	if f != nil {
		return f
	}
	f = &form{typ: t, rule: ruleFor(t, t)}
	s.all[t] = f
	p, off, ok := pointerIn(t)
	switch {
	case ok:
		f.pointer, f.at = s.form(p), off
	case t == timeType, numeric(t.Kind()), t.Kind() == reflect.String, t.Kind() == reflect.Bool:
		f.data = true
	case f.rule != nil:
	case t.Kind() == reflect.Array:
		f.data = s.elem(f).data
	case t.Kind() == reflect.Struct:
		f.opaque, f.data = s.types.opaque(t), true
		for field := range fieldsOf(t) {
			if field.Name != "_" {
				f.fields = append(f.fields, formField{name: field.Name, off: field.Offset, form: s.form(field.Type)})
				f.data = f.data && s.form(field.Type).data
			}
		}
		f.data = f.data && !f.opaque
	}
	return f
}

// elem gives the form of what a pointer, slice, array or map has.
func (s *forms) elem(f *form) *form {
	if f.elem == nil {
		f.elem = s.form(f.typ.Elem())
	}
	return f.elem
}

// key gives that of the keys of a map.
func (s *forms) key(f *form) *form {
	if f.key == nil {
		f.key = s.form(f.typ.Key())
	}
	return f.key
}

// fit says which fields the values of a struct in a file are now.
type fit struct {
	to   []target              // for each name
	rest []reflect.StructField // what the file says nothing of
}

// target is a field, without a form if there is none.
type target struct {
	*form
	off uintptr
}

// fit finds the fields of a struct by their names.
func (s *forms) fit(of *form, shape *structShape) *fit {
	if f := of.fits[shape]; f != nil {
		return f
	}
	f := &fit{}
	named := map[string]bool{}
	for _, name := range shape.names {
		to := target{}
		if field, ok := of.typ.FieldByName(name); ok && len(field.Index) == 1 {
			to = target{s.form(field.Type), field.Offset}
		}
		f.to = append(f.to, to)
		named[name] = true
	}
	for field := range fieldsOf(of.typ) {
		if field.Name != "_" && !named[field.Name] {
			f.rest = append(f.rest, field)
		}
	}
	if of.fits == nil {
		of.fits = map[*structShape]*fit{}
	}
	of.fits[shape] = f
	return f
}
