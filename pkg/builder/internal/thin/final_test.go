package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// linkerObject is what the Go linker writes, in small.
func linkerObject() []byte {
	type sym struct {
		name string
		bind elf.SymBind
		shn  uint16
	}
	syms := []sym{
		{"", 0, 0},
		{"local.abiinternal", elf.STB_LOCAL, 1},
		{"runtime.tlsg", elf.STB_GLOBAL, 2},
		{"fmt.Println.abiinternal", elf.STB_GLOBAL, 0},
		{"memmove.abi0", elf.STB_GLOBAL, 0},
		{"own.abiinternal", elf.STB_GLOBAL, 1},
		{"own.hidden", elf.STB_GLOBAL, 1},
		{"own.shown", elf.STB_GLOBAL, 1},
	}
	strs, table := []byte{0}, new(bytes.Buffer)
	put := func(b *bytes.Buffer, v any) { binary.Write(b, binary.LittleEndian, v) }
	for i, s := range syms {
		e := elf.Sym64{Info: byte(s.bind)<<4 | byte(elf.STT_FUNC), Shndx: s.shn, Value: uint64(8 * i), Size: 8}
		if i > 0 {
			e.Name = uint32(len(strs))
			strs = append(append(strs, s.name...), 0)
		}
		put(table, e)
	}
	names := []byte("\x00.text\x00.tbss\x00.symtab\x00.strtab\x00")
	out := new(bytes.Buffer)
	off := func(b []byte) uint64 { o := uint64(out.Len()); out.Write(b); return o }
	out.Write(make([]byte, 64))
	heads := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: off([]byte("12345678")), Size: 8},
		{Name: 7, Type: uint32(elf.SHT_NOBITS), Flags: uint64(elf.SHF_TLS | elf.SHF_ALLOC), Size: 8},
		{Name: 13, Type: uint32(elf.SHT_SYMTAB), Off: off(table.Bytes()), Size: uint64(table.Len()), Link: 4, Info: 2, Entsize: symSize},
		{Name: 21, Type: uint32(elf.SHT_STRTAB), Off: off(strs), Size: uint64(len(strs))},
		{Name: 21, Type: uint32(elf.SHT_STRTAB), Off: off(names), Size: uint64(len(names))},
	}
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: uint64(out.Len()),
		Ehsize: 64, Shentsize: 64, Shnum: uint16(len(heads)), Shstrndx: uint16(len(heads) - 1),
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	for _, s := range heads {
		put(out, s)
	}
	data := out.Bytes()
	head := new(bytes.Buffer)
	put(head, h)
	copy(data, head.Bytes())
	return data
}

func hides(name string) elf.SymVis {
	switch {
	case strings.HasSuffix(name, "hidden"):
		return elf.STV_HIDDEN
	case strings.HasSuffix(name, "shown"):
		return elf.STV_PROTECTED
	}
	return elf.STV_DEFAULT
}

func TestFinishedObjectRefersToTheHost(t *testing.T) {
	data := linkerObject()
	if err := edit(data, hides); err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]elf.Symbol{}
	for _, s := range syms {
		byName[s.Name] = s
	}
	for _, name := range []string{"local.abiinternal", "fmt.Println", "memmove.abi0", "own.abiinternal"} {
		if s, ok := byName[name]; !ok || elf.ST_VISIBILITY(s.Other) != elf.STV_DEFAULT {
			t.Errorf("%s: %+v, %v", name, s, ok)
		}
	}
	if s := byName["runtime.tlsg"]; s.Section != elf.SHN_UNDEF || s.Value != 0 || s.Size != 0 || elf.ST_BIND(s.Info) != elf.STB_GLOBAL {
		t.Errorf("the artifact keeps a slot of its own for each thread: %+v", s)
	}
	if s := byName["own.hidden"]; elf.ST_VISIBILITY(s.Other) != elf.STV_HIDDEN || s.Section != 1 {
		t.Errorf("own.hidden: %+v", s)
	}
	if s := byName["own.shown"]; elf.ST_VISIBILITY(s.Other) != elf.STV_PROTECTED || s.Section != 1 {
		t.Errorf("own.shown: %+v", s)
	}
	if f.Sections[2].Size != 0 {
		t.Errorf("%d bytes for each thread are left", f.Sections[2].Size)
	}
	again := bytes.Clone(data)
	if err := edit(again, hides); err != nil || !bytes.Equal(again, data) {
		t.Errorf("a finished object is edited again (%v)", err)
	}
}

func TestDamagedObjectIsRefused(t *testing.T) {
	whole := linkerObject()
	for n := range len(whole) {
		if err := edit(bytes.Clone(whole[:n]), func(string) elf.SymVis { return elf.STV_HIDDEN }); err == nil {
			t.Fatalf("the first %d bytes are taken for all", n)
		}
	}
}

// FuzzEdit holds that no object makes edit write where it should not: it fails,
// or the object has the size and the sections that it had.
func FuzzEdit(f *testing.F) {
	f.Add(linkerObject())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		before := bytes.Clone(data)
		if err := edit(data, func(name string) elf.SymVis { return elf.SymVis(len(name) % 4) }); err != nil {
			return
		}
		if len(data) != len(before) || string(data[:6]) != string(before[:6]) {
			t.Fatal("the object's beginning changed")
		}
	})
}
