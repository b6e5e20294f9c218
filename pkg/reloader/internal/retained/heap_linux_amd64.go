//go:build cgo

package retained

import (
	"cmp"
	"encoding/binary"
	"os"
	"slices"
	"sync"
	"unsafe"
)

// span is a run of objects of one size, as it was when the list was read.
type span struct {
	from, to, elem uintptr
	plain          bool // without pointers
	seen           []uint64
}

// heap is all spans.
type heap struct {
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
	userHeaders   = 8 // an object may begin with a word of the runtime's (runtime/mbitmap.go, mallocHeaderSize)
)

// probe is an object that has a span to itself (runtime/malloc.go, maxSmallSize), so
// that it can be told which list has all spans.
var probe = sync.OnceValue(func() *[64 << 10]byte { return new([64 << 10]byte) })

// readHeap gives the spans that are in use.
func (p *program) readHeap() (*heap, error) {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, &Error{Detail: "the list of what is on the heap cannot be read", Err: err}
	}
	defer mem.Close()
	list, err := p.spanList(mem, uintptr(unsafe.Pointer(probe())))
	if err != nil {
		return nil, err
	}
	h := &heap{}
	for _, s := range list {
		if s, ok := p.spanAt(s); ok {
			h.spans = append(h.spans, s)
		}
	}
	slices.SortFunc(h.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return h, h.index()
}

// spanList reads runtime.mheap_.allspans: the slice that has a description of the span
// in which probe lies.
func (p *program) spanList(mem *os.File, probe uintptr) ([]uintptr, error) {
	books := make([]byte, p.mheap.Size)
	const tries = 10 // it may grow just then, and move
	for range tries {
		if _, err := mem.ReadAt(books, int64(p.mheap.Address)); err != nil {
			return nil, &Error{Detail: "the list of what is on the heap cannot be read", Err: err}
		}
		for at := 0; at+24 <= len(books); at += 8 {
			first, n, room := number(books[at:]), number(books[at+8:]), number(books[at+16:])
			if first == 0 || first%8 != 0 || n == 0 || n > room || n > mostSpans {
				continue
			}
			// Most of what looks like a slice is none: a few elements tell.
			if !p.describesSpan(mem, first) || !p.describesSpan(mem, first+n/2*8) || !p.describesSpan(mem, first+(n-1)*8) {
				continue
			}
			if list := p.spansOf(mem, first, n, probe); list != nil {
				return list, nil
			}
		}
	}
	return nil, fail("the runtime's list of what is on the heap is not where it is expected")
}

func number(b []byte) uintptr { return uintptr(binary.LittleEndian.Uint64(b)) }

// describesSpan reports whether what is at addr leads to the description of a span,
// one in use or one that was.
func (p *program) describesSpan(mem *os.File, addr uintptr) bool {
	slot, description := make([]byte, 8), make([]byte, p.spanLayout.size)
	if _, err := mem.ReadAt(slot, int64(addr)); err != nil {
		return false
	}
	s := number(slot)
	if s == 0 || s%8 != 0 || s > 1<<47 {
		return false
	}
	if _, err := mem.ReadAt(description, int64(s)); err != nil {
		return false
	}
	from, pages := number(description[p.spanLayout.start:]), number(description[p.spanLayout.pages:])
	return from%pageSize == 0 && from < 1<<47 && pages < 1<<35
}

// spansOf reads a list, and gives nil unless all of it leads to memory that can be
// read and one is the span of probe.
func (p *program) spansOf(mem *os.File, first, n, probe uintptr) (list []uintptr) {
	bytes := make([]byte, 8*n)
	if _, err := mem.ReadAt(bytes, int64(first)); err != nil {
		return nil
	}
	found := false
	start := make([]byte, 8)
	for i := range n {
		s := number(bytes[8*i:])
		if s == 0 || s%8 != 0 || s > 1<<47 {
			return nil
		}
		if _, err := mem.ReadAt(start, int64(s+p.spanLayout.start)); err != nil {
			return nil
		}
		found = found || number(start) == probe
		list = append(list, s)
	}
	if !found {
		return nil
	}
	return list
}

// spanAt reads one description, which is never freed, but may be changed just now: what
// contradicts itself is left out.
//
//go:norace
func (p *program) spanAt(addr uintptr) (s span, ok bool) {
	l := &p.spanLayout
	from, pages, elem := word(addr+l.start), word(addr+l.pages), word(addr+l.elem)
	count, class := *at[uint16](addr + l.count), *at[uint8](addr + l.class)
	if *at[uint8](addr + l.state) != inUse || *at[bool](addr + l.arenas) {
		return s, false
	}
	to := from + uintptr(count)*elem
	if from == 0 || from%pageSize != 0 || from > 1<<47 || elem < 8 || count == 0 || pages > 1<<34 || to > from+pages*pageSize || word(addr+l.start) != from {
		return s, false
	}
	return span{from: from, to: to, elem: elem, plain: class&1 != 0}, true
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
	i := (object - s.from) / s.elem
	bit := uint64(1) << (i % 64)
	first := s.seen[i/64]&bit == 0
	s.seen[i/64] |= bit
	return first
}
