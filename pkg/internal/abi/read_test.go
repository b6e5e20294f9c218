package abi

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

func TestReadGivesEverythingThatDecides(t *testing.T) {
	want := &Fingerprint{
		Kind: Plugin, Class: "ELF64", Machine: "amd64", GoVersion: "go1.26.8",
		Package: "example.com/shop/pricing",
		Main:    Module{Path: "example.com/shop", Version: "(devel)"},
		Modules: []Module{{Path: "example.com/text", Version: "v0.22.0", Sum: "h1:abc="}},
		Settings: map[string]string{
			"-buildmode": "plugin", "CGO_ENABLED": "1", "GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1",
		},
		BuildID:    "a/b/c/d",
		Packages:   plugin().packages,
		PluginPath: "example.com/shop/pricing",
		Symbols:    map[string]SymbolKind{"Price": Func, "Rate": Var},
		Needed:     []string{"libc.so.6"},
		Versions:   map[string][]string{"libc.so.6": {"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.34"}},
	}
	got := mustRead(t, plugin().build())
	ignore := []cmp.Option{cmpopts.IgnoreUnexported(Fingerprint{}), cmpopts.IgnoreFields(Fingerprint{}, "Inits")}
	if diff := cmp.Diff(want, got, ignore...); diff != "" {
		t.Errorf("fingerprint (-want +got):\n%s", diff)
	}
	var inits []string
	for pkg := range got.Inits {
		inits = append(inits, pkg)
	}
	slices.Sort(inits)
	if want := slices.Sorted(slices.Values(plugin().inits)); !slices.Equal(inits, want) {
		t.Errorf("packages with initialisers: %q, want %q", inits, want)
	}
}

// Word sizes, byte orders and both kinds of relocations give the same.
func TestReadIsTheSameInEveryFlavourOfELF(t *testing.T) {
	for _, c := range []struct {
		name           string
		change         func(*tiny)
		class, machine string
	}{
		{"relocated in place", func(p *tiny) { p.inPlace = true }, "ELF64", "amd64"},
		{"arm64", func(p *tiny) { p.machine = 183 }, "ELF64", "arm64"},
		{"386", func(p *tiny) { p.bits32, p.machine = true, 3 }, "ELF32", "386"},
		{"big endian", func(p *tiny) { p.order, p.machine = binary.BigEndian, 22 }, "ELF64, big endian", "s390x"},
		{"ppc64le", func(p *tiny) { p.machine = 21 }, "ELF64", "ppc64le"},
		{"ppc64", func(p *tiny) { p.order, p.machine = binary.BigEndian, 21 }, "ELF64, big endian", "ppc64"},
		{"unknown", func(p *tiny) { p.machine = 9999 }, "ELF64", "machine 9999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, tiny := mustRead(t, plugin().build()), plugin()
			c.change(&tiny)
			got := mustRead(t, tiny.build())
			want.Class, want.Machine = c.class, c.machine
			ignore := []cmp.Option{cmpopts.IgnoreUnexported(Fingerprint{}), cmpopts.IgnoreFields(Fingerprint{}, "Inits")}
			if diff := cmp.Diff(want, got, ignore...); diff != "" {
				t.Errorf("fingerprint (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPluginPathComesFromModuleData(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*tiny)
		want    string
		missing string
	}{
		{"with dots, which symbol names escape", func(p *tiny) { p.pluginPath = "example.com/v.dot/lib.v1" }, "example.com/v.dot/lib.v1", ""},
		{"with quotes and other scripts", func(p *tiny) { p.pluginPath = "example.com/odd/q\"%é" }, "example.com/odd/q\"%é", ""},
		{"a library has a function main, too", func(p *tiny) { p.symbols["example.com/text.main"] = 2 }, "example.com/shop/pricing", ""},
		{"bytes that look like a path", func(p *tiny) { p.decoys = []string{"runtime"} }, "example.com/shop/pricing", ""},
		{"of no hashed package", func(p *tiny) { p.pluginPath = "example.com/other" }, "", "names no plugin path"},
		{"without module data", func(p *tiny) { p.pluginPath = "" }, "", "no section .go.module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tiny := plugin()
			c.change(&tiny)
			fp := mustRead(t, tiny.build())
			if fp.PluginPath != c.want {
				t.Errorf("plugin path %q, want %q", fp.PluginPath, c.want)
			}
			err := fp.RequirePlugin()
			if c.missing == "" && err != nil {
				t.Errorf("RequirePlugin: %v", err)
			}
			if c.missing != "" && (!isReason(err, NotPlugin) || !strings.Contains(err.Error(), c.missing)) {
				t.Errorf("RequirePlugin: %v, want %q with %q", err, NotPlugin, c.missing)
			}
		})
	}
}

func TestReadSaysWhyAFileCannotBeJudged(t *testing.T) {
	good := plugin().build()
	order := binary.LittleEndian
	edit := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	with := func(section string, content []byte) []byte {
		p := plugin()
		p.sections = map[string][]byte{section: content}
		return p.build()
	}
	const phdr = 64
	for _, c := range []struct {
		name string
		file []byte
		want Reason
	}{
		{"empty", nil, NotELF},
		{"text", []byte("#!/bin/sh\necho hello\n"), NotELF},
		{"one byte of ELF", good[:1], NotELF},
		{"four bytes of ELF", good[:4], Truncated},
		{"half a header", good[:40], Truncated},
		{"no section headers", good[:len(good)-100], Truncated},
		{"class 9", edit(func(b []byte) { b[4] = 9 }), Malformed},
		{"encoding 9", edit(func(b []byte) { b[5] = 9 }), Malformed},
		{"section headers of a strange size", edit(func(b []byte) { order.PutUint16(b[58:], 63) }), Malformed},
		{"program headers of a strange size", edit(func(b []byte) { order.PutUint16(b[54:], 55) }), Malformed},
		{"section headers at the end of the address space", edit(func(b []byte) { order.PutUint64(b[40:], 1<<64-64) }), Truncated},
		{"section names nowhere", edit(func(b []byte) { order.PutUint16(b[62:], 999) }), Malformed},
		{"program headers beyond the end", edit(func(b []byte) { order.PutUint64(b[32:], uint64(len(good))) }), Truncated},
		{"segment beyond the end", edit(func(b []byte) { order.PutUint64(b[phdr+32:], uint64(len(good))+1) }), Truncated},
		{"segment that wraps around", edit(func(b []byte) { order.PutUint64(b[phdr+8:], 1<<64-8) }), Truncated},
		{"segment smaller in memory", edit(func(b []byte) { order.PutUint64(b[phdr+40:], 1) }), Malformed},
		{"number of program headers elsewhere", edit(func(b []byte) { order.PutUint16(b[56:], 0xffff) }), TooLarge},
		{"a billion sections", edit(func(b []byte) {
			order.PutUint16(b[60:], 0)
			order.PutUint64(b[order.Uint64(b[40:])+32:], 1e9)
		}), TooLarge},
		{"no build info", edit(func(b []byte) { copy(b[bytes.Index(b, []byte(".go.buildinfo\x00")):], ".xx") }), NotGo},
		{"build info without header", with(".go.buildinfo", []byte("short")), Malformed},
		{"build info with pointers, of Go before 1.18", with(".go.buildinfo", []byte("\xff Go buildinf:\x08\x00"+strings.Repeat("\x00", 16))), Malformed},
		{"build info that ends too early", with(".go.buildinfo", []byte("\xff Go buildinf:\x08\x02"+strings.Repeat("\x00", 16)+"\xff\xff\xff\xff\x7fgo")), Malformed},
		{"build id that ends too early", with(".note.go.buildid", []byte("\x04\x00\x00\x00\xff\xff\xff\xff\x04\x00\x00\x00Go\x00\x00")), Malformed},
		{"hash at no address", edit(func(b []byte) {
			at := bytes.Index(b, []byte("go:link.pkghashbytes.runtime\x00"))
			i := symbolNamed(t, b, at)
			order.PutUint64(b[i+8:], 1<<40)
		}), Malformed},
		{"version needs that share their tails", with(".gnu.version_r", manyVersions()), Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			fp, err := Read(bytes.NewReader(c.file), int64(len(c.file)))
			if !isReason(err, c.want) {
				t.Errorf("Read gave %v, %v; want an error with reason %q", fp, err, c.want)
			}
		})
	}
}

// symbolNamed finds the entry of .dynsym whose name is at offset at of a file.
func symbolNamed(t *testing.T, file []byte, at int) int {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	strs, syms := f.Section(".dynstr"), f.Section(".dynsym")
	for i := syms.Offset; i < syms.Offset+syms.Size; i += 24 {
		if uint64(binary.LittleEndian.Uint32(file[i:]))+strs.Offset == uint64(at) {
			return int(i)
		}
	}
	t.Fatal("no such symbol")
	return 0
}

// manyVersions is a list of libraries whose lists of versions all run on to
// the end: short as a file, long as a walk.
func manyVersions() []byte {
	w := writer{order: binary.LittleEndian}
	for range 1000 {
		w.u32(0)
		w.u32(0)
		w.u32(16) // both: offset of the first version, and of the next one's name
		w.u32(16)
	}
	return w.b
}

// A file whose size is not what was said, as when it is written over meanwhile.
func TestReadOfAFileThatShrinksIsTruncated(t *testing.T) {
	good := plugin().build()
	if _, err := Read(bytes.NewReader(good[:len(good)/2]), int64(len(good))); !isReason(err, Truncated) {
		t.Errorf("got %v, want reason %q", err, Truncated)
	}
}

func TestReadGivesTheCauseOfAFailedRead(t *testing.T) {
	broken := errors.New("input/output error")
	_, err := Read(readerFunc(func([]byte, int64) (int, error) { return 0, broken }), 1000)
	if !isReason(err, Unreadable) || !errors.Is(err, broken) {
		t.Errorf("got %v, want reason %q and the cause", err, Unreadable)
	}
}

// What happens should a check be missing: an error, not the end of the host.
func TestReadTurnsAPanicIntoAnError(t *testing.T) {
	_, err := Read(readerFunc(func([]byte, int64) (int, error) { panic("index out of range") }), 1000)
	if !isReason(err, Malformed) {
		t.Errorf("got %v, want reason %q", err, Malformed)
	}
}

type readerFunc func(b []byte, off int64) (int, error)

func (f readerFunc) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

// A big file must not cost more than it has bytes, however often its headers
// refer to them.
func TestReadCostsNoMoreThanTheFileIsLong(t *testing.T) {
	p := plugin()
	p.sections = map[string][]byte{".rela.dyn": make([]byte, 1<<20)}
	file := p.build()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rela := f.Section(".rela.dyn")
	// 2,000 section headers for the same relocations, behind the old ones.
	order := binary.LittleEndian
	shoff, num := order.Uint64(file[40:]), order.Uint16(file[60:])
	entry := make([]byte, 64)
	order.PutUint32(entry[4:], 4)
	order.PutUint64(entry[16:], rela.Addr)
	order.PutUint64(entry[24:], rela.Offset)
	order.PutUint64(entry[32:], rela.Size)
	headers := bytes.Clone(file[shoff : shoff+64*uint64(num)])
	headers = append(headers, bytes.Repeat(entry, 2000)...)
	order.PutUint64(file[40:], uint64(len(file)))
	order.PutUint16(file[60:], num+2000)
	file = append(file, headers...)

	counter := &countingReader{r: bytes.NewReader(file)}
	_, err = Read(counter, int64(len(file)))
	if !isReason(err, TooLarge) {
		t.Errorf("got %v, want reason %q", err, TooLarge)
	}
	if limit := 2*len(file) + maxReread; counter.n > limit {
		t.Errorf("read %d bytes of a file of %d", counter.n, len(file))
	}
}

type countingReader struct {
	r io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(b []byte, off int64) (int, error) {
	c.n += len(b)
	return c.r.ReadAt(b, off)
}

func TestReadFileNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		want  Reason
		cause error
	}{
		{text, NotELF, nil},
		{dir, Unreadable, nil},
		{filepath.Join(dir, "none"), Unreadable, os.ErrNotExist},
	} {
		_, err := ReadFile(c.path)
		if !isReason(err, c.want) || c.cause != nil && !errors.Is(err, c.cause) {
			t.Errorf("ReadFile(%s): %v, want reason %q", filepath.Base(c.path), err, c.want)
		}
		if err != nil && strings.Count(err.Error(), c.path) != 1 {
			t.Errorf("error does not name %s once: %v", c.path, err)
		}
	}
}

// The standard library's own readers are slower and less careful, but agree.
func TestTinyFilesAreRealToTheStandardLibrary(t *testing.T) {
	file := plugin().build()
	fp := mustRead(t, file)
	checkAgainstStandardLibrary(t, fp, bytes.NewReader(file))
}

// checkAgainstStandardLibrary compares a fingerprint with what debug/elf and
// debug/buildinfo say.
func checkAgainstStandardLibrary(t *testing.T, fp *Fingerprint, r io.ReaderAt) {
	t.Helper()
	f, err := elf.NewFile(r)
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	packages, inits := map[string]Hash{}, map[string]uint64{}
	for _, s := range syms {
		if pkg, ok := strings.CutPrefix(s.Name, "go:link.pkghashbytes."); ok {
			for _, p := range f.Progs {
				if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
					var h Hash
					if _, err := p.ReadAt(h[:], int64(s.Value-p.Vaddr)); err != nil {
						t.Fatal(err)
					}
					packages[pkg] = h
				}
			}
		}
		if name, ok := strings.CutSuffix(s.Name, "..inittask"); ok {
			if pkg, ok := symname.Unescape(name); ok {
				inits[pkg] = s.Value
			}
		}
	}
	if diff := cmp.Diff(packages, fp.Packages); diff != "" {
		t.Errorf("package hashes (-debug/elf +abi):\n%s", diff)
	}
	if diff := cmp.Diff(inits, fp.Inits); diff != "" {
		t.Errorf("initialisation tasks (-debug/elf +abi):\n%s", diff)
	}
	if libs, err := f.ImportedLibraries(); err != nil || !slices.Equal(libs, fp.Needed) {
		t.Errorf("libraries %q, debug/elf says %q, %v", fp.Needed, libs, err)
	}
	if f.Section(".gnu.version") != nil {
		needs, err := f.DynamicVersionNeeds()
		if err != nil {
			t.Fatal(err)
		}
		versions := map[string][]string{}
		for _, lib := range needs {
			for _, v := range lib.Needs {
				if v.Flags&elf.VER_FLG_WEAK == 0 {
					versions[lib.Name] = append(versions[lib.Name], v.Dep)
				}
			}
			slices.SortFunc(versions[lib.Name], compareVersions)
		}
		if diff := cmp.Diff(versions, fp.Versions); diff != "" {
			t.Errorf("versions of libraries (-debug/elf +abi):\n%s", diff)
		}
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	if info.GoVersion != fp.GoVersion || info.Path != fp.Package || info.Main.Path != fp.Main.Path || len(info.Deps) != len(fp.Modules) {
		t.Errorf("build info: %s %s %v, debug/buildinfo says %s", fp.GoVersion, fp.Package, fp.Main, info)
	}
}

func TestEscapeIsTheLinkersAndHasAnInverse(t *testing.T) {
	for path, want := range map[string]string{
		"fmt":                       "fmt",
		"example.com/a/b":           "example.com/a/b",
		"example.com/v.dot/lib.v1":  "example.com/v.dot/lib%2ev1",
		"gopkg.in/yaml.v3":          "gopkg.in/yaml%2ev3",
		"command-line-arguments":    "command-line-arguments",
		"a/b%c":                     "a/b%25c",
		"é":                         "%c3%a9",
		"plugin/unnamed-0123456789": "plugin/unnamed-0123456789",
	} {
		if got := symname.Escape(path); got != want {
			t.Errorf("symname.Escape(%q) = %q, want %q", path, got, want)
		}
		if got, ok := symname.Unescape(want); !ok || got != path {
			t.Errorf("symname.Unescape(%q) = %q, %v", want, got, ok)
		}
	}
	for _, bad := range []string{"%", "a%2", "%zz", "%2"} {
		if got, ok := symname.Unescape(bad); ok {
			t.Errorf("symname.Unescape(%q) = %q, want a refusal", bad, got)
		}
	}
}

func isReason(err error, want Reason) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == want
}
