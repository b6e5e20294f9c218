package abi

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"strings"
	"testing"
)

// An artifact of 40 MB with 65,000 dynamic symbols, read by this package and,
// for comparison, by the standard library's readers.
func BenchmarkRead(b *testing.B) {
	big := plugin()
	big.symbols = map[string]byte{}
	for i := range 65000 {
		big.symbols[fmt.Sprintf("example.com/shop/pricing/sub%d.(*Type).SomeMethodOfAnOrdinaryLength%d", i%100, i)] = 2
	}
	big.sections = map[string][]byte{".rela.dyn": make([]byte, 24*100000)}
	for i := range 1000 {
		big.packages[fmt.Sprintf("example.com/dep/p%d", i)] = Hash{1}
	}
	big.decoys = []string{strings.Repeat("x", 30<<20)} // code, as it were
	file := big.build()

	b.Run("abi", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(bytes.NewReader(file), int64(len(file))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("debug", func(b *testing.B) {
		for b.Loop() {
			f, err := elf.NewFile(bytes.NewReader(file))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := f.DynamicSymbols(); err != nil {
				b.Fatal(err)
			}
			if _, err := buildinfo.Read(bytes.NewReader(file)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	read := func(t tiny) *Fingerprint {
		file := t.build()
		fp, err := Read(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		for i := range 1000 {
			fp.Packages[fmt.Sprintf("example.com/dep/p%d", i)] = Hash{1}
		}
		return fp
	}
	h, p := read(host()), read(plugin())
	for b.Loop() {
		if found := Compare(h, p, nil); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

// The same artifact with a thousand itabs, all of them shadowed.
func BenchmarkHide(b *testing.B) {
	big := plugin()
	big.symbols = map[string]byte{}
	for i := range 65000 {
		big.symbols[fmt.Sprintf("example.com/shop/pricing/sub%d.(*Type).SomeMethodOfAnOrdinaryLength%d", i%100, i)] = 2
	}
	for i := range 1000 {
		big.itabs = append(big.itabs, tinyItab{fmt.Sprintf("go:itab.*example.com/dep/p%d.Type,example.com/dep.Interface%d", i, i%100), uint64(i % 100), 1})
	}
	file := big.build()
	for b.Loop() {
		tables, err := ReadItabs(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		if edit, err := tables.Hide(func(string) bool { return true }); err != nil || edit.Hidden != 1000 {
			b.Fatal(edit.Hidden, err)
		}
	}
}
