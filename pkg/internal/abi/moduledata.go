package abi

import (
	"fmt"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// pluginPath finds a plugin's path: the string by which the runtime tells two
// plugins apart, and the prefix of the names that plugin.Lookup finds.
//
// It is not in a table of its own. The runtime takes it from the file's
// moduledata, the content of section .go.module, at an offset that changes
// with the Go release. So the offset is derived: the linker also writes a hash
// for the plugin's main package under the same path, and behind the string it
// writes a slice with one element for each package hash
// (cmd/link/internal/ld/symtab.go, Go 1.26 and 1.27):
//
//	pluginpath  string
//	pkghashes   []modulehash
//
// A string header in moduledata whose bytes are the path of a hashed package
// is the plugin path. Bytes of other tables can look like a very short path;
// then the one that such a slice follows is it. The manifest is not asked, for
// it might lie, and symbol names alone are ambiguous once a library has a
// function named main.
//
// It gives "" with a reason where there is none, and an error only where the
// file cannot be read.
func (m *image) pluginPath(packages map[string]Hash) (path, missing string, err error) {
	sec, ok := m.section(".go.module")
	if !ok {
		return "", "it has no section .go.module", nil
	}
	words, err := m.relocatedWords(sec)
	if err != nil {
		return "", "", err
	}
	escaped, longest := make(map[string]string, len(packages)), 0
	for pkg := range packages {
		e := symname.Escape(pkg)
		escaped[e], longest = pkg, max(longest, len(e))
	}
	var candidates, followed []string
	for i := range max(0, len(words)-4) {
		addr, n := words[i], words[i+1]
		if n == 0 || n > uint64(longest) {
			continue
		}
		off, ok := m.offset(addr, n)
		if !ok {
			continue
		}
		b, err := m.bytes("plugin path", off, n)
		if err != nil {
			return "", "", err
		}
		pkg, ok := escaped[string(b)]
		if !ok {
			continue
		}
		candidates = append(candidates, pkg)
		if count := uint64(len(packages)); words[i+3] == count && words[i+4] == count {
			followed = append(followed, pkg)
		}
	}
	if len(followed) > 0 {
		candidates = followed
	}
	switch len(candidates) {
	case 0:
		return "", "its module data names no plugin path", nil
	case 1:
		return candidates[0], "", nil
	}
	return "", fmt.Sprintf("its module data names %d plugin paths", len(candidates)), nil
}

// relocatedWords reads a section as address-sized words, as they are once the
// dynamic linker has put in the addresses, for a load address of 0.
//
// With RELA relocations, as on amd64 and arm64, the bytes in the section do
// not count: the address is in the relocation. With REL and RELR ones it is in
// the section already.
func (m *image) relocatedWords(sec section) ([]uint64, error) {
	const maxModuledata = 1 << 16 // it has about 600 bytes
	b, err := m.data(sec, maxModuledata)
	if err != nil {
		return nil, err
	}
	size := m.pick(4, 8)
	words := make([]uint64, uint64(len(b))/size)
	for i := range words {
		words[i] = m.fields(b[uint64(i)*size:]).word()
	}
	const shtRela = 4
	for _, rela := range m.sections {
		if rela.typ != shtRela || rela.addr == 0 {
			continue
		}
		table, err := m.data(rela, maxTable)
		if err != nil {
			return nil, err
		}
		entry := 3 * size
		for ; uint64(len(table)) >= entry; table = table[entry:] {
			f := m.fields(table)
			at := f.word() - sec.addr
			if at >= sec.size || at%size != 0 || at/size >= uint64(len(words)) {
				continue
			}
			info, addend := f.word(), f.word()
			if info>>m.pick(8, 32) == 0 { // no symbol: relative
				words[at/size] = addend
			}
		}
	}
	return words, nil
}
