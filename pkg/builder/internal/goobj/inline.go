package goobj

import "fmt"

// A FuncInfo symbol's data (cmd/internal/goobj/funcinfo.go, Go 1.26 and 1.27:
// FuncInfo.Write, InlTreeNode.Write):
//
//	args, locals    uint32
//	id, flag        uint8, and two bytes of padding
//	start line      int32
//	files           uint32 count, then uint32 each
//	inline tree     uint32 count, then nodes:
//	    parent, file, line  uint32
//	    function            Ref
//	    parent pc           uint32
const (
	funcInfoFiles = 16
	inlineSize    = 24
	inlineRef     = 12
)

// inlineNodes gives the nodes of the inline tree in a FuncInfo symbol's data.
// The result shares memory with data.
func inlineNodes(data []byte) ([]byte, error) {
	rest, err := data, error(nil)
	// skip leaves n records of a size behind.
	skip := func(n uint32, size uint64) {
		if uint64(n)*size > uint64(len(rest)) {
			err = fmt.Errorf("function information is cut off at %d bytes", len(data))
			rest = nil
			return
		}
		rest = rest[uint64(n)*size:]
	}
	count := func() uint32 {
		if len(rest) < 4 {
			err = fmt.Errorf("function information is cut off at %d bytes", len(data))
			return 0
		}
		n := le.Uint32(rest)
		rest = rest[4:]
		return n
	}
	skip(1, funcInfoFiles)
	skip(count(), 4)
	n := count()
	nodes := rest
	skip(n, inlineSize)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes follow the inline tree", len(rest))
	}
	return nodes, err
}

// InlineRefs gives the functions that are inlined into the function that s, a
// FuncInfo symbol, describes, node by node. Tracebacks print their names.
func (o *Object) InlineRefs(s *Symbol) ([]Ref, error) {
	nodes, err := inlineNodes(s.Data)
	if err != nil || len(nodes) == 0 {
		return nil, err
	}
	refs := make([]Ref, len(nodes)/inlineSize)
	for i := range refs {
		r := getRef(nodes[i*inlineSize+inlineRef:])
		if !o.valid(r) {
			return nil, fmt.Errorf("inline node %d: reference {%d, %d} leads nowhere", i, r.Pkg, r.Sym)
		}
		refs[i] = r
	}
	return refs, nil
}

// SetInlineRefs replaces what InlineRefs gives; the number of nodes stays. s
// gets data of its own.
func (o *Object) SetInlineRefs(s *Symbol, refs []Ref) error {
	old, err := inlineNodes(s.Data)
	if err != nil {
		return err
	}
	if len(refs) != len(old)/inlineSize {
		return fmt.Errorf("%d references for %d inline nodes", len(refs), len(old)/inlineSize)
	}
	data := append([]byte(nil), s.Data...)
	nodes := data[len(data)-len(old):]
	for i, r := range refs {
		b := nodes[i*inlineSize+inlineRef:]
		le.PutUint32(b, r.Pkg)
		le.PutUint32(b[4:], r.Sym)
	}
	s.Data = data
	return nil
}

// funcInfo gives the FuncInfo symbol of s, nil if s is no function. The linker
// takes it from Defs whatever table the reference names
// (cmd/link/internal/loader/loader.go, Go 1.26 and 1.27: Loader.FuncInfo), and
// the compiler and assembler put it there.
func (o *Object) funcInfo(s *Symbol) *Symbol {
	for _, a := range s.Aux {
		if a.Type == AuxFuncInfo && a.Sym.Pkg == PkgSelf {
			return o.Symbol(a.Sym)
		}
	}
	return nil
}
