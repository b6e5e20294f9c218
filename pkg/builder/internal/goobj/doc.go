// Package goobj reads, rewrites and writes Go object files and the archives
// that hold them.
//
// # Why
//
// The compiler names a symbol of another package in one of two ways: by name,
// or by the position that the symbol has in the other package's object. The
// second works only when the linker sees that very object. An artifact that is
// linked against a running host does not bring the host's packages, so its
// references have to be by name; [Rewriter] makes them so. The same pass gives
// a package its final identity and turns definitions that the host already has
// into references.
//
// # The format
//
// It is the format of Go 1.20 and later, magic "\x00go120ld", described in
// cmd/internal/goobj/objfile.go. Go 1.26 and Go 1.27 differ in three flag bits
// (see [Flag2Linkname]) and in the numbers of a few relocations ([RelocTypes]).
// A Go object is a text header that ends with a line "!", and then, all
// integers little endian:
//
//	magic        8 bytes
//	fingerprint  8 bytes, of the export data
//	flags        uint32
//	offsets      19 × uint32: where each block begins, and the end
//	strings      the bytes of all strings, one after the other
//	blocks       18 tables of fixed-size records, without gaps
//
// Strings elsewhere are {length, offset}. Symbols live in five tables:
// Defs (defined here, found by position), Hashed64 and Hashed (found by
// content), NonPkgDefs (found by name) and NonPkgRefs (named, defined
// elsewhere). A reference, [Ref], is a table and a position.
//
// # What is kept
//
// For an object that the compiler or the assembler wrote, Bytes after [Parse]
// gives the same bytes. The order of strings cannot be derived from the tables,
// so the original string block is kept as it is, and strings that are new go
// behind it.
//
// Parse accepts only what those two programs write: blocks in order and without
// gaps, every index in range. Whatever it accepts can be written again, and the
// other functions of this package index it without further checks.
package goobj
