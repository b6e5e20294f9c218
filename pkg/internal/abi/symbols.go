package abi

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// This file reads what the dynamic symbol table says about packages. -s -w
// leave that table alone, so stripped binaries read the same.
//
// Two spellings of an import path meet here. The linker writes the symbols of
// the package hashes with the path as it is
// ("go:link.pkghashbytes.example.com/lib.go/sub.v1"), but everything that the
// compiler names with the path escaped
// ("example.com/lib.go/sub%2ev1..inittask"): cmd/link/internal/ld/symtab.go
// and cmd/internal/objabi/path.go, Go 1.26. Packages that the standard library
// vendors begin with "vendor/", those that a module vendors do not.

// What the symbols of interest look like.
const (
	hashPrefix = "go:link.pkghashbytes."
	initSuffix = "..inittask"

	maxName     = 1 << 10 // longest symbol name that is looked at, in bytes
	maxSymbols  = 1 << 22
	maxPackages = 1 << 15
)

// symbol is one entry of the dynamic symbol table.
type symbol struct {
	name    uint32
	info    byte // binding and type
	other   byte // visibility
	section uint16
	value   uint64
	size    uint64
}

// symbols is the dynamic symbol table with its strings.
type symbols struct {
	m       *image
	table   []byte
	names   []byte
	entsize int
}

// readSymbols reads .dynsym whole. A file without one has no symbols.
func (m *image) readSymbols() (*symbols, error) {
	t := &symbols{m: m, entsize: int(m.pick(16, 24))}
	sec, ok := m.section(".dynsym")
	if !ok {
		return t, nil
	}
	var err error
	if t.table, err = m.data(sec, maxTable); err != nil {
		return nil, err
	}
	if t.len() > maxSymbols {
		return nil, fail(TooLarge, "%d dynamic symbols", t.len())
	}
	if t.names, err = m.linkedStrings(sec); err != nil {
		return nil, err
	}
	return t, nil
}

// len gives the number of symbols.
func (t *symbols) len() int { return len(t.table) / t.entsize }

// at decodes symbol i.
func (t *symbols) at(i int) symbol {
	b := t.table[i*t.entsize:]
	o := t.m.order
	if t.m.is64 {
		return symbol{
			name: o.Uint32(b), info: b[4], other: b[5], section: o.Uint16(b[6:]),
			value: o.Uint64(b[8:]), size: o.Uint64(b[16:]),
		}
	}
	return symbol{
		name: o.Uint32(b), value: uint64(o.Uint32(b[4:])), size: uint64(o.Uint32(b[8:])),
		info: b[12], other: b[13], section: o.Uint16(b[14:]),
	}
}

// hasPrefix reports whether the symbol's name begins with prefix, without
// looking for the name's end.
func (t *symbols) hasPrefix(s symbol, prefix []byte) bool {
	return uint64(s.name) < uint64(len(t.names)) && bytes.HasPrefix(t.names[s.name:], prefix)
}

// packages gives the hash of each package that the file defines, and where the
// initialisation task of each package lies that has one.
func (t *symbols) packages() (map[string]Hash, map[string]uint64, error) {
	hashes, inits, prefix := map[string]Hash{}, map[string]uint64{}, []byte(hashPrefix)
	for i := range t.len() {
		s := t.at(i)
		if s.section == 0 {
			continue // undefined: another file brings it
		}
		if t.hasPrefix(s, prefix) {
			pkg := string(cstring(t.names, uint64(s.name), maxName)[len(prefix):])
			off, ok := t.m.offset(s.value, uint64(len(Hash{})))
			if !ok {
				return nil, nil, fail(Malformed, "hash of package %q at address %#x, which the file has no bytes for", pkg, s.value)
			}
			b, err := t.m.bytes("package hash", off, uint64(len(Hash{})))
			if err != nil {
				return nil, nil, err
			}
			if hashes[pkg] = Hash(b); len(hashes) > maxPackages {
				return nil, nil, fail(TooLarge, "more than %d packages", maxPackages)
			}
			continue
		}
		if name := cstring(t.names, uint64(s.name), maxName); bytes.HasSuffix(name, []byte(initSuffix)) {
			if pkg, ok := symname.Unescape(string(name[:len(name)-len(initSuffix)])); ok {
				if inits[pkg] = s.value; len(inits) > maxPackages {
					return nil, nil, fail(TooLarge, "more than %d packages", maxPackages)
				}
			}
		}
	}
	return hashes, inits, nil
}

// exported gives the exported functions and variables of a package.
func (t *symbols) exported(pkg string) map[string]SymbolKind {
	const (
		sttObject = 1
		sttFunc   = 2
	)
	found, prefix := map[string]SymbolKind{}, []byte(symname.Escape(pkg)+".")
	for i := range t.len() {
		s := t.at(i)
		if s.section == 0 || !t.hasPrefix(s, prefix) {
			continue
		}
		name := string(cstring(t.names, uint64(s.name), maxName)[len(prefix):])
		if !isExported(name) || len(found) >= maxPackages {
			continue
		}
		switch s.info & 0xf {
		case sttFunc:
			found[name] = Func
		case sttObject:
			found[name] = Var
		}
	}
	return found
}

// isExported reports whether name is an exported Go identifier: methods,
// closures and compiler-made names have dots or brackets in them.
func isExported(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	if !unicode.IsUpper(first) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) < 0
}
