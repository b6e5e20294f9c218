// Package clang calls C, and is called by it.
package clang

// #cgo LDFLAGS: -lm
// #include <stdlib.h>
// #include <errno.h>
// #include <math.h>
// #include "clang.h"
//
// static int add(int a, int b) { return a + b; }
// static int fail(int e) { errno = e; return -1; }
// static pair swap(pair p) { pair q = { (int)p.b, (double)p.a }; return q; }
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Version is a macro.
const Version = C.CLANG_VERSION

// Add calls a static function.
func Add(a, b int) int { return int(C.add(C.int(a), C.int(b))) }

// Hypot calls a library.
func Hypot(a, b float64) float64 { return float64(C.hypot(C.double(a), C.double(b))) }

// Fail gives an errno.
func Fail(e int) error {
	_, err := C.fail(C.int(e))
	return err
}

// Upper calls a function of a C file.
func Upper(s string) string {
	p := C.CString(s)
	defer C.free(unsafe.Pointer(p))
	C.clang_upper(p)
	return C.GoString(p)
}

// Bytes copies memory of C.
func Bytes(n int) []byte {
	p := C.calloc(1, C.size_t(n))
	defer C.free(p)
	return C.GoBytes(p, C.int(n))
}

// Count changes a static variable of C.
func Count() int { return int(C.clang_count()) }

// Swap passes a struct by value.
func Swap(a int, b float64) (float64, int) {
	p := C.swap(C.pair{a: C.int(a), b: C.double(b)})
	return float64(p.b), int(p.a)
}

// Each is called back for every number.
func Each(n int, f func(int) int) int {
	h := cgo.NewHandle(f)
	defer h.Delete()
	return int(C.clang_each(C.int(n), C.uintptr_t(h)))
}

//export clangCallback
func clangCallback(h C.uintptr_t, n C.int) C.int {
	return C.int(cgo.Handle(h).Value().(func(int) int)(int(n)))
}

// Own is a variable of this generation.
var Own int

// Mine asks C for what should be this generation's own: a global variable of
// C, and a Go variable by way of a callback.
func Mine() (c, callback int) {
	C.clang_global += C.int(Own)
	return int(C.clang_global), int(C.clang_own())
}

//export clangOwn
func clangOwn() C.int { return C.int(Own) }
