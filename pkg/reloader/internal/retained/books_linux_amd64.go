//go:build cgo

package retained

import (
	"os"
	"runtime"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// # Timers, finalizers and cleanups
//
// No variable of the program leads to a timer that nobody holds, nor to what is to run
// when an object goes. The runtime's books do: each processor has a heap of timers
// (runtime/time.go, timers.heap), each span a list of what is special about its objects
// (runtime/mheap.go, mspan.specials). Both are read through /proc/self/mem, without the
// locks that guard them: what moves meanwhile may be missed, or look like something that
// a second look does not confirm.
//
// A finalizer or a cleanup counts where the program holds its object. Of the others one
// cannot tell whether they will run soon, or never: the old generation's own variables
// stay, and what they hold does too.

const (
	finalizerKind = 2       // runtime/mheap.go, _KindSpecialFinalizer, Go 1.26 and 1.27
	cleanupKind   = 7       // the same, _KindSpecialCleanup
	stoppedTimer  = 4       // runtime/time.go, timerZombie
	mostTimers    = 1 << 20 // of a processor
	mostSpecials  = 1 << 20 // of a span: a list that changes just now may have no end
)

// bookLayout has offsets: of the heap in a processor, of the timer in an element of it,
// of the latter's flags and argument, and of the fields of what is special; and sizes.
type bookLayout struct {
	heap, timer, timerSize                 uintptr
	timerState, arg                        uintptr
	next, offset, specialKind, specialSize uintptr
}

// scanTimers goes on from all timers but those of hidden packages.
func (l *look) scanTimers(mem *os.File) {
	var timers []uintptr
	read := func(addr uintptr) uintptr {
		b := make([]byte, 8)
		if _, err := mem.ReadAt(b, int64(addr)); err != nil || !address(addr) {
			return 0
		}
		return number(b)
	}
	for _, processor := range pointers(l.books[1]) {
		first, n := read(processor+l.layout.heap), read(processor+l.layout.heap+8)
		for i := range min(n, mostTimers) {
			if l.bytes += 32; !l.more() {
				return
			}
			timer := read(first + i*l.layout.timerSize + l.layout.timer)
			if timer == 0 {
				continue
			}
			if flags := l.layout.timerState; read(timer+flags&^7)>>(flags%8*8)&stoppedTimer != 0 {
				continue // it is still in the list, and nothing comes of it
			}
			// The argument of a function to call is that function, in an interface.
			code := read(read(timer + l.layout.arg + 8))
			if program := &l.modules[0]; program.text <= code && code < program.etext && l.opts.Hidden(packageOf(livepatch.FunctionAt(code))) {
				continue
			}
			timers = append(timers, timer)
		}
	}
	l.scanWords("a timer", timers)
}

// scanSpecials goes on from the finalizers and cleanups of objects that were come upon.
func (l *look) scanSpecials(mem *os.File) {
	var finalizers, cleanups []uintptr
	b := make([]byte, l.layout.specialSize+24)
	for i := range l.spans {
		s := &l.spans[i]
		special := s.specials
		for n := 0; address(special) && n < mostSpecials; n++ {
			got, _ := mem.ReadAt(b, int64(special)) // most are shorter, and may be at the end of what there is
			if uintptr(got) < l.layout.specialSize {
				break
			}
			l.bytes += int64(got)
			if !l.more() {
				return
			}
			object := s.from + number(b[l.layout.offset:])
			special = number(b[l.layout.next:])
			if got < len(b) || object >= s.to || !s.marked(object) {
				continue
			}
			// runtime/mheap.go, specialfinalizer: fn first; specialCleanup: call, fn and arg.
			switch rest := b[l.layout.specialSize:]; b[l.layout.specialKind] {
			case finalizerKind:
				finalizers = append(finalizers, number(rest))
			case cleanupKind:
				cleanups = append(cleanups, number(rest[8:]), number(rest[16:]))
			}
		}
	}
	l.scanWords("a finalizer", finalizers)
	l.scanWords("a cleanup", cleanups)
}

// scanWords visits pointers that were found elsewhere.
func (l *look) scanWords(name string, words []uintptr) {
	if len(words) == 0 || !l.more() {
		return
	}
	l.roots = append(l.roots, Variable{Name: name})
	from := uintptr(unsafe.Pointer(&words[0]))
	l.scan(from, from+8*uintptr(len(words)), int32(-len(l.roots)), mask{every: true})
	runtime.KeepAlive(words)
}
