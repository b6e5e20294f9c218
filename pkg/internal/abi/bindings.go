package abi

import (
	"encoding/binary"
	"slices"
)

// This file checks what symbols are found by: the symbol table with its strings,
// the hash tables and the versions. A plugin's tables outlive its load. The
// dynamic linker asks all of them whenever it binds a later one.

// Symbol types, bindings and section numbers (gABI 4.1, GNU).
const (
	sttObject, sttFunc, sttSection, sttTLS, sttIFunc = 1, 2, 3, 6, 10
	stbLocal, stbGlobal, stbWeak, stbUnique          = 0, 1, 2, 10
	stvInternal, stvHidden                           = 1, 2

	shnUndef     = 0
	shnLoReserve = 0xff00
	shnAbs       = 0xfff1
)

// readBindings checks the symbols one by one.
func (c *loadCheck) readBindings() error {
	var err error
	if c.symtab, err = c.readSymbols(); err != nil {
		return err
	}
	sec, _ := c.section(".dynsym")
	strs := c.sections[sec.link]
	if strs.addr != c.dyn[dtStrtab] || strs.size != c.dyn[dtStrSize] {
		return malformed("the names of its symbols are not those that the dynamic linker would use")
	}
	if c.strtab = c.symtab.names; len(c.strtab) == 0 || c.strtab[0] != 0 || c.strtab[len(c.strtab)-1] != 0 {
		return malformed("the names of its symbols do not end")
	}
	for tag, kind := range tags {
		if value, ok := c.dyn[tag]; ok && kind == tagString && value >= uint64(len(c.strtab)) {
			return malformed("dynamic entry %#x has no name", tag)
		}
	}
	for _, name := range c.needed {
		if name >= uint64(len(c.strtab)) {
			return malformed("a library that it needs has no name")
		}
	}
	if c.symtab.len() == 0 || len(c.symtab.table)%c.symtab.entsize != 0 {
		return malformed("its symbol table has %d bytes", len(c.symtab.table))
	}
	for i := 1; i < c.symtab.len(); i++ {
		if err := c.symbol(c.symtab.at(i)); err != nil {
			return malformed("symbol %d %s", i, err.(*Error).Detail)
		}
	}
	return nil
}

// symbol checks one of them. The index of the first is 0, and it means none.
func (c *loadCheck) symbol(s symbol) error {
	typ, bind, visibility := s.info&0xf, s.info>>4, s.other&3
	switch {
	case uint64(s.name) >= uint64(len(c.strtab)):
		return malformed("has no name")
	case typ == sttSection:
		return nil
	case bind != stbGlobal && bind != stbWeak && bind != stbUnique, visibility == stvInternal, visibility == stvHidden:
		// References to it would not be bound to the host's.
		return malformed("has binding %d and visibility %d", bind, visibility)
	case s.section == shnUndef || s.section == shnAbs:
		return nil
	case s.section >= shnLoReserve || int(s.section) >= len(c.sections):
		return malformed("is in section %d of %d", s.section, len(c.sections))
	case typ == sttTLS:
		if !(span{0, c.tls.memsize}).holds(s.value, s.size) {
			return malformed("lies outside of its thread-local storage")
		}
	case typ == sttFunc || typ == sttIFunc:
		if !c.code(s.value) || s.size > 0 && !c.has(s.value, s.size, pfX) {
			return malformed("is a function outside of the code")
		}
	default:
		if !c.mapped(s.value, s.size, pfR) {
			return malformed("lies outside of what is loaded")
		}
	}
	return nil
}

// hashTables checks that each symbol that the file defines is found, and that
// looking for one that it does not define ends.
func (c *loadCheck) hashTables() error {
	_, gnu := c.dyn[dtGNUHash]
	_, sysv := c.dyn[dtHash]
	if !gnu && !sysv {
		return malformed("it has no hash table of its symbols")
	}
	if gnu {
		if err := c.gnuHash(); err != nil {
			return err
		}
	}
	if sysv {
		return c.sysvHash()
	}
	return nil
}

// gnuHash: header, Bloom filter, buckets, and one value for each symbol from
// symbias on; the lowest bit of a value ends its bucket (elf/dl-lookup.c,
// elf/dl-setup_hash.c, glibc 2.36).
func (c *loadCheck) gnuHash() error {
	const header = 16
	addr := c.dyn[dtGNUHash]
	b, err := c.at("hash table", addr, header)
	if err != nil {
		return err
	}
	f, total := c.fields(b), uint64(c.symtab.len())
	buckets, bias, words, shift := uint64(f.u32()), uint64(f.u32()), uint64(f.u32()), f.u32()
	if buckets == 0 || buckets > maxSymbols || bias > total || words == 0 || words > maxSymbols || words&(words-1) != 0 || shift > 63 {
		return malformed("its hash table has %d buckets, %d words and begins at symbol %d of %d", buckets, words, bias, total)
	}
	if b, err = c.at("hash table", addr+header, 8*words+4*buckets+4*(total-bias)); err != nil {
		return err
	}
	bloom, heads, values := b[:8*words], b[8*words:][:4*buckets], b[8*words+4*buckets:]
	found := make([]bool, total-bias)
	for n := range buckets {
		i := uint64(binary.LittleEndian.Uint32(heads[4*n:]))
		if i == 0 {
			continue
		}
		for {
			if i < bias || i >= total || found[i-bias] {
				return malformed("bucket %d of its hash table leads to symbol %d of %d, or twice to one", n, i, total)
			}
			s, value := c.symtab.at(int(i)), binary.LittleEndian.Uint32(values[4*(i-bias):])
			hash := gnuHashOf(cstring(c.strtab, uint64(s.name), uint64(len(c.strtab))))
			word := binary.LittleEndian.Uint64(bloom[8*(uint64(hash)/64%words):])
			bits := uint64(1)<<(hash%64) | uint64(1)<<(hash>>shift%64)
			if s.section == shnUndef || hash|1 != value|1 || uint64(hash)%buckets != n || word&bits != bits {
				return malformed("its hash table does not find symbol %d", i)
			}
			found[i-bias] = true
			if value&1 != 0 {
				break
			}
			i++
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return malformed("its hash table does not find symbol %d", uint64(i)+bias)
	}
	for i := uint64(1); i < bias; i++ {
		if s := c.symtab.at(int(i)); s.section != shnUndef && s.info>>4 != stbLocal {
			return malformed("its hash table leaves out symbol %d", i)
		}
	}
	return nil
}

func gnuHashOf(name []byte) uint32 {
	h := uint32(5381)
	for _, b := range name {
		h = 33*h + uint32(b)
	}
	return h
}

// sysvHash: number of buckets, number of symbols, buckets, and for each symbol
// the next one of its bucket.
func (c *loadCheck) sysvHash() error {
	const header = 8
	addr := c.dyn[dtHash]
	b, err := c.at("hash table", addr, header)
	if err != nil {
		return err
	}
	f := c.fields(b)
	buckets, total := uint64(f.u32()), uint64(f.u32())
	if buckets == 0 || buckets > maxSymbols || total != uint64(c.symtab.len()) {
		return malformed("its hash table has %d buckets for %d of %d symbols", buckets, total, c.symtab.len())
	}
	if b, err = c.at("hash table", addr+header, 4*buckets+4*total); err != nil {
		return err
	}
	chains, found := b[4*buckets:], make([]bool, total)
	for n := range buckets {
		for i := uint64(binary.LittleEndian.Uint32(b[4*n:])); i != 0; i = uint64(binary.LittleEndian.Uint32(chains[4*i:])) {
			if i >= total || found[i] {
				return malformed("bucket %d of its hash table leads to symbol %d of %d, or twice to one", n, i, total)
			}
			found[i] = true
		}
	}
	return nil
}

// versions checks the versions that it needs and defines, and which symbol has
// which: the numbers are indexes into what the dynamic linker makes of the lists.
func (c *loadCheck) versions() error {
	known := map[uint16]bool{0: true, 1: true}
	know := func(index uint16) { known[index&0x7fff] = true }
	named := func(name uint32) bool { return uint64(name) < uint64(len(c.strtab)) }
	for _, l := range []struct {
		tag  uint64
		list versionList
	}{
		{dtVerneed, versionList{16, 16, func(f *fields) (aux, next uint32, ok bool) {
			version, _, file := f.u16(), f.u16(), f.u32()
			return f.u32(), f.u32(), version == 1 && c.needs(file)
		}, func(f *fields) (next uint32, ok bool) {
			f.u32() // hash
			f.u16() // flags
			know(f.u16())
			name := f.u32()
			return f.u32(), named(name)
		}}},
		{dtVerdef, versionList{20, 8, func(f *fields) (aux, next uint32, ok bool) {
			version := f.u16()
			f.u16() // flags
			know(f.u16())
			f.u16() // number of names
			f.u32() // hash
			return f.u32(), f.u32(), version == 1
		}, func(f *fields) (next uint32, ok bool) {
			name := f.u32()
			return f.u32(), named(name)
		}}},
	} {
		if addr, ok := c.dyn[l.tag]; ok {
			if err := c.walk(addr, l.list); err != nil {
				return err
			}
		}
	}
	addr, ok := c.dyn[dtVersym]
	if !ok {
		return nil
	}
	b, err := c.at("table of versions", addr, 2*uint64(c.symtab.len()))
	if err != nil {
		return err
	}
	for i := range c.symtab.len() {
		if v := binary.LittleEndian.Uint16(b[2*i:]); !known[v&0x7fff] {
			return malformed("symbol %d has a version (%d) that it does not list", i, v)
		}
	}
	return nil
}

// versionList is a list of lists (GNU, Elf64_Verneed and Elf64_Verdef). Entries say
// how far the next one is, 0 in the last one.
type versionList struct {
	headSize, itemSize uint64
	head               func(f *fields) (aux, next uint32, ok bool)
	item               func(f *fields) (next uint32, ok bool)
}

// walk goes through a list as the dynamic linker does.
func (c *loadCheck) walk(addr uint64, l versionList) error {
	wrong := malformed("its list of versions at address %#x makes no sense", addr)
	for steps := 0; ; {
		b, err := c.at("list of versions", addr, l.headSize)
		if err != nil {
			return err
		}
		aux, next, ok := l.head(c.fields(b))
		for at := addr + uint64(aux); ok; {
			if steps++; steps > maxVersions {
				return wrong
			}
			b, err := c.at("list of versions", at, l.itemSize)
			if err != nil {
				return err
			}
			var more uint32
			if more, ok = l.item(c.fields(b)); ok && more == 0 {
				break
			}
			at += uint64(more)
		}
		if !ok {
			return wrong
		}
		if next == 0 {
			return nil
		}
		addr += uint64(next)
	}
}

// needs reports whether a version is of a library that it needs; the dynamic
// linker asserts it.
func (c *loadCheck) needs(file uint32) bool {
	name := func(off uint64) string { return string(cstring(c.strtab, off, maxName)) }
	return slices.ContainsFunc(c.needed, func(off uint64) bool {
		return uint64(file) < uint64(len(c.strtab)) && name(off) == name(uint64(file))
	})
}
