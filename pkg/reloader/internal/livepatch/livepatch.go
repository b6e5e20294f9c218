// Package livepatch sends the callers of a function to another function while
// the program runs. It is the only place with machine code, and the only one
// that changes anything of the Go runtime's; package retained reads what it has on the
// heap.
//
// # How a function is replaced
//
// The first five bytes of a function become a jump to a slot, eight bytes of
// code nearby that jump on through a pointer. From then on only the pointer
// changes, until the original bytes are put back. No register is touched, so
// arguments, the closure's context and the current goroutine arrive as they
// were, and the stack is that of a call to the new function: the frame of the
// old one was not set up yet. What calls the function, through whatever, ends up
// in the new one; what is inside it goes on with the old code, all of which but
// five bytes is still there.
//
//	old:    jmp slot          was: cmp rsp, [r14+16] …
//	slot:   jmp [pointer]     never changes; lies within 2 GB of old
//	pointer: new
//
// The world is stopped for each change, once for a whole set of functions, so
// that no goroutine ever sees half of it. Everything that can fail is done
// before: reading and comparing code, finding memory, making pages writable and
// having the kernel copy them. What is left are stores.
//
// # Why nobody is in the way
//
// With the world stopped no goroutine runs, but each will go on at some
// instruction, and five bytes may have been several. Goroutines that gave up
// the processor by themselves go on behind a call, and a call is five bytes
// long: never inside of the first five. What remains are goroutines that were
// preempted by a signal, anywhere the compiler allows it.
//
// It does not allow it in the check for stack space that most functions begin
// with (cmd/internal/obj/x86/obj6.go, stacksplit, Go 1.26 and 1.27: an unsafe
// point begins right behind the comparison and ends behind the branch), and that
// check is all of the first five bytes. Nothing but the way back from growing
// the stack leads into it either, and that leads to its first byte.
//
// Functions without a check are called exposed here: small ones that call
// nothing, and those marked nosplit. For them all goroutines are looked through
// while the world is stopped, before anything is written. One that was preempted
// by a signal is marked as such and has the address at which it goes on near the
// top of its stack (runtime/preempt.go, asyncPreempt2 and asyncPreemptStack).
// Is it inside of the bytes to be written, then the world is started again, and
// tried again shortly after. And the head of a loop may lie within the first five
// bytes: whoever is anywhere in such a function would jump back there. Their code
// is searched for bytes that may be such a jump; where there are, nobody may be in
// the function at all.
//
// Some code runs without the world noticing: parts of the runtime, the packages
// it is built on, and the bare system calls. None of it is redirected.
//
// # Why the runtime does not mind
//
// A slot is no Go code: the runtime knows no function there. A goroutine is in
// it for one instruction, which calls nothing and faults never, so a slot is in
// no stack trace. Two signals may hit just there. That for preemption finds no
// function and leaves the goroutine alone until the next one
// (runtime/preempt.go, isAsyncSafePoint, "Not Go code"). That of the profiler
// finds no stack to walk and counts a sample without one (runtime/proc.go,
// sigprof). The jump at the old entry is in the old function
// as far as the runtime knows, at its first instruction, with no frame yet: so
// it is. Pointers in slots lead to code, which the collector never moves or
// frees; artifacts are never unmapped.
//
// No page is ever writable and executable but those that are being changed, for
// the time of the change: other threads go on executing them, so they cannot
// lose the right meanwhile. Systems that forbid even that are told apart before
// anything has happened.
package livepatch

import (
	"fmt"
	"runtime"
	"time"
)

// Moment is what has to be so while the world stands still. In the code of maps there
// is nobody, whatever is said here.
type Moment struct {
	// Code has addresses, each of which stands for all of the artifact or the program
	// that it is in. Nobody was interrupted by a signal inside of that code.
	Code []uintptr
	// Packages are packages of the program that count as Code does, by their import
	// paths as symbol names have them. Where their functions are inlined into others,
	// nobody was interrupted there either.
	Packages []string
	// Functions are entries of functions that count as Code does, each by itself.
	Functions []uintptr
	// NoCalls has nobody be in a call of that code, nor about to make one with what is
	// already in a register. Goroutines that the code started are its own and do not
	// count: they end when it stops. What a goroutine has kept to call later is not
	// seen.
	NoCalls bool
}

// Redirect sends the callers of one function to another.
type Redirect struct {
	From uintptr // entry of the function that is left
	To   uintptr // entry of the one that takes its place; has to take the same arguments
	Was  []byte  // what the code at From begins with; nil compares nothing
}

// Report tells how a change went.
type Report struct {
	Pause    time.Duration // how long the world stood still for the change
	Tries    int           // how often it was stopped: more than once where goroutines were in the way
	Written  int           // functions that were redirected first
	Swapped  int           // functions that were redirected already, and have another target
	Restored int           // functions that have their own code again
	// Unsealed is not nil where the change went well, but pages of code could
	// not be made read-only again.
	Unsealed error
}

// Reason says what kind of refusal an [Error] is.
type Reason uint8

// The reasons.
const (
	Unsupported Reason = iota + 1 // this process cannot be patched at all
	Denied                        // the system does not let it change its code
	Changed                       // the code is not what it was taken for
	Unfit                         // this function cannot be redirected
	Busy                          // goroutines are where nobody may be, again and again
	NoMemory                      // there is no room for slots near the code
)

// Error says why nothing was changed.
type Error struct {
	Reason   Reason
	Function string // the one that it is about, as the runtime names it; may be ""
	Detail   string
	Err      error // cause, may be nil
	// Want and Have are the bytes that differ, where Reason is Changed.
	Want, Have []byte
}

// Error gives function, detail and cause.
func (e *Error) Error() string {
	s := e.Detail
	if e.Function != "" {
		s = e.Function + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(r Reason, function, format string, args ...any) *Error {
	return &Error{Reason: r, Function: function, Detail: fmt.Sprintf(format, args...)}
}

// FunctionAt names the function whose first instruction is at pc, as the
// runtime does: with "[...]" for type arguments. It is "" where no function of
// Go begins, and for the first function of an artifact if the linker put its name
// first (runtime/symtab.go, Go 1.26 and 1.27: funcName takes offset 0 for no name).
func FunctionAt(pc uintptr) string {
	// The runtime answers with what the first instruction was inlined from, if
	// it was. Some instruction of every function is its own
	// (cmd/compile/internal/ssagen, inline marks).
	for at := pc; FunctionOf(at) == pc && pc != 0; at++ {
		asked := at
		if at > pc {
			asked++ // it wants return addresses, and looks at the byte before
		}
		frame, _ := runtime.CallersFrames([]uintptr{asked}).Next()
		if frame.Func != nil { // nil where it was inlined
			return frame.Function
		}
	}
	return ""
}

// FunctionOf gives the entry of the function that the code at pc belongs to,
// inlined or not; 0 where it belongs to none.
func FunctionOf(pc uintptr) uintptr {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return 0
	}
	return f.Entry()
}
