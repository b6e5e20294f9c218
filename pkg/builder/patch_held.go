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

// linkedObject is an object that is held against what a linker made of it.
type linkedObject struct {
	image *thin.Image
	o     *goobj.Object
	types goobj.Types
	names map[goobj.Ref]string // of what the object refers to by position; nil compares constants alone
	known map[placed]bool      // constants that were compared, or are being: tables lead to each other, and to themselves
}

// placed is a constant where the linker put it.
type placed struct {
	constant *goobj.Symbol
	at       uint64
}

// sameOperands compares what a compiled function refers to with what the code
// that a host's linker made of it refers to. at is the address of the code.
func (l *linkedObject) sameOperands(s *goobj.Symbol, at uint64, code []byte) bool {
	for i := range s.Relocs {
		r := &s.Relocs[i]
		if r.Type != l.types.Call && r.Type != l.types.PCRel || r.Size != 4 || int(r.Off)+4 > len(code) {
			continue
		}
		displacement := int64(int32(binary.LittleEndian.Uint32(code[r.Off:])))
		target := uint64(int64(at) + int64(r.Off) + 4 + displacement - r.Add)
		if constant(l.o, r.Sym) {
			if !l.sameConstant(l.o.Symbol(r.Sym), target) {
				return false
			}
			continue
		}
		if l.names == nil {
			continue
		}
		name := l.names[r.Sym]
		if t := l.o.Symbol(r.Sym); t != nil && t.ABI != goobj.ABIStatic {
			name = t.Name
		}
		// A function may be there for two ABIs.
		plain, ok := l.image.Address(name)
		other, ok0 := l.image.Address(name + ".abi0")
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
// that leads to, each constant once. One that is being compared counts as the same:
// what differs about it is found where that began.
func (l *linkedObject) sameConstant(c *goobj.Symbol, at uint64) (same bool) {
	k := placed{c, at}
	if same, ok := l.known[k]; ok {
		return same
	}
	l.known[k] = true
	defer func() { l.known[k] = same }()
	have, err := l.image.Bytes(at, uint64(len(c.Data)))
	if err != nil {
		return false
	}
	own, have := bytes.Clone(c.Data), bytes.Clone(have) // the image keeps its bytes
	for _, r := range c.Relocs {
		from, to := int(r.Off), int(r.Off)+int(r.Size)
		if to > len(have) {
			return false
		}
		if r.Type == l.types.Addr && r.Size == 8 && constant(l.o, r.Sym) {
			if !l.sameConstant(l.o.Symbol(r.Sym), binary.LittleEndian.Uint64(have[from:])-uint64(r.Add)) {
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
