// Package retained finds what a program still holds of generations that have been
// replaced: values of their types, their functions, pointers to their variables.
//
// # How it looks
//
// As the garbage collector does, from the program's variables through everything
// that they lead to, by the words that are pointers (mask_linux_amd64.go), and then from
// timers and finalizers (books_linux_amd64.go), with one difference: it stops nobody, and
// who allocates and frees meanwhile goes on. So what is found was there while it was
// looked for, and what moved at that time may be missed. What is found is looked for a
// second time: see Find.
//
// Nothing that is not a word of the program's own memory is read:
//
//   - Variables lie in the parts of the executable that have pointers, data and bss, and
//     end with these. They stay mapped.
//   - Objects lie in spans that were in use when the list of spans was read, and all of
//     whose pages the kernel said can be read then. Their memory may be freed and used for
//     something else meanwhile, and pages be given back, by debug.FreeOSMemory as well: by
//     madvise alone, and no arena is ever unmapped (runtime/mem_linux.go, sysUnusedOS; of
//     runtime/malloc.go, mheap.go and mgcscavenge.go nothing frees or protects one, Go 1.26
//     and 1.27). Then the words mean nothing, and lead to other objects or none. Two
//     things do take pages away: GODEBUG=harddecommit=1 and user arenas
//     (GOEXPERIMENT=arenas). A fault ends the look with an error: it is a panic there
//     (debug.SetPanicOnFault), and never the end of the process.
//   - Descriptions of spans, the list of them, which is freed when it grows, and the
//     runtime's books are read through /proc/self/mem, for which memory that is gone is an error of a system call.
//   - Descriptions of types, itabs and functions are in files, which are never
//     unmapped, or in memory that the runtime never frees. Images of artifacts have gaps,
//     of which the kernel tells.
//
// # What it takes for a thing of a generation
//
// A word in the mapped image of a generation is one of these, or means nothing: text
// of a string, a composite literal.
//
//   - The description of a type that mentions one of the generation's own packages,
//     where it is half of an interface or of a reflect.Value, or says what an object is.
//     Which words are descriptions the runtime's own lists say (types_linux_amd64.go).
//   - An itab of such a type, by the runtime's table, as half of an interface.
//   - What a function value without captured variables leads to. One with captured
//     variables is an object that begins with the address of code.
//   - An address within a variable that is known.
//
// What belongs to no generation in particular does not count: a package that the
// host lacks comes with the first artifact that needs it, and later ones use that.
// Nor does a type by itself, as reflect has it: encoding/json and others remember
// every type that they have seen.
//
// # What is not found
//
// Values whose type package reflect has made of a generation's types, where nothing in
// them is of such a type itself; what stacks alone hold; and what only the runtime's own
// books lead to, but for timers and finalizers.
//
// Offsets come from the runtime's own descriptions of its types; where there is none
// (runtime.mheap), the list of spans is found by what is in it.
package retained

import "fmt"

// Generation is what is looked for.
type Generation struct {
	Paths     []string               // plugin paths of what it was mapped from: the artifact, its patches
	Own       func(path string) bool // tells its own packages, by the import paths that they have in it
	Variables []Variable
}

// Variable is one of a generation's.
type Variable struct {
	Name          string
	Address, Size uintptr
}

// Options say where a look ends.
type Options struct {
	// Closed are addresses of objects that are not looked into.
	Closed []uintptr
	// Hidden tells packages whose variables are not the program's, by their import
	// path. Those of the runtime never are.
	Hidden func(path string) bool
	// MaxBytes is how much is read at most; 0 is 512 MiB. MaxObjects bounds the memory
	// of the look itself, at 16 bytes each; 0 is 4 million.
	MaxBytes   int64
	MaxObjects int
	// Pause is called after each megabyte, if it is not nil. False ends the look.
	Pause func() bool
}

// Kind is what sort of thing is held.
type Kind uint8

// The kinds.
const (
	Value  Kind = iota + 1 // of a type of the generation
	Func                   // a function value
	Memory                 // a pointer to a variable
)

// Found is one thing that one variable of the program, or one sort of what is to run,
// leads to.
type Found struct {
	Generation int    // index of what was looked for
	Kind       Kind   //
	Name       string // of type, function or variable, as the runtime has it
	Root       string // the program's variable, or "a timer", "a finalizer", "a cleanup"
	Path       string // Root, and as much of the way as is known; "…" is not known
	Count      int    // how many places
}

// Look is what was found.
type Look struct {
	Found   []Found
	Bytes   int64 // that were read
	Objects int   // that were looked into
	Part    bool  // a bound was reached before all was seen
}

// Error says why this process cannot be looked through.
type Error struct {
	Detail string
	Err    error // cause, may be nil
}

// Error gives detail and cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(format string, args ...any) *Error { return &Error{Detail: fmt.Sprintf(format, args...)} }

const (
	defaultBytes   = 512 << 20
	defaultObjects = 4 << 20
)

func (o *Options) complete() {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultBytes
	}
	if o.MaxObjects <= 0 {
		o.MaxObjects = defaultObjects
	}
	if o.Pause == nil {
		o.Pause = func() bool { return true }
	}
	if o.Hidden == nil {
		o.Hidden = func(string) bool { return false }
	}
}
