package funcdiff

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// Build is one build of a package.
type Build struct {
	// Objects are those of its archive. They must not have been rewritten.
	Objects []*goobj.Object
	// Indexed names what the objects refer to by position, see
	// goobj.Rewriter.Indexed.
	Indexed func(path string, i uint32) (goobj.Definition, error)
	// Declared are its sources' declarations.
	Declared *Declarations
	// Leaks says which arguments functions keep, by the linker's name of the
	// function; see ParseLeaks.
	Leaks map[string]string
}

type nameABI struct {
	name string
	abi  uint16
}

// place is a symbol in an object.
type place struct {
	object *goobj.Object
	symbol *goobj.Symbol
}

// index gives the definitions of a build that others can name.
func (b *Build) index() map[nameABI]place {
	defs := map[nameABI]place{}
	for _, o := range b.Objects {
		for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
			for i := range table {
				s := &table[i]
				k := nameABI{s.Name, s.ABI}
				if _, ok := defs[k]; !ok && s.Name != "" && s.ABI != goobj.ABIStatic {
					defs[k] = place{o, s}
				}
			}
		}
	}
	return defs
}

// comparer compares symbols of two builds. Symbols that are not shared by name
// may refer to each other in circles, so two are the same unless they can be
// told apart: what is being compared is taken for the same meanwhile, and what
// was found under that assumption counts only where the whole is the same.
type comparer struct {
	old, new         *Build
	oldDefs, newDefs map[nameABI]place
	// rebound are functions that keep their name and are another function to
	// callers; who refers to one has changed.
	rebound map[string]bool
	same    map[[2]*goobj.Symbol]bool
	trail   [][2]*goobj.Symbol
	err     error
}

func newComparer(old, new *Build) *comparer {
	return &comparer{
		old: old, new: new, oldDefs: old.index(), newDefs: new.index(),
		rebound: map[string]bool{}, same: map[[2]*goobj.Symbol]bool{},
	}
}

// forget drops what was found, before a comparison under other circumstances.
func (c *comparer) forget() { c.same = map[[2]*goobj.Symbol]bool{} }

// equal compares two symbols with everything that is theirs alone.
func (c *comparer) equal(a, b place) (bool, error) {
	c.trail = c.trail[:0]
	same := c.symbol(a, b)
	if !same {
		for _, pair := range c.trail {
			delete(c.same, pair)
		}
	}
	return same, c.err
}

func (c *comparer) symbol(a, b place) bool {
	if a.symbol == nil || b.symbol == nil {
		return a.symbol == b.symbol
	}
	pair := [2]*goobj.Symbol{a.symbol, b.symbol}
	if c.same[pair] {
		return true
	}
	x, y := a.symbol, b.symbol
	m, n := means(x), means(y)
	if x.Type != y.Type || x.Size != y.Size || len(m) != len(n) || !bytes.Equal(x.Data, y.Data) {
		return false
	}
	c.same[pair] = true
	c.trail = append(c.trail, pair)
	for i := range m {
		r, s := &m[i], &n[i]
		if r.Off != s.Off || r.Size != s.Size || r.Type != s.Type || r.Add != s.Add || !c.target(a.object, r.Sym, b.object, s.Sym) {
			return false
		}
	}
	return c.described(a, b)
}

// means gives the references of a symbol that make it what it is. Of a type descriptor
// the weak one does not: it leads to the descriptor of a pointer to the type, and that of
// a pointer type has it where the package happens to take the address of such a pointer
// (cmd/compile/internal/reflectdata/reflect.go, Go 1.26 and 1.27: dcommontype).
func means(s *goobj.Symbol) []goobj.Reloc {
	if !isDescriptor(s.Name) {
		return s.Relocs
	}
	weak := func(r goobj.Reloc) bool { return r.Type&goobj.RelocWeak != 0 }
	if !slices.ContainsFunc(s.Relocs, weak) {
		return s.Relocs
	}
	return slices.DeleteFunc(slices.Clone(s.Relocs), weak)
}

// described compares what else the runtime goes by: for code its frame and
// stack maps, for data its type.
func (c *comparer) described(a, b place) bool {
	m, n := c.aux(a), c.aux(b)
	if len(m) != len(n) {
		return false
	}
	for i := range m {
		if m[i].Type != n[i].Type {
			return false
		}
		if m[i].Type == goobj.AuxGotype {
			if !c.target(a.object, m[i].Sym, b.object, n[i].Sym) {
				return false
			}
			continue
		}
		p, q := a.object.Symbol(m[i].Sym), b.object.Symbol(n[i].Sym)
		if m[i].Type == goobj.AuxFuncInfo {
			// The rest of it is lines and inlined calls.
			if p == nil || q == nil || len(p.Data) < funcInfoFrame || len(q.Data) < funcInfoFrame || !bytes.Equal(p.Data[:funcInfoFrame], q.Data[:funcInfoFrame]) {
				return false
			}
			continue
		}
		if !c.symbol(place{a.object, p}, place{b.object, q}) {
			return false
		}
	}
	return true
}

// funcInfoFrame is how much of a FuncInfo symbol describes the frame: sizes of
// arguments and locals, the function's kind and flags
// (cmd/internal/goobj/funcinfo.go, Go 1.26 and 1.27).
const funcInfoFrame = 10

// pcdataInline is the table of inlined calls among a function's tables
// (internal/abi/symtab.go, Go 1.26 and 1.27: PCDATA_InlTreeIndex).
const pcdataInline = 2

func (c *comparer) aux(p place) []goobj.Aux {
	var kept []goobj.Aux
	tables := 0
	for _, a := range p.symbol.Aux {
		switch a.Type {
		case goobj.AuxGotype, goobj.AuxFuncInfo, goobj.AuxFuncdata, goobj.AuxPcsp:
			kept = append(kept, a)
		case goobj.AuxPcdata:
			if tables != pcdataInline {
				kept = append(kept, a)
			}
			tables++
		}
	}
	return kept
}

// target compares what two references lead to.
func (c *comparer) target(ao *goobj.Object, ar goobj.Ref, bo *goobj.Object, br goobj.Ref) bool {
	an, as := c.resolve(c.old, ao, ar)
	bn, bs := c.resolve(c.new, bo, br)
	if as.symbol != nil && bs.symbol != nil {
		return c.symbol(as, bs)
	}
	return as.symbol == bs.symbol && an == bn && !c.rebound[strings.TrimSuffix(bn.name, "·f")]
}

// resolve gives the name of what is shared by name, and else the symbol.
func (c *comparer) resolve(b *Build, o *goobj.Object, r goobj.Ref) (nameABI, place) {
	switch {
	case r == goobj.Ref{}:
		return nameABI{}, place{}
	case r.Pkg == goobj.PkgBuiltin:
		c.err = goobj.ErrBuiltin
		return nameABI{}, place{}
	case r.Indexed():
		def, err := b.Indexed(o.Packages[r.Pkg], r.Sym)
		if err != nil {
			c.err = fmt.Errorf("name symbol %d of %s: %w", r.Sym, o.Packages[r.Pkg], err)
		}
		return nameABI{def.Name, def.ABI}, place{}
	}
	s := o.Symbol(r)
	if s == nil {
		c.err = fmt.Errorf("an object refers to a symbol that it does not have")
		return nameABI{}, place{}
	}
	named := r.Pkg == goobj.PkgNone && int(r.Sym) >= len(o.NonPkgDefs)
	if named || Shared(s, b.Declared.Names) {
		return nameABI{s.Name, s.ABI}, place{}
	}
	return nameABI{}, place{o, s}
}
