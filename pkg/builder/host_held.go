package builder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// holding holds packages, compiled from the sources that a host is taken to be
// built from, against the host.
type holding struct {
	host      *abi.Fingerprint
	name      string // of the host, for people
	goVersion string
	image     *thin.Image
}

func (h *holding) drift(what, host, now string) error {
	return errDrift(h.name, Mismatch{What: what, Host: host, Artifact: now, Rule: ruleDrift})
}

// compare compares export data and code, and gives the package's objects. compiled is
// the import path that the package's symbols have.
func (h *holding) compare(path, compiled, archive string) ([]*goobj.Object, error) {
	hash, err := readFingerprint(archive)
	if err != nil {
		return nil, err
	}
	want, ok := h.host.Packages[compiled]
	if !ok {
		want, ok = h.host.Packages[path]
	}
	if ok && want != hash {
		return nil, h.drift("export data of "+path, want.String(), fmt.Sprintf("%x from the sources that it is taken to be built from", hash))
	}
	objects, err := readObjects(archive)
	if err != nil {
		return nil, err
	}
	types, err := h.types()
	if err != nil {
		return nil, err
	}
	for name := range notAsLinked(h.image, objects, types, operandsByAddress) {
		return nil, h.drift(funcdiff.Short(name), "its code in the binary", "other code from the sources that it is taken to be built from")
	}
	return objects, nil
}

func (h *holding) types() (goobj.Types, error) {
	types, ok := goobj.RelocTypes(toolchain(h.goVersion))
	if !ok {
		return types, h.drift("object format", h.goVersion, "not known")
	}
	return types, nil
}

// compareData compares the sizes of a package's variables, and the descriptors of its
// types: sizes, fields with their offsets, and the types that they lead to. No code
// need tell of a field that was added at the end.
func (h *holding) compareData(path string, objects []*goobj.Object) error {
	types, err := h.types()
	if err != nil {
		return err
	}
	for _, o := range objects {
		for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
			for i := range table {
				s := &table[i]
				name := strings.TrimPrefix(s.Name, "type:")
				isType := s.Flag&goobj.FlagGoType != 0 && name != s.Name && !strings.HasPrefix(name, ".")
				if isType && !h.sameDescriptor(o, s, types) || isVariable(s, path) && !h.sameSize(s) {
					return h.drift(funcdiff.Short(name), "its layout in the binary", "another layout from the sources that it is taken to be built from")
				}
			}
		}
	}
	return nil
}

// isVariable tells the package's own variables from what cgo and linkname directives
// name.
func isVariable(s *goobj.Symbol, path string) bool {
	switch s.Type {
	case goobj.KindNoPtrData, goobj.KindData, goobj.KindBSS, goobj.KindNoPtrBSS:
		return strings.HasPrefix(s.Name, symname.Escape(path)+".") && funcdiff.Shared(s, nil)
	}
	return false
}

func (h *holding) sameSize(s *goobj.Symbol) bool {
	size, ok := h.image.Size(s.Name)
	return !ok || size == uint64(s.Size)
}

// sameDescriptor compares a descriptor with the host's, if it has one.
func (h *holding) sameDescriptor(o *goobj.Object, s *goobj.Symbol, types goobj.Types) bool {
	at, ok := h.image.Address(s.Name)
	if !ok {
		return true
	}
	have, err := h.image.Bytes(at, uint64(len(s.Data)))
	if err != nil {
		return false
	}
	own, have := bytes.Clone(s.Data), bytes.Clone(have)
	for _, r := range s.Relocs {
		from, to := int(r.Off), int(r.Off)+int(r.Size)
		if to > len(have) {
			return false
		}
		if t := o.Symbol(r.Sym); r.Type == types.Addr && r.Size == 8 && t != nil && strings.HasPrefix(t.Name, "type:") && !strings.HasPrefix(t.Name, "type:.") {
			if want, ok := h.image.Address(t.Name); ok && binary.LittleEndian.Uint64(have[from:]) != want+uint64(r.Add) {
				return false
			}
		}
		clear(own[from:to])
		clear(have[from:to])
	}
	return bytes.Equal(own, have)
}
