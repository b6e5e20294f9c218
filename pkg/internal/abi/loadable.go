package abi

import (
	"encoding/binary"
	"io"
)

// This file, with dynamic.go, bindings.go, relocations.go, gotables.go and
// functab.go, says whether the dynamic linker and the Go runtime survive a file.
//
// Both follow what a file says without looking: the dynamic linker maps segments
// over whatever lies where they ask, divides by the number of hash buckets, and
// asserts that the size of a relocation is what it knows; the runtime walks the
// module data and throws. Go's linker and gcc write none of that wrong, so it
// takes a damaged file or a forged one, and an artifact's digest shows damage.
// What the digest cannot show is a file that was wrong when it was computed, and
// plugins without a manifest have none. So everything that either of them would
// dereference, count or call before the first instruction of the plugin runs is
// checked to lie in the file and to make sense beside the rest.
//
// One rule does most of the work: what is said twice has to agree. The readers of
// this package find tables by sections, the dynamic linker finds them by segments,
// and if they were not the same tables, then the preflight would judge one file
// and the process would get another.
//
// What it cannot do is to tell a good address from another good one. A relocation
// that makes a pointer to the wrong function of the plugin looks like any other,
// and so does an instruction. Who can write those can run code, and against that
// there are signatures, not checks.
//
// The bounds come from glibc 2.36 (elf/dl-load.c, dl-version.c, dl-lookup.c,
// get-dynamic-info.h, sysdeps/x86_64/dl-machine.h) and the runtime of Go 1.26 and
// 1.27 (runtime/plugin.go, symtab.go).

// CheckLoadable checks that opening the plugin in r, which has size bytes, ends
// neither in the dynamic linker nor in the runtime's tables. It is meant for
// files that [Fingerprint.RequirePlugin] accepts; whether the plugin fits a
// host is for [Compare]. Of files for other machines than amd64 it checks the
// segments alone.
//
// It reads the tables, not code and data: some milliseconds, and memory in
// proportion to the tables. r may be read concurrently by others.
//
// Errors: *[Error] with reason Malformed, or one of those of [Read].
func CheckLoadable(r io.ReaderAt, size int64) (err error) {
	defer func() {
		if p := recover(); p != nil { // as in Read
			err = fail(Malformed, "checking its tables failed: %v", p)
		}
	}()
	m, err := openImage(r, size)
	if err != nil {
		return err
	}
	c := &loadCheck{image: m}
	if err := c.segmentsMap(); err != nil {
		return err
	}
	if m.goarch() != "amd64" || m.order != binary.ByteOrder(binary.LittleEndian) {
		return nil
	}
	for _, check := range []func() error{
		c.readDynamic, c.sectionsAgree, c.readBindings, c.hashTables, c.versions,
		c.relocations, c.initialisers, c.goTables,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// loadCheck is a check under way, and what the steps so far found.
type loadCheck struct {
	*image
	loads   []segment
	tls     segment // zero where there is none
	dyn     map[uint64]uint64
	needed  []uint64 // offsets of names in strtab
	strtab  []byte
	symtab  *symbols
	rela    []span   // relocations that the dynamic linker goes through
	relocs  [][]byte // their bytes
	module  section
	rwords  map[uint64]reloc // relocations of words that are looked at
	collect []span           // where those are, ascending
}

// span is a range of addresses.
type span struct{ addr, size uint64 }

func (s span) holds(addr, n uint64) bool {
	return addr >= s.addr && addr-s.addr <= s.size && n <= s.size-(addr-s.addr)
}

func (s span) meets(o span) bool {
	return s.size > 0 && o.size > 0 && s.addr < o.addr+o.size && o.addr < s.addr+s.size
}

// Segment types and flags (gABI 4.1, GNU).
const (
	ptDynamic     = 2
	ptNote        = 4
	ptPhdr        = 6
	ptTLS         = 7
	ptGNUEhFrame  = 0x6474e550
	ptGNURelro    = 0x6474e552
	ptGNUProperty = 0x6474e553

	pfX, pfW, pfR = 1, 2, 4

	pageSize = 4096    // the smallest there is; larger ones are multiples
	maxAddr  = 1 << 46 // above is the kernel's, and sums would overflow
	maxAlign = 1 << 21 // a huge page
	maxTLS   = 1 << 24 // a process ends where it has no memory for a thread's
)

func malformed(format string, args ...any) error { return fail(Malformed, format, args...) }

// segmentsMap: the dynamic linker reserves the range from the first loadable
// segment to the last and maps the others into it. One that is out of order is
// mapped over something else of the process.
func (c *loadCheck) segmentsMap() error {
	var end uint64 // of the last one's last page
	for i, s := range c.segments {
		if s.typ != ptLoad {
			continue
		}
		switch {
		case s.addr >= maxAddr || s.memsize >= maxAddr:
			return malformed("segment %d wants addresses %#x to %#x", i, s.addr, s.addr+s.memsize)
		case s.align < pageSize || s.align > maxAlign || s.align&(s.align-1) != 0:
			return malformed("segment %d is aligned to %#x", i, s.align)
		case (s.addr-s.off)%s.align != 0:
			return malformed("segment %d maps offset %#x to address %#x", i, s.off, s.addr)
		case s.flags&pfR == 0:
			return malformed("segment %d cannot be read", i)
		case s.addr&^(pageSize-1) < end || len(c.loads) > 0 && s.addr < end:
			return malformed("segment %d overlaps the one before it", i)
		}
		end = (s.addr + s.memsize + pageSize - 1) &^ (pageSize - 1)
		c.loads = append(c.loads, s)
	}
	if len(c.loads) == 0 {
		return malformed("nothing of it would be loaded")
	}
	return c.otherSegments()
}

// otherSegments: those that say what to do with what is mapped.
func (c *loadCheck) otherSegments() error {
	dynamics := 0
	for i, s := range c.segments {
		switch s.typ {
		case ptDynamic:
			if dynamics++; dynamics > 1 || !c.has(s.addr, max(s.filesz, s.memsize), pfW) {
				return malformed("segment %d, the dynamic section, is not in writable memory, or the second one", i)
			}
		case ptTLS:
			if c.tls.typ != 0 || s.memsize < s.filesz || s.memsize > maxTLS || s.filesz > 0 && !c.has(s.addr, s.filesz, pfR) ||
				s.align&(s.align-1) != 0 || s.align > pageSize {
				return malformed("segment %d, thread-local storage, has %d of %d bytes aligned to %d", i, s.filesz, s.memsize, s.align)
			}
			c.tls = s
		case ptGNURelro:
			// It becomes read-only once relocations are applied, up to the last whole
			// page (glibc 2.36, _dl_protect_relro). lld 14 ends it with the page of
			// its segment, which no other segment is in.
			if s.memsize > 0 && !c.mappedPages(s.addr, s.memsize, pfW) {
				return malformed("segment %d would protect memory that is not its own", i)
			}
		case ptPhdr:
			if off, ok := c.offset(s.addr, s.filesz); !ok || off != s.off || off != c.phoff {
				return malformed("segment %d is not the program headers", i)
			}
		case ptNote, ptGNUEhFrame, ptGNUProperty:
			if !c.has(s.addr, max(s.filesz, s.memsize), pfR) {
				return malformed("segment %d lies outside of what is loaded", i)
			}
		}
	}
	if dynamics == 0 {
		return malformed("it has no dynamic section")
	}
	return nil
}

// has reports whether n bytes at addr come from the file, in a segment with
// these flags.
func (c *loadCheck) has(addr, n uint64, flags uint32) bool {
	for _, s := range c.loads {
		if (span{s.addr, s.filesz}).holds(addr, n) {
			return s.flags&flags == flags
		}
	}
	return false
}

// mapped is has for memory that begins as zeros, too.
func (c *loadCheck) mapped(addr, n uint64, flags uint32) bool {
	for _, s := range c.loads {
		if (span{s.addr, s.memsize}).holds(addr, n) {
			return s.flags&flags == flags
		}
	}
	return false
}

// mappedPages is mapped for a range that may go on to the end of its last page.
func (c *loadCheck) mappedPages(addr, n uint64, flags uint32) bool {
	for _, s := range c.loads {
		end := (s.addr + s.memsize + pageSize - 1) &^ (pageSize - 1)
		if (span{s.addr, end - s.addr}).holds(addr, n) {
			return s.flags&flags == flags
		}
	}
	return false
}

// code reports whether a call may go there.
func (c *loadCheck) code(addr uint64) bool { return c.has(addr, 1, pfX) }

// at reads a table that will be loaded to addr.
func (c *loadCheck) at(what string, addr, n uint64) ([]byte, error) {
	off, ok := c.offset(addr, n)
	if !ok {
		return nil, malformed("its %s, %d bytes at address %#x, is not in the file", what, n, addr)
	}
	if n > maxTable {
		return nil, fail(TooLarge, "%d bytes of %s", n, what)
	}
	return c.bytes(what, off, n)
}

// sectionsAgree: see the story above. Sections that the other readers of this
// package go by lie where the dynamic linker finds the same.
func (c *loadCheck) sectionsAgree() error {
	differ := func(name string) error {
		return malformed("section %s is not what the dynamic linker would use", name)
	}
	var rela uint64
	for _, s := range c.sections {
		if s.typ == shtNobits || s.typ == shtNull || s.addr == 0 {
			continue
		}
		if off, ok := c.offset(s.addr, s.size); !ok || off != s.off {
			return differ(s.name)
		}
		const shtRela = 4
		if s.typ == shtRela {
			if !c.inRela(s.addr, s.size) {
				return differ(s.name)
			}
			rela += s.size
		}
	}
	for _, s := range c.rela {
		rela -= s.size
	}
	if rela != 0 {
		return malformed("its sections have not the relocations that the dynamic linker would apply")
	}
	for _, t := range []struct {
		section   string
		tag, size uint64 // size: the tag that has it, or 0
	}{
		{".dynsym", dtSymtab, 0},
		{".gnu.version", dtVersym, 0},
		{".gnu.version_r", dtVerneed, 0},
		{".init", dtInit, 0},
		{".fini", dtFini, 0},
		{".init_array", dtInitArray, dtInitArraySize},
		{".fini_array", dtFiniArray, dtFiniArraySize},
	} {
		sec, there := c.section(t.section)
		addr, said := c.dyn[t.tag]
		if there != said || there && (sec.addr != addr || t.size != 0 && sec.size != c.dyn[t.size]) {
			return differ(t.section)
		}
	}
	dyn, _ := c.segment(ptDynamic)
	if sec, ok := c.section(".dynamic"); !ok || sec.addr != dyn.addr || sec.size != dyn.filesz || sec.size != dyn.memsize {
		return differ(".dynamic")
	}
	var ok bool
	if c.module, ok = c.section(".go.module"); !ok || c.module.size%8 != 0 || !c.has(c.module.addr, c.module.size, pfW) {
		return differ(".go.module")
	}
	return nil
}

func (c *loadCheck) inRela(addr, n uint64) bool {
	for _, s := range c.rela {
		if s.holds(addr, n) {
			return true
		}
	}
	return false
}
