package abi

import "encoding/binary"

// functions: the table by which the runtime finds functions, which it verifies
// (moduledataverify1, pluginftabverify).
func (d *moduleData) functions() error {
	const (
		magic          = 0xfffffff1 // since Go 1.20 (internal/abi/symtab.go)
		minLC, ptrSize = 1, 8
		headerSize     = 72
		headerCount    = 8    // number of functions
		headerTables   = 32   // offsets of five tables
		bucket         = 20   // bytes of findfunctab (runtime/symtab.go, findfuncbucket)
		bucketCode     = 4096 // bytes of code that each is for
	)
	wrong := func(what string) error { return malformed("its function table has %s", what) }
	w := d.words
	head, err := d.c.at("function table", w[mdPCHeader], headerSize)
	if err != nil {
		return err
	}
	if !d.ptr[mdPCHeader] || binary.LittleEndian.Uint32(head) != magic || head[4] != 0 || head[5] != 0 || head[6] != minLC || head[7] != ptrSize {
		return wrong("another header")
	}
	var tables [6][]byte
	for n, t := range []struct {
		what string
		i    int
		elem uint64
	}{
		{"funcnametab", mdFuncnametab, 1},
		{"cutab", mdCutab, 4},
		{"filetab", mdFiletab, 1},
		{"pctab", mdPctab, 1},
		{"pclntable", mdPclntable, 1},
		{"ftab", mdFtab, 8},
	} {
		if tables[n], err = d.bytes(t.what, t.i, t.elem); err != nil {
			return err
		}
		// The header says once more where they begin.
		if at := headerTables + 8*n; n < 5 && w[mdPCHeader]+binary.LittleEndian.Uint64(head[at:]) != w[t.i] {
			return wrong("its " + t.what + " in two places")
		}
	}
	names, units, pctab, funcs, ftab := tables[0], tables[1], tables[3], tables[4], tables[5]
	count := len(ftab)/8 - 1
	if count < 1 || binary.LittleEndian.Uint64(head[headerCount:]) != uint64(count) {
		return wrong("another number of functions than its header")
	}
	last := uint64(0)
	for i := range count + 1 {
		entry := uint64(binary.LittleEndian.Uint32(ftab[8*i:]))
		if entry < last {
			return wrong("functions that are not sorted")
		}
		last = entry
		if i == 0 && w[mdText]+entry != w[mdMinPC] || i == count && w[mdText]+entry != w[mdMaxPC] {
			return wrong("functions outside of its code")
		}
		if i == count {
			break // it ends the table
		}
		at := uint64(binary.LittleEndian.Uint32(ftab[8*i+4:]))
		if at%4 != 0 || at+fnSize > uint64(len(funcs)) {
			return wrong("a function without a description")
		}
		if what := describes(funcs[at:], entry, len(names), len(units)/4, len(pctab)); what != "" {
			return wrong(what)
		}
	}
	if w[mdMaxPC] > w[mdText+1] {
		return wrong("functions behind its code")
	}
	buckets := (w[mdText+1] - w[mdText] + bucketCode - 1) / bucketCode
	_, err = d.c.at("table findfunctab", w[mdFindfunctab], buckets*bucket)
	return err
}

// Offsets in a function's description (runtime/runtime2.go, _func), which tables of
// 32 bits each follow.
const (
	fnEntry     = 0
	fnName      = 4
	fnPCSP      = 16
	fnPCFile    = 20
	fnPCLine    = 24
	fnPCData    = 28 // number of tables of the first kind
	fnUnit      = 32
	fnFuncData  = 43 // number of tables of the second kind, in a byte
	fnSize      = 44
	maxFnPCData = 64
)

// describes says what is wrong with the description of the function at entry, whose
// offsets lead into tables of these lengths; "" means nothing.
func describes(fn []byte, entry uint64, names, units, pctab int) string {
	u32 := func(off int) uint64 { return uint64(binary.LittleEndian.Uint32(fn[off:])) }
	tables := u32(fnPCData)
	if u32(fnEntry) != entry || u32(fnName) >= uint64(names) || tables > maxFnPCData || uint64(len(fn)) < fnSize+4*(tables+uint64(fn[fnFuncData])) {
		return "a description that is not its function's"
	}
	for _, off := range []int{fnPCSP, fnPCFile, fnPCLine} {
		if u32(off) >= uint64(pctab) {
			return "a function without lines"
		}
	}
	for k := range int(tables) {
		if u32(fnSize+4*k) >= uint64(pctab) {
			return "a function whose tables are not there"
		}
	}
	if unit := u32(fnUnit); unit != 1<<32-1 && unit >= uint64(units) {
		return "a function of no file"
	}
	return ""
}
