package goobj

// Bytes gives o as an archive member's data, Head first. For an object as
// Parse returned it, these are the bytes that were parsed.
func (o *Object) Bytes() []byte {
	w := writer{strings: o.strings, added: map[string]uint32{}}
	offsets := w.blocks(o)

	strings := len(o.strings) + len(w.extra)
	out := make([]byte, 0, len(o.Head)+headerSize+strings+len(w.body))
	out = append(out, o.Head...)
	out = append(out, magic...)
	out = append(out, o.Fingerprint[:]...)
	out = le.AppendUint32(out, o.Flags)
	for _, off := range offsets {
		out = le.AppendUint32(out, uint32(headerSize+strings)+off)
	}
	out = append(out, o.strings...)
	out = append(out, w.extra...)
	return append(out, w.body...)
}

// writer collects the blocks and the strings that they need and the original
// string block lacks.
type writer struct {
	body    []byte
	strings string
	extra   []byte
	added   map[string]uint32
}

// blocks writes all blocks. The offsets count from the beginning of the first.
func (w *writer) blocks(o *Object) (offsets [blockCount + 1]uint32) {
	defs := o.definitions()
	w.body = make([]byte, 0, bodySize(o))
	for i := range blockCount {
		offsets[i] = uint32(len(w.body))
		switch i {
		case blockImports:
			for k := range o.Imports {
				im := &o.Imports[k]
				w.string(im.Path, im.at)
				w.body = append(w.body, im.Fingerprint[:]...)
			}
		case blockPackages:
			w.stringTable(o.Packages, o.packagesAt)
		case blockFiles:
			w.stringTable(o.Files, o.fileAt)
		case blockDefs, blockHashed64, blockHashed, blockNonPkgDefs:
			w.symbols(defs[i-blockDefs])
		case blockNonPkgRefs:
			w.symbols(o.NonPkgRefs)
		case blockRefFlags:
			for _, f := range o.RefFlags {
				w.body = append(appendRef(w.body, f.Sym), f.Flag, f.Flag2)
			}
		case blockHash64:
			w.hashes(o.Hashed64, hash64Size)
		case blockHash:
			w.hashes(o.Hashed, hashSize)
		case blockRelocIndex:
			w.index(defs, func(s *Symbol) int { return len(s.Relocs) })
		case blockAuxIndex:
			w.index(defs, func(s *Symbol) int { return len(s.Aux) })
		case blockDataIndex:
			w.index(defs, func(s *Symbol) int { return len(s.Data) })
		case blockRelocs:
			w.definitions(defs, (*writer).relocs)
		case blockAux:
			w.definitions(defs, (*writer).aux)
		case blockData:
			w.definitions(defs, (*writer).data)
		case blockRefNames:
			for k := range o.RefNames {
				n := &o.RefNames[k]
				w.body = appendRef(w.body, n.Sym)
				w.string(n.Name, n.at)
			}
		}
	}
	offsets[blockCount] = uint32(len(w.body))
	return offsets
}

// bodySize is the size of the blocks of o.
func bodySize(o *Object) int {
	n := importSize*len(o.Imports) + stringSize*(len(o.Packages)+len(o.Files)) +
		refFlagSize*len(o.RefFlags) + refNameSize*len(o.RefNames) +
		hash64Size*len(o.Hashed64) + hashSize*len(o.Hashed) +
		symbolSize*len(o.NonPkgRefs) + 3*indexSize
	for _, table := range o.definitions() {
		n += (symbolSize + 3*indexSize) * len(table)
		for i := range table {
			s := &table[i]
			n += relocSize*len(s.Relocs) + auxSize*len(s.Aux) + len(s.Data)
		}
	}
	return n
}

// string writes a reference to s, which was at this offset of the string block
// when it was read. If it is no longer, it is a new string.
func (w *writer) string(s string, at uint32) {
	off := at
	if end := uint64(at) + uint64(len(s)); end > uint64(len(w.strings)) || w.strings[at:end] != s {
		var ok bool
		if off, ok = w.added[s]; !ok {
			off = uint32(len(w.strings) + len(w.extra))
			w.added[s] = off
			w.extra = append(w.extra, s...)
		}
	}
	w.body = le.AppendUint32(w.body, uint32(len(s)))
	w.body = le.AppendUint32(w.body, uint32(headerSize)+off)
}

func (w *writer) stringTable(table []string, at []uint32) {
	for i, s := range table {
		if i < len(at) {
			w.string(s, at[i])
		} else {
			w.string(s, 0)
		}
	}
}

func (w *writer) symbols(table []Symbol) {
	for i := range table {
		s := &table[i]
		w.string(s.Name, s.at)
		w.body = le.AppendUint16(w.body, s.ABI)
		w.body = append(w.body, s.Type, s.Flag, s.Flag2)
		w.body = le.AppendUint32(w.body, s.Size)
		w.body = le.AppendUint32(w.body, s.Align)
	}
}

// hashes writes size bytes for each symbol.
func (w *writer) hashes(table []Symbol, size int) {
	for i := range table {
		var h [hashSize]byte
		copy(h[:size], table[i].Hash)
		w.body = append(w.body, h[:size]...)
	}
}

func (w *writer) index(defs [4][]Symbol, count func(*Symbol) int) {
	total := 0
	for _, table := range defs {
		for i := range table {
			w.body = le.AppendUint32(w.body, uint32(total))
			total += count(&table[i])
		}
	}
	w.body = le.AppendUint32(w.body, uint32(total))
}

func (w *writer) definitions(defs [4][]Symbol, write func(*writer, *Symbol)) {
	for _, table := range defs {
		for i := range table {
			write(w, &table[i])
		}
	}
}

func (w *writer) relocs(s *Symbol) {
	for i := range s.Relocs {
		r := &s.Relocs[i]
		w.body = le.AppendUint32(w.body, uint32(r.Off))
		w.body = append(w.body, r.Size)
		w.body = le.AppendUint16(w.body, r.Type)
		w.body = le.AppendUint64(w.body, uint64(r.Add))
		w.body = appendRef(w.body, r.Sym)
	}
}

func (w *writer) aux(s *Symbol) {
	for _, a := range s.Aux {
		w.body = appendRef(append(w.body, a.Type), a.Sym)
	}
}

func (w *writer) data(s *Symbol) { w.body = append(w.body, s.Data...) }
