package abi

// This file reads the dynamic section as the dynamic linker does: from the
// segment, up to the first DT_NULL, with the last of several entries of a kind.

// Tags (gABI 4.1, GNU).
const (
	dtNull          = 0
	dtNeeded        = 1
	dtPltRelSize    = 2
	dtPltGot        = 3
	dtHash          = 4
	dtStrtab        = 5
	dtSymtab        = 6
	dtRela          = 7
	dtRelaSize      = 8
	dtRelaEnt       = 9
	dtStrSize       = 10
	dtSymEnt        = 11
	dtInit          = 12
	dtFini          = 13
	dtSoname        = 14
	dtRpath         = 15
	dtSymbolic      = 16
	dtRelr          = 36
	dtPltRel        = 20
	dtDebug         = 21
	dtTextRel       = 22
	dtJmpRel        = 23
	dtBindNow       = 24
	dtInitArray     = 25
	dtFiniArray     = 26
	dtInitArraySize = 27
	dtFiniArraySize = 28
	dtRunpath       = 29
	dtFlags         = 30
	dtGNUHash       = 0x6ffffef5
	dtVersym        = 0x6ffffff0
	dtRelaCount     = 0x6ffffff9
	dtFlags1        = 0x6ffffffb
	dtVerdef        = 0x6ffffffc
	dtVerdefNum     = 0x6ffffffd
	dtVerneed       = 0x6ffffffe
	dtVerneedNum    = 0x6fffffff
	dtX86Plt        = 0x70000000 // and the two after it: binutils 2.41, -z mark-plt
	dtX86PltEnt     = 0x70000003

	dfTextRel = 4
)

// tagKind says what the value of an entry is.
type tagKind uint8

const (
	tagValue   tagKind = iota + 1 // a number that is looked at elsewhere, or by nobody
	tagAddress                    // of something in the file
	tagString                     // an offset of a name
)

// tags are those that a plugin may have. Others are refused: what is not known
// here cannot be checked here. Among them are packed relocations (DT_RELR), which
// neither Go's linker nor gcc writes unless told to.
var tags = map[uint64]tagKind{
	dtNeeded: tagString, dtSoname: tagString, dtRpath: tagString, dtRunpath: tagString,

	dtPltGot: tagAddress, dtHash: tagAddress, dtStrtab: tagAddress, dtSymtab: tagAddress, dtRela: tagAddress,
	dtInit: tagAddress, dtFini: tagAddress, dtJmpRel: tagAddress, dtInitArray: tagAddress, dtFiniArray: tagAddress,
	dtGNUHash: tagAddress, dtVersym: tagAddress, dtVerdef: tagAddress, dtVerneed: tagAddress,

	dtPltRelSize: tagValue, dtRelaSize: tagValue, dtRelaEnt: tagValue, dtStrSize: tagValue, dtSymEnt: tagValue,
	dtPltRel: tagValue, dtDebug: tagValue, dtTextRel: tagValue, dtBindNow: tagValue,
	dtInitArraySize: tagValue, dtFiniArraySize: tagValue, dtFlags: tagValue, dtRelaCount: tagValue,
	dtFlags1: tagValue, dtVerdefNum: tagValue, dtVerneedNum: tagValue,
}

// readDynamic reads the entries, and checks those that stand for themselves.
func (c *loadCheck) readDynamic() error {
	seg, _ := c.segment(ptDynamic)
	b, err := c.at("dynamic section", seg.addr, seg.filesz)
	if err != nil {
		return err
	}
	c.dyn = map[uint64]uint64{}
	ended := false
	for f := c.fields(b); len(f.b) >= 16 && !ended; {
		tag, value := f.word(), f.word()
		if ended = tag == dtNull; ended {
			break
		}
		kind := tags[tag]
		if _, twice := c.dyn[tag]; twice && tag != dtNeeded {
			return malformed("it has two dynamic entries of tag %#x", tag)
		}
		c.dyn[tag] = value
		switch {
		case tag == dtNeeded && len(c.needed) < maxLibraries:
			c.needed = append(c.needed, value)
		case tag == dtSymbolic:
			return bindsToItself()
		case kind == tagAddress && !c.has(value, 1, pfR):
			return malformed("dynamic entry %#x leads to address %#x, which is not in the file", tag, value)
		case tag == dtRelr:
			return malformed("its relocations are packed (-z pack-relative-relocs), and those cannot be checked here: link it without")
		case kind == 0 && (tag < dtX86Plt || tag > dtX86PltEnt):
			return malformed("it has a dynamic entry of tag %#x", tag)
		}
	}
	if !ended {
		return malformed("its dynamic section has no end")
	}
	return c.dynamicSizes()
}

// bindsToItself is the error for a file linked with -Bsymbolic: it would have
// types and variables of its own where the host has the same.
func bindsToItself() error {
	return malformed("it is linked to use its own copies of what the host has")
}

// dynamicSizes: entries that go together, and sizes that the dynamic linker
// asserts.
func (c *loadCheck) dynamicSizes() error {
	const symbolic, relaEntry, symEntry = 2, 24, 24
	for _, e := range []struct{ tag, with uint64 }{
		{dtStrtab, dtStrSize},
		{dtSymtab, dtSymEnt},
		{dtRela, dtRelaSize},
		{dtRela, dtRelaEnt},
		{dtJmpRel, dtPltRelSize},
		{dtJmpRel, dtPltRel},
		{dtInitArray, dtInitArraySize},
		{dtFiniArray, dtFiniArraySize},
		{dtVerneed, dtVerneedNum},
		{dtVerdef, dtVerdefNum},
	} {
		_, one := c.dyn[e.tag]
		_, other := c.dyn[e.with]
		if one != other {
			return malformed("of its dynamic entries %#x and %#x one is missing", e.tag, e.with)
		}
	}
	for _, tag := range []uint64{dtStrtab, dtSymtab, dtRela} {
		if _, ok := c.dyn[tag]; !ok {
			return malformed("its dynamic section has no entry %#x", tag)
		}
	}
	_, needs := c.dyn[dtVerneed]
	_, defines := c.dyn[dtVerdef]
	if _, ok := c.dyn[dtVersym]; !ok && (needs || defines) {
		return malformed("it has versions of symbols, and no table which has which")
	}
	switch {
	case c.dyn[dtFlags]&symbolic != 0:
		return bindsToItself()
	case c.dyn[dtSymEnt] != symEntry, c.dyn[dtRelaEnt] != relaEntry:
		return malformed("its symbols have %d bytes, its relocations %d", c.dyn[dtSymEnt], c.dyn[dtRelaEnt])
	}
	if plt, ok := c.dyn[dtPltRel]; ok && plt != dtRela {
		return malformed("its procedure linkage table has relocations of kind %d", plt)
	}
	for _, t := range []struct{ addr, size uint64 }{{dtRela, dtRelaSize}, {dtJmpRel, dtPltRelSize}} {
		s := span{c.dyn[t.addr], c.dyn[t.size]}
		if s.size == 0 {
			continue
		}
		if s.size%relaEntry != 0 || !c.has(s.addr, s.size, pfR) {
			return malformed("it has %d bytes of relocations at address %#x", s.size, s.addr)
		}
		c.rela = append(c.rela, s)
	}
	if len(c.rela) == 2 && c.rela[0].meets(c.rela[1]) {
		return malformed("its relocations overlap")
	}
	if count := c.dyn[dtRelaCount]; count > c.dyn[dtRelaSize]/relaEntry {
		return malformed("it has more relative relocations (%d) than relocations", count)
	}
	if got, ok := c.dyn[dtPltGot]; ok && !c.mapped(got, 8, pfW) {
		return malformed("its global offset table at %#x cannot be written", got)
	}
	return nil
}
