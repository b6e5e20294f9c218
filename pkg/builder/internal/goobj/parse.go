package goobj

import (
	"bytes"
	"fmt"
)

// IsObject reports whether data, that of an archive's member, begins like a Go
// object. Export data, the member PkgDef, does too.
func IsObject(data []byte) bool { return bytes.HasPrefix(data, []byte(objectPrefix)) }

const (
	objectPrefix = "go object "
	headEnd      = "\n!\n"
)

// splitHead divides an archive member into the text header and the rest.
func splitHead(data []byte) (head string, binary []byte, err error) {
	if !IsObject(data) {
		return "", nil, fmt.Errorf("it begins with %q, not with %q", data[:min(len(data), len(objectPrefix))], objectPrefix)
	}
	i := bytes.Index(data, []byte(headEnd))
	if i < 0 {
		return "", nil, fmt.Errorf("its header has no end")
	}
	i += len(headEnd)
	return string(data[:i]), data[i:], nil
}

// Parse reads the Go object data, an archive's member. The result shares memory
// with data. An object in another format gives a *VersionError.
func Parse(data []byte) (*Object, error) {
	o, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("parse Go object: %w", err)
	}
	return o, nil
}

func parse(data []byte) (*Object, error) {
	head, binary, err := splitHead(data)
	if err != nil {
		return nil, err
	}
	l, err := readLayout(binary, headVersion(head))
	if err != nil {
		return nil, err
	}
	o := &Object{
		Head:    head,
		Flags:   le.Uint32(binary[len(magic)+8:]),
		strings: string(l.strings()),
	}
	copy(o.Fingerprint[:], binary[len(magic):])

	p := parser{layout: l, o: o}
	p.imports()
	o.Packages, o.packagesAt = p.stringTable(blockPackages)
	o.Files, o.fileAt = p.stringTable(blockFiles)
	p.symbols()
	p.hashes()
	p.contents()
	p.refFlags()
	p.refNames()
	if p.err != nil {
		return nil, p.err
	}
	return o, nil
}

// parser fills o from a layout. The first error stays and makes the rest of its
// work void.
type parser struct {
	*layout
	o   *Object
	err error
}

func (p *parser) fail(block, record int, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: record %d: %s", blockName[block], record, fmt.Sprintf(format, args...))
	}
}

// records calls f for each record of a block.
func (p *parser) records(block int, f func(i int, b []byte)) {
	size := recordSize[block]
	b := p.block(block)
	for i := 0; len(b) > 0 && p.err == nil; i++ {
		f(i, b[:size:size])
		b = b[size:]
	}
}

func (p *parser) string(block, record int, b []byte) (s string, at uint32) {
	start, end, err := p.stringSpan(b)
	if err != nil {
		p.fail(block, record, "%v", err)
		return "", 0
	}
	return p.o.strings[start:end], start
}

func (p *parser) stringTable(block int) ([]string, []uint32) {
	s, at := make([]string, p.count(block)), make([]uint32, p.count(block))
	p.records(block, func(i int, b []byte) { s[i], at[i] = p.string(block, i, b) })
	return s, at
}

func (p *parser) imports() {
	p.o.Imports = make([]Import, p.count(blockImports))
	p.records(blockImports, func(i int, b []byte) {
		im := &p.o.Imports[i]
		im.Path, im.at = p.string(blockImports, i, b)
		copy(im.Fingerprint[:], b[stringSize:])
	})
}

// symbols reads the five tables, which follow each other, in one piece.
func (p *parser) symbols() {
	total := 0
	for block := blockDefs; block <= blockNonPkgRefs; block++ {
		total += p.count(block)
	}
	all := make([]Symbol, total)
	table := func(block int) []Symbol {
		n := p.count(block)
		syms := all[:n:n]
		all = all[n:]
		p.records(block, func(i int, b []byte) {
			s := &syms[i]
			s.Name, s.at = p.string(block, i, b)
			s.ABI = le.Uint16(b[8:])
			s.Type, s.Flag, s.Flag2 = b[10], b[11], b[12]
			s.Size, s.Align = le.Uint32(b[13:]), le.Uint32(b[17:])
		})
		return syms
	}
	p.o.Defs = table(blockDefs)
	p.o.Hashed64 = table(blockHashed64)
	p.o.Hashed = table(blockHashed)
	p.o.NonPkgDefs = table(blockNonPkgDefs)
	p.o.NonPkgRefs = table(blockNonPkgRefs)
}

func (p *parser) hashes() {
	for _, t := range []struct {
		block int
		syms  []Symbol
	}{{blockHash64, p.o.Hashed64}, {blockHash, p.o.Hashed}} {
		if p.count(t.block) != len(t.syms) {
			p.fail(t.block, p.count(t.block), "%d hashes for %d symbols", p.count(t.block), len(t.syms))
			return
		}
		p.records(t.block, func(i int, b []byte) { t.syms[i].Hash = b })
	}
}

// contents gives every definition its relocations, auxiliary symbols and data.
// The i-th definition, counted over all four tables, has the records from
// index[i] to index[i+1].
func (p *parser) contents() {
	relocs := make([]Reloc, p.count(blockRelocs))
	p.records(blockRelocs, func(i int, b []byte) {
		relocs[i] = Reloc{
			Off:  int32(le.Uint32(b)),
			Size: b[4],
			Type: le.Uint16(b[5:]),
			Add:  int64(le.Uint64(b[7:])),
			Sym:  p.ref(blockRelocs, i, b[15:]),
		}
	})
	aux := make([]Aux, p.count(blockAux))
	p.records(blockAux, func(i int, b []byte) {
		aux[i] = Aux{Type: b[0], Sym: p.ref(blockAux, i, b[1:])}
	})
	data := p.block(blockData)

	relocAt := p.index(blockRelocIndex, len(relocs))
	auxAt := p.index(blockAuxIndex, len(aux))
	dataAt := p.index(blockDataIndex, len(data))
	if p.err != nil {
		return
	}
	i := 0
	for _, table := range p.o.definitions() {
		for k := range table {
			s := &table[k]
			s.Relocs = within(relocs, relocAt, i)
			s.Aux = within(aux, auxAt, i)
			s.Data = within(data, dataAt, i)
			i++
		}
	}
}

// within gives the i-th part of all, nil if it is empty. Its capacity ends with
// it, so that appending to it leaves the next part alone.
func within[T any](all []T, at []uint32, i int) []T {
	a, b := at[i], at[i+1]
	if a == b {
		return nil
	}
	return all[a:b:b]
}

// index reads an index of a block with total records: one number for each
// definition, rising, and the total.
func (p *parser) index(block, total int) []uint32 {
	want := 1
	for _, table := range p.o.definitions() {
		want += len(table)
	}
	n := p.count(block)
	if n != want {
		p.fail(block, n, "%d records, want %d", n, want)
		return nil
	}
	index, last := make([]uint32, n), uint32(0)
	p.records(block, func(i int, b []byte) {
		v := le.Uint32(b)
		if v < last || i == 0 && v != 0 || i == n-1 && uint64(v) != uint64(total) {
			p.fail(block, i, "%d after %d, of %d", v, last, total)
		}
		index[i], last = v, v
	})
	return index
}

func (p *parser) refFlags() {
	p.o.RefFlags = make([]RefFlag, p.count(blockRefFlags))
	p.records(blockRefFlags, func(i int, b []byte) {
		p.o.RefFlags[i] = RefFlag{Sym: p.ref(blockRefFlags, i, b), Flag: b[8], Flag2: b[9]}
	})
}

func (p *parser) refNames() {
	p.o.RefNames = make([]RefName, p.count(blockRefNames))
	p.records(blockRefNames, func(i int, b []byte) {
		n := &p.o.RefNames[i]
		n.Sym = p.ref(blockRefNames, i, b)
		n.Name, n.at = p.string(blockRefNames, i, b[8:])
	})
}

func (p *parser) ref(block, record int, b []byte) Ref {
	r := getRef(b)
	if !p.o.valid(r) {
		p.fail(block, record, "reference {%d, %d} leads nowhere", r.Pkg, r.Sym)
	}
	return r
}

// valid reports whether r refers to nothing or to something that can exist.
func (o *Object) valid(r Ref) bool {
	switch {
	case r == Ref{}:
		return true
	case r.Pkg == PkgBuiltin:
		return true
	case r.Pkg >= PkgSelf:
		return o.Symbol(r) != nil
	}
	return r.Pkg != 0 && uint64(r.Pkg) < uint64(len(o.Packages))
}
