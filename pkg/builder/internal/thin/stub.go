package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"sort"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// stubName is the file name of every stub. The linker derives a symbol from
// it, and identical input is to give identical artifacts.
const stubName = "libhost.so"

// abiHash is the hash that the linker reads from the stub and puts into the
// artifact, where the runtime compares it with the one of the "library" that is
// loaded. There is none, so the artifact brings both sides along
// (loader.go); the check that means something is the one of package hashes.
const abiHash = "hotgo thin host stub"

// # The stub
//
// This is what the Go linker reads of a shared library (cmd/link/internal/ld,
// Go 1.26 and 1.27: lib.go ldshlibsyms, decodesym.go):
//
//   - dynamic symbols, with functions under names that tell the ABI;
//   - for types: the bytes of the descriptor, and for array and struct types
//     the relocations that say which descriptors they consist of;
//   - the bytes of pointer bitmaps, which descriptors refer to by address;
//   - two notes: a hash and the names of further libraries.
//
// So the stub has a section for each such piece of bytes, at the address where
// the host has it, and nothing else of the host.
type stub struct {
	image    *Image
	sections []stubSection
	symbols  []elf.Sym64
	names    []string
	entries  map[uint64]int // address of a type -> index of its symbol
	queue    []stubType
	have     map[string]bool
}

type stubSection struct {
	name  string
	head  elf.Section64
	bytes []byte
}

type stubType struct {
	name string
	sym  symbol
}

// waiting marks a type that has no symbol yet and is in the queue for one.
const waiting = -1

// anywhere is the section of symbols of which only the name counts.
const anywhere = 1

// writeStub writes the description of a part of the host to a file.
func writeStub(m *Image, file string, need map[nameABI]symbol) error {
	data, err := describeHost(m, need)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// describeHost describes the given part of the host.
func describeHost(m *Image, need map[nameABI]symbol) ([]byte, error) {
	s := &stub{image: m, entries: map[uint64]int{}, have: map[string]bool{}}
	s.section("", elf.SHT_NULL, 0, nil)
	s.section(".host", elf.SHT_NOBITS, 0, nil)
	s.sections[anywhere].head.Size = 1
	s.symbol("", 0, 0, 0, 0)

	keys := make([]nameABI, 0, len(need))
	for k := range need {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].name != keys[j].name {
			return keys[i].name < keys[j].name
		}
		return keys[i].abi < keys[j].abi
	})
	for _, k := range keys {
		s.add(k, need[k])
	}
	// The linker replaces pruned initialisers of maps by this function, and
	// wants to see it before it knows whether there are any.
	s.symbol("runtime.mapinitnoop.abiinternal", elf.STT_FUNC, anywhere, 0, 1)
	s.symbol("go:link.abihash."+stubName, elf.STT_OBJECT, anywhere, 0, 16)
	if err := s.types(); err != nil {
		return nil, err
	}
	s.note(".note.go.abihash", 2, abiHash)
	s.note(".note.go.deps", 3, "")
	// The four that bytes adds come on top.
	if n := len(s.sections) + 4; n >= int(elf.SHN_LORESERVE) {
		return nil, unfit("it uses too much of the host: %d types and pointer masks", n)
	}
	return s.bytes(), nil
}

func (s *stub) add(k nameABI, sym symbol) {
	switch {
	case strings.HasSuffix(k.name, "..inittask"):
		// The linker skips a package of a library whose task is not larger
		// than its header: the host has run it (inittask.go).
		s.symbol(k.name, elf.STT_OBJECT, anywhere, 0, 8)
	case !sym.function():
		if isDescriptor(k.name) {
			s.typ(k.name, sym)
			return
		}
		s.symbol(k.name, elf.STT_OBJECT, anywhere, sym.addr, sym.size)
	case strings.HasPrefix(k.name, "type:"):
		s.symbol(k.name, elf.STT_FUNC, anywhere, sym.addr, sym.size)
	case k.abi == goobj.ABIInternal:
		s.symbol(k.name+".abiinternal", elf.STT_FUNC, anywhere, sym.addr, sym.size)
	default:
		s.symbol(sym.name, elf.STT_FUNC, anywhere, sym.addr, sym.size)
	}
}

func (s *stub) symbol(name string, typ elf.SymType, section uint16, addr, size uint64) int {
	s.symbols = append(s.symbols, elf.Sym64{
		Info: byte(elf.STB_GLOBAL)<<4 | byte(typ), Shndx: section, Value: addr, Size: size,
	})
	s.names = append(s.names, name)
	return len(s.symbols) - 1
}

// typ adds a type descriptor; types adds what it consists of.
func (s *stub) typ(name string, sym symbol) {
	if s.have[name] {
		return
	}
	s.have[name] = true
	s.queue = append(s.queue, stubType{name, sym})
}

// Offsets in a type descriptor (internal/abi/type.go, Go 1.26 and 1.27: Type).
const (
	typePtrBytes = 8
	typeFlags    = 20
	typeKind     = 23
	typeGCData   = 32
	typeSize     = 48

	flagUncommon       = 1 << 0
	flagGCMaskOnDemand = 1 << 4
	kindMask           = 1<<5 - 1
	kindArray          = 17
	kindStruct         = 25
)

func (s *stub) types() error {
	type slot struct {
		at     uint64
		target uint64
	}
	var slots []slot
	for len(s.queue) > 0 {
		t := s.queue[0]
		s.queue = s.queue[1:]
		if t.sym.size < typeSize {
			return unfit("the host's descriptor of %s is too short", t.name)
		}
		data, err := s.image.words(t.sym.addr, t.sym.size)
		if err != nil {
			return unfit("the host's descriptor of %s: %w", t.name, err)
		}
		index := s.section(".type", elf.SHT_PROGBITS, t.sym.addr, data)
		entry := s.symbol(t.name, elf.STT_OBJECT, uint16(index), t.sym.addr, t.sym.size)
		if i, ok := s.entries[t.sym.addr]; !ok || i == waiting {
			s.entries[t.sym.addr] = entry
		}
		if data[typeFlags]&flagGCMaskOnDemand == 0 {
			if n := binary.LittleEndian.Uint64(data[typePtrBytes:]); n > 0 {
				addr := binary.LittleEndian.Uint64(data[typeGCData:])
				mask, err := s.image.bytes(addr, (n/8+7)/8)
				if err != nil {
					return unfit("the host's pointer mask of %s: %w", t.name, err)
				}
				s.section(".mask", elf.SHT_PROGBITS, addr, mask)
			}
		}
		if kind := data[typeKind] & kindMask; kind != kindArray && kind != kindStruct {
			continue
		}
		// The linker works the bitmap of a variable out from the elements and
		// fields of its type (data.go: GCProg.AddType).
		for off := uint64(typeSize); off+8 <= uint64(len(data)); off += 8 {
			addr := binary.LittleEndian.Uint64(data[off:])
			if part, ok := s.image.typeAt(addr); ok {
				slots = append(slots, slot{t.sym.addr + off, addr})
				if _, ok := s.entries[addr]; !ok {
					s.entries[addr] = waiting
					s.queue = append(s.queue, stubType{s.image.nameAt(addr), part})
				}
			}
		}
	}
	// The linker insists on a table of relocations.
	rela := make([]byte, 0, 24*len(slots)+24)
	put := func(at uint64, sym int) {
		rela = binary.LittleEndian.AppendUint64(rela, at)
		rela = binary.LittleEndian.AppendUint64(rela, uint64(sym)<<32|uint64(elf.R_X86_64_64))
		rela = binary.LittleEndian.AppendUint64(rela, 0)
	}
	put(0, 1)
	for _, sl := range slots {
		put(sl.at, s.entries[sl.target])
	}
	i := s.section(".rela.dyn", elf.SHT_RELA, 0, rela)
	s.sections[i].head.Entsize = 24
	return nil
}

func (s *stub) section(name string, typ elf.SectionType, addr uint64, data []byte) int {
	s.sections = append(s.sections, stubSection{
		name: name, bytes: data,
		head: elf.Section64{Type: uint32(typ), Addr: addr, Size: uint64(len(data)), Addralign: 1},
	})
	return len(s.sections) - 1
}

// note adds a note as the linker reads them (cmd/link/internal/ld/lib.go,
// readnote): the name is "Go\0\0".
func (s *stub) note(name string, tag uint32, desc string) {
	b := binary.LittleEndian.AppendUint32(nil, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, tag)
	b = append(b, "Go\x00\x00"+desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	s.section(name, elf.SHT_NOTE, 0, b)
}

// put appends a record as ELF has it. Neither a buffer nor a record of fixed
// size can fail.
func put(b *bytes.Buffer, record any) { _ = binary.Write(b, binary.LittleEndian, record) }

func (s *stub) bytes() []byte {
	strs := []byte{0}
	table := new(bytes.Buffer)
	for i, sym := range s.symbols {
		if i > 0 {
			sym.Name = uint32(len(strs))
			strs = append(append(strs, s.names[i]...), 0)
		}
		put(table, sym)
	}
	str := s.section(".dynstr", elf.SHT_STRTAB, 0, strs)
	dyn := s.section(".dynsym", elf.SHT_DYNSYM, 0, table.Bytes())
	s.sections[dyn].head.Link, s.sections[dyn].head.Info, s.sections[dyn].head.Entsize = uint32(str), 1, symSize
	for i := range s.sections {
		if s.sections[i].head.Type == uint32(elf.SHT_RELA) {
			s.sections[i].head.Link = uint32(dyn)
		}
	}
	shstr := s.section(".shstrtab", elf.SHT_STRTAB, 0, nil)
	names := []byte{0}
	for i := range s.sections {
		s.sections[i].head.Name = uint32(len(names))
		names = append(append(names, s.sections[i].name...), 0)
	}
	s.sections[shstr].bytes, s.sections[shstr].head.Size = names, uint64(len(names))

	const headerSize = 64
	body := new(bytes.Buffer)
	for i := range s.sections {
		s.sections[i].head.Off = headerSize + uint64(body.Len())
		body.Write(s.sections[i].bytes)
	}
	for body.Len()%8 != 0 {
		body.WriteByte(0)
	}
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: headerSize + uint64(body.Len()),
		Ehsize: headerSize, Shentsize: 64, Shnum: uint16(len(s.sections)), Shstrndx: uint16(shstr),
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	out := new(bytes.Buffer)
	put(out, h)
	out.Write(body.Bytes())
	for i := range s.sections {
		put(out, s.sections[i].head)
	}
	return out.Bytes()
}

// nextOffset gives the offset of field next in the runtime's moduledata. It
// moves with the release, so the host's own type descriptor is read
// (internal/abi/type.go, Go 1.26 and 1.27: StructType, StructField, Name).
func (m *Image) nextOffset() (uint64, error) {
	sym, ok := m.find("type:runtime.moduledata")
	if !ok || sym.size < typeSize+8*4 {
		return 0, unfit("the host has no type runtime.moduledata")
	}
	data, err := m.words(sym.addr, sym.size)
	if err != nil {
		return 0, unfit("the host's runtime.moduledata: %w", err)
	}
	if data[typeKind]&kindMask != kindStruct {
		return 0, unfit("the host's runtime.moduledata is no struct")
	}
	fields := binary.LittleEndian.Uint64(data[typeSize+8:])
	count := binary.LittleEndian.Uint64(data[typeSize+16:])
	for i := range min(count, 1000) {
		f, err := m.words(fields+i*24, 24)
		if err != nil {
			return 0, unfit("the host's runtime.moduledata: %w", err)
		}
		name, err := m.bytes(binary.LittleEndian.Uint64(f), 6) // flags, length, "next"
		if err != nil {
			return 0, unfit("the host's runtime.moduledata: %w", err)
		}
		if name[1] == 4 && string(name[2:]) == "next" {
			return binary.LittleEndian.Uint64(f[16:]), nil
		}
	}
	return 0, unfit("the host's runtime.moduledata has no field next")
}

// nameAt gives the name of the type descriptor at an address.
func (m *Image) nameAt(addr uint64) string {
	of, at := m.at(addr)
	i, ok := of.types[at]
	if !ok {
		return ""
	}
	return of.nameOf(i)
}
