//go:build cgo

package retained

import (
	"reflect"
	"sync"
)

// # Which words are pointers
//
// Those that the garbage collector takes for such. Others may be anything: a number,
// or what an earlier object left in the words of a slot that the type of the later one
// does not reach (runtime/iface.go, convT, does not have its memory cleared).
// runtime/mbitmap.go says where the collector looks, Go 1.26 and 1.27:
//
//   - Spans of objects of up to 512 bytes have a bit for each of their words at their
//     end, before the marks that the collector may keep there (spanHeapBitsRange).
//   - Larger objects begin with the address of their type; of those with a span to
//     themselves the description of the span has it. The type has a bit for each
//     word up to the last pointer, which counts again for each element of an array.
//   - Data and bss have a bit for each word (moduledata.gcdatamask, gcbssmask).
//
// The first word of an interface is no pointer there, the second one is one
// (cmd/compile/internal/typebits/typebits.go), but in structs whose type package reflect
// has made, where both are (reflect/type.go, addTypeBits).

const (
	mostWithBits  = 512    // bytes; runtime/mbitmap.go, heapBitsInSpan: gc.MinSizeForMallocHeader
	leastWithMark = 16     // bytes; runtime/mgcmark_greenteagc.go, gcUsesSpanInlineMarkBits
	headerSize    = 8      // internal/runtime/gc/malloc.go, MallocHeaderSize
	maskOnDemand  = 1 << 4 // internal/abi/type.go, TFlagGCMaskOnDemand
	endless       = ^uintptr(0)
)

// typeLayout has offsets in descriptions of types.
type typeLayout struct{ size, pointers, flag, mask uintptr }

// mask says of the words of a variable or an object which are pointers.
type mask struct {
	bits  uintptr // address of bytes with a bit for each word
	from  uintptr // address of the first of these words
	size  uintptr // of an element, for which all bits count again, or endless
	upTo  uintptr // offset in an element from which on nothing is a pointer
	every bool    // it cannot be told: each may be one
}

// pointer reports whether the word at addr is one.
//
//go:norace
//go:nocheckptr
func (m *mask) pointer(addr uintptr) bool {
	if m.every {
		return true
	}
	if addr < m.from {
		return false // the header
	}
	offset := addr - m.from
	if m.size != endless {
		offset %= m.size
	}
	return offset < m.upTo && *at[byte](m.bits + offset/64)>>(offset/8%8)&1 != 0
}

// bits gives the address of those at the end of a span of small objects.
func (p *program) bits(s *span) uintptr {
	bits := s.end - (s.end-s.from)/64
	if s.elem >= leastWithMark {
		bits -= p.spanLayout.marks
	}
	return bits
}

// maskOf says which words of a variable or an object are pointers. What was freed, and
// is something else now, has none, or wrong ones; all that is said can be read.
//
//go:norace
func (l *look) maskOf(from uintptr) mask {
	object, s := l.object(from)
	switch {
	case s == nil:
		for i, part := range l.modules[0].writable {
			if part[0] <= from && from < part[1] {
				return mask{bits: l.modules[0].masks[i], from: part[0], size: endless, upTo: part[1] - part[0]}
			}
		}
		return mask{size: endless}
	case s.elem <= mostWithBits:
		return mask{bits: l.bits(s), from: s.from, size: endless, upTo: s.to - s.from}
	case s.alone:
		return l.maskOfType(s.typ, object, s.elem)
	}
	return l.maskOfType(word(object), object+headerSize, s.elem-headerSize)
}

// maskOfType says which words are pointers of what has room bytes and is of the type
// described at addr, or an array of such.
//
//go:norace
//go:nocheckptr
func (l *look) maskOfType(addr, from, room uintptr) mask {
	p := &l.typeLayout
	none := mask{from: from, size: endless}
	if !address(addr) || !l.heap.mapped.holds(addr, p.mask+8) {
		return none
	}
	m := mask{bits: word(addr + p.mask), from: from, size: word(addr + p.size), upTo: word(addr + p.pointers)}
	if m.size == 0 || m.size > room || m.upTo > m.size || m.size%8 != 0 {
		return none
	}
	if *at[byte](addr + p.flag)&maskOnDemand != 0 { // the runtime makes it when it first needs it
		if !address(m.bits) || !l.heap.mapped.holds(m.bits, 8) {
			return none
		}
		m.bits = word(m.bits)
	}
	if !l.heap.mapped.holds(m.bits, (m.upTo+63)/64) {
		return mask{from: from, every: true}
	}
	return m
}

// probes are objects of types with every other word a pointer.
var probes = sync.OnceValue(func() (all []reflect.Value) {
	type pair struct {
		P *byte
		N uintptr
	}
	for n := 1; n <= mostWithBits/16; n++ {
		all = append(all, reflect.New(reflect.ArrayOf(n, reflect.TypeFor[pair]())))
	}
	return all
})

// checkMasks holds what is said of the probes' words against what they are. They have
// to have been made before the heap was read.
func (l *look) checkMasks() error {
	for _, v := range probes() {
		from, size := uintptr(v.UnsafePointer()), v.Elem().Type().Size()
		object, s := l.object(from)
		m := l.maskOf(from)
		for offset := uintptr(0); offset < size; offset += 8 {
			if s == nil || object != from || m.pointer(from+offset) != (offset%16 == 0) {
				return fail("it is not known where the runtime notes which words of an object of %d bytes are pointers", size)
			}
		}
	}
	return nil
}
