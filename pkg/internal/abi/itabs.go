package abi

import (
	"encoding/binary"
	"go/version"
	"io"
	"slices"
)

// This file keeps a plugin's copies of interface tables out of the runtime's
// way, where the runtime of Go 1.27 would take them for the real ones.
//
// An itab says how one type implements one interface; an interface value points
// to one. Interface values are compared, and types asserted, by comparing these
// pointers, so there must be one itab for each pair in a process. The linker
// puts one into every file that needs it, as a symbol go:itab.TYPE,INTERFACE.
// The dynamic linker binds all references to the first file that defines the
// name; the copies in later files are shadowed, nothing refers to them.
//
// Conversions that are decided at run time look the itab up in a table of the
// runtime's, to which every plugin adds its own (runtime/plugin.go,
// plugin_lastmoduleinit). Go 1.26 adds what a list of pointers says, and the
// dynamic linker has bound those to the first definer, too (runtime/symtab.go,
// moduledata.itablinks). Go 1.27 has no such list: it walks the bytes of the
// plugin's itabs from end to end (runtime/iface.go, addModuleItabs) and adds the
// shadowed ones. The table then has several itabs for one pair. It gives the
// one that was added first until it grows; from then on it gives any, and
// errors.Is, errors.As and x.(T) begin to fail in the whole process.
//
// The walk cannot be made to skip an itab: it has its length from the interface.
// So a shadowed itab is made one that nobody looks for. Its type becomes an
// interface, and what an interface value holds never has an interface for its
// type. It costs one relocation: the word for the type gets the target that the
// word for the interface has in another itab of the file. Which other is a
// matter of speed. The hash of an entry is that of its interface XOR that of its
// type (runtime/iface.go, itabHashFunc), and with an itab's own interface all
// would be 0: one chain through the whole table, longer with every plugin.
// Other readers of the table are content, since it remains a type
// (runtime/heapdump.go, itab_callback).

// ShadowedItabsHurt reports whether the runtime of a Go release, as
// runtime.Version spells it, adds shadowed itabs to its table: whether what
// [Itabs.Hide] says has to be written to a plugin before it is opened. Releases
// later than those known are taken to do without.
func ShadowedItabsHurt(goVersion string) bool {
	return version.Lang(toolchain(goVersion)) == "go1.27"
}

// Itabs are the interface tables that a file defines, and that the dynamic
// linker may bind to those of another file, or others to. See [ReadItabs].
type Itabs struct {
	m    *image
	list []itab
}

// itab is one of them. Its layout is internal/abi.ITab of Go 1.26 and 1.27:
// interface, type, hash with padding, and a word for each method.
type itab struct {
	name       string
	addr, size uint64
}

const (
	itabPrefix  = "go:itab."
	itabType    = 8  // offset of the word for the type
	itabMinSize = 32 // with one method

	maxItabs    = 1 << 18
	maxItabName = 1 << 16 // names have the type in full, and types may be literals
)

// ReadItabs finds the itabs in the dynamic symbols of the binary in r, which
// has size bytes. r has to stay readable as long as the result is used.
//
// Errors: *[Error].
func ReadItabs(r io.ReaderAt, size int64) (t *Itabs, err error) {
	defer func() {
		if p := recover(); p != nil { // as in Read
			t, err = nil, fail(Malformed, "reading its interface tables failed: %v", p)
		}
	}()
	m, err := openImage(r, size)
	if err != nil {
		return nil, err
	}
	syms, err := m.readSymbols()
	if err != nil {
		return nil, err
	}
	t = &Itabs{m: m}
	prefix := []byte(itabPrefix)
	budget := uint64(len(syms.names)) + maxNames // for names that overlap
	for i := range syms.len() {
		s := syms.at(i)
		if s.section == 0 || !s.preemptible() || !syms.hasPrefix(s, prefix) {
			continue
		}
		name := cstring(syms.names, uint64(s.name), maxItabName)
		if len(name) == maxItabName {
			continue // cut, perhaps: it might be taken for another
		}
		if uint64(len(name)) > budget || len(t.list) == maxItabs {
			return nil, fail(TooLarge, "more than %d interface tables", len(t.list))
		}
		budget -= uint64(len(name))
		t.list = append(t.list, itab{string(name), s.value, s.size})
	}
	return t, nil
}

// preemptible reports whether references to the symbol are bound to the first
// file that defines its name, be it this one or another.
func (s symbol) preemptible() bool {
	const (
		stbGlobal, stbWeak = 1, 2
		visibility         = 3 // mask; 0 is the default
	)
	bind := s.info >> 4
	return (bind == stbGlobal || bind == stbWeak) && s.other&visibility == 0
}

// Names gives the symbols' names, in the file's order.
func (t *Itabs) Names() []string {
	names := make([]string, len(t.list))
	for i, tab := range t.list {
		names[i] = tab.name
	}
	return names
}

// ItabEdit is what hides the shadowed itabs of a file.
type ItabEdit struct {
	Hidden int      // how many itabs it hides
	Left   []string // names of those that are shadowed too, and not what they should be
	Writes []Write
}

// Write is a piece of a file to replace.
type Write struct {
	Offset int64
	Bytes  []byte
}

// Hide computes the edit that hides those itabs of a plugin that are shadowed,
// because a file that is in the process already defines the name. It changes
// nothing itself. To compute it again, from the edited file, gives the same edit.
//
// An itab that does not look as Go's linker writes it is left alone. In files
// for other machines than amd64 all are.
//
// Errors: *[Error].
func (t *Itabs) Hide(shadowed func(name string) bool) (edit ItabEdit, err error) {
	defer func() {
		if p := recover(); p != nil { // as in Read
			edit, err = ItabEdit{}, fail(Malformed, "reading its interface tables failed: %v", p)
		}
	}()
	var hide []int
	for i := range t.list {
		if shadowed(t.list[i].name) {
			hide = append(hide, i)
		}
	}
	if len(hide) == 0 {
		return edit, nil
	}
	leave := func(i int) { edit.Left = append(edit.Left, t.list[i].name) }
	own, err := t.m.bindsToItself()
	if err != nil {
		return edit, err
	}
	if own || t.m.goarch() != "amd64" || t.m.order != binary.ByteOrder(binary.LittleEndian) {
		for _, i := range hide {
			leave(i)
		}
		return edit, nil
	}
	slots, err := t.slots()
	if err != nil {
		return edit, err
	}

	// The interfaces that the file has itabs of, and which each itab has.
	var interfaces []target
	index := map[target]int{}
	of := make([]int, len(t.list))
	for i, s := range slots {
		if !s.sound() {
			continue
		}
		n, ok := index[s.inter.target]
		if !ok {
			n = len(interfaces)
			interfaces, index[s.inter.target] = append(interfaces, s.inter.target), n
		}
		of[i] = n
	}
	turn := make([]int, len(interfaces))
	for _, i := range hide {
		if !slots[i].sound() {
			leave(i)
			continue
		}
		// Of the m-1 others the next, so that as few as can be are alike.
		n, m := of[i], len(interfaces)
		other := interfaces[(n+1+turn[n]%max(1, m-1))%m]
		turn[n]++
		edit.Hidden++
		edit.Writes = append(edit.Writes, Write{slots[i].typ.offset, other.encode()})
	}
	return edit, nil
}

// target is what a relocation puts into a word: its last two fields.
type target struct{ info, addend uint64 }

func (t target) encode() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, t.info), t.addend)
}

// relocated is a word with the relocations for it.
type relocated struct {
	target
	offset int64 // of target in the file
	count  int
}

// slot is what the relocations say about an itab.
type slot struct {
	inter, typ relocated
	odd        bool // overlaps another, or something of this file refers to this very copy
}

func (s *slot) sound() bool {
	return !s.odd && s.inter.isPointer() && s.typ.isPointer()
}

// isPointer reports whether the word becomes a pointer, and in one way.
func (r *relocated) isPointer() bool {
	const abs64, relative = 1, 8 // R_X86_64_64 and _RELATIVE
	typ := uint32(r.info)
	return r.count == 1 && (typ == abs64 || typ == relative)
}

// slots reads the relocations of the itabs, in the order of the list. The file
// is one for amd64.
func (t *Itabs) slots() ([]slot, error) {
	const shtRela, entry = 4, 24
	slots := make([]slot, len(t.list))
	byAddr := t.sorted(slots)
	starts := make(map[uint64]int, len(byAddr))
	for _, i := range byAddr {
		starts[t.list[i].addr] = i
	}
	low := t.list[byAddr[0]].addr
	high := t.list[byAddr[len(byAddr)-1]].addr + itabType // of the words that matter
	near := func(addr uint64) bool { return addr-low <= high-low }
	for _, sec := range t.m.sections {
		if off, ok := t.m.offset(sec.addr, sec.size); sec.typ != shtRela || !ok || off != sec.off {
			continue // the dynamic linker does not see it there
		}
		table, err := t.m.data(sec, maxTable)
		if err != nil {
			return nil, err
		}
		for at := 0; at+entry <= len(table); at += entry {
			where := binary.LittleEndian.Uint64(table[at:])
			to := target{binary.LittleEndian.Uint64(table[at+8:]), binary.LittleEndian.Uint64(table[at+16:])}
			if to.info>>32 == 0 && near(to.addend) {
				if i, ok := starts[to.addend]; ok {
					slots[i].odd = true // no name, so no other file's copy
				}
			}
			if !near(where) {
				continue
			}
			word := relocated{to, int64(sec.off) + int64(at) + 8, 1}
			if i, ok := starts[where]; ok {
				word.count += slots[i].inter.count
				slots[i].inter = word
			} else if i, ok := starts[where-itabType]; ok {
				word.count += slots[i].typ.count
				slots[i].typ = word
			}
		}
	}
	return slots, nil
}

// sorted gives the itabs by their addresses, and marks those in slots that
// cannot be itabs.
func (t *Itabs) sorted(slots []slot) []int {
	order := make([]int, len(t.list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch x, y := t.list[a].addr, t.list[b].addr; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return a - b
	})
	last := 0 // which of those so far ends last
	for n, i := range order {
		tab := t.list[i]
		if tab.size < itabMinSize || tab.size%8 != 0 || tab.addr%8 != 0 || tab.addr+tab.size < tab.addr {
			slots[i].odd = true
		}
		if n > 0 && tab.addr < t.list[last].addr+t.list[last].size {
			slots[last].odd, slots[i].odd = true, true
		}
		if n == 0 || tab.addr+tab.size > t.list[last].addr+t.list[last].size {
			last = i
		}
	}
	return order
}

// bindsToItself reports whether the file was linked with -Bsymbolic. Its
// references to what it defines stay in it then, and its itabs are in use.
func (m *image) bindsToItself() (bool, error) {
	const dtSymbolic, dtFlags, dfSymbolic = 16, 30, 2
	sec, ok := m.section(".dynamic")
	if !ok {
		return false, nil
	}
	b, err := m.data(sec, maxSmall)
	if err != nil {
		return false, err
	}
	for entry := int(m.pick(8, 16)); len(b) >= entry; b = b[entry:] {
		f := m.fields(b)
		tag, value := f.word(), f.word()
		if tag == dtSymbolic || tag == dtFlags && value&dfSymbolic != 0 {
			return true, nil
		}
	}
	return false, nil
}
