package goobj

import "strings"

// An Object is a Go object, parsed.
//
// It and what it holds may share memory with the data it was parsed from; the
// functions of this package do not write to that data. An Object is not safe
// for use by several goroutines when one of them changes it.
type Object struct {
	// Head is the text before the binary part: from "go object " up to and
	// with the line "!". The build ID stands in it.
	Head string
	// Fingerprint is a hash of the package's export data. The linker compares
	// it with what importers say in Imports.
	Fingerprint [8]byte
	// Flags are the ObjFlag bits.
	Flags uint32
	// Imports are the packages that the linker loads because of this object.
	Imports []Import
	// Packages are the import paths that a Ref's Pkg is an index of. The first
	// is "" and stands for no package. Paths are not escaped.
	Packages []string
	// Files are the source files that line tables refer to.
	Files []string

	// Defs are symbols that others find by position: {PkgSelf, i} here, {path,
	// i} elsewhere. They must not move.
	Defs []Symbol
	// Hashed64 and Hashed are symbols that are the same whenever their content
	// is; Hash identifies them. Their names mean nothing to the linker.
	Hashed64, Hashed []Symbol
	// NonPkgDefs are symbols that others find by name and ABI.
	NonPkgDefs []Symbol
	// NonPkgRefs are names of symbols that are defined elsewhere. A reference
	// counts them from the end of NonPkgDefs.
	NonPkgRefs []Symbol

	// RefFlags are what this object knows about symbols of other packages.
	RefFlags []RefFlag
	// RefNames name symbols of other packages for tools that print objects.
	// They are incomplete: only targets of relocations are here. The linker
	// does not read them.
	RefNames []RefName

	// strings is the string block as it was read, and the fields named at are
	// where in it a string was. Bytes keeps a string there for as long as it is
	// the same.
	strings            string
	packagesAt, fileAt []uint32
}

// An Import is a package that the linker loads because of an object.
type Import struct {
	Path        string
	Fingerprint [8]byte

	at uint32
}

// A Symbol is a symbol that an object defines or, in NonPkgRefs, names. Only
// definitions have Relocs, Aux and Data.
type Symbol struct {
	// Name is empty for symbols that are found through another symbol's Aux.
	// The import path in it is escaped (cmd/internal/objabi.PathToPrefix).
	Name string
	// ABI is ABI0, ABIInternal or ABIStatic. Data has ABI0.
	ABI uint16
	// Type is one of the Kind constants.
	Type uint8
	// Flag and Flag2 are Flag and Flag2 bits.
	Flag, Flag2 uint8
	// Size is the size in the program in bytes; Data may be shorter, the rest is
	// zero.
	Size, Align uint32
	// Hash identifies a symbol of Hashed64 (8 bytes) or Hashed (16 bytes).
	Hash   []byte
	Relocs []Reloc
	Aux    []Aux
	Data   []byte

	at uint32
}

// A Reloc says that Size bytes at Off of a symbol's data depend on Sym. A zero
// Sym is none.
type Reloc struct {
	Off  int32
	Size uint8
	// Type is a number that belongs to a Go release, see RelocTypes. RelocWeak
	// may be set in it.
	Type uint16
	Add  int64
	Sym  Ref
}

// An Aux is a symbol that describes another: its type, its line table.
type Aux struct {
	// Type is one of the Aux constants.
	Type uint8
	Sym  Ref
}

// A RefFlag holds flags of a symbol of another package, which its own object
// may not have set.
type RefFlag struct {
	Sym         Ref
	Flag, Flag2 uint8
}

// A RefName is the name of a symbol of another package.
type RefName struct {
	Sym  Ref
	Name string

	at uint32
}

// A Ref refers to a symbol: Pkg is one of the Pkg constants or an index of
// Object.Packages, Sym a position in the table that Pkg stands for. The zero Ref
// refers to nothing.
type Ref struct{ Pkg, Sym uint32 }

// Values of Ref.Pkg that are not an index of Object.Packages
// (cmd/internal/goobj/objfile.go, Go 1.26 and 1.27: PkgIdxNone and following).
const (
	// PkgNone stands for NonPkgDefs, and NonPkgRefs after them.
	PkgNone uint32 = 1<<31 - 1
	// PkgHashed64 stands for Hashed64.
	PkgHashed64 uint32 = PkgNone - 1
	// PkgHashed stands for Hashed.
	PkgHashed uint32 = PkgNone - 2
	// PkgBuiltin stands for a list of runtime symbols that is part of the
	// toolchain and differs by release (cmd/internal/goobj/builtinlist.go).
	PkgBuiltin uint32 = PkgNone - 3
	// PkgSelf stands for Defs.
	PkgSelf uint32 = PkgNone - 4
)

// Indexed reports whether r refers by position to a symbol of another package.
func (r Ref) Indexed() bool { return r.Pkg != 0 && r.Pkg < PkgSelf }

// Symbol gives the symbol of o that r refers to: a definition of any kind or a
// named reference. It is nil where r refers to nothing, to another package or to
// a builtin. The result points into o.
func (o *Object) Symbol(r Ref) *Symbol {
	table, i := o.NonPkgDefs, int64(r.Sym)
	switch r.Pkg {
	case PkgSelf:
		table = o.Defs
	case PkgHashed64:
		table = o.Hashed64
	case PkgHashed:
		table = o.Hashed
	case PkgNone:
		if n := int64(len(o.NonPkgDefs)); i >= n {
			table, i = o.NonPkgRefs, i-n
		}
	default:
		return nil
	}
	if i >= int64(len(table)) {
		return nil
	}
	return &table[i]
}

// Definition gives the definition of a name in Defs or NonPkgDefs, or nil. The
// result points into o.
func (o *Object) Definition(name string, abi uint16) *Symbol {
	for _, table := range [][]Symbol{o.Defs, o.NonPkgDefs} {
		for i := range table {
			if s := &table[i]; s.Name == name && s.ABI == abi {
				return s
			}
		}
	}
	return nil
}

// Position gives the reference to s, a definition of o in Defs or NonPkgDefs.
func (o *Object) Position(s *Symbol) (Ref, bool) {
	for i := range o.Defs {
		if &o.Defs[i] == s {
			return Ref{Pkg: PkgSelf, Sym: uint32(i)}, true
		}
	}
	for i := range o.NonPkgDefs {
		if &o.NonPkgDefs[i] == s {
			return Ref{Pkg: PkgNone, Sym: uint32(i)}, true
		}
	}
	return Ref{}, false
}

// NamedRef gives the reference to the i-th symbol of NonPkgRefs.
func (o *Object) NamedRef(i int) Ref {
	return Ref{Pkg: PkgNone, Sym: uint32(len(o.NonPkgDefs) + i)}
}

// Keep adds a symbol that others can refer to by name, and that keeps
// definitions of o in the program. types are those of the object's release.
func (o *Object) Keep(name string, types Types, refs []Ref) {
	s := Symbol{Name: name, ABI: ABI0, Type: KindNoPtrData, Size: 8, Align: 8, Data: make([]byte, 8)}
	for _, r := range refs {
		s.Relocs = append(s.Relocs, Reloc{Type: types.Keep, Sym: r})
	}
	// Defs is the one table that can grow: positions in NonPkgRefs count from
	// the end of NonPkgDefs. The linker finds what is in it by name too
	// (cmd/link/internal/loader/loader.go, Go 1.26 and 1.27: addSym).
	o.Defs = append(o.Defs, s)
}

// GoVersion gives the release that wrote o by o's own account, such as
// "go1.26.8", or "".
func (o *Object) GoVersion() string { return headVersion(o.Head) }

// headVersion finds the version in "go object GOOS GOARCH VERSION …".
func headVersion(head string) string {
	line, _, _ := strings.Cut(head, "\n")
	if f := strings.Fields(line); len(f) > 4 {
		return f[4]
	}
	return ""
}

// definitions gives the tables of symbols with content, in the order in which
// the format lists their relocations and data.
func (o *Object) definitions() [4][]Symbol {
	return [4][]Symbol{o.Defs, o.Hashed64, o.Hashed, o.NonPkgDefs}
}
