package carry

import (
	"reflect"
	"strings"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// dictionary finds the types that interfaces of a written state hold, by the names that
// the user gave them: the plugin's own, and ordinary ones, which every program has.
type dictionary struct {
	*names
	byText map[string]reflect.Type
}

func dictionaryOf(g *Generation) *dictionary {
	d := &dictionary{namesOf(g), map[string]reflect.Type{}}
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[any](), reflect.TypeFor[error](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[uintptr](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
	} {
		d.byText[d.of(t)] = t
	}
	seen := map[reflect.Type]bool{}
	for _, v := range g.Variables {
		d.add(v.Pointer.Type().Elem(), seen)
	}
	for name, t := range d.byName { // last: these names are the plugin's
		d.byText[name] = t
	}
	return d
}

// add adds what a variable's type leads to, for that can be in an interface as well.
func (d *dictionary) add(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] || d.foreign(t) && refers(t) {
		return
	}
	seen[t] = true
	d.byText[d.of(t)] = t
	for part := range partsOf(t) {
		d.add(part, seen)
	}
}

// maxName and maxNested bound the types that are made because a file names them.
const (
	maxName   = 1 << 10
	maxNested = 6
)

// find gives the type of that name, nil where it is not known. It makes types that are
// composed of known ones: pointers, slices and maps.
func (d *dictionary) find(name string) reflect.Type {
	if len(name) > maxName {
		return nil
	}
	return d.compose(name, maxNested)
}

func (d *dictionary) compose(name string, nested int) reflect.Type {
	if t := d.byText[name]; t != nil || nested == 0 {
		return t
	}
	if rest, ok := strings.CutPrefix(name, "*"); ok {
		if t := d.compose(rest, nested-1); t != nil {
			return reflect.PointerTo(t)
		}
	}
	if rest, ok := strings.CutPrefix(name, "[]"); ok {
		if t := d.compose(rest, nested-1); t != nil {
			return reflect.SliceOf(t)
		}
	}
	if rest, ok := strings.CutPrefix(name, "map["); ok {
		depth := 1
		for i, b := range []byte(rest) {
			switch b {
			case '[':
				depth++
			case ']':
				depth--
			}
			if depth == 0 {
				k, e := d.compose(rest[:i], nested-1), d.compose(rest[i+1:], nested-1)
				if k == nil || e == nil || !k.Comparable() {
					return nil
				}
				return reflect.MapOf(k, e)
			}
		}
	}
	return nil
}

// foreign reports whether t is a named type of a package that is not the plugin's.
func (d *dictionary) foreign(t reflect.Type) bool { return t.PkgPath() != "" && !d.owns(t) }

// opaque reports whether t is a struct of another package that leads elsewhere: only its
// zero value is written. Those of sync are known.
func (d *dictionary) opaque(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && d.foreign(t) && refers(t) && t.PkgPath() != "sync"
}

// pointerIn gives the pointer that t is in disguise, and where in it: that of
// atomic.Pointer.
func pointerIn(t reflect.Type) (p reflect.Type, off uintptr, ok bool) {
	rule := ruleFor(t, t)
	if rule == nil || rule.pointer == "" {
		return nil, 0, false
	}
	f, ok := t.FieldByName(rule.pointer)
	p = named(t)
	return p, f.Offset, ok && p != nil && f.Type.Kind() == reflect.UnsafePointer
}

// refers reports whether a value of t leads to memory elsewhere, strings apart.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for f := range fieldsOf(t) {
			if refers(f.Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return refers(t.Elem())
	}
	return !numeric(t.Kind()) && t.Kind() != reflect.String && t.Kind() != reflect.Bool
}
