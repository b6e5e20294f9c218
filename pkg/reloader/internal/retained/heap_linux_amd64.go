//go:build cgo

package retained

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// span is a run of objects of one size, as it was when the list was read.
type span struct {
	from, to, elem uintptr
	end            uintptr // of its pages
	plain          bool    // without pointers
	alone          bool    // it is one object of a size that nothing else has,
	typ            uintptr // of this type
	specials       uintptr // address of a list
	seen           []uint64
}

// heap is all spans.
type heap struct {
	mapped    mapped
	spans     []span // sorted by address
	low, high uintptr
	arenas    []*[pagesPerArena]int32 // of 64 MB each, from that of low on: by page the index of a span, plus 1
}

const (
	pageSize      = 8 << 10 // runtime.pageSize
	arenaBits     = 26
	pagesPerArena = 1 << arenaBits / pageSize
	inUse         = 1       // runtime.mSpanInUse
	mostArenas    = 1 << 20 // 64 TB
	mostSpans     = 1 << 26
	readings      = 3 // of the heap, before a look gives up
	userHeaders   = 8 // an object may begin with a word of the runtime's (runtime/mbitmap.go, mallocHeaderSize)
)

// probe is an object that has a span to itself (runtime/malloc.go, maxSmallSize), so
// that it can be told which list has all spans.
var probe = sync.OnceValue(func() *[64 << 10]byte { return new([64 << 10]byte) })

// readHeap gives the spans that are in use, as far as all of their memory can be read.
func (p *program) readHeap(mem *os.File) (*heap, error) {
	probes() // are to be among them
	list, err := p.spanList(mem, uintptr(unsafe.Pointer(probe())))
	if err != nil {
		return nil, err
	}
	h := &heap{}
	if h.mapped, err = readMapped(); err != nil { // after the list, for the heap may grow
		return nil, err
	}
	h.spans = slices.DeleteFunc(list, func(s span) bool { return s.from == 0 || !h.mapped.holds(s.from, s.end-s.from) })
	slices.SortFunc(h.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return h, h.index()
}

// spanList reads runtime.mheap_.allspans: the slice of which all elements lead to what
// describes spans, one of them that in which probe lies.
func (p *program) spanList(mem *os.File, probe uintptr) ([]span, error) {
	books := make([]byte, p.mheap.Size)
	const tries = 10 // it may grow just then, and move
	for range tries {
		if _, err := mem.ReadAt(books, int64(p.mheap.Address)); err != nil {
			return nil, &Error{Detail: "the list of what is on the heap cannot be read", Err: err}
		}
		for at := 0; at+24 <= len(books); at += 8 {
			first, n, room := number(books[at:]), number(books[at+8:]), number(books[at+16:])
			if !address(first) || n == 0 || n > room || n > mostSpans {
				continue
			}
			// The last one tells whether so many can be read at all.
			if p.spansOf(mem, first+(n-1)*8, 1) == nil {
				continue
			}
			list := p.spansOf(mem, first, n)
			if slices.ContainsFunc(list, func(s span) bool { return s.from == probe }) {
				return list, nil
			}
		}
	}
	return nil, fail("the runtime's list of what is on the heap is not where it is expected")
}

func number(b []byte) uintptr { return uintptr(binary.LittleEndian.Uint64(b)) }

func address(w uintptr) bool { return w != 0 && w%8 == 0 && w < 1<<47 }

// spansOf reads a list of addresses, and what describes spans there. It gives nil unless
// each does.
func (p *program) spansOf(mem *os.File, first, n uintptr) (list []span) {
	addresses, description := make([]byte, 8*n), make([]byte, p.spanLayout.size)
	if _, err := mem.ReadAt(addresses, int64(first)); err != nil {
		return nil
	}
	for ; len(addresses) > 0; addresses = addresses[8:] {
		at := number(addresses)
		if !address(at) {
			return nil
		}
		if _, err := mem.ReadAt(description, int64(at)); err != nil {
			return nil
		}
		s, ok := p.spanLayout.parse(description)
		if !ok {
			return nil
		}
		list = append(list, s)
	}
	return list
}

// parse gives the span that is described, the zero one if it is not in use. It may be
// changed just now: what contradicts itself is no span either. ok tells descriptions from
// what is none, or one of long ago that was never used again.
func (l *spanLayout) parse(b []byte) (s span, ok bool) {
	from, pages, elem := number(b[l.start:]), number(b[l.pages:]), number(b[l.elem:])
	if from%pageSize != 0 || from >= 1<<47 || pages >= 1<<35 {
		return s, false
	}
	count := uintptr(binary.LittleEndian.Uint16(b[l.count:]))
	to := from + count*elem
	if b[l.state] != inUse || b[l.arenas] != 0 || from == 0 || elem < 8 || elem%8 != 0 || count == 0 || to > from+pages*pageSize || to < from {
		return s, true
	}
	return span{
		from: from, to: to, elem: elem, end: from + pages*pageSize, specials: number(b[l.specials:]),
		plain: b[l.class]&1 != 0, alone: b[l.class]>>1 == 0, typ: number(b[l.typ:]), // runtime/mheap.go, makeSpanClass
	}, true
}

// index makes it possible to find an object by an address in it.
func (h *heap) index() error {
	if len(h.spans) == 0 {
		return fail("nothing is on the heap")
	}
	h.low, h.high = h.spans[0].from, h.spans[len(h.spans)-1].to
	base := h.low >> arenaBits
	n := h.high>>arenaBits - base + 1
	if n > mostArenas {
		return fail("the heap is spread over too much address space")
	}
	h.arenas = make([]*[pagesPerArena]int32, n)
	for i := range h.spans {
		s := &h.spans[i]
		for page := s.from; page < s.to; page += pageSize {
			arena := &h.arenas[page>>arenaBits-base]
			if *arena == nil {
				*arena = new([pagesPerArena]int32)
			}
			(*arena)[page%(1<<arenaBits)/pageSize] = int32(i + 1)
		}
	}
	return nil
}

// object gives the object that an address lies in, and its span.
func (h *heap) object(addr uintptr) (from uintptr, s *span) {
	if addr < h.low || addr >= h.high {
		return 0, nil
	}
	arena := h.arenas[addr>>arenaBits-h.low>>arenaBits]
	if arena == nil {
		return 0, nil
	}
	i := arena[addr%(1<<arenaBits)/pageSize]
	if i == 0 {
		return 0, nil
	}
	s = &h.spans[i-1]
	if addr >= s.to {
		return 0, nil
	}
	return addr - (addr-s.from)%s.elem, s
}

// mark notes that an object was seen, and reports whether it was not yet.
func (s *span) mark(object uintptr) bool {
	if s.seen == nil {
		s.seen = make([]uint64, ((s.to-s.from)/s.elem+63)/64)
	}
	first := !s.marked(object)
	i := (object - s.from) / s.elem
	s.seen[i/64] |= 1 << (i % 64)
	return first
}

// marked reports whether an object was seen. An address within it will do.
func (s *span) marked(object uintptr) bool {
	i := (object - s.from) / s.elem
	return s.seen != nil && s.seen[i/64]>>(i%64)&1 != 0
}

// mapped are the parts of the address space that can be read, sorted.
type mapped [][2]uintptr

// readMapped asks the kernel.
func readMapped() (all mapped, err error) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, &Error{Detail: "the memory of this program cannot be listed", Err: err}
	}
	for line := range strings.Lines(string(text)) {
		var from, to uintptr
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || rights[0] != 'r' {
			continue
		}
		if last := len(all) - 1; last >= 0 && all[last][1] == from {
			all[last][1] = to
			continue
		}
		all = append(all, [2]uintptr{from, to})
	}
	return all, nil
}

// holds reports whether n bytes from addr on can be read.
func (m mapped) holds(addr, n uintptr) bool {
	i, exact := slices.BinarySearchFunc(m, addr, func(part [2]uintptr, addr uintptr) int { return cmp.Compare(part[0], addr) })
	if !exact {
		i--
	}
	return i >= 0 && addr+n <= m[i][1]
}
