// Package funcdiff compares two builds of a package and says what differs, the
// way a running program sees it: which functions have other code, what was
// added, and what must not be patched at all.
//
// # Why objects
//
// An edit of one function changes others: those it is inlined into, those that
// had a constant of it, those whose variables now escape. Only the compiler
// knows, and what it knows is in its objects. So both sources are compiled the
// same way and the objects compared function by function: code, relocations by
// name, stack maps. Line numbers do not count; neither do the names of what the
// compiler names by counter, which is compared by content instead. This is how
// kpatch does it for the kernel.
//
// # What objects do not say
//
// Three things are read from the sources, because a running program relies on
// them and no object tells: signatures ([Declarations]), what initialisers
// there are, and which arguments a function keeps (leaks.go). They matter
// because a patch replaces a function for callers that were compiled before:
// with another signature they would pass the wrong registers, and a function
// that newly keeps a pointer would keep one into somebody's stack.
package funcdiff
