package abi

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// tiny describes an ELF file of a kilobyte or two that has what Read looks at,
// and nothing that could run. Real binaries are big, and come in the flavours
// of this machine only.
type tiny struct {
	order      binary.AppendByteOrder // little endian if nil
	bits32     bool
	typ        uint16 // ET_DYN if 0
	machine    uint16 // x86-64 if 0
	goVersion  string
	info       string // module text of the build info
	interp     string
	buildID    string
	packages   map[string]Hash
	inits      []string        // import paths
	symbols    map[string]byte // name -> ELF symbol type
	pluginPath string          // in moduledata; "" leaves .go.module out
	itabs      []tinyItab
	decoys     []string          // paths in moduledata that no hash slice follows
	inPlace    bool              // addresses in moduledata need no relocation
	needed     []string          // DT_NEEDED
	versions   []string          // of the C library
	defined    []string          // versions that it defines itself
	sections   map[string][]byte // more, or others in place of those made here
}

// tinyItab is an interface table. Its two pointers are relocations that name
// dynamic symbols by number.
type tinyItab struct {
	name       string
	inter, typ uint64
}

const tinyBase = 0x10000 // address of the file's first byte

// plugin is a complete plugin for tests to change.
func plugin() tiny {
	return tiny{
		goVersion: "go1.26.8",
		info: "path\texample.com/shop/pricing\nmod\texample.com/shop\t(devel)\t\n" +
			"dep\texample.com/text\tv0.22.0\th1:abc=\nbuild\t-buildmode=plugin\nbuild\tCGO_ENABLED=1\n" +
			"build\tGOOS=linux\nbuild\tGOARCH=amd64\nbuild\tGOAMD64=v1\n",
		buildID: "a/b/c/d",
		packages: map[string]Hash{
			"runtime":                      {1},
			"example.com/shop/pricing":     {2},
			"example.com/text":             {3},
			"example.com/v.dot/lib.v1":     {4},
			"vendor/golang.org/x/sys/cpu":  {5},
			"example.com/odd/q\"%é":        {6},
			"example.com/shop/pricing/sub": {7},
		},
		inits: []string{"runtime", "example.com/v.dot/lib.v1", "example.com/shop/pricing"},
		symbols: map[string]byte{
			"example.com/shop/pricing.Price":             2,
			"example.com/shop/pricing.Rate":              1,
			"example.com/shop/pricing.hidden":            2,
			"example.com/shop/pricing.T.Method":          2,
			"example.com/shop/pricing.(*T).M":            2,
			"example.com/shop/pricing.main":              2,
			"example.com/shop/pricing/sub.Outer":         2,
			"example.com/shop/pricing.Map[go.shape.int]": 2,
		},
		pluginPath: "example.com/shop/pricing",
		needed:     []string{"libc.so.6"},
		versions:   []string{"GLIBC_2.34", "GLIBC_2.9", "GLIBC_2.2.5"},
	}
}

// host is the program that fits plugin.
func host() tiny {
	t := plugin()
	t.typ, t.interp, t.pluginPath, t.symbols = etExec, "/lib64/ld-linux-x86-64.so.2", "", nil
	t.info = "path\texample.com/shop\nmod\texample.com/shop\t(devel)\t\n" +
		"dep\texample.com/text\tv0.22.0\th1:abc=\nbuild\t-buildmode=exe\nbuild\tCGO_ENABLED=1\n" +
		"build\tGOOS=linux\nbuild\tGOARCH=amd64\nbuild\tGOAMD64=v1\n"
	t.packages = maps.Clone(t.packages)
	delete(t.packages, "example.com/shop/pricing")
	delete(t.packages, "example.com/shop/pricing/sub")
	t.packages["main"] = Hash{8}
	return t
}

// build gives the file.
func (t tiny) build() []byte {
	order := t.order
	if order == nil {
		order = binary.LittleEndian
	}
	if t.typ == 0 {
		t.typ = etDyn
	}
	if t.machine == 0 {
		t.machine = 62
	}
	w := writer{order: order, bits32: t.bits32}
	headerSize, entry, symSize := 64, 64, 24
	if t.bits32 {
		headerSize, entry, symSize = 52, 40, 16
	}
	const segments = 2
	segSize := 56
	if t.bits32 {
		segSize = 32
	}
	w.b = make([]byte, headerSize+segments*segSize)

	type header struct {
		name      string
		typ, link uint32
		off, size int
	}
	headers := []header{{}}
	put := func(name string, typ, link uint32, content []byte) int {
		if other, ok := t.sections[name]; ok {
			content = other
		}
		w.align(16)
		off := len(w.b)
		w.b = append(w.b, content...)
		headers = append(headers, header{name: name, typ: typ, link: link, off: off, size: len(content)})
		return off
	}
	blob := func(content []byte) int { // bytes that belong to no section
		w.align(8)
		w.b = append(w.b, content...)
		return len(w.b) - len(content)
	}
	addr := func(off int) uint64 { return uint64(tinyBase + off) }

	interpAt := blob([]byte(t.interp + "\x00"))
	strs := stringTable{}

	// Package hashes, initialisation tasks and other symbols.
	sym := &writer{order: order, bits32: t.bits32}
	sym.b = make([]byte, symSize)
	sized := func(name string, typ byte, value, size uint64) {
		at := strs.add(name)
		if t.bits32 {
			sym.u32(at)
			sym.word(value)
			sym.word(size)
			sym.b = append(sym.b, 1<<4|typ, 0)
			sym.u16(1)
			return
		}
		sym.u32(at)
		sym.b = append(sym.b, 1<<4|typ, 0)
		sym.u16(1)
		sym.word(value)
		sym.word(size)
	}
	symbol := func(name string, typ byte, value uint64) { sized(name, typ, value, 8) }
	for _, pkg := range slices.Sorted(maps.Keys(t.packages)) {
		hash := t.packages[pkg]
		symbol("go:link.pkghashbytes."+pkg, 1, addr(blob(hash[:])))
		symbol("go:link.pkghash."+pkg, 1, addr(0))
	}
	for _, pkg := range t.inits {
		symbol(symname.Escape(pkg)+"..inittask", 1, addr(blob(make([]byte, 8))))
	}
	for _, name := range slices.Sorted(maps.Keys(t.symbols)) {
		symbol(name, t.symbols[name], addr(0))
	}

	// Module data and interface tables, with the addresses in relocations.
	mod, rela := &writer{order: order, bits32: t.bits32}, &writer{order: order, bits32: t.bits32}
	for _, tab := range t.itabs {
		at := addr(blob(make([]byte, 32)))
		sized(tab.name, 1, at, 32)
		for i, to := range []uint64{tab.inter, tab.typ} {
			rela.word(at + 8*uint64(i))
			rela.word(to<<32 | 1) // R_X86_64_64
			rela.word(0)
		}
	}
	type fixup struct {
		at int
		to uint64
	}
	var fixups []fixup
	pointer := func(to uint64) {
		fixups = append(fixups, fixup{len(mod.b), to})
		if t.inPlace {
			mod.word(to)
		} else {
			mod.word(0)
		}
	}
	pointer(addr(0))
	mod.word(3)
	for _, decoy := range t.decoys {
		pointer(addr(blob([]byte(symname.Escape(decoy)))))
		mod.word(uint64(len(symname.Escape(decoy))))
	}
	pointer(addr(blob([]byte(symname.Escape(t.pluginPath)))))
	mod.word(uint64(len(symname.Escape(t.pluginPath))))
	pointer(addr(0))
	mod.word(uint64(len(t.packages)))
	mod.word(uint64(len(t.packages)))
	for range 4 {
		mod.word(0)
	}

	var build bytes.Buffer
	build.WriteString("\xff Go buildinf:\x08\x02")
	build.Write(make([]byte, 16))
	pad := "0123456789abcdef"
	for _, s := range []string{t.goVersion, pad + t.info + pad} {
		build.Write(binary.AppendUvarint(nil, uint64(len(s))))
		build.WriteString(s)
	}

	dyn, need := &writer{order: order, bits32: t.bits32}, &writer{order: order}
	for _, lib := range t.needed {
		dyn.word(1)
		dyn.word(uint64(strs.add(lib)))
	}
	dyn.word(0)
	dyn.word(0)
	if len(t.versions) > 0 {
		need.u16(1)
		need.u16(uint16(len(t.versions)))
		need.u32(strs.add("libc.so.6"))
		need.u32(16)
		need.u32(0)
		for i, v := range t.versions {
			need.u32(0)
			need.u32(0)
			need.u32(strs.add(v))
			next := uint32(16)
			if i == len(t.versions)-1 {
				next = 0
			}
			need.u32(next)
		}
	}
	def := &writer{order: order}
	for i, v := range append([]string{"lib.so"}, t.defined...) {
		flags, next := uint16(0), uint32(28)
		if i == 0 {
			flags = 1 // the library's own name
		}
		if i == len(t.defined) {
			next = 0
		}
		def.u16(1)
		def.u16(flags)
		def.u16(uint16(i + 1))
		def.u16(1)
		def.u32(0)
		def.u32(20)
		def.u32(next)
		def.u32(strs.add(v))
		def.u32(0)
	}
	note := &writer{order: order}
	note.u32(4)
	note.u32(uint32(len(t.buildID)))
	note.u32(4)
	note.b = append(append(note.b, "Go\x00\x00"...), t.buildID...)

	const strSection = 1
	put(".dynstr", 3, 0, strs.b)
	put(".dynsym", 11, strSection, sym.b)
	put(".dynamic", 6, strSection, dyn.b)
	put(".gnu.version_r", 0x6ffffffe, strSection, need.b)
	if len(t.defined) > 0 {
		put(".gnu.version_d", 0x6ffffffd, strSection, def.b)
	}
	put(".go.buildinfo", 1, 0, build.Bytes())
	put(".note.go.buildid", 7, 0, note.b)
	if t.pluginPath != "" {
		at := put(".go.module", 1, 0, mod.b)
		if !t.inPlace {
			for _, f := range fixups {
				rela.word(addr(at + f.at))
				rela.word(8) // R_X86_64_RELATIVE, no symbol
				rela.word(f.to)
			}
			put(".rela.dyn", 4, 2, rela.b)
		}
	}
	shstr := stringTable{}
	nameAt := []uint32{0}
	for _, h := range headers[1:] {
		nameAt = append(nameAt, shstr.add(h.name))
	}
	nameAt = append(nameAt, shstr.add(".shstrtab"))
	put(".shstrtab", 3, 0, shstr.b)

	w.align(8)
	shoff := len(w.b)
	for i, h := range headers {
		w.u32(nameAt[i])
		w.u32(h.typ)
		w.word(0)
		if i == 0 {
			w.word(0)
		} else {
			w.word(addr(h.off))
		}
		w.word(uint64(h.off))
		w.word(uint64(h.size))
		w.u32(h.link)
		w.u32(0)
		w.word(1)
		w.word(0)
	}

	// The headers, now that sizes are known.
	file := w.b
	w.b = nil
	class, data := byte(2), byte(1)
	if t.bits32 {
		class = 1
	}
	if order == binary.AppendByteOrder(binary.BigEndian) {
		data = 2
	}
	w.b = append(w.b, "\x7fELF"...)
	w.b = append(w.b, class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	w.u16(t.typ)
	w.u16(t.machine)
	w.u32(1)
	w.word(0)
	w.word(uint64(headerSize))
	w.word(uint64(shoff))
	w.u32(0)
	for _, v := range []int{headerSize, segSize, segments, entry, len(headers), len(headers) - 1} {
		w.u16(uint16(v))
	}
	segment := func(typ uint32, off, size int) {
		w.u32(typ)
		if !t.bits32 {
			w.u32(4)
		}
		w.word(uint64(off))
		w.word(addr(off))
		w.word(addr(off))
		w.word(uint64(size))
		w.word(uint64(size))
		if t.bits32 {
			w.u32(4)
		}
		w.word(8)
	}
	segment(ptLoad, 0, len(file))
	if t.interp != "" {
		segment(ptInterp, interpAt, len(t.interp)+1)
	} else {
		segment(0, 0, 0)
	}
	copy(file, w.b)
	return file
}

// writer appends integers in a byte order.
type writer struct {
	order  binary.AppendByteOrder
	bits32 bool
	b      []byte
}

func (w *writer) u16(v uint16) { w.b = w.order.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = w.order.AppendUint32(w.b, v) }

func (w *writer) word(v uint64) {
	if w.bits32 {
		w.u32(uint32(v))
		return
	}
	w.b = w.order.AppendUint64(w.b, v)
}

func (w *writer) align(n int) {
	for len(w.b)%n != 0 {
		w.b = append(w.b, 0)
	}
}

// stringTable collects zero-terminated strings.
type stringTable struct{ b []byte }

func (s *stringTable) add(str string) uint32 {
	if len(s.b) == 0 {
		s.b = []byte{0}
	}
	at := len(s.b)
	s.b = append(append(s.b, str...), 0)
	return uint32(at)
}

// mustRead reads a file that has to be good.
func mustRead(t *testing.T, file []byte) *Fingerprint {
	t.Helper()
	fp, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return fp
}
