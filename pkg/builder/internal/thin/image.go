package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Image is a host's binary as a link sees it: what it defines for plugins, and
// the bytes of its types. Its methods may be called concurrently. It holds the
// file open, so the binary may be replaced or removed meanwhile.
//
// It may also be an artifact that the host has loaded, together with the host:
// see [OpenLoaded].
type Image struct {
	under  *Image // what the file is loaded into, nil for a host
	joined joins  // guarded by the linker; nil for a host

	file  *os.File
	elf   *elf.File
	names map[string]uint32 // dynamic symbols that are defined, by name -> index
	table []byte            // .dynsym
	strs  string            // .dynstr
	types map[uint64]uint32 // address -> index of a type descriptor

	mu       sync.Mutex
	sections map[int][]byte // contents that were needed
	relocs   []relative     // sorted; of a position-independent host
}

// relative is an address that the dynamic linker puts at an address.
type relative struct{ at, value uint64 }

// loadedAt is where an artifact is loaded as far as links go: addresses of a
// link are those of the artifact's file plus this, and so none of the host's.
// Nothing that is linked contains any of them.
const loadedAt = 1 << 40

// symbol is a dynamic symbol of the host.
type symbol struct {
	name    string // as the host has it
	info    byte
	section uint16
	addr    uint64
	size    uint64
}

func (s symbol) function() bool { return elf.ST_TYPE(s.info) == elf.STT_FUNC }

const symSize = 24 // elf.Sym64

// OpenImage reads a binary's dynamic symbols. A stripped binary has them too.
//
// Errors: *Unfit where the file is no ELF executable for amd64 that exports
// its symbols.
func OpenImage(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := newImage(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	m.file = f
	return m, nil
}

// OpenLoaded reads an artifact that a host has loaded. The image has what both
// define: names are looked up in the host first, as the dynamic linker does it.
//
// Errors: as OpenImage.
func OpenLoaded(path string, host *Image) (*Image, error) {
	m, err := OpenImage(path)
	if err == nil {
		m.under, m.joined = host, joins{}
	}
	return m, err
}

// newImage reads a binary of which nothing is taken for granted: it may be cut
// off, or no program at all.
func newImage(r io.ReaderAt) (*Image, error) {
	m := &Image{sections: map[int][]byte{}}
	if err := m.read(r); err != nil {
		return nil, err
	}
	return m, nil
}

// Close lets go of the file. Who does not call it leaves that to the garbage
// collector.
func (m *Image) Close() error { return m.file.Close() }

// BuildID gives the build ID that the Go linker wrote, "" where there is none.
func (m *Image) BuildID() string {
	s := m.elf.Section(".note.go.buildid")
	if s == nil {
		return ""
	}
	const head = 16 // three lengths and "Go\0\0"
	data, err := contents(s)
	if err != nil || len(data) < head {
		return ""
	}
	n := binary.LittleEndian.Uint32(data[4:])
	if uint64(n) > uint64(len(data)-head) {
		return ""
	}
	return string(data[head:][:n])
}

func (m *Image) read(r io.ReaderAt) error {
	var err error
	if m.elf, err = elf.NewFile(r); err != nil {
		return unfit("the host is no ELF file: %w", err)
	}
	if m.elf.Machine != elf.EM_X86_64 || m.elf.Class != elf.ELFCLASS64 {
		return unfit("the host is a binary for %v", m.elf.Machine)
	}
	sec := m.elf.SectionByType(elf.SHT_DYNSYM)
	if sec == nil || int(sec.Link) >= len(m.elf.Sections) {
		return unfit("the host has no dynamic symbols")
	}
	if m.table, err = contents(sec); err != nil {
		return unfit("read the host's dynamic symbols: %w", err)
	}
	strs, err := contents(m.elf.Sections[sec.Link])
	if err != nil {
		return unfit("read the host's dynamic symbols: %w", err)
	}
	m.strs = string(strs)
	n := len(m.table) / symSize
	m.names = make(map[string]uint32, n)
	m.types = map[uint64]uint32{}
	for i := 1; i < n; i++ {
		e := m.table[i*symSize:]
		if section := binary.LittleEndian.Uint16(e[6:]); section == 0 || section >= uint16(elf.SHN_LORESERVE) {
			continue
		}
		name := m.nameOf(uint32(i))
		if name == "" {
			continue
		}
		m.names[name] = uint32(i)
		if isDescriptor(name) && elf.ST_TYPE(e[4]) == elf.STT_OBJECT {
			m.types[binary.LittleEndian.Uint64(e[8:])] = uint32(i)
		}
	}
	return nil
}

// contents reads a section as it is in the file, so that its size is bounded by
// the file's: what a program has in memory is never compressed.
func contents(s *elf.Section) ([]byte, error) {
	if s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil, fmt.Errorf("section %s is compressed", s.Name)
	}
	return s.Data()
}

// nameOf gives the name of the symbol at an index, "" where it has none.
func (m *Image) nameOf(i uint32) string {
	at := binary.LittleEndian.Uint32(m.table[i*symSize:])
	if uint64(at) >= uint64(len(m.strs)) {
		return ""
	}
	name, _, _ := strings.Cut(m.strs[at:], "\x00")
	return name
}

// find gives a symbol by the name it has in the host.
func (m *Image) find(name string) (symbol, bool) {
	if m.under == nil {
		return m.own(name)
	}
	s, ok := m.under.find(name)
	if !ok {
		s, ok = m.own(name)
		s.addr += loadedAt
	}
	return s, ok
}

// own gives a symbol of the file itself, at its address in the file.
func (m *Image) own(name string) (symbol, bool) {
	i, ok := m.names[name]
	if !ok {
		return symbol{}, false
	}
	return m.symbol(name, i), true
}

// at gives the image that an address of a link belongs to, and the address in
// its file.
func (m *Image) at(addr uint64) (*Image, uint64) {
	switch {
	case m.under == nil:
		return m, addr
	case addr < loadedAt:
		return m.under.at(addr)
	}
	return m, addr - loadedAt
}

func (m *Image) symbol(name string, i uint32) symbol {
	e := m.table[i*symSize:]
	return symbol{
		name: name, info: e[4], section: binary.LittleEndian.Uint16(e[6:]),
		addr: binary.LittleEndian.Uint64(e[8:]), size: binary.LittleEndian.Uint64(e[16:]),
	}
}

// Has reports whether the host has a symbol of a name, as objects spell it.
func (m *Image) Has(name string) bool {
	_, ok := m.find(mangle(name))
	return ok
}

// Function gives the address in the file and the code of a function that the
// file itself defines, by the name that objects have for it.
func (m *Image) Function(name string) (addr uint64, code []byte, ok bool) {
	s, ok := m.own(mangle(name))
	if !ok || !s.function() {
		return 0, nil, false
	}
	code, err := m.fileBytes(s.addr, s.size)
	return s.addr, code, err == nil
}

// Address gives the address in the file of what the file itself defines, by the
// name that objects have for it.
func (m *Image) Address(name string) (uint64, bool) {
	s, ok := m.own(mangle(name))
	return s.addr, ok
}

// Size gives the size of what the file itself defines, by the name that objects have
// for it.
func (m *Image) Size(name string) (uint64, bool) {
	s, ok := m.own(mangle(name))
	return s.size, ok
}

// Bytes gives n bytes at an address in the file, as they are in a program that is
// loaded at address 0.
func (m *Image) Bytes(addr, n uint64) ([]byte, error) { return m.fileWords(addr, n) }

// typeAt gives the type descriptor at an address.
func (m *Image) typeAt(addr uint64) (symbol, bool) {
	of, at := m.at(addr)
	i, ok := of.types[at]
	if !ok {
		return symbol{}, false
	}
	s := of.symbol("", i)
	s.addr = addr
	return s, true
}

// bytes gives n bytes at an address as they are in the file.
func (m *Image) bytes(addr, n uint64) ([]byte, error) {
	of, at := m.at(addr)
	return of.fileBytes(at, n)
}

// fileBytes is bytes for an address in the file.
func (m *Image) fileBytes(addr, n uint64) ([]byte, error) {
	for i, s := range m.elf.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Type == elf.SHT_NOBITS && s.Flags&elf.SHF_TLS != 0 {
			continue // a template for threads has no place of its own among the addresses
		}
		if addr < s.Addr || addr-s.Addr >= s.Size || s.Size-(addr-s.Addr) < n {
			continue
		}
		if s.Type == elf.SHT_NOBITS {
			return nil, fmt.Errorf("section %s of the host has no bytes", s.Name)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		data, ok := m.sections[i]
		if !ok {
			var err error
			if data, err = contents(s); err != nil {
				return nil, fmt.Errorf("read section %s of the host: %w", s.Name, err)
			}
			m.sections[i] = data
		}
		if uint64(len(data)) < addr-s.Addr+n {
			return nil, fmt.Errorf("section %s of the host is cut short", s.Name)
		}
		return data[addr-s.Addr:][:n], nil
	}
	return nil, fmt.Errorf("the host has nothing at address %#x", addr)
}

// words gives n bytes at addr as addresses, with the relocations that a
// position-independent program gets when it starts (for a load address of 0).
func (m *Image) words(addr, n uint64) ([]byte, error) {
	of, at := m.at(addr)
	return of.fileWords(at, n)
}

// fileWords is words for an address in the file.
func (m *Image) fileWords(addr, n uint64) ([]byte, error) {
	raw, err := m.fileBytes(addr, n)
	if err != nil {
		return nil, err
	}
	if m.elf.Type != elf.ET_DYN {
		return raw, nil
	}
	if err := m.readRelocs(); err != nil {
		return nil, err
	}
	out := bytes.Clone(raw)
	i := sort.Search(len(m.relocs), func(i int) bool { return m.relocs[i].at >= addr })
	for ; i < len(m.relocs); i++ {
		off := m.relocs[i].at - addr
		if off >= n || n-off < 8 {
			break
		}
		binary.LittleEndian.PutUint64(out[off:], m.relocs[i].value)
	}
	return out, nil
}

func (m *Image) readRelocs() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.relocs != nil {
		return nil
	}
	relocs := []relative{}
	for _, s := range m.elf.Sections {
		// Packed relocations (SHT_RELR) need nothing: they add the load address
		// to what the file has in place.
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		data, err := contents(s)
		if err != nil {
			return fmt.Errorf("read the host's relocations: %w", err)
		}
		for ; len(data) >= 24; data = data[24:] {
			at, info := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
			addend := binary.LittleEndian.Uint64(data[16:])
			switch elf.R_X86_64(info & 0xffffffff) {
			case elf.R_X86_64_RELATIVE:
				if m.under != nil {
					addend += loadedAt
				}
				relocs = append(relocs, relative{at, addend})
			case elf.R_X86_64_64: // against a symbol
				i := info >> 32
				if (i+1)*symSize > uint64(len(m.table)) {
					return errors.New("the host's relocations are damaged")
				}
				s := m.symbol("", uint32(i))
				if m.under != nil {
					s, _ = m.find(m.nameOf(uint32(i))) // or of nobody, and then 0
				}
				relocs = append(relocs, relative{at, s.addr + addend})
			}
		}
	}
	slices.SortFunc(relocs, func(a, b relative) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	m.relocs = relocs
	return nil
}
