package abi

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// thinFiles are plugins of Go 1.26 and 1.27 for linux/amd64, linked against a host,
// without manifest: a few functions, types, variables, and initialisers.
var thinFiles = []string{"testdata/thin-go1.26.elf", "testdata/thin-go1.27.elf"}

func readThin(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forged is a file that a test makes wrong in one point.
type forged struct {
	t *testing.T
	b []byte
	f *elf.File
}

func forge(t *testing.T, file []byte) *forged {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return &forged{t, bytes.Clone(file), f}
}

func (f *forged) u64(off int) uint64          { return binary.LittleEndian.Uint64(f.b[off:]) }
func (f *forged) set64(off int, v uint64)     { binary.LittleEndian.PutUint64(f.b[off:], v) }
func (f *forged) set32(off int, v uint32)     { binary.LittleEndian.PutUint32(f.b[off:], v) }
func (f *forged) section(name string) int     { return int(f.sectionHeader(name).Offset) }
func (f *forged) program(i, field int) int    { return 64 + 56*i + field }
func (f *forged) module(word int) int         { return f.section(".go.module") + 8*word }
func (f *forged) relocation(i, field int) int { return f.section(".rela.dyn") + 24*i + field }

func (f *forged) sectionHeader(name string) *elf.Section {
	f.t.Helper()
	s := f.f.Section(name)
	if s == nil {
		f.t.Fatalf("no section %s", name)
	}
	return s
}

// programOf gives the index of the nth segment of a type.
func (f *forged) programOf(typ elf.ProgType, n int) int {
	f.t.Helper()
	for i, p := range f.f.Progs {
		if p.Type == typ {
			if n--; n < 0 {
				return i
			}
		}
	}
	f.t.Fatalf("no segment %v", typ)
	return 0
}

// dynamic gives where the value of a dynamic entry stands.
func (f *forged) dynamic(tag elf.DynTag) int {
	f.t.Helper()
	for at := f.section(".dynamic"); ; at += 16 {
		switch elf.DynTag(f.u64(at)) {
		case tag:
			return at + 8
		case elf.DT_NULL:
			f.t.Fatalf("no dynamic entry %v", tag)
		}
	}
}

// at gives where the file has an address.
func (f *forged) at(addr uint64) int {
	f.t.Helper()
	for _, p := range f.f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr < p.Vaddr+p.Filesz {
			return int(addr - p.Vaddr + p.Off)
		}
	}
	f.t.Fatalf("nothing at %#x", addr)
	return 0
}

// relocationOf gives the index of the one that writes to an address.
func (f *forged) relocationOf(addr uint64) int {
	f.t.Helper()
	for i := range f.sectionHeader(".rela.dyn").Size / 24 {
		if f.u64(f.relocation(int(i), 0)) == addr {
			return int(i)
		}
	}
	f.t.Fatalf("no relocation at %#x", addr)
	return 0
}

// symbol gives where an entry of the symbol table stands, by the end of its name.
func (f *forged) symbol(suffix string) (at int, value uint64) {
	f.t.Helper()
	symbols, err := f.f.DynamicSymbols()
	if err != nil {
		f.t.Fatal(err)
	}
	for i, s := range symbols {
		if strings.HasSuffix(s.Name, suffix) && s.Section != elf.SHN_UNDEF {
			return f.section(".dynsym") + 24*(i+1), s.Value
		}
	}
	f.t.Fatalf("no symbol %s", suffix)
	return 0, 0
}

// initTask gives where an initialisation task with functions is.
func (f *forged) initTask() int {
	f.t.Helper()
	symbols, err := f.f.DynamicSymbols()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasSuffix(s.Name, initSuffix) && s.Section != elf.SHN_UNDEF {
			if at := f.at(s.Value); binary.LittleEndian.Uint32(f.b[at+4:]) > 0 {
				return at
			}
		}
	}
	f.t.Fatal("nothing to initialise")
	return 0
}

// Each of these ends a process that opens the file, or spoils what it opens later:
// by an assertion of the dynamic linker, a jump to nowhere, or a throw.
var killers = []struct {
	name, want string
	edit       func(f *forged)
}{
	{"segment over another", "overlaps", func(f *forged) {
		i := f.programOf(elf.PT_LOAD, 1)
		f.set64(f.program(i, 16), f.u64(f.program(i, 16))-0x2000)
	}},
	{"segment behind everything", "wants addresses", func(f *forged) { f.set64(f.program(f.programOf(elf.PT_LOAD, 1), 40), 1<<50) }},
	{"segment out of step", "maps offset", func(f *forged) {
		i := f.programOf(elf.PT_LOAD, 1)
		f.set64(f.program(i, 16), f.u64(f.program(i, 16))+8)
	}},
	{"code that cannot run", "outside of the code", func(f *forged) { f.set32(f.program(f.programOf(elf.PT_LOAD, 0), 4), uint32(elf.PF_R)) }},
	{"variables that cannot change", "not in writable memory", func(f *forged) { f.set32(f.program(f.programOf(elf.PT_LOAD, 1), 4), uint32(elf.PF_R)) }},
	{"no dynamic section", "no dynamic section", func(f *forged) { f.set32(f.program(f.programOf(elf.PT_DYNAMIC, 0), 0), 0x100) }},
	{"module data becomes read-only", "read-only", func(f *forged) {
		i := f.programOf(elf.PT_GNU_RELRO, 0)
		last := f.f.Progs[f.programOf(elf.PT_LOAD, 1)]
		f.set64(f.program(i, 40), last.Memsz)
		f.set64(f.program(f.programOf(elf.PT_LOAD, 1), 40), last.Memsz+0x2000)
		f.set64(f.program(i, 40), last.Memsz+0x1000)
	}},
	{"protects what is not its own", "not its own", func(f *forged) { f.set64(f.program(f.programOf(elf.PT_GNU_RELRO, 0), 16), 1<<30) }},
	{"notes elsewhere", "outside", func(f *forged) { f.set64(f.program(f.programOf(elf.PT_NOTE, 0), 16), 1<<30) }},

	{"dynamic section without an end", "no end", func(f *forged) {
		for at := f.section(".dynamic"); at < f.section(".dynamic")+int(f.sectionHeader(".dynamic").Size); at += 16 {
			if f.u64(at) == 0 {
				f.set64(at, uint64(elf.DT_NEEDED))
				f.set64(at+8, 1)
			}
		}
	}},
	{"an entry that nobody knows", "tag 0x3f", func(f *forged) { f.set64(f.dynamic(elf.DT_RELACOUNT)-8, 0x3f) }},
	{"two tables of symbols", "two dynamic entries", func(f *forged) { f.set64(f.dynamic(elf.DT_RELACOUNT)-8, uint64(elf.DT_SYMTAB)) }},
	{"relocations of 16 bytes", "relocations 16", func(f *forged) { f.set64(f.dynamic(elf.DT_RELAENT), 16) }},
	{"symbols of 16 bytes", "symbols have 16", func(f *forged) { f.set64(f.dynamic(elf.DT_SYMENT), 16) }},
	{"relocations without addends", "of kind 17", func(f *forged) { f.set64(f.dynamic(elf.DT_PLTREL), 17) }},
	{"size without table", "missing", func(f *forged) { f.set64(f.dynamic(elf.DT_RELASZ)-8, uint64(elf.DT_DEBUG)) }},
	{"fewer relocations", ".rela.dyn", func(f *forged) { f.set64(f.dynamic(elf.DT_RELASZ), f.u64(f.dynamic(elf.DT_RELASZ))-24) }},
	{"more relative ones than there are", "more relative", func(f *forged) { f.set64(f.dynamic(elf.DT_RELACOUNT), 1<<20) }},
	{"a copy of its own of everything", "its own copies", func(f *forged) { f.set64(f.dynamic(elf.DT_FLAGS), 2) }},
	{"table of symbols elsewhere", ".dynsym", func(f *forged) { f.set64(f.dynamic(elf.DT_SYMTAB), f.u64(f.dynamic(elf.DT_SYMTAB))+24) }},
	{"initialisers elsewhere", ".init_array", func(f *forged) { f.set64(f.dynamic(elf.DT_INIT_ARRAY), f.u64(f.dynamic(elf.DT_INIT_ARRAY))+8) }},
	{"no initialiser", ".init_array", func(f *forged) { f.set64(f.dynamic(elf.DT_INIT_ARRAYSZ), 0) }},
	{"initialiser is data", "no code", func(f *forged) {
		f.set64(f.relocation(f.relocationOf(f.sectionHeader(".init_array").Addr), 16), f.sectionHeader(".go.module").Addr)
	}},
	{"initialiser is not relocated", "no code", func(f *forged) {
		f.set64(f.relocation(f.relocationOf(f.sectionHeader(".init_array").Addr), 0), f.sectionHeader(".go.module").Addr)
	}},

	{"hash table without buckets", "0 buckets", func(f *forged) { f.set32(f.section(".gnu.hash"), 0) }},
	{"hash table with three words", "3 words", func(f *forged) { f.set32(f.section(".gnu.hash")+8, 3) }},
	{"hash chain without an end", "hash table", func(f *forged) {
		last := f.section(".gnu.hash") + int(f.sectionHeader(".gnu.hash").Size) - 4
		f.b[last] &^= 1
	}},
	{"filter that finds nothing", "does not find", func(f *forged) { f.set64(f.section(".gnu.hash")+16, 0) }},
	{"name that is another", "does not find", func(f *forged) {
		f.b[f.section(".dynstr")+bytes.Index(f.b[f.section(".dynstr"):], []byte("HotgoSymbols"))]++
	}},
	{"hidden symbol", "visibility 2", func(f *forged) { at, _ := f.symbol("HotgoSymbols"); f.b[at+5] = 2 }},
	{"function outside of the code", "outside of the code", func(f *forged) { at, _ := f.symbol("HotgoSymbols"); f.set64(at+8, f.sectionHeader(".go.module").Addr) }},
	{"variable outside of everything", "outside of what is loaded", func(f *forged) { at, _ := f.symbol("..inittask"); f.set64(at+8, 1<<30) }},

	{"writes to code", "nothing can be written", func(f *forged) { f.set64(f.relocation(0, 0), f.sectionHeader(".text").Addr) }},
	{"writes to the dynamic section", "dynamic section", func(f *forged) { f.set64(f.relocation(0, 0), f.sectionHeader(".dynamic").Addr) }},
	{"copies", "do not write", func(f *forged) { f.set32(f.relocation(int(f.sectionHeader(".rela.dyn").Size/24)-1, 8), 5) }},
	{"is not relative", "counted", func(f *forged) { f.set32(f.relocation(0, 8), 1) }},
	{"leads out", "leads out of the file", func(f *forged) { f.set64(f.relocation(0, 16), 1<<40) }},
	{"names no symbol", "not there", func(f *forged) { f.set32(f.relocation(int(f.sectionHeader(".rela.dyn").Size/24)-1, 12), 1<<20) }},

	{"module has another after it", "not empty", func(f *forged) { f.set64(f.module(int(f.sectionHeader(".go.module").Size/8)-1), 8) }},
	{"module was opened", "not empty", func(f *forged) { f.set64(f.module(int(f.sectionHeader(".go.module").Size/8)-2), 8) }},
	{"module is bad", "not empty", func(f *forged) { f.b[f.module(int(f.sectionHeader(".go.module").Size/8)-7)+1] = 1 }},
	{"slice longer than it is", "capacity", func(f *forged) { f.set64(f.module(mdFtab+1), 1<<32) }},
	{"more exported names than there are", "ptab", func(f *forged) {
		at := f.module(int(f.sectionHeader(".go.module").Size/8) - mdWords + mdPtab + 1)
		f.set64(at, f.u64(at)^1<<11)
	}},
	{"function table of another release", "another header", func(f *forged) { f.b[f.at(f.u64(f.module(mdPCHeader)))]++ }},
	{"functions not sorted", "sorted", func(f *forged) {
		end := f.at(f.u64(f.module(mdFtab))) + 8*int(f.u64(f.module(mdFtab+1))-1)
		f.set32(end, 0)
	}},
	{"function without description", "description", func(f *forged) { f.set32(f.at(f.u64(f.module(mdFtab)))+4, 1<<30) }},
	{"function without lines", "lines", func(f *forged) {
		at := f.at(f.u64(f.module(mdPclntable))) + int(binary.LittleEndian.Uint32(f.b[f.at(f.u64(f.module(mdFtab)))+4:]))
		f.set32(at+16, 1<<30)
	}},
	{"initialiser has begun", "state 1", func(f *forged) { f.set32(f.initTask(), 1) }},
	{"initialiser without end", "functions", func(f *forged) { f.set32(f.initTask()+4, 1<<11) }},
	{"section where its bytes are not", ".dynsym", func(f *forged) {
		for i, s := range f.f.Sections {
			if s.Name == ".dynsym" {
				f.set64(int(f.u64(40))+64*i+24, s.Offset+24)
			}
		}
	}},
}

// The runtime of Go 1.27 walks types and interface tables by lengths in the module
// data: one that is a little wrong makes it take something else for a type.
func TestWalksEndWhereTheirSubjectEnds(t *testing.T) {
	file := readThin(t, thinFiles[1])
	for _, word := range []int{mdDescLen127, mdItabOff127, mdItabSize127} {
		for bit := range 64 {
			f := forge(t, file)
			f.set64(f.module(word), f.u64(f.module(word))^1<<bit)
			if f.u64(f.module(mdItabSize127)) == 0 {
				continue // nothing is walked then
			}
			if err := CheckLoadable(bytes.NewReader(f.b), int64(len(f.b))); !isReason(err, Malformed) {
				t.Errorf("word %d, bit %d: %v", word, bit, err)
			}
		}
	}
}

func TestWhatWouldEndTheProcessIsMalformed(t *testing.T) {
	for _, name := range thinFiles {
		file := readThin(t, name)
		if err := CheckLoadable(bytes.NewReader(file), int64(len(file))); err != nil {
			t.Fatalf("%s as it was built: %v", name, err)
		}
		for _, c := range killers {
			f := forge(t, file)
			c.edit(f)
			err := CheckLoadable(bytes.NewReader(f.b), int64(len(f.b)))
			if !isReason(err, Malformed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s: %v, want %q in it", name, c.name, err, c.want)
			}
		}
	}
}

// Whatever the bytes are, the check ends with no error or an *Error, reads no more
// than it may, and does not need its safety net.
func FuzzCheckLoadable(f *testing.F) {
	for _, name := range thinFiles {
		f.Add(readThin(f, name), uint32(0), uint64(0))
	}
	f.Add(plugin().build(), uint32(0), uint64(0))
	f.Fuzz(func(t *testing.T, file []byte, at uint32, flip uint64) {
		if n := len(file) - 8; n > 0 { // a word of the file, so that mutations get further than its first table
			i := int(at) % n
			file = bytes.Clone(file)
			binary.LittleEndian.PutUint64(file[i:], binary.LittleEndian.Uint64(file[i:])^flip)
		}
		counter := &countingReader{r: bytes.NewReader(file)}
		err := CheckLoadable(counter, int64(len(file)))
		if limit := 2*len(file) + maxReread; counter.n > limit {
			t.Errorf("read %d bytes of a file of %d", counter.n, len(file))
		}
		var e *Error
		if err != nil && (!asError(err, &e) || e.Reason == "" || strings.Contains(err.Error(), "checking its tables failed")) {
			t.Errorf("%T: %v", err, err)
		}
	})
}
