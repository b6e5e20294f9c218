package abi

import (
	"encoding/binary"
	"go/version"
)

// This file checks what the runtime goes through when a plugin is opened: its
// module data, in section .go.module, and the tables that it leads to.
//
// The layout of runtime.moduledata changes with the Go release, so what is read
// here is read for Go 1.26 and 1.27 alone; for another release it is not checked,
// and the rest still is. Both releases begin alike, up to types, and both end
// alike, from ptab; the plugin path has its place from the end, and package hashes
// behind it as many as there are symbols of them.

// Words of moduledata that both releases have (runtime/symtab.go).
const (
	mdPCHeader    = 0
	mdFuncnametab = 1 // slices of three words each, up to ftab
	mdCutab       = 4
	mdFiletab     = 7
	mdPctab       = 10
	mdPclntable   = 13
	mdFtab        = 16
	mdFindfunctab = 19
	mdMinPC       = 20
	mdMaxPC       = 21
	mdText        = 22 // ranges of two words each, up to covctrs
	mdNoptrdata   = 24
	mdData        = 26
	mdBss         = 28
	mdCovctrs     = 32
	mdGcdata      = 35
	mdGcbss       = 36
	mdTypes       = 37

	// From the plugin path on.
	mdPtab      = -3
	mdPkghashes = 2
	mdInittasks = 5
	mdHashes    = 10
	mdHasmain   = 13 // with bad, in one word; from here on the runtime fills in
	mdWords     = 20

	// What stands before ptab: in Go 1.26 two lists that 1.27 has not.
	mdTextsect126 = -12
	mdTypelinks   = -9
	mdItablinks   = -6
	mdTextsect127 = -6

	// What follows types: in Go 1.26 their end, in 1.27 lengths before and behind it.
	mdEtypes126   = 38
	mdDescLen127  = 38
	mdEtypes127   = 39
	mdItabOff127  = 40
	mdItabSize127 = 41
)

// moduleData is module data as it will be once relocations are applied.
type moduleData struct {
	c     *loadCheck
	words []uint64
	ptr   []bool // made by a relocation
	path  int    // where the plugin path stands
}

// goTables checks the module data and the tables that the runtime verifies or
// walks at once.
func (c *loadCheck) goTables() error {
	release, _, ok, err := c.buildInfo()
	if err != nil || !ok {
		return err
	}
	lang := version.Lang(toolchain(release))
	if lang != "go1.26" && lang != "go1.27" {
		return nil
	}
	b, err := c.at("module data", c.module.addr, c.module.size)
	if err != nil {
		return err
	}
	d := &moduleData{c: c, words: make([]uint64, len(b)/8), ptr: make([]bool, len(b)/8)}
	for i := range d.words {
		if d.words[i], d.ptr[i], ok = c.word(block{b, c.module.addr}, c.module.addr+8*uint64(i)); !ok {
			return malformed("word %d of its module data is no pointer of its own", i)
		}
	}
	if d.path, err = d.findPath(); err != nil {
		return err
	}
	for _, check := range []func() error{d.ranges, d.functions, d.state, d.protected, d.hashes, d.initTasks} {
		if err := check(); err != nil {
			return err
		}
	}
	if lang == "go1.27" {
		if err := d.oneText(mdTextsect127); err != nil {
			return err
		}
		return d.walks()
	}
	if err := d.oneText(mdTextsect126); err != nil {
		return err
	}
	return d.links()
}

// oneText: code in several sections, which the linker makes for other machines,
// is found by a table.
func (d *moduleData) oneText(i int) error {
	if n := d.words[d.path+i+1]; n > 1 || d.ptr[d.path+i+1] {
		return malformed("its module data has %d sections of code", n)
	}
	return nil
}

// findPath: the plugin path is what [image.pluginPath] takes for it.
func (d *moduleData) findPath() (int, error) {
	hashes, _, err := d.c.symtab.packages()
	if err != nil {
		return 0, err
	}
	// A string, two slices with pointers, and what else there is behind it.
	i, n := len(d.words)-mdWords, uint64(len(hashes))
	if i > mdTypes-mdTextsect126 && d.ptr[i] && !d.ptr[i+1] && d.words[i+1] > 0 && d.ptr[i+mdPkghashes] &&
		d.words[i+mdPkghashes+1] == n && d.words[i+mdPkghashes+2] == n {
		return i, nil
	}
	return 0, malformed("its module data has not the layout of its Go release")
}

// bytes gives the content of a slice with elements of that size.
func (d *moduleData) bytes(what string, i int, elem uint64) ([]byte, error) {
	n := d.words[i+1]
	if d.ptr[i+1] || d.ptr[i+2] || n != d.words[i+2] || n > maxTable || n > 0 && !d.ptr[i] {
		return nil, malformed("the slice %s of its module data has length %d and capacity %d", what, n, d.words[i+2])
	}
	if n == 0 || d.words[i] == 0 { // 0: another file's
		return nil, nil
	}
	return d.c.at("table "+what, d.words[i], n*elem)
}

// ranges: where code and data lie.
func (d *moduleData) ranges() error {
	w := d.words
	for i := mdMinPC; i <= mdTypes; i++ {
		if !d.ptr[i] || !d.c.inModule(w[i]) {
			return malformed("word %d of its module data (%#x) leads out of the file", i, w[i])
		}
	}
	for i := mdText; i <= mdCovctrs; i += 2 {
		if w[i] > w[i+1] {
			return malformed("a range of its module data ends (%#x) before it begins (%#x)", w[i+1], w[i])
		}
	}
	if !d.c.has(w[mdText], w[mdText+1]-w[mdText], pfX) || w[mdText] == w[mdText+1] {
		return malformed("its module data has its code at %#x to %#x, where no code is", w[mdText], w[mdText+1])
	}
	for _, i := range []int{mdNoptrdata, mdData, mdBss, mdBss + 2, mdCovctrs} {
		if n := w[i+1] - w[i]; n > 0 && !d.c.mapped(w[i], n, pfW) {
			return malformed("its module data has variables at %#x to %#x, where nothing can be written", w[i], w[i+1])
		}
	}
	for _, i := range []int{mdGcdata, mdGcbss} {
		if !d.c.has(w[i], 1, pfR) {
			return malformed("its maps of pointers are not in the file")
		}
	}
	return nil
}

// state: what the runtime fills in has to be empty. A module that is not is one
// that it takes for opened, or the first of several.
func (d *moduleData) state() error {
	for i := d.path + mdHasmain; i < len(d.words); i++ {
		if d.words[i] != 0 || d.ptr[i] {
			return malformed("word %d of its module data is not empty", i)
		}
	}
	return nil
}

// protected: what becomes read-only once it is loaded holds none of the
// variables, nor the module data.
func (d *moduleData) protected() error {
	seg, ok := d.c.segment(ptGNURelro)
	if !ok {
		return nil
	}
	begin := seg.addr &^ (pageSize - 1)
	relro := span{begin, (seg.addr+seg.memsize)&^(pageSize-1) - begin}
	if relro.meets(span{d.c.module.addr, d.c.module.size}) {
		return malformed("its module data would become read-only")
	}
	for i := mdNoptrdata; i <= mdCovctrs; i += 2 {
		if relro.meets(span{d.words[i], d.words[i+1] - d.words[i]}) {
			return malformed("its variables at %#x to %#x would become read-only", d.words[i], d.words[i+1])
		}
	}
	return nil
}

// hashes: the hash of each package as it was at link time, and a pointer to where
// the first definer has it (modulehash: two strings, and a pointer to a third). A
// thin artifact has the hash of what it was linked against in the same form. What
// the pointers lead to is mostly the host's.
func (d *moduleData) hashes() error {
	const size, maxHash = 40, 1 << 10
	for _, t := range []struct {
		what string
		i    int
	}{{"pkghashes", d.path + mdPkghashes}, {"modulehashes", d.path + mdHashes}} {
		b, err := d.bytes(t.what, t.i, size)
		if err != nil {
			return err
		}
		list := block{b, d.words[t.i]}
		if err := d.c.gather(list.span()); err != nil {
			return err
		}
		for at := list.addr; at < list.addr+uint64(len(b)); at += size {
			now, pointer, ok := d.c.word(list, at+32)
			if !d.c.isText(list, at, maxName) || !d.c.isText(list, at+16, maxHash) || !ok || !pointer || now != 0 && !d.c.has(now, 16, pfR) {
				return malformed("an entry of its list %s leads to what is not there", t.what)
			}
		}
	}
	return nil
}

// initTasks: what is to be run. A task has a state, which has to be "not begun",
// the number of its functions, and the functions (runtime/proc.go, initTask).
func (d *moduleData) initTasks() error {
	const head, maxFuncs = 8, 1 << 12
	list, err := d.bytes("inittasks", d.path+mdInittasks, 8)
	if err != nil {
		return err
	}
	at := d.words[d.path+mdInittasks]
	if err := d.c.gather(span{at, uint64(len(list))}); err != nil {
		return err
	}
	type task struct{ addr, funcs uint64 }
	var tasks []task
	var where []span
	for i := uint64(0); i+8 <= uint64(len(list)); i += 8 {
		addr, pointer, ok := d.c.word(block{list, at}, at+i)
		if !ok || !pointer {
			return malformed("its list of initialisers leads nowhere")
		}
		if addr == 0 {
			continue // another file's
		}
		b, err := d.c.at("initialiser", addr, head)
		if err != nil {
			return err
		}
		state, n := binary.LittleEndian.Uint32(b), uint64(binary.LittleEndian.Uint32(b[4:]))
		if state != 0 || n > maxFuncs || !d.c.has(addr, head+8*n, pfW) {
			return malformed("an initialiser at %#x has state %d and %d functions", addr, state, n)
		}
		tasks, where = append(tasks, task{addr, n}), append(where, span{addr, head + 8*n})
	}
	if err := d.c.gather(where...); err != nil {
		return err
	}
	for _, t := range tasks {
		b, err := d.c.at("initialiser", t.addr, head+8*t.funcs)
		if err != nil {
			return err
		}
		for i := range t.funcs {
			if fn, pointer, ok := d.c.word(block{b, t.addr}, t.addr+head+8*i); !ok || !pointer || fn != 0 && !d.c.code(fn) {
				return malformed("an initialiser at %#x calls what is no code", t.addr)
			}
		}
	}
	return nil
}

// typesEnd checks where types end, and gives how many bytes they have.
func (d *moduleData) typesEnd(i int) (uint64, error) {
	types, etypes := d.words[mdTypes], d.words[i]
	if etypes < types || !d.ptr[i] || !d.c.mapped(types, etypes-types, pfR) {
		return 0, malformed("its types are at %#x to %#x, which is not in the file", types, etypes)
	}
	return etypes - types, nil
}

// walks: the runtime of Go 1.27 goes through type descriptors and interface tables
// from end to end.
func (d *moduleData) walks() error {
	const ptrSize = 8
	size, err := d.typesEnd(mdEtypes127)
	if err != nil {
		return err
	}
	if err := d.offsets("ptab", mdPtab, 8, size); err != nil {
		return err
	}
	w := d.words
	for _, i := range []int{mdDescLen127, mdItabOff127, mdItabSize127} {
		if d.ptr[i] || w[i] > size {
			return malformed("word %d of its module data (%#x) leads out of its types", i, w[i])
		}
	}
	if w[mdItabOff127]+w[mdItabSize127] > size {
		return malformed("its interface tables lead out of its types")
	}
	// Both walks are right only where they begin and end with what they are about.
	// The first word of types is none.
	descs := span{w[mdTypes] + ptrSize, w[mdDescLen127] - min(ptrSize, w[mdDescLen127])}
	itabs := span{w[mdTypes] + w[mdItabOff127], w[mdItabSize127]}
	if !d.c.bounded(descs, "type:") || !d.c.bounded(itabs, itabPrefix) {
		return malformed("its types or its interface tables are not where its module data has them")
	}
	return nil
}

// bounded reports whether a range, where it has bytes, begins where a symbol of that
// prefix begins and ends where one ends.
func (c *loadCheck) bounded(s span, prefix string) bool {
	begins, ends := s.size == 0, s.size == 0
	for i := range c.symtab.len() {
		if sym := c.symtab.at(i); sym.section != shnUndef && c.symtab.hasPrefix(sym, []byte(prefix)) && s.holds(sym.value, sym.size) {
			begins = begins || sym.value == s.addr
			ends = ends || sym.value+sym.size == s.addr+s.size && sym.size > 0
		}
	}
	return begins && ends
}

// offsets checks a list of offsets within types, with elements of one or two.
func (d *moduleData) offsets(what string, at int, elem, size uint64) error {
	b, err := d.bytes(what, d.path+at, elem)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += 4 {
		if off := uint64(binary.LittleEndian.Uint32(b[i:])); off == 0 || off >= size {
			return malformed("its %s lead out of its types", what)
		}
	}
	return nil
}

// links: offsets of types and pointers to interface tables, which the runtime of
// Go 1.26 goes through.
func (d *moduleData) links() error {
	size, err := d.typesEnd(mdEtypes126)
	if err != nil {
		return err
	}
	if err := d.offsets("ptab", mdPtab, 8, size); err != nil {
		return err
	}
	if err := d.offsets("typelinks", mdTypelinks, 4, size); err != nil {
		return err
	}
	b, err := d.bytes("itablinks", d.path+mdItablinks, 8)
	if err != nil {
		return err
	}
	at := d.words[d.path+mdItablinks]
	if err := d.c.gather(span{at, uint64(len(b))}); err != nil {
		return err
	}
	for i := uint64(0); i+8 <= uint64(len(b)); i += 8 {
		if _, pointer, ok := d.c.word(block{b, at}, at+i); !ok || !pointer {
			return malformed("its list of interface tables leads nowhere")
		}
	}
	return nil
}

// gather finds the relocations of words that turned out to matter.
func (c *loadCheck) gather(where ...span) error {
	c.collect = c.collect[:0]
	for _, s := range where {
		if s.size > 0 {
			c.collect = append(c.collect, s)
		}
	}
	return c.eachReloc(func(int, int, uint64, reloc) error { return nil })
}
