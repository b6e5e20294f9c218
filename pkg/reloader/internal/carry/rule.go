package carry

import (
	"reflect"
	"runtime"
)

// rule is how a type of the standard library is carried that is more than its
// fields. While its memory is shared, none of this applies: then it goes on as it
// is.
type rule struct {
	inert  bool // shared memory of it needs no look, apart from what follows
	pinned bool // a copy is made by the rule, and not word by word

	field   string    // the one that is carried; the others stay as they are
	keep    bool      // and that only where the new generation has none of its own
	pointer string    // the one that is a *T in disguise, in what is then a struct of one field
	refers  bool      // it refers to a T in a way that cannot be translated
	typed   bool      // and never to one of another type
	entries bool      // it is a sync.Map
	value   bool      // it is a reflect.Value
	idle    *idleness // what has to be for a copy to be made
}

// idleness names what has to be zero.
type idleness struct {
	path []string // fields that lead to it; none for the whole
	why  string   // said where it is not
	busy bool     // it may be zero in a moment
}

// rules are those of Go 1.26 and 1.27. A release without a field that is named
// here has the type refused.
var rules = map[[2]string]*rule{
	{"sync", "Mutex"}:     {inert: true, pinned: true, idle: &idleness{why: "the lock is held", busy: true}},
	{"sync", "RWMutex"}:   {inert: true, pinned: true, idle: &idleness{why: "the lock is held", busy: true}},
	{"sync", "WaitGroup"}: {inert: true, pinned: true, idle: &idleness{why: "the wait group is not at zero", busy: true}},
	{"sync", "Cond"}: {pinned: true, field: "L", idle: &idleness{
		path: []string{"notify", "head"}, why: "goroutines wait for the condition", busy: true,
	}},
	// What a pool keeps may go at any time; how it makes more is the new code's.
	{"sync", "Pool"}: {inert: true, pinned: true, field: "New", keep: true},
	{"sync", "Map"}:  {pinned: true, entries: true},

	{"time", "Timer"}:  {inert: true, pinned: true, idle: &idleness{why: "a timer cannot be copied; keep a *time.Timer"}},
	{"time", "Ticker"}: {inert: true, pinned: true, idle: &idleness{why: "a ticker cannot be copied; keep a *time.Ticker"}},

	{"sync/atomic", "Pointer"}: {pointer: "v"},
	{"weak", "Pointer"}:        {inert: true, pinned: true, refers: true},
	// Handles of two types never compare equal, whatever they stand for.
	{"unique", "Handle"}: {inert: true, pinned: true, refers: true, typed: true},

	{"reflect", "Value"}: {pinned: true, value: true},
}

// plainPackages have types that are data, which whoever has a pointer to it owns.
var plainPackages = map[string]bool{"container/list": true, "container/ring": true, "sync/atomic": true}

func plain(t reflect.Type) bool { return plainPackages[t.PkgPath()] }

// ruleFor gives the rule for both types, nil where there is none.
func ruleFor(a, b reflect.Type) *rule {
	if a.Kind() != reflect.Struct || a.PkgPath() == "" || a.PkgPath() != b.PkgPath() {
		return nil
	}
	name := generic(a)
	if name != generic(b) {
		return nil
	}
	return rules[[2]string{a.PkgPath(), name}]
}

// ruled makes the relation of two types that have a rule.
func (rs *relations) ruled(r *relation, rule *rule) {
	r.shape, r.rule, r.pinned = special, rule, rule.pinned
	only := func(name string, from, to reflect.Type) {
		f, _ := r.old.FieldByName(name)
		r.fields = []fieldRelation{{name: name, at: f.Offset, to: f.Offset, relation: rs.of(from, to)}}
	}
	from, to := named(r.old), named(r.new)
	switch {
	case rule.field != "":
		if f, ok := r.old.FieldByName(rule.field); ok && r.old == r.new {
			only(rule.field, f.Type, f.Type)
			return
		}
	case rule.pointer != "":
		if f, ok := r.old.FieldByName(rule.pointer); ok && f.Type.Kind() == reflect.UnsafePointer && from != nil && to != nil {
			r.shape, r.rule = structure, nil
			only(rule.pointer, from, to)
			return
		}
	case rule.typed && r.old != r.new:
		r.like = false
		return
	case rule.refers && r.old != r.new:
		if from != nil && to != nil {
			r.also = []*relation{rs.of(from, to)}
			return
		}
	case rule.entries:
		held := rs.of(reflect.TypeFor[any](), reflect.TypeFor[any]())
		r.key, r.elem = held, held
		return
	default:
		return
	}
	r.refuse(CodeUnknown, "the insides of "+r.old.String()+" are not known of "+runtime.Version())
}

// named gives the *T that a generic type keeps: in a blank [0]*T, or as a
// pointer.
func named(t reflect.Type) reflect.Type {
	for f := range fieldsOf(t) {
		switch {
		case f.Name == "_" && f.Type.Kind() == reflect.Array && f.Type.Len() == 0 && f.Type.Elem().Kind() == reflect.Pointer:
			return f.Type.Elem()
		case f.Name != "_" && f.Type.Kind() == reflect.Pointer:
			return f.Type
		}
	}
	return nil
}

// met says why a copy of the t at a cannot be made, nil where it can.
func (i *idleness) met(t reflect.Type, a address) *Refusal {
	v := a.at(t)
	for _, name := range i.path {
		if v = v.FieldByName(name); !v.IsValid() {
			return &Refusal{Code: CodeUnknown, Reason: "the insides of " + t.String() + " are not known of " + runtime.Version()}
		}
	}
	if v.IsZero() {
		return nil
	}
	return &Refusal{Code: CodeUnknown, Reason: i.why, Busy: i.busy}
}
