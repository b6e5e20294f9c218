// Package carry brings the package variables of one generation of a plugin to
// the next, whose types are other types even where their text is the same.
//
// # What is decided on types
//
// Variables are paired by their names under the user's import paths, and types
// by what stands at the same place: the types of a pair of variables, of fields
// with one name, of elements. Such a pair is a relation. A type that is only met
// in an interface is paired by its own name. Compare does all of this before it
// looks at any value, and its Plan can be printed.
//
// # What is shared, and what is copied
//
// Memory is shared where it can be: both generations then see one map, one
// object, one array, and what code of the old generation that still runs does to
// it is not lost. That is right only where nothing tells the two apart. A relation
// is a twin where both types have the same definition, and all types that can be
// reached from it have; field names, offsets and kinds are compared, not names of
// types. Memory of one twin is memory of the other: the collector sees the same
// pointers in it, and neither a struct nor a map says anywhere of which type it
// is. (A map's type comes with each operation on it. What is taken from it, hash
// function and sizes, is a matter of the definition.)
//
// What does say of which type it is are interfaces, and functions are code of
// one generation. So memory is shared as it is where it can hold neither, and no
// pointer to a package variable, which is another variable now. Such relations
// are inert, and nothing of what they lead to is visited: a map of a million
// entries costs as much as an empty one. In all other memory every value is
// visited. Objects that hold nothing of the old generation are shared still;
// those that do are copied, and so is what leads to them. Others are told from
// these by going backwards over the references, once.
//
// A pointer to a type of another package leads out of the plugin: what is there
// is the other package's, keeps its identity, and is neither rewritten nor
// looked at. Values of the plugin's types that were put there stay the old
// generation's.
//
// # What becomes of what
//
//   - Numbers go to a wider type, and to any other of their sort where the value
//     is the same in it. Fractions do not become whole numbers, and kinds do not
//     mix (string and []byte, value and pointer, array and slice): refused.
//   - Fields are paired by name, embedded ones by the name of their type. New ones
//     are zero, but those of a variable itself are as its initialiser left them. One
//     that is gone is reported where its value was not zero.
//   - Arrays may grow, and shrink by zero elements. Slices keep length, capacity,
//     and what lies between the two. Maps may not have two keys become one.
//   - Pointers to variables, fields, elements and parts of arrays lead to the same
//     of the copy. A pointer to a field that is gone keeps a copy of it alone. (What
//     was made of them by package unsafe is not known: a slice of a single variable
//     goes on leading to the old one.)
//   - What an interface holds gets the type of the same name. It has to be
//     declared at package level, and an instance of a generic type has to be one that
//     a variable of the new generation leads to.
//   - Functions declared at package level become the new ones of their name. Function
//     literals, method values and functions that are gone keep the old code, with a
//     note, as long as their types have not changed. A variable that holds one of these, and
//     whose initialiser has put a function there, starts anew instead: that is code.
//   - A channel is shared, whatever is in it, where all that its elements can lead to
//     has the same definition: goroutines may wait at it. What is in it then leads to the
//     old objects, of which there may be copies beside. Else only a nil one is carried.
//   - Mutexes, wait groups and conditions are shared with memory that is shared, and
//     are copied when they are free. sync.Once stays done, sync.Map is copied or shared
//     as maps are, sync.Pool begins empty.
//   - Atomics keep their values; atomic.Pointer and atomic.Value are pointers and
//     interfaces like others.
//   - container/list and container/ring are data of whoever points to them.
//   - Timers, tickers, contexts, connections: they are behind pointers to types of
//     other packages. A time.Timer that is a variable itself is refused.
//   - unsafe.Pointer and uintptr keep their bits. weak.Pointer does where
//     what it refers to is shared, unique.Handle where its type is not the plugin's;
//     others are refused.
//   - reflect.Type and reflect.Value keep the old types, with a note.
//   - Finalizers and cleanups cannot be seen. They stay with the old objects: with
//     what is shared, and not with copies.
//
// # Locks
//
// A lock in a package variable becomes another lock with the new variable, while
// the map that it guards may be shared. Code of the old generation that still
// runs then locks one, new code the other, and two writers meet in the map. A
// lock beside what it guards in one object, which a pointer leads to, is shared
// with it. Who cannot rule out that code of the old generation still runs asks for
// Options.Apart: then nothing of the plugin's is shared, and what that code
// does from then on is lost instead. (Memory behind a pointer to another
// package's type, channels, and what a closure captured are shared always.)
//
// A lock that is copied has to be free. Its holder may be half way through what
// it guards, and would unlock the old one: Refusal.Busy.
//
// # How it is done
//
//  1. scan: visit what has to be visited, iteratively; note each object once.
//  2. resolve: sort the objects by address. A pointer to a field, an element or a
//     part of an array is found to be inside another object.
//  3. spread: what leads to a copy is copied.
//  4. build: make the copies, aside, and translate every reference in them.
//  5. Commit: one plain store a variable. Until then nothing has changed, and the
//     old generation's memory is only ever read.
//
// Time and memory are proportional to what is visited, but for the sorting.
//
// # What the caller has to see to
//
// Nobody may write to the old generation's memory between Prepare's call and its
// return: a map that is written to while it is read ends the process, as it would
// anywhere in Go. The new generation's code must not run before Commit.
//
// So Prepare is made to run while the world is stopped, with the collector off.
// Whoever was stopped may hold a lock of a package that the engine uses, and the
// program would stand still for good. Prepare calls nothing that locks: reflect
// finds types that it has made before without, and so Compare makes all it can
// foresee. A type that is first met in an interface may have to be made: under
// Options.Still that ends the attempt (Refusal.Unknown), and Learn makes it once
// the world goes on. Nor may anything panic there, even to be recovered: the
// runtime ends the process (runtime/panic.go, gopanic, Go 1.26 and 1.27: "panic
// during preemptoff").
package carry

import (
	"fmt"
	"reflect"
)

// Generation is what is known of one version of a plugin.
type Generation struct {
	// Packages are the plugin's own packages: import path in this generation to
	// the user's. For code that was built into a program the two are equal.
	Packages  map[string]string
	Variables []Variable
	// Types are the named types that the packages declare, by the user's import
	// path, a dot and the name. Generic types are left out; their instances are
	// found where variables lead to them.
	Types map[string]reflect.Type
	// Functions are functions that are declared at package level, named likewise.
	// What a function value leads to is looked up among them.
	Functions map[string]reflect.Value
	// Unused are the names of variables that the code declares and was linked
	// without. What they would become is no loss.
	Unused map[string]bool
}

// Variable is a package variable.
type Variable struct {
	Name    string        // the user's import path, a dot, and its name
	Pointer reflect.Value // to the variable
	Fresh   bool          // its author wants it to start anew
}

// Codes of the catalogue of edits.
const (
	CodeLayout  = "HG0001" // fields were added, reordered, or have another type
	CodeDropped = "HG0002" // a field, variable or type is gone or renamed
	CodeType    = "HG0032" // the type of a variable changed
	CodeClosure = "HG0070" // a function value keeps the old code
	CodeUnknown = "HG0099" // not understood
)

// Finding is something that is worth knowing about a change that can be made.
type Finding struct {
	Code   string
	Symbol string // the variable, as Variable.Name has it
	Text   string // one sentence
}

// Refusal says why state cannot be carried.
type Refusal struct {
	Code     string
	Variable string // where the way to it begins; "" where there is none
	Path     string // from the variable to the value
	Old, New string // types, may be ""
	Reason   string
	// Busy says that it may go better in a moment: a lock is held.
	Busy bool
	// Unknown says that it will go further after Learn.
	Unknown bool
	// Large says that it would take longer than it may; Visited is how many values
	// were looked at until then.
	Large   bool
	Visited int
}

// Error gives the way to the value, and the reason.
func (r *Refusal) Error() string {
	s := r.Variable + r.Path
	if s != "" {
		s += ": "
	}
	s += r.Reason
	if r.Old != "" && r.New != "" {
		s += fmt.Sprintf(" (%s before, %s now)", r.Old, r.New)
	}
	return s
}

// Options of one Prepare.
type Options struct {
	// Migrate leaves variables that cannot be carried to the new generation's
	// own code: they start anew, and a finding says so.
	Migrate bool
	// Apart copies all memory that is the plugin's, where otherwise it would be
	// shared: see "Locks" in the package's story.
	Apart bool
	// Still says that the world is stopped.
	Still bool
	// Expired is asked now and then, and ends the attempt when it is true
	// (Refusal.Large); nil sets no limit. What it calls may not lock under Still.
	Expired func() bool

	step func() // of tests, called between the steps
}

// Report says what was carried.
type Report struct {
	Carried, Converted, Fresh, Lost, New int // variables

	Visited int // objects that were looked at
	Copied  int // of these, those that the new generation has copies of

	Findings []Finding
}

// Transfer is state that is ready to be committed.
type Transfer struct {
	Report Report
	Plugin string // whose state it is, as the file says; "" where it comes from no file
	stores []commitment
}

// commitment is one variable's new value.
type commitment struct {
	typ   reflect.Type
	to    address
	value address
}

// Commit stores the values. It allocates nothing and cannot fail; nobody may use
// the new generation's variables meanwhile. To be called once.
func (t *Transfer) Commit() {
	for _, c := range t.stores {
		c.to.at(c.typ).Set(c.value.at(c.typ))
	}
}
