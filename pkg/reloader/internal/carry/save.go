package carry

import "reflect"

// Save writes the state of a generation down, for another process to go on with.
//
// What is written is what a variable leads to, as far as it is data: see wire.go for the
// form. A variable that leads to anything else is left out as a whole, with the reason,
// and starts anew in the other process (made.go has what is none): channels, function
// literals, pointers to types of other packages (connections, files, timers), unsafe
// pointers, locks that are held. Functions declared at package level go by their names.
// No method is called but those of time.Time that read its fields.
//
// It is done as Prepare is, while the world stands still: scan, resolve, write. Read
// the package's story for what that forbids.
type Save struct {
	forms
	g       *Generation
	entries map[uintptr]string
	known   map[reflect.Type]string // types that can be in interfaces, with the names; "" those that cannot
	unknown map[reflect.Type]bool
	warmed  map[reflect.Type]bool

	opts    Options
	objects rows[saved]
	edges   rows[[2]int32] // from, to
	index   map[savedKey]int
	tasks   []task
	here    place
	depth   int
	visits  int
	direct  map[reflect.Type]bool
}

// saved is an object that references lead to.
type saved struct {
	kind kind
	skip bool
	made bool // and bad is about what is made anew
	part part // how it was come upon: see object

	*form  // of an element of a region, of a map
	from   address
	n      int
	root   int // index of the variable, plus 1; else 0
	in     int // the object that it lies in, else its own index
	bad    *Loss
	number int // in the file, plus 1
	parent int
	offset uintptr
}

// savedKey tells objects apart: see identity.
type savedKey struct {
	word  uintptr
	form  *form
	kind  kind
	slice bool
}

// Loss is a variable that is not written, and why.
type Loss struct {
	Variable, Path, Type, Reason string

	busy bool // a lock is held
}

// String is one line.
func (l Loss) String() string {
	return l.Variable + l.Path + " (" + l.Type + "): " + l.Reason
}

// NewSave gets ready to write a generation's state. It looks at types, never at
// values.
func NewSave(g *Generation) *Save {
	s := &Save{
		forms: formsOf(g), g: g, entries: map[uintptr]string{}, known: map[reflect.Type]string{},
		unknown: map[reflect.Type]bool{}, warmed: map[reflect.Type]bool{}, direct: map[reflect.Type]bool{},
	}
	for name, f := range g.Functions {
		s.entries[f.Pointer()] = name
	}
	for _, t := range s.types.byText {
		s.learn(t)
		s.learn(reflect.PointerTo(t))
	}
	for _, v := range g.Variables {
		s.warm(v.Pointer.Type().Elem())
	}
	return s
}

// Learn makes what the last Take lacked (Refusal.Unknown). It may lock.
func (s *Save) Learn() {
	for t := range s.unknown {
		s.learn(t)
	}
	clear(s.unknown)
}

func (s *Save) learn(t reflect.Type) {
	if _, ok := s.known[t]; ok {
		return
	}
	name := s.types.of(t)
	if s.types.find(name) != t {
		name = ""
	}
	s.known[t] = name
	s.direct[t] = direct(t)
	s.warm(t)
}

// warm has reflect make the types that values of t are read by: see Plan.warmUp.
func (s *Save) warm(t reflect.Type) {
	if s.warmed[t] {
		return
	}
	s.warmed[t] = true
	reflect.PointerTo(t)
	reflect.SliceOf(t)
	s.types.of(t)
	for part := range partsOf(t) {
		s.warm(part)
	}
}

// Take reads the state. opts.Still and opts.Expired are as for Plan.Prepare.
//
// Errors: a *Refusal, Unknown or Large or neither. What single variables lack is no error.
func (s *Save) Take(opts Options) (*Saved, error) {
	s.opts, s.objects, s.edges, s.tasks, s.visits, s.depth = opts, rows[saved]{}, rows[[2]int32]{}, nil, 0, 0
	s.index = map[savedKey]int{}
	for i, v := range s.g.Variables {
		t, from := v.Pointer.Type().Elem(), addressOf(v.Pointer)
		o := s.objects.n
		s.objects.add(saved{kind: region, form: s.form(t), from: from, n: 1, root: i + 1, skip: v.Fresh, in: o, parent: o})
		s.index[savedKey{from.word(), s.form(t), region, false}] = o
		if !v.Fresh {
			s.tasks = append(s.tasks, task{o, from, 1})
		}
	}
	if why := s.scan(); why != nil {
		return nil, why
	}
	if len(s.unknown) > 0 {
		return nil, &Refusal{Code: CodeUnknown, Reason: "values of types that were not met before", Unknown: true}
	}
	s.resolve()
	s.spread()
	return s.write()
}

func (s *Save) scan() *Refusal {
	for len(s.tasks) > 0 {
		t := s.tasks[len(s.tasks)-1]
		s.tasks = s.tasks[:len(s.tasks)-1]
		o := s.objects.at(t.object)
		if o.kind == table {
			key, value := s.key(o.form), s.elem(o.form)
			if key.data && value.data {
				continue
			}
			e := newEntry(o.typ)
			iter := e.read(o.from)
			for iter.Next() {
				e.set(iter)
				s.here = place{t.object, keyPart, e.key.word()}
				if why := s.walk(key, e.key); why != nil {
					return why
				}
				s.here = place{t.object, valuePart, e.value.word()}
				if why := s.walk(value, e.value); why != nil {
					return why
				}
			}
			continue
		}
		if o.data {
			continue
		}
		s.here = place{object: t.object, base: o.from.word()}
		for i := range t.n {
			if why := s.walk(o.form, t.from.add(uintptr(i)*o.typ.Size())); why != nil {
				return why
			}
		}
	}
	return nil
}

// lost notes that an object has what cannot be written at a.
func (s *Save) lost(t reflect.Type, a address, reason string) {
	s.lacks(t, a, reason, isMade(t))
}

// lacks is lost for what may be made anew.
func (s *Save) lacks(t reflect.Type, a address, reason string, made bool) {
	o := s.objects.at(s.here.object)
	if o.bad == nil || o.made && !made {
		l := s.way(s.here.object, s.here.part, a.word()-s.here.base)
		l.Type, l.Reason = s.types.of(t), reason
		o.spoil(l, made)
	}
}

// walk visits the value at a, and notes what it leads to.
func (s *Save) walk(f *form, a address) *Refusal {
	if s.late() {
		return s.large()
	}
	t := f.typ
	switch {
	case f.data:
		return nil
	case f.pointer != nil:
		return s.walk(f.pointer, a.add(f.at))
	case f.rule != nil:
		s.walkRuled(f.rule, t, a)
		return nil
	case f.opaque:
		if !a.at(t).IsZero() {
			s.lost(t, a, "what is in it is another package's")
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range f.fields {
			if field := &f.fields[i]; !field.data {
				if why := s.walk(field.form, a.add(field.off)); why != nil {
					return why
				}
			}
		}
	case reflect.Array:
		for i := range t.Len() {
			if why := s.walk(f.elem, a.add(uintptr(i)*f.elem.typ.Size())); why != nil {
				return why
			}
		}
	case reflect.Pointer:
		switch p := a.load(); {
		case p.isNil():
		case s.types.foreign(t.Elem()) && t.Elem().PkgPath() != "sync/atomic" && t.Elem() != timeType:
			s.lost(t, a, "it leads to what is another package's")
		case t.Elem().Size() > 0:
			s.lead(savedKey{p.word(), s.elem(f), region, false}, p, 1, a)
		}
	case reflect.Slice:
		if v := a.at(t); v.Cap() > 0 && t.Elem().Size() > 0 {
			from, n := addressOf(v), v.Cap()
			s.lead(savedKey{from.word() + uintptr(n)*t.Elem().Size(), s.elem(f), region, true}, from, n, a)
		}
	case reflect.Map:
		if m := a.load(); !m.isNil() {
			s.lead(savedKey{m.word(), f, table, false}, m, 1, a)
		}
	case reflect.Interface:
		return s.walkBoxed(t, a)
	case reflect.Func:
		if f := a.load(); !f.isNil() && s.entries[a.at(t).Pointer()] == "" {
			s.lacks(t, a, "it is code of this process, and what that captured", isDeclared(nameOf(a.at(t).Pointer())))
		}
	case reflect.Chan:
		if !a.load().isNil() {
			s.lost(t, a, "a channel cannot leave its process")
		}
	default: // unsafe.Pointer
		if !a.load().isNil() {
			s.lost(t, a, "it is an address of this process")
		}
	}
	return nil
}

// late counts a value, and reports now and then whether time is up.
func (s *Save) late() bool {
	s.visits++
	return s.visits%ticks == 0 && s.opts.Expired != nil && s.opts.Expired()
}

func (s *Save) large() *Refusal {
	return &Refusal{Code: CodeUnknown, Reason: "it takes longer than it may", Large: true, Visited: s.visits}
}

// walkRuled visits one of the types that are more than their fields.
func (s *Save) walkRuled(r *rule, t reflect.Type, a address) {
	switch {
	case r.idle != nil:
		if why := r.idle.met(t, a); why != nil {
			s.lost(t, a, why.Reason)
			if o := s.objects.at(s.here.object); why.Busy && o.bad.Reason == why.Reason {
				o.bad.busy = true
			}
		} else if r.field != "" {
			s.lost(t, a, "it belongs to a lock")
		}
	case r.keep: // a pool begins empty
	case !a.at(t).IsZero():
		s.lost(t, a, "hotgo does not know how to write it")
	}
}

func (s *Save) walkBoxed(t reflect.Type, a address) *Refusal {
	v := a.at(t)
	if v.IsNil() {
		return nil
	}
	held := v.Elem().Type()
	name, ok := s.known[held]
	switch {
	case !ok && s.opts.Still:
		s.unknown[held] = true
		return nil
	case !ok:
		s.learn(held)
		name = s.known[held]
	}
	if name == "" && held.Kind() == reflect.Chan {
		s.lost(held, a, "a channel cannot leave its process")
		return nil
	}
	if name == "" {
		s.lost(held, a, "the interface holds what is another package's")
		return nil
	}
	if s.depth++; s.depth > maxDepth/4 {
		s.lost(held, a, "interfaces lie too deep in each other")
		s.depth--
		return nil
	}
	defer func() { s.depth-- }()
	here := s.here
	box := a.box(s.direct[held])
	// Inside of the box, places are told from where the interface lies.
	s.here.base = box.word() - (a.word() - here.base)
	defer func() { s.here = here }()
	return s.walk(s.form(held), box)
}

// box gives where what an interface holds lies.
func (a address) box(direct bool) address {
	if direct {
		return a.boxWord()
	}
	return a.boxWord().load()
}

func (s *Save) lead(k savedKey, from address, n int, slot address) {
	i, ok := s.index[k]
	if !ok {
		i = s.objects.n
		s.index[k] = i
		s.objects.add(saved{
			kind: k.kind, form: k.form, from: from, n: n, in: i,
			parent: s.here.object, part: s.here.part, offset: slot.word() - s.here.base,
		})
		s.tasks = append(s.tasks, task{i, from, n})
	} else if o := s.objects.at(i); n > o.n { // a slice that begins earlier
		s.tasks = append(s.tasks, task{i, from, n - o.n})
		o.from, o.n = from, n
	}
	s.edges.add([2]int32{int32(s.here.object), int32(i)})
}
