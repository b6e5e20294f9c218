package carry

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/typename"
)

// names knows the types of one generation by the names that the user gave them.
type names struct {
	packages map[string]string
	byName   map[string]reflect.Type
	spelled  map[reflect.Type]string
}

// namesOf finds the types of a generation: those it lists, and all that its
// variables lead to, instances of generic types among them.
func namesOf(g *Generation) *names {
	n := &names{packages: g.Packages, byName: map[string]reflect.Type{}, spelled: map[reflect.Type]string{}}
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		if seen[t] || t.PkgPath() != "" && !n.owns(t) && !strings.Contains(t.String(), "[") {
			return
		}
		seen[t] = true
		if name := n.of(t); n.mentions(t) && n.byName[name] == nil {
			n.byName[name] = t
		}
		for part := range partsOf(t) {
			walk(part)
		}
		switch t.Kind() {
		case reflect.Chan:
			walk(t.Elem())
		case reflect.Func:
			for i := range t.NumIn() {
				walk(t.In(i))
			}
			for i := range t.NumOut() {
				walk(t.Out(i))
			}
		case reflect.Interface:
			for i := range t.NumMethod() {
				walk(t.Method(i).Type)
			}
		}
	}
	for name, t := range g.Types { // first: what is declared at package level has its name
		n.byName[name] = t
	}
	for _, t := range g.Types {
		walk(t)
	}
	for _, v := range g.Variables {
		walk(v.Pointer.Type().Elem())
	}
	return n
}

// owns reports whether t is a named type of the generation's packages.
func (n *names) owns(t reflect.Type) bool {
	_, ok := n.packages[t.PkgPath()]
	return ok && t.Name() != ""
}

// of spells a type as the user would. It depends on the generation in nothing
// that its packages are about.
func (n *names) of(t reflect.Type) string {
	s, ok := n.spelled[t]
	if !ok {
		s = n.rename(typename.Of(t))
		n.spelled[t] = s
	}
	return s
}

// mentions reports whether a type of the generation is in t's name: its own, an
// argument, an element. What fields of a named type lead to is not.
func (n *names) mentions(t reflect.Type) bool {
	spelled := typename.Of(t)
	for path := range n.packages {
		if i, _ := nextPath(spelled, path); i >= 0 {
			return true
		}
	}
	return false
}

// rename puts the user's import paths in place of the generation's.
func (n *names) rename(s string) string {
	for path, user := range n.packages {
		if path == user {
			continue
		}
		var b strings.Builder
		for {
			i, end := nextPath(s, path)
			if i < 0 {
				break
			}
			b.WriteString(s[:i] + user)
			s = s[end:]
		}
		s = b.String() + s
	}
	return s
}

// nextPath finds an import path before a dot, and not as the end of a longer
// one.
func nextPath(s, path string) (start, end int) {
	for from := 0; ; {
		i := strings.Index(s[from:], path+".")
		if i < 0 {
			return -1, -1
		}
		start, end = from+i, from+i+len(path)
		if start == 0 || strings.IndexByte("[]{}(),*; ", s[start-1]) >= 0 {
			return start, end
		}
		from = end
	}
}

// counterparts finds the new generation's type for one of the old.
type counterparts struct {
	old, new *names
	found    map[reflect.Type]counterpart
}

type counterpart struct {
	t   reflect.Type
	err *Refusal
}

// knows reports whether of has been asked for t.
func (c *counterparts) knows(t reflect.Type) bool { _, ok := c.found[t]; return ok }

// of gives t itself where nothing in it is the old generation's.
func (c *counterparts) of(t reflect.Type) (reflect.Type, *Refusal) {
	f, ok := c.found[t]
	if !ok {
		if f.t, f.err = c.find(t); f.err != nil {
			f.t = nil
		}
		c.found[t] = f
	}
	return f.t, f.err
}

func (c *counterparts) find(t reflect.Type) (_ reflect.Type, why *Refusal) {
	if !c.old.mentions(t) {
		return t, nil
	}
	name := c.old.of(t)
	lacks := func(reason string) *Refusal { return &Refusal{Code: CodeDropped, Old: name, Reason: reason} }
	if t.Name() != "" {
		known := c.old.byName[name]
		switch to := c.new.byName[name]; {
		case known != nil && known != t, known == nil && !strings.Contains(name, "["):
			return nil, lacks("a value of type " + name + ", which is declared inside a function, cannot be told by its name")
		case to == nil:
			return nil, lacks("there is no type " + name + " any more, and a value has it")
		default:
			return to, nil
		}
	}
	if to := c.new.byName[name]; to != nil {
		return to, nil
	}
	defer func() {
		if p := recover(); p != nil { // of reflect, which cannot make every type
			why = lacks(fmt.Sprintf("the type %s cannot be made: %v", name, p))
		}
	}()
	return c.compose(t, lacks)
}

// compose makes a type of the counterparts of its parts.
func (c *counterparts) compose(t reflect.Type, lacks func(string) *Refusal) (reflect.Type, *Refusal) {
	var parts []reflect.Type
	part := func(p reflect.Type) *Refusal {
		to, err := c.of(p)
		parts = append(parts, to)
		return err
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		if err := part(t.Elem()); err != nil {
			return nil, err
		}
		switch t.Kind() {
		case reflect.Pointer:
			return reflect.PointerTo(parts[0]), nil
		case reflect.Slice:
			return reflect.SliceOf(parts[0]), nil
		case reflect.Array:
			return reflect.ArrayOf(t.Len(), parts[0]), nil
		}
		return reflect.ChanOf(t.ChanDir(), parts[0]), nil
	case reflect.Map:
		for _, p := range []reflect.Type{t.Key(), t.Elem()} {
			if err := part(p); err != nil {
				return nil, err
			}
		}
		return reflect.MapOf(parts[0], parts[1]), nil
	case reflect.Func:
		for i := range t.NumIn() {
			if err := part(t.In(i)); err != nil {
				return nil, err
			}
		}
		for i := range t.NumOut() {
			if err := part(t.Out(i)); err != nil {
				return nil, err
			}
		}
		return reflect.FuncOf(parts[:t.NumIn()], parts[t.NumIn():], t.IsVariadic()), nil
	}
	return nil, lacks("a value has the type " + c.old.of(t) + ", for which the new code has none")
}

// generic gives a type's name without its package and type arguments.
func generic(t reflect.Type) string {
	name := t.String() // as typename does: Name is misled by some arguments
	name, _, _ = strings.Cut(name, "[")
	return name[strings.IndexByte(name, '.')+1:]
}
