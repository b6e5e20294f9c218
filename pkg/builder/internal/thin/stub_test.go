package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// checkStub reads a stub the way the Go linker reads it: what it relies on has
// to be there (cmd/link/internal/ld/lib.go, Go 1.26 and 1.27: ldshlibsyms).
func checkStub(t *testing.T, stub []byte, need map[nameABI]symbol) *elf.File {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(stub))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]elf.Symbol{}
	for _, s := range syms {
		byName[s.Name] = s
		if int(s.Section) >= len(f.Sections) {
			t.Fatalf("%s is in section %d of %d", s.Name, s.Section, len(f.Sections))
		}
		if elf.ST_TYPE(s.Info) == elf.STT_OBJECT && isDescriptor(s.Name) {
			sec := f.Sections[s.Section]
			data := make([]byte, s.Size)
			if _, err := sec.ReadAt(data, int64(s.Value-sec.Addr)); err != nil && err != io.EOF || uint64(len(data)) != sec.Size {
				t.Fatalf("descriptor %s: %v", s.Name, err)
			}
		}
	}
	for k, s := range need {
		name := k.name
		switch {
		case strings.HasSuffix(name, "..inittask"):
			if byName[name].Size != 8 {
				t.Errorf("the linker would run %s again", name)
			}
		case s.function() && !strings.HasPrefix(name, "type:"):
			if k.abi == goobj.ABIInternal {
				name += ".abiinternal"
			} else {
				name = s.name
			}
		}
		if _, ok := byName[name]; !ok {
			t.Errorf("%q is missing", name)
		}
	}
	for _, name := range []string{"runtime.mapinitnoop.abiinternal", "go:link.abihash." + stubName} {
		if _, ok := byName[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if _, ok := byName["runtime.addmoduledata.abiinternal"]; ok {
		t.Error("the linker would call a function that hosts do not have")
	}
	notes := map[uint32]string{}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		b, err := s.Data()
		if err != nil || len(b) < 16 || string(b[12:16]) != "Go\x00\x00" {
			t.Fatalf("note %s: %q, %v", s.Name, b, err)
		}
		notes[binary.LittleEndian.Uint32(b[8:])] = string(b[16:][:binary.LittleEndian.Uint32(b[4:])])
	}
	if deps, ok := notes[3]; notes[2] != abiHash || deps != "" || !ok {
		t.Errorf("notes %v", notes)
	}
	rela := f.SectionByType(elf.SHT_RELA)
	if rela == nil {
		t.Fatal("the linker insists on a table of relocations")
	}
	table, err := rela.Data()
	if err != nil || len(table) == 0 || len(table)%24 != 0 {
		t.Fatalf("relocations: %d bytes, %v", len(table), err)
	}
	for ; len(table) > 0; table = table[24:] {
		if i := binary.LittleEndian.Uint64(table[8:]) >> 32; i == 0 || i > uint64(len(syms)) {
			t.Fatalf("a relocation is against symbol %d of %d", i, len(syms))
		}
	}
	return f
}

func TestStubSaysWhatStructsConsistOf(t *testing.T) {
	m, err := newImage(bytes.NewReader(tinyHost(elf.ET_DYN).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := m.find("type:ExAmPlE1")
	function, _ := m.find("fmt.Println")
	assembly, _ := m.find("memmove.abi0")
	need := map[nameABI]symbol{
		{"type:example.com/a.Pair", goobj.ABI0}: s, // under the name that objects have
		{"fmt.Println", goobj.ABIInternal}:      function,
		{"memmove", goobj.ABI0}:                 assembly,
		{"example.com/a..inittask", goobj.ABI0}: {},
		{"runtime.lastmoduledatap", goobj.ABI0}: {addr: 1, size: 8},
		{"type:.eq.example", goobj.ABIInternal}: {info: byte(elf.STT_FUNC)},
		{"type:runtime.moduledata", goobj.ABI0}: mustFind(t, m, "type:runtime.moduledata"),
		{"example.com/b..inittask", goobj.ABI0}: {size: 48},
		{"example.com/a.Large", goobj.ABI0}:     {size: 1 << 40},
	}
	stub, err := describeHost(m, need)
	if err != nil {
		t.Fatal(err)
	}
	f := checkStub(t, stub, need)
	// The field's type is found by the relocation on the slot that names it.
	syms, _ := f.DynamicSymbols()
	rela, _ := f.SectionByType(elf.SHT_RELA).Data()
	found := false
	for ; len(rela) > 0; rela = rela[24:] {
		if binary.LittleEndian.Uint64(rela) == s.addr+0x58 {
			i := binary.LittleEndian.Uint64(rela[8:]) >> 32
			found = true
			if name := syms[i-1].Name; name != "type:runtime.moduledata" {
				t.Errorf("the field is of type %s", name)
			}
		}
	}
	if !found {
		t.Error("nothing says of what type the field is")
	}
	// So does the mask, by its address.
	mask := false
	for _, sec := range f.Sections {
		if sec.Addr == tinyBase+0x280 {
			data, err := sec.Data()
			mask = err == nil && len(data) == 1 && data[0] == 3
		}
	}
	if !mask {
		t.Error("the pointer mask is missing")
	}
	// Maps have no order, and artifacts are to be the same each time.
	for range 10 {
		again, err := describeHost(m, need)
		if err != nil || !bytes.Equal(again, stub) {
			t.Fatalf("the same host is described in two ways (%v)", err)
		}
	}
}

func mustFind(t *testing.T, m *Image, name string) symbol {
	t.Helper()
	s, ok := m.find(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return s
}

// A real host has every shape that types have.
func TestStubOfAWholeHostCanBeRead(t *testing.T) {
	m, err := OpenImage(buildHost(t, "go").path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	need := map[nameABI]symbol{}
	for name := range m.names {
		s := mustFind(t, m, name)
		abi := uint16(goobj.ABIInternal)
		if !s.function() || strings.HasSuffix(name, ".abi0") {
			abi = goobj.ABI0
		}
		need[nameABI{strings.TrimSuffix(name, ".abi0"), abi}] = s
	}
	stub, err := describeHost(m, need)
	if err != nil {
		t.Fatal(err)
	}
	checkStub(t, stub, need)
}
