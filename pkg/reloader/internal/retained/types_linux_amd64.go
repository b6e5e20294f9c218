//go:build cgo

package retained

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hotgo/hotgo/pkg/internal/typename"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// meaning tells what words of the process are: descriptions of types, itabs, entries
// of functions.
type meaning struct {
	*program
	modules  []module
	itabs    map[uintptr]uintptr // the runtime's: itab to type
	known    map[uintptr]reflect.Type
	old      []old
	mapped   [][2]uintptr // what can be read in these images, which have gaps
	low      uintptr      // of all images of generations
	high     uintptr
	ownItabs map[uintptr]*thing // elsewhere than in these images
	things   map[uintptr]*thing // by the word; nil is none. Its complement: this is on the heap, too
	closures map[uintptr]*thing // by the address of code
}

// old is one image of a generation.
type old struct {
	module
	generation int
}

// thing is what a word is that counts.
type thing struct {
	generation int
	kind       Kind
	name       string
}

func (p *program) newMeaning(gens []Generation) (*meaning, error) {
	m := &meaning{
		program: p, modules: p.allModules(), itabs: p.readItabs(), known: map[uintptr]reflect.Type{},
		ownItabs: map[uintptr]*thing{}, things: map[uintptr]*thing{}, closures: map[uintptr]*thing{}, low: ^uintptr(0),
	}
	for _, mod := range m.modules {
		for i, g := range gens {
			if mod.path != "" && slices.Contains(g.Paths, mod.path) {
				m.old = append(m.old, old{mod, i})
				m.low, m.high = min(m.low, mod.low), max(m.high, mod.high)
			}
		}
	}
	var err error
	if m.mapped, err = readable(m.low, m.high); err != nil {
		return nil, err
	}
	for itab, typ := range m.itabs {
		if o := m.image(typ); o != nil && m.image(itab) == nil {
			if name := m.ownType(gens, o, typ); name != "" {
				m.ownItabs[itab] = &thing{o.generation, Value, name}
			}
		}
	}
	return m, nil
}

// readable gives the parts of a range of addresses that can be read, as the kernel
// lists them.
func readable(low, high uintptr) (parts [][2]uintptr, err error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, &Error{Detail: "the memory of this program cannot be listed", Err: err}
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err == nil && from < high && to > low && rights[0] == 'r' {
			parts = append(parts, [2]uintptr{from, to})
		}
	}
	return parts, nil
}

func (m *meaning) readable(addr, n uintptr) bool {
	return slices.ContainsFunc(m.mapped, func(part [2]uintptr) bool { return part[0] <= addr && addr+n <= part[1] })
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

func (m *meaning) moduleOf(addr uintptr) *module {
	for i := range m.modules {
		if mod := &m.modules[i]; mod.low <= addr && addr < mod.high {
			return mod
		}
	}
	return nil
}

// typ gives the type whose description is at addr; nil where there is none.
func (m *meaning) typ(addr uintptr) reflect.Type {
	if t, ok := m.known[^addr]; ok {
		return t
	}
	var t reflect.Type
	if m.describesType(addr) {
		t = typeAt(addr)
	}
	m.known[^addr] = t
	return t
}

// describesType checks every field of internal/abi.Type.
func (m *meaning) describesType(addr uintptr) bool {
	l := &m.typeLayout
	mod := m.moduleOf(addr)
	if mod == nil || addr%8 != 0 || addr < mod.types || addr+l.size > mod.etypes {
		return false
	}
	size, pointers := word(addr+l.bytes), word(addr+l.pointers)
	align, field := *at[uint8](addr + l.align), *at[uint8](addr + l.field)
	kind, flags := *at[uint8](addr + l.kind)&(1<<5-1), *at[uint8](addr + l.flags)
	equal, gc := word(addr+l.equal), word(addr+l.gc)
	switch {
	case pointers > size, pointers%8 != 0, size > 1<<40,
		align == 0, align > 8, align&(align-1) != 0, field == 0, field > 8, field&(field-1) != 0,
		kind == 0, reflect.Kind(kind) > reflect.UnsafePointer,
		equal != 0 && m.moduleOf(equal) == nil,
		gc != 0 && m.moduleOf(gc) == nil:
		return false
	}
	const extraStar = 1 << 1 // internal/abi.TFlagExtraStar
	name, ok := nameAt(mod, *at[int32](addr + l.name))
	return ok && (flags&extraStar == 0 || name[0] == '*')
}

// nameAt reads a name of a module (internal/abi.Name: a byte of flags, the length as a
// varint, the text).
func nameAt(mod *module, offset int32) (string, bool) {
	addr := mod.types + uintptr(offset)
	if offset <= 0 || addr+3 > mod.etypes || *at[byte](addr)&^0xf != 0 {
		return "", false
	}
	n := uintptr(*at[byte](addr + 1))
	text := addr + 2
	if n >= 0x80 {
		n = n&0x7f | uintptr(*at[byte](addr + 2))<<7
		text++
	}
	if n == 0 || n >= 1<<14 || text+n > mod.etypes {
		return "", false
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = *at[byte](text + uintptr(i))
	}
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return "", false
		}
		rest = rest[size:]
	}
	return string(b), true
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
	var found *thing
	switch {
	case w%8 != 0:
	case m.ownType(gens, o, w) != "":
		found = &thing{o.generation, Value, m.ownType(gens, o, w)}
	case !m.readable(w, 24):
	case m.isItab(w):
		if name := m.ownType(gens, o, word(w+m.itabTypeIndex)); name != "" {
			found = &thing{o.generation, Value, name}
		}
	default:
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

// isItab reports whether w, in an image, is an itab of a type in an image: an interface
// type, a type, and that type's hash.
func (m *meaning) isItab(w uintptr) bool {
	const hashIndex = 16 // internal/abi.ITab
	t := word(w + m.itabTypeIndex)
	inter := m.typ(word(w + 8 - m.itabTypeIndex))
	return m.image(t) != nil && inter != nil && inter.Kind() == reflect.Interface && m.typ(t) != nil &&
		*at[uint32](w + hashIndex) == *at[uint32](t + m.typeLayout.hash)
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
	if m.moduleOf(first) == nil {
		return nil
	}
	return m.typ(first)
}
