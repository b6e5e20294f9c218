package livepatch

import "unsafe"

// Callable makes the code of a function, whose first instruction is at entry, a value of
// its type F. Whoever asks has to know that the function has that type, that it is none
// that captured anything, and that its code stays mapped.
//
// A value of a function type is a pointer to where the code's address is, and what
// follows it is what was captured (runtime/runtime2.go, Go 1.26 and 1.27: funcval).
func Callable[F any](entry uintptr) F {
	code := &entry
	return *(*F)(unsafe.Pointer(&code))
}
