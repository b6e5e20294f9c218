package abi

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// library is a shared library that defines versions.
func library() tiny {
	t := plugin()
	t.defined = []string{"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_PRIVATE", "GLIBC_2.9"}
	return t
}

func TestDefinedVersionsLeaveOutTheLibrarysName(t *testing.T) {
	want := []string{"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.34", "GLIBC_PRIVATE"}
	small, big := library(), library()
	small.bits32, small.machine = true, 3
	big.machine, big.order = 22, binary.BigEndian
	for _, file := range []tiny{library(), small, big} {
		b := file.build()
		got, err := DefinedVersions(bytes.NewReader(b), int64(len(b)))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	b := plugin().build()
	if got, err := DefinedVersions(bytes.NewReader(b), int64(len(b))); err != nil || got != nil {
		t.Errorf("without any: %q, %v", got, err)
	}
}

// The C library of this machine, read by the standard library.
func TestDefinedVersionsAreThoseOfDebugELF(t *testing.T) {
	libs, _ := filepath.Glob("/lib*/*-linux-*/libc.so.6")
	more, _ := filepath.Glob("/lib*/libc.so.6")
	for _, path := range append(libs, more...) {
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		defs, err := f.DynamicVersions()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, d := range defs {
			if d.Flags&elf.VER_FLG_BASE == 0 {
				want = append(want, d.Name)
			}
		}
		slices.SortFunc(want, compareVersions)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DefinedVersions(bytes.NewReader(b), int64(len(b)))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v; debug/elf says %q", path, got, err, want)
		}
	}
}

func TestALibraryHasToDefineWhatTheArtifactNeeds(t *testing.T) {
	const lib = "libc.so.6"
	for _, c := range []struct {
		name    string
		defined map[string][]string
		want    []string
	}{
		{"all of it", map[string][]string{lib: {"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.34"}}, nil},
		{"the library is not known", map[string][]string{"libm.so.6": {"GLIBC_2.2.5"}}, nil},
		{"less", map[string][]string{lib: {"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31", "GLIBC_PRIVATE"}}, []string{
			"platform libc.so.6|up to GLIBC_2.31|needs GLIBC_2.34",
		}},
		{"none of them", map[string][]string{lib: {"OTHER_1"}}, []string{
			"platform libc.so.6|none of GLIBC|needs GLIBC_2.2.5, GLIBC_2.9, GLIBC_2.34",
		}},
	} {
		h, p := hostAndPlugin(t)
		if got := lines(Compare(h, p, &Process{Libraries: c.defined})); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A library that is too old says nothing about packages: their hashes are compared
// all the same.
func TestAnOldLibraryHidesNoOtherMismatch(t *testing.T) {
	h, p := hostAndPlugin(t)
	p.Packages["runtime"] = Hash{0xff}
	found := Compare(h, p, &Process{Libraries: map[string][]string{"libc.so.6": {"GLIBC_2.2.5"}}})
	if len(found) != 2 || found[1].What != "runtime" {
		t.Errorf("found %q", lines(found))
	}
}

func FuzzDefinedVersions(f *testing.F) {
	small := library()
	small.bits32, small.machine = true, 3
	f.Add(library().build())
	f.Add(small.build())
	f.Add(plugin().build())
	creeping := library() // each definition begins a byte behind the one before
	creeping.sections = map[string][]byte{".gnu.version_d": bytes.Repeat([]byte{1, 0, 0, 0}, 1<<14)}
	f.Add(creeping.build())
	f.Fuzz(func(t *testing.T, file []byte) {
		versions, err := DefinedVersions(bytes.NewReader(file), int64(len(file)))
		var e *Error
		if err != nil && (!asError(err, &e) || strings.Contains(err.Error(), "reading its versions failed")) {
			t.Errorf("%T: %v", err, err)
		}
		if len(versions) > maxVersions || !slices.IsSortedFunc(versions, compareVersions) {
			t.Errorf("%d versions, sorted: %v", len(versions), slices.IsSortedFunc(versions, compareVersions))
		}
	})
}
