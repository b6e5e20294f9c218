package carry

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// show spells a value with all that it leads to. References that lead to one
// thing show one number, so equal texts mean equal shapes. Packages are not named.
func show(pointer any) string {
	s := shower{seen: map[seen]int{}}
	v := reflect.ValueOf(pointer)
	s.value(addressOf(v), v.Type().Elem(), v.Type().Elem(), 0)
	return s.b.String()
}

func shownAll(vars state) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&b, "%s=%s ", name, show(vars[name]))
	}
	return b.String()
}

type seen struct {
	word uintptr
	t    reflect.Type
}

// shower spells values of one type as they have to look in another: it is the
// reference that conversions are compared with.
type shower struct {
	b      strings.Builder
	seen   map[seen]int
	places bool // number every place in memory, so that it matters what leads into a struct, variable or array
	hidden int  // inside of what nothing can lead to
}

// first numbers what is referred to, and reports whether it is new.
func (s *shower) first(word uintptr, t reflect.Type) bool {
	k := seen{word, t}
	n, ok := s.seen[k]
	if !ok {
		n = len(s.seen) + 1
		s.seen[k] = n
	}
	fmt.Fprintf(&s.b, "#%d", n)
	return !ok
}

func (s *shower) value(a address, t, as reflect.Type, depth int) {
	v := a.at(t)
	if s.places && s.hidden == 0 && t.Size() > 0 && as.Size() > 0 {
		if !s.first(a.word(), t) {
			return
		}
		s.b.WriteString("=")
	}
	if depth > 200 {
		s.b.WriteString("…")
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		switch {
		case v.IsNil():
			s.b.WriteString("nil")
		case t.Elem().PkgPath() != "" && !strings.Contains(t.Elem().PkgPath(), "/carry/"):
			s.b.WriteString("&" + t.Elem().String()) // another package's
		case s.places:
			hidden := s.hidden
			s.hidden = 0
			s.b.WriteString("&")
			s.value(a.load(), t.Elem(), as.Elem(), depth+1)
			s.hidden = hidden
		case s.first(a.load().word(), t):
			s.value(a.load(), t.Elem(), as.Elem(), depth+1)
		}
	case reflect.Struct:
		s.b.WriteString("{")
		n := 0
		for f := range fieldsOf(as) {
			if f.Name == "_" || t.PkgPath() == "sync" && f.Type.Kind() == reflect.Struct {
				continue
			}
			if n++; n > 1 {
				s.b.WriteString(" ")
			}
			s.b.WriteString(f.Name + ":")
			if was, ok := t.FieldByName(f.Name); ok {
				s.value(a.add(was.Offset), was.Type, f.Type, depth+1)
			} else {
				s.value(addressOf(reflect.New(f.Type)), f.Type, f.Type, depth+1)
			}
		}
		s.b.WriteString("}")
	case reflect.Array:
		s.b.WriteString("[")
		for i := range t.Len() {
			if i > 0 {
				s.b.WriteString(" ")
			}
			s.value(a.add(uintptr(i)*t.Elem().Size()), t.Elem(), as.Elem(), depth+1)
		}
		s.b.WriteString("]")
	case reflect.Slice:
		if v.IsNil() {
			s.b.WriteString("nil")
			return
		}
		fmt.Fprintf(&s.b, "%d/%d[", v.Len(), v.Cap())
		hidden := s.hidden
		s.hidden = 0
		for i := range v.Len() {
			if i > 0 {
				s.b.WriteString(" ")
			}
			s.value(addressOf(v).add(uintptr(i)*t.Elem().Size()), t.Elem(), as.Elem(), depth+1)
		}
		s.hidden = hidden
		s.b.WriteString("]")
	case reflect.Map:
		if v.IsNil() {
			s.b.WriteString("nil")
			return
		}
		if !s.first(a.load().word(), t) {
			return
		}
		var entries []string
		iter := v.MapRange()
		for iter.Next() {
			k, e := reflect.New(t.Key()), reflect.New(t.Elem())
			k.Elem().SetIterKey(iter)
			e.Elem().SetIterValue(iter)
			if s.places { // one entry at most, for their order means nothing
				s.hidden++
				s.value(addressOf(k), t.Key(), as.Key(), depth+1)
				s.b.WriteString(":")
				s.value(addressOf(e), t.Elem(), as.Elem(), depth+1)
				s.hidden--
				break
			}
			entries = append(entries, show(k.Interface())+":"+show(e.Interface()))
			if depth > 20 {
				break
			}
		}
		sort.Strings(entries)
		s.b.WriteString("map[" + strings.Join(entries, " ") + "]")
	case reflect.Interface:
		if v.IsNil() {
			s.b.WriteString("nil")
			return
		}
		d := v.Elem().Type()
		name := d.String()
		for _, p := range []string{"before.", "after."} {
			name = strings.ReplaceAll(name, p, "")
		}
		s.b.WriteString("(" + name + ")")
		box := a.boxWord()
		if !direct(d) {
			box = box.load()
		}
		s.hidden++
		s.value(box, d, d, depth+1)
		s.hidden--
	case reflect.Func, reflect.Chan:
		if v.IsNil() {
			s.b.WriteString("nil")
			return
		}
		s.b.WriteString(t.Kind().String())
	case reflect.String:
		fmt.Fprintf(&s.b, "%q", v.String())
	default:
		fmt.Fprintf(&s.b, "%v", v)
	}
}

// strays walks through everything that the new generation's variables lead to,
// and names what is left of the old generation in it: a type in an interface,
// code of a function that has a new version, a pointer to a variable.
func strays(from, to *Generation, r Report) (found []string) {
	if len(r.Findings) > 0 {
		for _, f := range r.Findings {
			if f.Code == CodeClosure || f.Code == CodeUnknown {
				return nil // it said so
			}
		}
	}
	old := namesOf(from)
	functions := map[uintptr]string{}
	for name, f := range from.Functions {
		functions[f.Pointer()] = name
	}
	type todo struct {
		a    address
		t    reflect.Type
		path string
	}
	visited := map[seen]bool{}
	var queue []todo
	add := func(a address, t reflect.Type, path string) {
		if k := (seen{a.word(), t}); !a.isNil() && !visited[k] && len(path) < 200 {
			visited[k] = true
			queue = append(queue, todo{a, t, path})
			for _, v := range from.Variables {
				low := addressOf(v.Pointer).word()
				if a.word() >= low && a.word() < low+v.Pointer.Type().Elem().Size() && !isLost(v, to) {
					found = append(found, path+": leads to the old "+v.Name)
				}
			}
		}
	}
	for _, v := range to.Variables {
		add(addressOf(v.Pointer), v.Pointer.Type().Elem(), v.Name)
	}
	for len(queue) > 0 {
		x := queue[0]
		queue = queue[1:]
		if old.mentions(x.t) {
			found = append(found, x.path+": "+x.t.String())
			continue
		}
		v := x.a.at(x.t)
		switch x.t.Kind() {
		case reflect.Pointer:
			if e := x.t.Elem(); e.PkgPath() == "" || strings.Contains(e.PkgPath(), "/carry/") || plain(e) {
				add(x.a.load(), e, x.path)
			}
		case reflect.Struct:
			if x.t.PkgPath() == "sync" || x.t.PkgPath() == "weak" {
				continue
			}
			for f := range fieldsOf(x.t) {
				add(x.a.add(f.Offset), f.Type, x.path+"."+f.Name)
			}
			if e := named(x.t); e != nil && x.t.PkgPath() == "sync/atomic" {
				add(x.a, e, x.path+".(atomic)")
			}
		case reflect.Array, reflect.Slice:
			base := x.a
			n := v.Len()
			if x.t.Kind() == reflect.Slice {
				base, n = addressOf(v), v.Cap()
			}
			for i := range n {
				add(base.add(uintptr(i)*x.t.Elem().Size()), x.t.Elem(), fmt.Sprintf("%s[%d]", x.path, i))
			}
		case reflect.Map:
			iter := v.MapRange()
			for iter.Next() {
				k, e := reflect.New(x.t.Key()), reflect.New(x.t.Elem())
				k.Elem().SetIterKey(iter)
				e.Elem().SetIterValue(iter)
				add(addressOf(k), x.t.Key(), x.path+"[key]")
				add(addressOf(e), x.t.Elem(), x.path+"[…]")
			}
		case reflect.Interface:
			if v.IsNil() {
				continue
			}
			if d := v.Elem().Type(); direct(d) {
				add(x.a.boxWord(), d, x.path+".("+d.String()+")")
			} else {
				add(x.a.boxWord().load(), d, x.path+".("+d.String()+")")
			}
		case reflect.Func:
			if name := functions[v.Pointer()]; !v.IsNil() && to.Functions[name].IsValid() {
				found = append(found, x.path+": the old "+name)
			}
		}
	}
	return found
}

func isLost(v Variable, to *Generation) bool {
	return !slices.ContainsFunc(to.Variables, func(n Variable) bool { return n.Name == v.Name })
}
