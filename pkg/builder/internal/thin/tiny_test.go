package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// tiny is a host of a few hundred bytes, so that every byte of it can be
// damaged.
type tiny struct {
	kind    elf.Type
	machine elf.Machine
	syms    []tinySymbol
	data    []byte // of .rodata, at tinyBase
	relocs  []relative
	edit    func(sections []elf.Section64)
}

type tinySymbol struct {
	name string
	typ  elf.SymType
	addr uint64
	size uint64
}

const tinyBase = 0x1000

// tinyHost has what a link asks for first: the runtime's module data with its
// field next, a struct of two, and a function.
func tinyHost(kind elf.Type) *tiny {
	const (
		moduledata = tinyBase
		fields     = tinyBase + 0x100
		names      = tinyBase + 0x180
		pair       = tinyBase + 0x200
		mask       = tinyBase + 0x280
	)
	t := &tiny{kind: kind, machine: elf.EM_X86_64, data: make([]byte, 0x300)}
	word := func(at, v uint64) {
		if kind == elf.ET_DYN && v >= tinyBase {
			// What a position-independent program has only after it started.
			t.relocs = append(t.relocs, relative{at, v})
			return
		}
		binary.LittleEndian.PutUint64(t.data[at-tinyBase:], v)
	}
	at := func(addr uint64) []byte { return t.data[addr-tinyBase:] }
	descriptor := func(addr, fields, count uint64) {
		word(addr, 0x250)
		word(addr+typePtrBytes, 16)
		word(addr+typeGCData, mask)
		at(addr)[typeKind] = kindStruct
		word(addr+typeSize+8, fields)
		word(addr+typeSize+16, count)
	}
	descriptor(moduledata, fields, 2)
	word(fields, names)
	word(fields+24, names+16)
	word(fields+24+16, 0x248)
	copy(at(names), "\x00\x05other")
	copy(at(names+16), "\x00\x04next")
	// The fields follow the descriptor, and the second is of the same type as
	// the first would be: a pointer's.
	descriptor(pair, pair+0x50, 1)
	word(pair+0x58, moduledata)
	at(mask)[0] = 3
	t.syms = []tinySymbol{
		{"type:runtime.moduledata", elf.STT_OBJECT, moduledata, 0x50},
		{"type:ExAmPlE1", elf.STT_OBJECT, pair, 0x68},
		{"type:.namedata.x", elf.STT_OBJECT, names, 8},
		{"runtime.lastmoduledatap", elf.STT_OBJECT, tinyBase + 0x290, 8},
		{"fmt.Println", elf.STT_FUNC, tinyBase + 0x2a0, 16},
		{"memmove.abi0", elf.STT_FUNC, tinyBase + 0x2b0, 16},
	}
	return t
}

func (t *tiny) bytes() []byte {
	strs, syms := []byte{0}, new(bytes.Buffer)
	put := func(b *bytes.Buffer, v any) { binary.Write(b, binary.LittleEndian, v) }
	put(syms, elf.Sym64{})
	for _, s := range t.syms {
		put(syms, elf.Sym64{Name: uint32(len(strs)), Info: byte(elf.STB_GLOBAL)<<4 | byte(s.typ), Shndx: 1, Value: s.addr, Size: s.size})
		strs = append(append(strs, s.name...), 0)
	}
	rela := new(bytes.Buffer)
	for _, r := range t.relocs {
		put(rela, elf.Rela64{Off: r.at, Info: uint64(elf.R_X86_64_RELATIVE), Addend: int64(r.value)})
	}
	note := append([]byte("\x04\x00\x00\x00\x05\x00\x00\x00\x04\x00\x00\x00Go\x00\x00"), "build"...)
	const names = "\x00.rodata\x00.dynsym\x00.dynstr\x00.rela.dyn\x00.note.go.buildid\x00.shstrtab\x00"
	name := func(s string) uint32 { return uint32(bytes.Index([]byte(names), []byte("\x00"+s+"\x00")) + 1) }
	contents := [][]byte{nil, t.data, syms.Bytes(), strs, rela.Bytes(), note, []byte(names)}
	heads := []elf.Section64{
		{},
		{Name: name(".rodata"), Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC), Addr: tinyBase},
		{Name: name(".dynsym"), Type: uint32(elf.SHT_DYNSYM), Flags: uint64(elf.SHF_ALLOC), Link: 3, Info: 1, Entsize: symSize},
		{Name: name(".dynstr"), Type: uint32(elf.SHT_STRTAB), Flags: uint64(elf.SHF_ALLOC)},
		{Name: name(".rela.dyn"), Type: uint32(elf.SHT_RELA), Flags: uint64(elf.SHF_ALLOC), Link: 2, Entsize: 24},
		{Name: name(".note.go.buildid"), Type: uint32(elf.SHT_NOTE)},
		{Name: name(".shstrtab"), Type: uint32(elf.SHT_STRTAB)},
	}
	off := uint64(64)
	for i, c := range contents {
		if i > 0 {
			heads[i].Off, heads[i].Size, heads[i].Addralign = off, uint64(len(c)), 1
		}
		off += uint64(len(c))
	}
	if t.edit != nil {
		t.edit(heads)
	}
	h := elf.Header64{
		Type: uint16(t.kind), Machine: uint16(t.machine), Version: 1, Shoff: off,
		Ehsize: 64, Shentsize: 64, Shnum: uint16(len(heads)), Shstrndx: uint16(len(heads) - 1),
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	out := new(bytes.Buffer)
	put(out, h)
	for _, c := range contents {
		out.Write(c)
	}
	for _, s := range heads {
		put(out, s)
	}
	return out.Bytes()
}
