package goobj

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// PkgDef is the name of the archive member with the export data. It begins like
// a Go object and is none.
const PkgDef = "__.PKGDEF"

const (
	archiveMagic  = "!<arch>\n"
	memberHeader  = 60
	memberNameLen = 16
	memberEnd     = "`\n"
)

// An Archive is what the compiler writes for a package: a Unix archive with the
// export data, the compiler's object, those of the assembler and, with cgo,
// those of the C compiler.
type Archive struct{ Members []Member }

// A Member is one file of an archive.
type Member struct {
	// Name has at most 16 bytes; Go's tools cut longer ones.
	Name string
	Data []byte
}

// IsObject reports whether m is a Go object: one of the compiler ("_go_.o") or
// of the assembler. Others are export data ([PkgDef]) and foreign objects.
func (m *Member) IsObject() bool { return m.Name != PkgDef && IsObject(m.Data) }

// ReadArchive reads the archive data. The members share memory with it.
func ReadArchive(data []byte) (*Archive, error) {
	rest, ok := bytes.CutPrefix(data, []byte(archiveMagic))
	if !ok {
		return nil, fmt.Errorf("read archive: it begins with %q, not with %q",
			data[:min(len(data), len(archiveMagic))], archiveMagic)
	}
	a := &Archive{}
	for len(rest) > 0 {
		at := len(data) - len(rest)
		if len(rest) < memberHeader {
			return nil, fmt.Errorf("read archive: member header at %d is cut off", at)
		}
		head := string(rest[:memberHeader])
		rest = rest[memberHeader:]
		if head[memberHeader-len(memberEnd):] != memberEnd {
			return nil, fmt.Errorf("read archive: %q at %d is not a member header", head, at)
		}
		name := strings.TrimRight(head[:memberNameLen], " ")
		size, err := strconv.ParseUint(strings.TrimRight(head[48:58], " "), 10, 62)
		if err != nil || size > uint64(len(rest)) {
			return nil, fmt.Errorf("read archive: member %q at %d has size %q with %d bytes left",
				name, at, head[48:58], len(rest))
		}
		a.Members = append(a.Members, Member{Name: name, Data: rest[:size:size]})
		rest = rest[size:]
		if size%2 == 1 && len(rest) > 0 { // members begin at even offsets
			rest = rest[1:]
		}
	}
	return a, nil
}

// Bytes gives the archive's bytes, the way cmd/go packs them: no times, no
// owners, mode 0644 (cmd/go/internal/work/gc.go, Go 1.26 and 1.27:
// packInternal).
func (a *Archive) Bytes() []byte {
	n := len(archiveMagic)
	for i := range a.Members {
		n += memberHeader + len(a.Members[i].Data) + 1
	}
	out := append(make([]byte, 0, n), archiveMagic...)
	for _, m := range a.Members {
		name := m.Name[:min(len(m.Name), memberNameLen)]
		out = fmt.Appendf(out, "%s%s%-12d%-6d%-6d%-8o%-10d"+memberEnd,
			name, strings.Repeat(" ", memberNameLen-len(name)), 0, 0, 0, 0o644, len(m.Data))
		out = append(out, m.Data...)
		if len(m.Data)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out
}

// Compiled gives the compiler's object, nil where there is none.
func (a *Archive) Compiled() []byte {
	for i := range a.Members {
		if a.Members[i].IsObject() {
			return a.Members[i].Data
		}
	}
	return nil
}

// Objects gives the indexes of the members that are Go objects. Positions of
// other packages' references are positions in the first of them: the linker
// keeps the first object of a package for them
// (cmd/link/internal/loader/loader.go, Go 1.26 and 1.27: addObj).
func (a *Archive) Objects() []int {
	var objects []int
	for i := range a.Members {
		if a.Members[i].IsObject() {
			objects = append(objects, i)
		}
	}
	return objects
}

// Replace replaces old with new, which must be as long, in the Go objects and
// the export data; see [Object.Replace]. The archive is then as if it had been
// compiled that way, but for hashes.
func (a *Archive) Replace(old, new string) error {
	for i := range a.Members {
		m := &a.Members[i]
		if m.Name == PkgDef {
			m.Data = bytes.ReplaceAll(m.Data, []byte(old), []byte(new))
		}
		if !m.IsObject() {
			continue
		}
		o, err := Parse(m.Data)
		if err == nil {
			err = o.Replace(old, new)
		}
		if err != nil {
			return err
		}
		m.Data = o.Bytes()
	}
	return nil
}
