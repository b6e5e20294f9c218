package carry

import (
	"reflect"
	"unsafe"
)

// # What is unsafe here
//
// State lies in unexported variables and unexported fields, which reflect shows
// and does not let be set; and memory that both generations are to share has to
// be seen as the new generation's type. So the engine knows a place in memory
// by its address, and says which type it takes it for each time it looks. All of
// that is in this file:
//
//   - an address is always kept as a pointer, never as a number, so that what it
//     leads to stays alive. Numbers of addresses are compared and never turned
//     back.
//   - memory is taken for a type other than the one it was allocated with only
//     where relation.twin says that both have the same definition throughout. Then
//     size, alignment and the words that are pointers are the same, and these are
//     all that the collector and the compiler's code rely on.
//   - the two words of an interface are those of runtime.eface and runtime.iface
//     (Go 1.4 to 1.27): the second leads to the value, or is the value where the
//     type is a single pointer. Which of the two is asked of the runtime itself,
//     see direct.
type address struct{ p unsafe.Pointer }

// addressOf gives where v leads to, which is a pointer, map, channel, function
// or slice.
func addressOf(v reflect.Value) address { return address{v.UnsafePointer()} }

// at takes the memory for a t. The value can be set, whoever owns its fields.
func (a address) at(t reflect.Type) reflect.Value { return reflect.NewAt(t, a.p).Elem() }

func (a address) add(n uintptr) address { return address{unsafe.Add(a.p, n)} }

func (a address) word() uintptr { return uintptr(a.p) }

func (a address) isNil() bool { return a.p == nil }

// load reads the pointer that lies there: a pointer, map, channel or function.
func (a address) load() address { return address{*(*unsafe.Pointer)(a.p)} }

// store writes one.
func (a address) store(to address) { *(*unsafe.Pointer)(a.p) = to.p }

// wordSize is the size of a pointer.
const wordSize = unsafe.Sizeof(uintptr(0))

// boxWord is where an interface has its value, or leads to it.
func (a address) boxWord() address { return a.add(wordSize) }

// setBox makes the interface of type iface that lies there hold the t at box,
// which nobody may change from then on.
func (a address) setBox(iface, t reflect.Type, box address) {
	a.at(iface).Set(reflect.Zero(t)) // for its first word
	a.boxWord().store(box)
}

// direct reports whether an interface holds a t in its second word, instead of
// leading to it. A zero t is put into one: only a pointer is nil.
func direct(t reflect.Type) bool {
	v := reflect.Zero(t).Interface()
	return address{unsafe.Pointer(&v)}.boxWord().load().isNil()
}

// slice gives a slice of n elements that lie there.
func (a address) slice(elem reflect.Type, n int) reflect.Value { return reflect.SliceAt(elem, a.p, n) }
