package builder

import (
	"bytes"
	"encoding/binary"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
)

// # Same instructions, other operands
//
// The code of a function may be the same where its meaning is not: another string
// of the same length, a call of another function. Those operands are addresses,
// which the linker puts into the code. So what an address leads to is compared
// as well, where it can be told: constants by their content, and what has a name
// in the binary by its address.

// sameOperands compares what a compiled function refers to with what the code
// that a host's linker made of it refers to. at is the address of the code, names
// those of what the object refers to by position; nil compares constants alone.
func sameOperands(image *thin.Image, o *goobj.Object, s *goobj.Symbol, at uint64, code []byte, types goobj.Types, names map[goobj.Ref]string) bool {
	for i := range s.Relocs {
		r := &s.Relocs[i]
		if r.Type != types.Call && r.Type != types.PCRel || r.Size != 4 || int(r.Off)+4 > len(code) {
			continue
		}
		displacement := int64(int32(binary.LittleEndian.Uint32(code[r.Off:])))
		target := uint64(int64(at) + int64(r.Off) + 4 + displacement - r.Add)
		if constant(o, r.Sym) {
			if !sameConstant(image, o, o.Symbol(r.Sym), target, types, 0) {
				return false
			}
			continue
		}
		if names == nil {
			continue
		}
		name := names[r.Sym]
		if t := o.Symbol(r.Sym); t != nil && t.ABI != goobj.ABIStatic {
			name = t.Name
		}
		// A function may be there for two ABIs.
		plain, ok := image.Address(name)
		other, ok0 := image.Address(name + ".abi0")
		if (ok || ok0) && (!ok || plain != target) && (!ok0 || other != target) {
			return false
		}
	}
	return true
}

// constant reports whether a reference leads to data that is known by its
// content alone: strings, floating-point numbers, and what of composite literals
// never changes.
func constant(o *goobj.Object, r goobj.Ref) bool {
	c := o.Symbol(r)
	if c == nil || c.Type != goobj.KindROData || r.Pkg == goobj.PkgNone && int(r.Sym) >= len(o.NonPkgDefs) {
		return false
	}
	return r.Pkg == goobj.PkgHashed || r.Pkg == goobj.PkgHashed64 || !funcdiff.Shared(c, nil)
}

// sameConstant compares data with what the binary has at an address, and what
// that leads to.
func sameConstant(image *thin.Image, o *goobj.Object, c *goobj.Symbol, at uint64, types goobj.Types, depth int) bool {
	have, err := image.Bytes(at, uint64(len(c.Data)))
	if err != nil {
		return false
	}
	own, have := bytes.Clone(c.Data), bytes.Clone(have) // the image keeps its bytes
	for _, r := range c.Relocs {
		from, to := int(r.Off), int(r.Off)+int(r.Size)
		if to > len(have) {
			return false
		}
		if r.Type == types.Addr && r.Size == 8 && constant(o, r.Sym) && depth < 8 {
			if !sameConstant(image, o, o.Symbol(r.Sym), binary.LittleEndian.Uint64(have[from:])-uint64(r.Add), types, depth+1) {
				return false
			}
		}
		clear(own[from:to])
		clear(have[from:to])
	}
	return bytes.Equal(own, have)
}

// refNames gives the names of what an object refers to by position.
func refNames(o *goobj.Object) map[goobj.Ref]string {
	names := make(map[goobj.Ref]string, len(o.RefNames))
	for _, n := range o.RefNames {
		names[n.Sym] = n.Name
	}
	return names
}
