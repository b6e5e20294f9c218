package abi

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// This file checks relocations: where they write, of which kind they are, and
// that what they name exists. Where they make a pointer to within the file is the
// linker's word (see loadable.go).

// Relocation types that the linkers write for a shared object on amd64 (System V
// ABI, AMD64 supplement 1.0, table 4.9).
const (
	relX64        = 1
	relGlobDat    = 6
	relJumpSlot   = 7
	relRelative   = 8
	relDTPMod     = 16
	relDTPOff     = 17
	relTPOff      = 18
	relTLSDesc    = 36
	relIRelative  = 37
	relaEntrySize = 24
)

// reloc is what happens to a word.
type reloc struct {
	typ, sym uint32
	addend   uint64
	count    int // how many relocations there are for it
}

// relocations checks them in the order in which they are applied, and keeps those
// of the words that are looked at afterwards.
func (c *loadCheck) relocations() error {
	c.collect = append(c.collect, span{c.module.addr, c.module.size})
	if addr, ok := c.dyn[dtInitArray]; ok {
		c.collect = append(c.collect, span{addr, c.dyn[dtInitArraySize]})
	}
	if addr, ok := c.dyn[dtFiniArray]; ok {
		c.collect = append(c.collect, span{addr, c.dyn[dtFiniArraySize]})
	}
	for _, s := range c.rela {
		b, err := c.at("relocations", s.addr, s.size)
		if err != nil {
			return err
		}
		c.relocs = append(c.relocs, b)
	}
	return c.eachReloc(func(table, i int, where uint64, r reloc) error {
		if table == 0 && uint64(i) < c.dyn[dtRelaCount] && r.typ != relRelative {
			return malformed("relocation %d is not relative and counted as if it were", i)
		}
		return c.relocation(where, r)
	})
}

// eachReloc calls fn for each relocation, and adds to rwords those of words in
// collect.
func (c *loadCheck) eachReloc(fn func(table, i int, where uint64, r reloc) error) error {
	c.rwords = map[uint64]reloc{}
	slices.SortFunc(c.collect, func(a, b span) int { return cmp.Compare(a.addr, b.addr) })
	for n, b := range c.relocs {
		for i := 0; i < len(b); i += relaEntrySize {
			where, info, addend := binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[i+8:]), binary.LittleEndian.Uint64(b[i+16:])
			r := reloc{typ: uint32(info), sym: uint32(info >> 32), addend: addend, count: 1}
			if err := fn(n, i/relaEntrySize, where, r); err != nil {
				return err
			}
			// The last range that begins before the relocation's end.
			k, _ := slices.BinarySearchFunc(c.collect, where+8, func(s span, end uint64) int { return cmp.Compare(s.addr, end) })
			if k > 0 && where < c.collect[k-1].addr+c.collect[k-1].size {
				r.count += c.rwords[where].count
				c.rwords[where] = r
			}
		}
	}
	return nil
}

// relocation checks one of amd64.
func (c *loadCheck) relocation(where uint64, r reloc) error {
	wrong := func(why string) error {
		return malformed("the relocation at address %#x, of type %d with symbol %d, %s", where, r.typ, r.sym, why)
	}
	size, flags := uint64(8), uint32(pfW)
	if r.typ == relTLSDesc {
		size = 16
	}
	if _, ok := c.dyn[dtTextRel]; ok || c.dyn[dtFlags]&dfTextRel != 0 {
		flags = 0 // everything is made writable
	}
	if !c.mapped(where, size, flags) {
		return wrong("writes to where nothing can be written")
	}
	if dyn, _ := c.segment(ptDynamic); (span{where, size}).meets(span{dyn.addr, dyn.memsize}) {
		return wrong("writes to the dynamic section")
	}
	if uint64(r.sym) >= uint64(c.symtab.len()) {
		return wrong("names a symbol that is not there")
	}
	s := c.symtab.at(int(r.sym))
	local := r.sym == 0
	switch r.typ {
	case relX64, relGlobDat, relJumpSlot:
		if local || s.info&0xf == sttTLS {
			return wrong("has nothing to point to")
		}
	case relRelative:
		if !local || !c.inModule(r.addend) {
			return wrong("leads out of the file")
		}
	case relIRelative:
		if !local || !c.code(r.addend) {
			return wrong("calls what is no code")
		}
	case relDTPMod, relDTPOff, relTPOff, relTLSDesc:
		switch {
		case !local && s.info&0xf != sttTLS && s.section != shnUndef:
			return wrong("takes for thread-local what is not")
		case local && r.typ != relDTPMod && r.addend >= max(1, c.tls.memsize), local && c.tls.typ == 0:
			return wrong("leads out of thread-local storage")
		}
	default:
		return wrong("is of a type that linkers do not write")
	}
	return nil
}

// inModule reports whether an address lies in what is loaded, or just behind it:
// Go has pointers to ends.
func (c *loadCheck) inModule(addr uint64) bool {
	last := c.loads[len(c.loads)-1]
	return addr >= c.loads[0].addr && addr <= last.addr+last.memsize
}

// block is what the file has from an address on.
type block struct {
	b    []byte
	addr uint64
}

func (b block) span() span { return span{b.addr, uint64(len(b.b))} }

// isText reports whether there is a string header at addr, of at most limit bytes.
func (c *loadCheck) isText(in block, addr, limit uint64) bool {
	text, pointer, ok := c.word(in, addr)
	n, relocated, ok2 := c.word(in, addr+8)
	return ok && ok2 && pointer && !relocated && n <= limit && c.has(text, n, pfR)
}

// word gives a word of the file as it will be: the address that a relocation
// makes, for a load address of 0, or the bytes that are there. ok is false where
// a relocation makes it something that only the process knows, or several do.
func (c *loadCheck) word(in block, addr uint64) (value uint64, pointer, ok bool) {
	r := c.rwords[addr]
	for n := uint64(1); n < 8; n++ { // pieces of other words do not make one
		if c.rwords[addr-n].count > 0 || c.rwords[addr+n].count > 0 {
			return 0, false, false
		}
	}
	switch {
	case r.count == 0:
		return binary.LittleEndian.Uint64(in.b[addr-in.addr:]), false, true
	case r.count > 1:
		return 0, false, false
	case r.typ == relRelative:
		return r.addend, true, true
	case r.typ == relX64 || r.typ == relGlobDat:
		if s := c.symtab.at(int(r.sym)); s.section != shnUndef {
			return s.value + r.addend, true, true
		}
		return 0, true, true // another file has it
	}
	return 0, false, false
}

// initialisers checks that what is called when the file is mapped is code. The
// last of them hands the module data to the runtime, without which it throws, so
// none may be missing; that the section has as many, sectionsAgree has seen.
func (c *loadCheck) initialisers() error {
	for _, tag := range []uint64{dtInit, dtFini} {
		if addr, ok := c.dyn[tag]; ok && !c.code(addr) {
			return malformed("dynamic entry %#x leads to address %#x, which is no code", tag, addr)
		}
	}
	if _, ok := c.dyn[dtInitArray]; !ok {
		return malformed("nothing in it tells the runtime that it is there")
	}
	for _, t := range []struct{ addr, size uint64 }{{dtInitArray, dtInitArraySize}, {dtFiniArray, dtFiniArraySize}} {
		addr, size := c.dyn[t.addr], c.dyn[t.size]
		if size == 0 {
			continue
		}
		b, err := c.at("list of initialisers", addr, size)
		if err != nil {
			return err
		}
		if size%8 != 0 {
			return malformed("its list of initialisers has %d bytes", size)
		}
		for at := addr; at < addr+size; at += 8 {
			if fn, pointer, ok := c.word(block{b, addr}, at); !ok || !pointer || !c.code(fn) {
				return malformed("its initialiser at address %#x is no code", at)
			}
		}
	}
	return nil
}
