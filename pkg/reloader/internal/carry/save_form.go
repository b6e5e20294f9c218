package carry

import "reflect"

// form is what there is to know of a type for its values to be written, found once.
// Nothing that finds it locks: it may be first met while the world stands still.
type form struct {
	typ     reflect.Type
	data    bool    // no value of it has to be looked at before it is written
	pointer *form   // what it is in disguise, if that is a pointer: see pointerIn
	at      uintptr // where in it
	rule    *rule
	opaque  bool
	fields  []formField // but those named _
	elem    *form       // of an array; of a pointer or slice, where it was asked for
}

type formField struct {
	name  string
	index uint64 // of the name in the file, plus 1
	off   uintptr
	*form
}

func (s *Save) form(t reflect.Type) *form {
	f := s.forms[t]
	if f != nil {
		return f
	}
	f = &form{typ: t, rule: ruleFor(t, t)}
	s.forms[t] = f
	p, off, ok := pointerIn(t)
	switch {
	case ok:
		f.pointer, f.at = s.form(p), off
	case t == timeType, numeric(t.Kind()), t.Kind() == reflect.String, t.Kind() == reflect.Bool:
		f.data = true
	case f.rule != nil:
	case t.Kind() == reflect.Array:
		f.elem = s.form(t.Elem())
		f.data = f.elem.data
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

func (s *Save) elem(f *form) *form {
	if f.elem == nil {
		f.elem = s.form(f.typ.Elem())
	}
	return f.elem
}
