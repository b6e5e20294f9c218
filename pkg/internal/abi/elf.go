package abi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// This file reads the outer frame of an ELF file: header, segments, sections.
//
// It is not debug/elf because every program that embeds the reloader carries
// this package, because debug/elf builds a Go string for each of the tens of
// thousands of dynamic symbols a plugin has, and because a preflight has a
// duty of its own: to notice every table or segment that lies beyond the end
// of the file before anything follows it. All sizes are checked against the
// file's before they are used to allocate or to loop.

// ELF constants (gABI 4.1).
const (
	etExec = 2
	etDyn  = 3

	ptLoad   = 1
	ptInterp = 3

	shtNull   = 0
	shtNobits = 8

	shnXIndex = 0xffff // e_shstrndx: the real number is in section 0
	pnXNum    = 0xffff // e_phnum: likewise
)

// Limits that no real binary comes near. They keep a file that is merely big,
// such as an upload of zeros with a crafted header, from costing memory.
const (
	maxSections = 1 << 14
	maxSegments = 1 << 10
	maxNames    = 1 << 20   // bytes of section names
	maxTable    = 256 << 20 // bytes of any table that is read whole
	maxSmall    = 16 << 20  // bytes of tables that are small in practice: build info, version needs
	maxReread   = 1 << 20   // bytes that may be read beyond twice the size of the file
)

// image is an ELF file whose headers are known to lie inside the file.
type image struct {
	r        io.ReaderAt
	size     uint64
	order    binary.ByteOrder
	is64     bool
	typ      uint16
	machine  uint16
	segments []segment
	sections []section
	phoff    uint64            // where the program headers are
	budget   uint64            // bytes that may still be read: tables may overlap, and thousands be the same
	strings  map[uint32][]byte // string tables read so far, by section
}

// segment is a program header.
type segment struct {
	typ, flags                 uint32
	off, addr, filesz, memsize uint64
	align                      uint64
}

// section is a section header.
type section struct {
	name            string
	typ             uint32
	addr, off, size uint64
	link            uint32
}

// openImage checks the frame of the file in r.
func openImage(r io.ReaderAt, size int64) (*image, error) {
	if size <= 0 {
		return nil, fail(NotELF, "it is empty")
	}
	m := &image{r: r, size: uint64(size), budget: 2*uint64(size) + maxReread, strings: map[uint32][]byte{}}

	ident, err := m.bytes("file header", 0, min(m.size, 16))
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(ident, []byte("\x7fELF")) {
		return nil, fail(NotELF, "it begins with %q", ident[:min(len(ident), 4)])
	}
	if len(ident) < 16 {
		return nil, fail(Truncated, "%d bytes", size)
	}
	switch class := ident[4]; class {
	case 1, 2:
		m.is64 = class == 2
	default:
		return nil, fail(Malformed, "class %d", class)
	}
	switch data := ident[5]; data {
	case 1:
		m.order = binary.LittleEndian
	case 2:
		m.order = binary.BigEndian
	default:
		return nil, fail(Malformed, "data encoding %d", data)
	}

	head, err := m.bytes("file header", 0, m.pick(52, 64))
	if err != nil {
		return nil, err
	}
	f := m.fields(head[16:])
	m.typ, m.machine = f.u16(), f.u16()
	f.u32()  // version
	f.word() // entry point
	phoff, shoff := f.word(), f.word()
	m.phoff = phoff
	f.u32() // flags
	f.u16() // size of this header
	phentsize, phnum := f.u16(), f.u16()
	shentsize, shnum, shstrndx := f.u16(), f.u16(), f.u16()

	if err := m.readSections(shoff, shentsize, shnum, shstrndx); err != nil {
		return nil, err
	}
	if err := m.readSegments(phoff, phentsize, phnum); err != nil {
		return nil, err
	}
	return m, nil
}

// readSections reads the section headers and the names of the sections.
func (m *image) readSections(off uint64, entsize, num16, strndx16 uint16) error {
	if off == 0 {
		return nil // none: readers of single sections say what they miss
	}
	entry := m.pick(40, 64)
	if uint64(entsize) != entry {
		return fail(Malformed, "section header entries of %d bytes", entsize)
	}
	num, strndx := uint64(num16), uint64(strndx16)
	if num == 0 || strndx == shnXIndex {
		// The numbers do not fit 16 bits: section 0 has them.
		b, err := m.bytes("section headers", off, entry)
		if err != nil {
			return err
		}
		zero := m.sectionHeader(b)
		if num == 0 {
			num = zero.size
		}
		if strndx == shnXIndex {
			strndx = uint64(zero.link)
		}
	}
	if num > maxSections {
		return fail(TooLarge, "%d sections", num)
	}
	table, err := m.bytes("section headers", off, num*entry)
	if err != nil {
		return err
	}
	m.sections = make([]section, num)
	nameOff := make([]uint32, num)
	for i := range m.sections {
		b := table[uint64(i)*entry:]
		nameOff[i] = m.order.Uint32(b)
		s := m.sectionHeader(b)
		if s.typ != shtNobits && s.typ != shtNull && !m.inside(s.off, s.size) {
			return fail(Truncated, "section %d needs bytes %d to %d of %d", i, s.off, s.off+s.size, m.size)
		}
		m.sections[i] = s
	}
	if strndx >= num {
		return fail(Malformed, "section names in section %d of %d", strndx, num)
	}
	if strndx == 0 {
		return nil
	}
	str := m.sections[strndx]
	if str.typ == shtNobits {
		return fail(Malformed, "section names without bytes")
	}
	if str.size > maxNames {
		return fail(TooLarge, "%d bytes of section names", str.size)
	}
	names, err := m.bytes("section names", str.off, str.size)
	if err != nil {
		return err
	}
	for i := range m.sections {
		// Long names are cut: those that matter are short, and thousands of
		// sections may share one endless name.
		m.sections[i].name = string(cstring(names, uint64(nameOff[i]), 64))
	}
	return nil
}

// sectionHeader decodes one section header, without its name.
func (m *image) sectionHeader(b []byte) section {
	f := m.fields(b)
	f.u32() // name
	s := section{typ: f.u32()}
	f.word() // flags
	s.addr, s.off, s.size = f.word(), f.word(), f.word()
	s.link = f.u32()
	return s
}

// readSegments reads the program headers and checks that everything that will
// be mapped is there: the kernel maps pages beyond the end of a file without
// complaint, and the first access to one is a SIGBUS.
func (m *image) readSegments(off uint64, entsize, num16 uint16) error {
	if off == 0 || num16 == 0 {
		return nil
	}
	entry := m.pick(32, 56)
	if uint64(entsize) != entry {
		return fail(Malformed, "program header entries of %d bytes", entsize)
	}
	if num16 == pnXNum || num16 > maxSegments {
		return fail(TooLarge, "%d program headers", num16)
	}
	table, err := m.bytes("program headers", off, uint64(num16)*entry)
	if err != nil {
		return err
	}
	m.segments = make([]segment, num16)
	for i := range m.segments {
		f := m.fields(table[uint64(i)*entry:])
		s := segment{typ: f.u32()}
		if m.is64 {
			s.flags = f.u32()
		}
		s.off, s.addr = f.word(), f.word()
		f.word() // physical address
		s.filesz, s.memsize = f.word(), f.word()
		if !m.is64 {
			s.flags = f.u32()
		}
		s.align = f.word()
		if s.typ == ptLoad {
			if !m.inside(s.off, s.filesz) {
				return fail(Truncated, "segment %d needs bytes %d to %d of %d", i, s.off, s.off+s.filesz, m.size)
			}
			if s.memsize < s.filesz {
				return fail(Malformed, "segment %d is larger in the file than in memory", i)
			}
		}
		m.segments[i] = s
	}
	return nil
}

// section gives the first section of that name.
func (m *image) section(name string) (section, bool) {
	for _, s := range m.sections {
		if s.name == name && s.typ != shtNobits {
			return s, true
		}
	}
	return section{}, false
}

// segment gives the first segment of that type.
func (m *image) segment(typ uint32) (segment, bool) {
	for _, s := range m.segments {
		if s.typ == typ {
			return s, true
		}
	}
	return segment{}, false
}

// data reads a whole section of at most limit bytes.
func (m *image) data(s section, limit uint64) ([]byte, error) {
	if s.size > limit {
		return nil, fail(TooLarge, "%d bytes in section %s", s.size, s.name)
	}
	return m.bytes("section "+s.name, s.off, s.size)
}

// linkedStrings reads the string table that a section names its strings from.
func (m *image) linkedStrings(s section) ([]byte, error) {
	if names, ok := m.strings[s.link]; ok {
		return names, nil
	}
	if s.link == 0 || uint64(s.link) >= uint64(len(m.sections)) || m.sections[s.link].typ == shtNobits {
		return nil, fail(Malformed, "section %s without strings", s.name)
	}
	names, err := m.data(m.sections[s.link], maxTable)
	if err != nil {
		return nil, err
	}
	m.strings[s.link] = names
	return names, nil
}

// offset turns an address range of the loaded image into the file offset where
// its bytes are. It reports false where the file holds no bytes for it.
func (m *image) offset(addr, n uint64) (uint64, bool) {
	for _, s := range m.segments {
		if s.typ == ptLoad && addr >= s.addr && addr-s.addr <= s.filesz && n <= s.filesz-(addr-s.addr) {
			return s.off + (addr - s.addr), true
		}
	}
	return 0, false
}

// inside reports whether n bytes at off lie in the file.
func (m *image) inside(off, n uint64) bool { return off <= m.size && n <= m.size-off }

// bytes reads n bytes at off. what names them in errors.
func (m *image) bytes(what string, off, n uint64) ([]byte, error) {
	if !m.inside(off, n) {
		return nil, fail(Truncated, "%s at bytes %d to %d of %d", what, off, off+n, m.size)
	}
	if n > m.budget {
		return nil, fail(TooLarge, "its tables overlap: more than %d bytes to read", 2*m.size+maxReread)
	}
	m.budget -= n
	b := make([]byte, n)
	if got, err := m.r.ReadAt(b, int64(off)); uint64(got) < n {
		if errors.Is(err, io.EOF) {
			// The caller's size was wrong, or the file shrank meanwhile.
			return nil, &Error{Reason: Truncated, Detail: fmt.Sprintf("%s at bytes %d to %d", what, off, off+n), Err: err}
		}
		return nil, &Error{Reason: Unreadable, Detail: what, Err: err}
	}
	return b, nil
}

// pick chooses by class: a of 32-bit files, b of 64-bit ones.
func (m *image) pick(a, b uint64) uint64 {
	if m.is64 {
		return b
	}
	return a
}

// fields decodes the fields of a structure in their order.
func (m *image) fields(b []byte) *fields { return &fields{m: m, b: b} }

// fields is a cursor. Callers give it as many bytes as they take.
type fields struct {
	m *image
	b []byte
}

func (f *fields) u16() uint16 {
	v := f.m.order.Uint16(f.b)
	f.b = f.b[2:]
	return v
}

func (f *fields) u32() uint32 {
	v := f.m.order.Uint32(f.b)
	f.b = f.b[4:]
	return v
}

// word takes an address-sized field.
func (f *fields) word() uint64 {
	if !f.m.is64 {
		return uint64(f.u32())
	}
	v := f.m.order.Uint64(f.b)
	f.b = f.b[8:]
	return v
}

// cstring gives the zero-terminated string at off, without the zero; at most
// limit bytes of it, and nil where off is outside.
func cstring(b []byte, off, limit uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	b = b[off:]
	if uint64(len(b)) > limit {
		b = b[:limit]
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
