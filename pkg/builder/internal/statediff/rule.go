package statediff

import (
	"go/types"
	"reflect"
)

// rule is how a type of the standard library is carried that is more than its
// fields.
type rule struct {
	inert   bool   // shared memory of it needs no look
	lock    bool   // what keeps it from being shared with variables of another generation
	field   string // the one that is carried, where both types are one
	pointer string // the one that is a *T in disguise
	refers  bool   // it refers to a T in a way that cannot be translated
	typed   bool   // and never to one of another type
	entries bool   // it is a sync.Map
	keep    bool   // what it holds is the new code's
	idle    string // what has to hold for a copy to be made
	note    string // what becomes of one
}

// rules are those of package carry.
var rules = map[[2]string]*rule{
	{"sync", "Mutex"}:     {inert: true, lock: true, idle: "the lock is free"},
	{"sync", "RWMutex"}:   {inert: true, lock: true, idle: "the lock is free"},
	{"sync", "WaitGroup"}: {inert: true, lock: true, idle: "the wait group is at zero"},
	{"sync", "Cond"}:      {lock: true, field: "L", idle: "no goroutine waits for the condition"},
	{"sync", "Pool"}:      {inert: true, field: "New", keep: true, note: "the pool begins empty where it is copied"},
	{"sync", "Map"}:       {entries: true},

	{"time", "Timer"}:  {inert: true, idle: "the time.Timer was never started: one that is no pointer cannot be copied"},
	{"time", "Ticker"}: {inert: true, idle: "the time.Ticker was never started: one that is no pointer cannot be copied"},

	{"sync/atomic", "Pointer"}: {pointer: "v"},
	{"weak", "Pointer"}:        {inert: true, refers: true},
	{"unique", "Handle"}:       {inert: true, refers: true, typed: true},

	{"reflect", "Value"}: {note: "a reflect.Value keeps the types of the old code"},
}

// plainPackages have types that are data, which whoever has a pointer to it owns.
var plainPackages = map[string]bool{"container/list": true, "container/ring": true, "sync/atomic": true}

// ruleFor gives the rule for both types, nil where there is none.
func ruleFor(a, b types.Type) *rule {
	if _, ok := a.Underlying().(*types.Struct); !ok || pathOf(a) == "" || pathOf(a) != pathOf(b) {
		return nil
	}
	x, y := named(a).Obj().Name(), named(b).Obj().Name()
	if x != y {
		return nil
	}
	return rules[[2]string{pathOf(a), x}]
}

// ruled makes the relation of two types that have a rule.
func (rs *relations) ruled(r *relation, rule *rule) {
	r.shape, r.rule = special, rule
	from, to := referred(r.old), referred(r.new)
	switch {
	case rule.field != "":
		if t := fieldType(r.old, rule.field); t != nil && r.same {
			if !rule.keep {
				r.fields = []*relation{rs.of(t, t)}
			}
			return
		}
	case rule.pointer != "":
		if fieldType(r.old, rule.pointer) != nil && from != nil && to != nil {
			r.shape, r.rule = structure, nil
			r.fields = []*relation{rs.of(from, to)}
			return
		}
	case rule.typed && !r.same:
		r.like = false
		return
	case rule.refers && !r.same:
		if from != nil && to != nil {
			r.also = []*relation{rs.of(from, to)}
			return
		}
	case rule.entries:
		held := rs.of(types.NewInterfaceType(nil, nil), types.NewInterfaceType(nil, nil))
		r.key, r.elem = held, held
		return
	default:
		return
	}
	r.refuse(codeUnknown, "the insides of "+rs.spell(r.old)+" are not known")
}

// referred gives the *T that a generic type keeps: in a blank [0]*T, or as a pointer.
func referred(t types.Type) types.Type {
	s := t.Underlying().(*types.Struct)
	for f := range s.Fields() {
		if a, ok := f.Type().Underlying().(*types.Array); ok && f.Name() == "_" && a.Len() == 0 && kindOf(a.Elem()) == reflect.Pointer {
			return a.Elem()
		}
		if f.Name() != "_" && kindOf(f.Type()) == reflect.Pointer {
			return f.Type()
		}
	}
	return nil
}

func fieldType(t types.Type, name string) types.Type {
	for f := range t.Underlying().(*types.Struct).Fields() {
		if f.Name() == name {
			return f.Type()
		}
	}
	return nil
}

// named gives the named type that t is, nil where it is none.
func named(t types.Type) *types.Named {
	n, _ := types.Unalias(t).(*types.Named)
	return n
}

// pathOf gives the import path of a named type's package, "" for other types.
func pathOf(t types.Type) string {
	if n := named(t); n != nil && n.Obj().Pkg() != nil {
		return n.Obj().Pkg().Path()
	}
	return ""
}

// kinds are those of types.Basic as reflect has them.
var kinds = map[types.BasicKind]reflect.Kind{
	types.Bool: reflect.Bool, types.String: reflect.String, types.UnsafePointer: reflect.UnsafePointer,
	types.Int: reflect.Int, types.Int8: reflect.Int8, types.Int16: reflect.Int16, types.Int32: reflect.Int32, types.Int64: reflect.Int64,
	types.Uint: reflect.Uint, types.Uint8: reflect.Uint8, types.Uint16: reflect.Uint16, types.Uint32: reflect.Uint32, types.Uint64: reflect.Uint64,
	types.Uintptr: reflect.Uintptr, types.Float32: reflect.Float32, types.Float64: reflect.Float64,
	types.Complex64: reflect.Complex64, types.Complex128: reflect.Complex128,
}

// kindOf gives what reflect would call a type's kind.
func kindOf(t types.Type) reflect.Kind {
	switch t := t.Underlying().(type) {
	case *types.Basic:
		return kinds[t.Kind()]
	case *types.Struct:
		return reflect.Struct
	case *types.Array:
		return reflect.Array
	case *types.Pointer:
		return reflect.Pointer
	case *types.Slice:
		return reflect.Slice
	case *types.Map:
		return reflect.Map
	case *types.Chan:
		return reflect.Chan
	case *types.Signature:
		return reflect.Func
	case *types.Interface:
		return reflect.Interface
	}
	return reflect.Invalid
}

func numeric(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Complex128 }

func fractional(k reflect.Kind) bool { return k >= reflect.Float32 && k <= reflect.Complex128 }

func whole(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// width is how many bits of a whole number a kind can hold, and whether these have a
// sign. The sizes of int, uint and uintptr are those of 64 bits, where state is
// carried at all.
func width(k reflect.Kind) (n int, sign bool) {
	switch k {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return 8<<(k-reflect.Int8) - 1, true
	case reflect.Int:
		return 63, true
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return 8 << (k - reflect.Uint8), false
	case reflect.Uint, reflect.Uintptr:
		return 64, false
	case reflect.Float32, reflect.Complex64:
		return 24, true
	}
	return 53, true
}

// fits reports whether every value of kind a is one of kind b.
func fits(a, b reflect.Kind) bool {
	n, sign := width(a)
	m, signed := width(b)
	return n <= m && (signed || !sign)
}
