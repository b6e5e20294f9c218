//go:build cgo

package retained

import (
	"reflect"
	"slices"

	"github.com/hotgo/hotgo/pkg/internal/typename"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// # Which words are types
//
// Those that the runtime itself takes for types, and no other: over what only looks like
// one package reflect ends the process (runtime/type.go, resolveNameOff: throw). There
// are two lists.
//
//   - The typelinks of each mapped file. What is compiled for a plugin has all its types
//     there, those declared inside of functions and instances of generic ones included;
//     a program has those without a name, and so pointers to those with one
//     (cmd/compile/internal/reflectdata/reflect.go, Go 1.26 and 1.27, writeType: keep). Go
//     1.26 has the list in the file (moduledata.typelinks). Go 1.27 makes it of the
//     descriptions when it takes in a plugin, and keeps it (runtime/type.go,
//     moduleTypelinks).
//   - The table of itabs: what the linkers have laid out, and what was made since
//     (runtime/iface.go, itabsinit, itabAdd, and pluginOpen in plugin.go).
//
// Interface types are left out. An artifact describes types that the program has as well,
// and the dynamic linker has all pointers in the copy lead to the program's: the one to
// an interface's list of methods too, whose offsets then are those of another file
// (go.dev/issue/17724). Reflect ends the process over such a copy; everything else it can
// read. No value's type is an interface, nothing leads to the copies, and what reflect
// itself comes to, by pointers, is the program's.
//
// On neither list are types that package reflect has made since, such as a slice of a
// generation's type that its own code spells nowhere.

// meaning tells what words of the process are: descriptions of types, itabs, entries
// of functions.
type meaning struct {
	*program
	modules  []module
	itabs    map[uintptr]uintptr // the runtime's: itab to type
	old      []old
	mapped   mapped  // images have gaps
	low      uintptr // of all images of generations
	high     uintptr
	ownItabs map[uintptr]*thing // of types of generations
	things   map[uintptr]*thing // by the word; nil is none. Its complement: this is on the heap, too
	closures map[uintptr]*thing // by the address of code
}

// old is one image of a generation.
type old struct {
	*module
	generation int
}

// thing is what a word is that counts.
type thing struct {
	generation int
	kind       Kind
	name       string
}

func (p *program) newMeaning(gens []Generation, mapped mapped) *meaning {
	m := &meaning{
		program: p, modules: p.allModules(), itabs: p.readItabs(), mapped: mapped,
		ownItabs: map[uintptr]*thing{}, things: map[uintptr]*thing{}, closures: map[uintptr]*thing{}, low: ^uintptr(0),
	}
	for i := range m.modules {
		mod := &m.modules[i]
		mod.typed = make([]uint64, (mod.etypes-mod.types)/8/64+1)
		for gen, g := range gens {
			if mod.path != "" && slices.Contains(g.Paths, mod.path) {
				m.old = append(m.old, old{mod, gen})
				m.low, m.high = min(m.low, mod.low), max(m.high, mod.high)
			}
		}
	}
	for i := range m.modules {
		m.enterTypes(&m.modules[i])
	}
	for itab, typ := range m.itabs {
		if o := m.image(typ); o != nil {
			if name := m.ownType(gens, o, typ); name != "" {
				m.ownItabs[itab] = &thing{o.generation, Value, name}
			}
		}
	}
	return m
}

// enterTypes notes the types of a file. One that the runtime has not gone through itself
// has none, for it may have been mapped just now, or refused.
func (m *meaning) enterTypes(mod *module) {
	if mod != &m.modules[0] && !mod.taken {
		return
	}
	for _, addr := range m.typelinks(mod) {
		t := typeAt(addr)
		m.enter(t)
		if t.Kind() == reflect.Pointer {
			m.enter(t.Elem())
		}
	}
}

// enter notes a type, if it can be that of a value.
func (m *meaning) enter(t reflect.Type) {
	addr := addressOf(t)
	if mod := m.moduleOf(addr); mod != nil && addr%8 == 0 && t.Kind() != reflect.Interface {
		i := (addr - mod.types) / 8
		mod.typed[i/64] |= 1 << (i % 64)
	}
}

// typelinks gives the addresses that the runtime has.
func (p *program) typelinks(mod *module) []uintptr {
	if p.moduleTypelinks != nil {
		return p.moduleTypelinks(mod.at)
	}
	offsets := *at[[]int32](mod.at + p.module.typelinks)
	all := make([]uintptr, len(offsets))
	for i, offset := range offsets {
		all[i] = mod.types + uintptr(offset)
	}
	return all
}

// readItabs gives the runtime's table (runtime/iface.go, itabTableType, Go 1.26 and
// 1.27: size, count, and as many entries as size says). A table is never freed, nor is
// an itab.
//
//go:norace
func (p *program) readItabs() map[uintptr]uintptr {
	table := word(p.itabTable)
	size, count := word(table), word(table+8)
	all := map[uintptr]uintptr{}
	if size&(size-1) != 0 || count > size || size > 1<<24 {
		return all
	}
	for i := range size {
		if itab := word(table + 16 + 8*i); itab != 0 {
			all[itab] = word(itab + p.itabTypeIndex)
		}
	}
	return all
}

// image gives that of a generation that an address is in.
func (m *meaning) image(addr uintptr) *old {
	if addr < m.low || addr >= m.high {
		return nil
	}
	for i := range m.old {
		if o := &m.old[i]; o.low <= addr && addr < o.high {
			return o
		}
	}
	return nil
}

// moduleOf gives the file in whose types an address is.
func (m *meaning) moduleOf(addr uintptr) *module {
	for i := range m.modules {
		if mod := &m.modules[i]; mod.types <= addr && addr < mod.etypes {
			return mod
		}
	}
	return nil
}

// typ gives the type whose description is at addr; nil where none is known.
func (m *meaning) typ(addr uintptr) reflect.Type {
	mod := m.moduleOf(addr)
	if mod == nil || addr%8 != 0 {
		return nil
	}
	if i := (addr - mod.types) / 8; mod.typed[i/64]>>(i%64)&1 == 0 {
		return nil
	}
	return typeAt(addr)
}

// ownType names the type at addr if it is one of a generation's own, or made of such.
func (m *meaning) ownType(gens []Generation, o *old, addr uintptr) string {
	t := m.typ(addr)
	if t == nil {
		return ""
	}
	for _, name := range typename.Mentions(typename.Of(t)) {
		// Every command's package is main here, and that of the program is elsewhere.
		if path := typename.PackageOf(name); path == "main" || gens[o.generation].Own(path) {
			return t.String()
		}
	}
	return ""
}

// ownFunc names the function that begins at addr if it is one of a generation's own.
func (m *meaning) ownFunc(gens []Generation, o *old, addr uintptr) string {
	if addr < o.text || addr >= o.etext {
		return ""
	}
	name := livepatch.FunctionAt(addr)
	if name == "" || !gens[o.generation].Own(packageOf(name)) {
		return ""
	}
	return name
}

// thing says what a word is that lies in the image of a generation.
func (m *meaning) thing(gens []Generation, o *old, w uintptr) *thing {
	if t, ok := m.things[^w]; ok {
		return t
	}
	found := m.ownItabs[w]
	switch {
	case found != nil, w%8 != 0:
	case m.typ(w) != nil:
		if name := m.ownType(gens, o, w); name != "" {
			found = &thing{o.generation, Value, name}
		}
	case m.mapped.holds(w, 8):
		if name := m.ownFunc(gens, o, word(w)); name != "" {
			found = &thing{o.generation, Func, name}
		}
	}
	if found == nil {
		for _, v := range gens[o.generation].Variables {
			if v.Address <= w && w < v.Address+v.Size {
				found = &thing{o.generation, Memory, v.Name}
			}
		}
	}
	m.things[^w] = found
	return found
}

// isTypeOnly reports whether the word before a type's description makes it a
// reflect.Type: then nobody has a value.
func (m *meaning) isTypeOnly(before uintptr) bool {
	return before == m.rtype || m.itabs[before] == m.rtype
}

// dynamic gives the type of what an interface leads to, by its first word.
func (m *meaning) dynamic(first uintptr) reflect.Type {
	if typ, ok := m.itabs[first]; ok {
		first = typ
	}
	return m.typ(first)
}
