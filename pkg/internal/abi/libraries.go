package abi

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
)

// libraries gives what the dynamic linker will look for: shared libraries, and
// by library the symbol versions that it has to define.
func (m *image) libraries() (needed []string, versions map[string][]string, err error) {
	if needed, err = m.neededLibraries(); err != nil {
		return nil, nil, err
	}
	versions, err = m.neededVersions()
	return needed, versions, err
}

// neededLibraries reads the DT_NEEDED entries, in the file's order.
func (m *image) neededLibraries() ([]string, error) {
	const dtNeeded = 1
	b, names, err := m.dataWithNames(".dynamic")
	if err != nil || b == nil {
		return nil, err
	}
	var needed []string
	for entry := int(m.pick(8, 16)); len(b) >= entry; b = b[entry:] {
		f := m.fields(b)
		if tag, value := f.word(), f.word(); tag == dtNeeded && len(needed) < maxLibraries {
			needed = append(needed, string(cstring(names, value, maxName)))
		}
	}
	return needed, nil
}

// neededVersions reads section .gnu.version_r: a list of libraries with a list
// of version names each, both linked by relative offsets. Weak needs, without
// which the dynamic linker goes on, are left out.
func (m *image) neededVersions() (map[string][]string, error) {
	const (
		entry = 16 // bytes of either structure
		weak  = 2  // VER_FLG_WEAK
	)
	b, names, err := m.dataWithNames(".gnu.version_r")
	if err != nil || b == nil {
		return nil, err
	}
	found := map[string][]string{}
	steps := 0
	for lib := uint64(0); lib+entry <= uint64(len(b)); {
		f := m.fields(b[lib:])
		f.u16() // version of the structure
		f.u16() // number of names
		library := string(cstring(names, uint64(f.u32()), maxName))
		aux, next := uint64(f.u32()), uint64(f.u32())
		for at := lib + aux; at+entry <= uint64(len(b)); {
			// Offsets only lead forwards, so this ends; but lists may share
			// their tails, and then it ends late.
			if steps++; steps > maxVersions {
				return nil, fail(Malformed, "more than %d version needs", maxVersions)
			}
			g := m.fields(b[at:])
			g.u32() // hash
			flags := g.u16()
			g.u16() // index
			name, more := g.u32(), uint64(g.u32())
			if flags&weak == 0 {
				found[library] = append(found[library], string(cstring(names, uint64(name), maxName)))
			}
			if more == 0 {
				break
			}
			at += more
		}
		if next == 0 {
			break
		}
		lib += next
	}
	for library, versions := range found {
		slices.SortFunc(versions, compareVersions)
		found[library] = slices.Compact(versions)
	}
	return found, nil
}

// DefinedVersions gives the symbol versions that the shared library in r, which
// has size bytes, defines, ascending: what [Process.Libraries] holds.
//
// Errors: *[Error].
func DefinedVersions(r io.ReaderAt, size int64) (versions []string, err error) {
	defer func() { // as in Read
		if p := recover(); p != nil {
			versions, err = nil, fail(Malformed, "reading its versions failed: %v", p)
		}
	}()
	m, err := openImage(r, size)
	if err != nil {
		return nil, err
	}
	return m.definedVersions()
}

// definedVersions reads section .gnu.version_d: a list of definitions with a
// list of names each, of which the first is its own and the others are those
// that it inherits from.
func (m *image) definedVersions() ([]string, error) {
	const (
		entry = 20 // bytes of a definition
		aux   = 8  // bytes of a name
		base  = 1  // VER_FLG_BASE: the name of the library
	)
	b, names, err := m.dataWithNames(".gnu.version_d")
	if err != nil || b == nil {
		return nil, err
	}
	var found []string
	steps := 0
	for at := uint64(0); at+entry <= uint64(len(b)); {
		if steps++; steps > maxVersions {
			return nil, fail(Malformed, "more than %d versions", maxVersions)
		}
		f := m.fields(b[at:])
		f.u16() // version of the structure
		flags := f.u16()
		f.u16() // index
		f.u16() // number of names
		f.u32() // hash
		first, next := at+uint64(f.u32()), uint64(f.u32())
		if flags&base == 0 && first+aux <= uint64(len(b)) {
			name := m.fields(b[first:]).u32()
			found = append(found, string(cstring(names, uint64(name), maxName)))
		}
		if next == 0 {
			break
		}
		at += next
	}
	slices.SortFunc(found, compareVersions)
	return slices.Compact(found), nil
}

const (
	maxLibraries = 1 << 10
	maxVersions  = 1 << 12
)

// dataWithNames reads a section and the string table that it links to.
func (m *image) dataWithNames(name string) (data, names []byte, err error) {
	sec, ok := m.section(name)
	if !ok {
		return nil, nil, nil
	}
	if data, err = m.data(sec, maxSmall); err != nil {
		return nil, nil, err
	}
	if names, err = m.linkedStrings(sec); err != nil {
		return nil, nil, err
	}
	return data, names, nil
}

// compareVersions orders GLIBC_2.9 before GLIBC_2.34.
func compareVersions(a, b string) int {
	an, av, _ := strings.Cut(a, "_")
	bn, bv, _ := strings.Cut(b, "_")
	if c := strings.Compare(an, bn); c != 0 {
		return c
	}
	as, bs := strings.Split(av, "."), strings.Split(bv, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		c := cmp.Compare(x, y)
		if errX != nil || errY != nil {
			c = strings.Compare(as[i], bs[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// libc names the C library that the listed ones contain; "" where none does.
func libc(needed []string) string {
	for _, lib := range needed {
		switch {
		case strings.HasPrefix(lib, "libc.musl-"), lib == "libc.so":
			return "musl"
		case strings.HasPrefix(lib, "libc.so."):
			return "glibc"
		}
	}
	return ""
}
