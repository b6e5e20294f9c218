package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFieldNextIsWhereTheReleaseHasIt(t *testing.T) {
	// runtime/symtab.go, moduledata.
	known := map[string]uint64{"go1.26.8": 0x248, "go1.27.1": 0x230}
	for version, gocmd := range releases(t) {
		for _, flags := range [][]string{nil, {"-buildmode=pie"}} {
			t.Run(version+strings.Join(flags, " "), func(t *testing.T) {
				m, err := OpenImage(buildHost(t, gocmd, flags...).path)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				next, err := m.nextOffset()
				if err != nil {
					t.Fatal(err)
				}
				if want, ok := known[version]; ok && next != want || next == 0 || next > 0x1000 {
					t.Errorf("next is at %#x, want %#x", next, want)
				}
			})
		}
	}
}

func TestImageOutlivesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host")
	if err := os.WriteFile(path, tinyHost(elf.ET_EXEC).bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := OpenImage(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if next, err := m.nextOffset(); err != nil || next != 0x248 {
		t.Errorf("%#x, %v", next, err)
	}
	if id := m.BuildID(); id != "build" {
		t.Errorf("build ID %q", id)
	}
}

func TestRelocatedHostReadsLikeAFixedOne(t *testing.T) {
	fixed, err := newImage(bytes.NewReader(tinyHost(elf.ET_EXEC).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	moved, err := newImage(bytes.NewReader(tinyHost(elf.ET_DYN).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	// From the middle of a word to the middle of another: only whole words
	// are relocated, and those are asked for.
	for _, at := range [][2]uint64{{tinyBase, 0x300}, {tinyBase + 0x20, 8}, {tinyBase + 0x200, 0x68}} {
		want, err := fixed.words(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := moved.words(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%#x: got %x, want %x", at, got, want)
		}
	}
	if next, err := moved.nextOffset(); err != nil || next != 0x248 {
		t.Errorf("%#x, %v", next, err)
	}
}

func TestOnlyDescriptorsAreTypes(t *testing.T) {
	m, err := newImage(bytes.NewReader(tinyHost(elf.ET_EXEC).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.types) != 2 {
		t.Errorf("types %v", m.types)
	}
	if s, ok := m.typeAt(tinyBase + 0x180); ok {
		t.Errorf("a field's name is the type %+v", s)
	}
}

func TestWhatIsNoHostIsUnfit(t *testing.T) {
	rows := []struct {
		name   string
		edit   func(*tiny)
		cut    int // bytes that are left, 0 for all
		reason string
	}{
		{name: "empty", cut: -1, reason: "no ELF file"},
		{name: "header only", cut: 64, reason: "no ELF file"},
		{name: "cut in half", cut: 600, reason: "no ELF file"},
		{name: "arm64", edit: func(t *tiny) { t.machine = elf.EM_AARCH64 }, reason: "binary for EM_AARCH64"},
		{
			name:   "static",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[2].Type = uint32(elf.SHT_PROGBITS) } },
			reason: "no dynamic symbols",
		},
		{
			name:   "names elsewhere",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[2].Link = 99 } },
			reason: "no dynamic symbols",
		},
		{
			name:   "huge symbols",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[2].Size = 1 << 62 } },
			reason: "dynamic symbols",
		},
		{
			name:   "huge names",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[3].Size = 1 << 40 } },
			reason: "dynamic symbols",
		},
		{
			name:   "compressed symbols",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[2].Flags |= uint64(elf.SHF_COMPRESSED) } },
			reason: "",
		},
		{
			name:   "symbols without bytes",
			edit:   func(t *tiny) { t.edit = func(s []elf.Section64) { s[3].Type = uint32(elf.SHT_NOBITS) } },
			reason: "dynamic symbols",
		},
	}
	for _, row := range rows {
		host := tinyHost(elf.ET_EXEC)
		if row.edit != nil {
			row.edit(host)
		}
		data := host.bytes()
		switch {
		case row.cut < 0:
			data = nil
		case row.cut > 0:
			data = data[:row.cut]
		}
		path := filepath.Join(t.TempDir(), "host")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenImage(path)
		var u *Unfit
		if !errors.As(err, &u) || !strings.Contains(u.Reason, row.reason) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if _, err := OpenImage(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	// A program that cannot load plugins exports nothing.
	if _, err := OpenImage(os.Args[0]); err != nil {
		var u *Unfit
		if !errors.As(err, &u) {
			t.Errorf("the test itself: %v", err)
		}
	}
}

// FuzzOpenImage holds that a host, whatever it is, is either refused or
// described by a file that can be read.
func FuzzOpenImage(f *testing.F) {
	for _, kind := range []elf.Type{elf.ET_EXEC, elf.ET_DYN} {
		f.Add(tinyHost(kind).bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		m, err := newImage(bytes.NewReader(data))
		var u *Unfit
		if err != nil {
			if !errors.As(err, &u) {
				t.Fatalf("%v is no *Unfit", err)
			}
			return
		}
		m.BuildID()
		if _, err := m.nextOffset(); err != nil && !errors.As(err, &u) {
			t.Fatalf("%v is no *Unfit", err)
		}
		need := map[nameABI]symbol{}
		for name := range m.names {
			s, ok := m.find(name)
			if !ok {
				t.Fatalf("%q is there and is not found", name)
			}
			need[nameABI{name, uint16(len(need) % 2)}] = s
		}
		stub, err := describeHost(m, need)
		if err != nil {
			if !errors.As(err, &u) {
				t.Fatalf("%v is no *Unfit", err)
			}
			return
		}
		checkStub(t, stub, need)
	})
}

// TestHostComesBeforeWhatItLoaded holds an image of both against what the dynamic
// linker does: a name that both have is the host's, and nothing is at the same
// address.
func TestHostComesBeforeWhatItLoaded(t *testing.T) {
	host, err := newImage(bytes.NewReader(tinyHost(elf.ET_EXEC).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	file := tinyHost(elf.ET_DYN)
	const pair, function = tinyBase + 0x200, tinyBase + 0x2a0
	file.syms = []tinySymbol{
		{"fmt.Println", elf.STT_FUNC, tinyBase + 8, 16},
		{"own.F", elf.STT_FUNC, function, 16},
		{"type:OwNtYpE1", elf.STT_OBJECT, pair, 0x68},
	}
	m, err := newImage(bytes.NewReader(file.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	m.under = host
	want, _ := host.find("fmt.Println")
	if s, ok := m.find("fmt.Println"); !ok || s != want {
		t.Errorf("fmt.Println is %+v, in the host %+v", s, want)
	}
	if s, ok := m.find("own.F"); !ok || s.addr != loadedAt+function || !m.Has("own.F") || host.Has("own.F") {
		t.Errorf("own.F is %+v, %v", s, ok)
	}
	if addr, code, ok := m.Function("own.F"); !ok || addr != function || len(code) != 16 {
		t.Errorf("own.F is %d bytes at %#x of the file, %v", len(code), addr, ok)
	}
	// The descriptor's field leads to a type of the file's own, which a
	// relocation tells.
	data, err := m.words(loadedAt+pair, 0x68)
	if err != nil {
		t.Fatal(err)
	}
	if at := binary.LittleEndian.Uint64(data[0x58:]); at != loadedAt+tinyBase {
		t.Errorf("its field is at %#x", at)
	}
	if s, ok := m.typeAt(loadedAt + pair); !ok || s.addr != loadedAt+pair || m.nameAt(s.addr) != "type:OwNtYpE1" {
		t.Errorf("its type is %+v, %v, %q", s, ok, m.nameAt(s.addr))
	}
	if s, ok := m.typeAt(pair); !ok || m.nameAt(s.addr) != "type:ExAmPlE1" {
		t.Errorf("the host's type is %+v, %v", s, ok)
	}
	if next, err := m.nextOffset(); err != nil || next != 0x248 {
		t.Errorf("next is at %#x, %v", next, err)
	}
}
