package goobj

import (
	"errors"
	"fmt"
)

// ErrBuiltin says that an object refers to runtime symbols by their position in
// a list that is part of the toolchain and differs by release. The compiler does
// not do so with -linkshared (cmd/internal/obj/sym.go, Go 1.26 and 1.27:
// NumberSyms).
var ErrBuiltin = errors.New("it refers to runtime symbols by position; it has to be compiled with -linkshared")

// externalPrefix begins the names of definitions that are left out.
const externalPrefix = "hotgo:external."

// A Rewriter frees objects from the positions of symbols in other objects. It
// keeps no state between objects; it is safe for use by several goroutines if
// its functions are.
type Rewriter struct {
	// Indexed gives the definition at position sym of package path, as
	// Definitions reads it from the export archive that the object was compiled
	// against. The ABI comes from it too, which no guess from the name could
	// replace: a function that is implemented in assembly has ABI0, its callers
	// from Go use a wrapper with ABIInternal of the same name.
	// path is as the object has it, before Old is replaced.
	Indexed func(path string, sym uint32) (Definition, error)

	// External reports whether s, a definition of the object, is to be left out
	// because somebody else defines it: references to it become references by
	// name, and the definition gets a name that nothing refers to, so the
	// linker drops it. Not asked for symbols that cannot be named (static,
	// unnamed) and for those found by content. nil means none.
	//
	// s is as in the object, before Old is replaced; it must not be changed or
	// kept.
	External func(s *Symbol) bool

	// Aside reports whether s, a definition of the object, is to stay beside
	// somebody else's of the same name: references to it become references by
	// name, as for External, which is asked first, and the definition keeps its
	// name but becomes the object's own, so that nothing finds it by name. Who
	// wants it in the program has to refer to it by position, from the object
	// itself: see Object.Keep. Data that leads to places inside of it, a jump
	// table, goes on leading there. nil means none.
	Aside func(s *Symbol) bool

	// Within reports whether relocations of a type cannot lead out of what is
	// linked: those keep referring to a definition that is set aside. nil means
	// none.
	Within func(relocType uint16) bool

	// Old is replaced with New everywhere, see Object.Replace. "" for none.
	Old, New string
}

// Rewrite rewrites o in place. Afterwards it refers to nothing by the position
// in another package: every reference in relocations, auxiliary symbols, inline
// trees and flags is one to this object or a named one, Packages has only the
// empty entry, RefNames is empty. Names are shared: for each name and ABI there
// is one entry in NonPkgRefs.
//
// After an error o is not usable. errors.Is finds ErrBuiltin where the object
// was compiled the wrong way.
func (w *Rewriter) Rewrite(o *Object) error {
	p := pass{Rewriter: w, o: o, named: make(map[nameABI]uint32), converted: make(map[Ref]Ref), aside: make(map[Ref]bool)}
	if err := p.run(); err != nil {
		return fmt.Errorf("rewrite references of Go object: %w", err)
	}
	if err := o.Replace(w.Old, w.New); err != nil {
		return fmt.Errorf("rewrite Go object: %w", err)
	}
	return nil
}

type nameABI struct {
	name string
	abi  uint16
}

// pass is the rewriting of one object.
type pass struct {
	*Rewriter
	o *Object
	// named are the positions in NonPkgRefs.
	named map[nameABI]uint32
	// converted are references that change, and to what.
	converted map[Ref]Ref
	// aside are those to definitions that stay beside another.
	aside map[Ref]bool
	// names are the object's RefNames.
	names map[Ref]string
}

func (p *pass) run() error {
	for i, s := range p.o.NonPkgRefs {
		if k := (nameABI{s.Name, s.ABI}); s.ABI != ABIStatic {
			if _, ok := p.named[k]; !ok {
				p.named[k] = uint32(i)
			}
		}
	}
	p.names = make(map[Ref]string, len(p.o.RefNames))
	for _, n := range p.o.RefNames {
		p.names[n.Sym] = n.Name
	}
	p.leaveOut(PkgSelf, p.o.Defs)
	p.leaveOut(PkgNone, p.o.NonPkgDefs)
	for _, table := range p.o.definitions() {
		for i := range table {
			if err := p.symbol(&table[i]); err != nil {
				return fmt.Errorf("symbol %q: %w", table[i].Name, err)
			}
		}
	}
	for i := range p.o.RefFlags {
		if err := p.convert(&p.o.RefFlags[i].Sym); err != nil {
			return fmt.Errorf("flags of a reference: %w", err)
		}
	}
	p.o.Packages = p.o.Packages[:min(1, len(p.o.Packages))]
	p.o.RefNames = nil
	return nil
}

// leaveOut turns the external definitions of a table into something that nothing
// finds, and notes that references to them change. The definitions keep their
// positions: those of others count.
func (p *pass) leaveOut(pkg uint32, table []Symbol) {
	is := func(decide func(*Symbol) bool, s *Symbol) bool { return decide != nil && decide(s) }
	for i := range table {
		s := &table[i]
		if s.Name == "" || s.ABI == ABIStatic {
			continue
		}
		external := is(p.External, s)
		if !external && !is(p.Aside, s) {
			continue
		}
		ref := Ref{Pkg: pkg, Sym: uint32(i)}
		p.converted[ref] = p.name(s.Name, s.ABI, s.Flag2&Flag2UsedInIface)
		// The linker does not put static symbols into its table of names
		// (cmd/link/internal/loader/loader.go, Go 1.26 and 1.27: addSym). A flag
		// for linkname, whose bits differ by release, would make it check whether
		// the name may be used.
		if external {
			s.Name = externalPrefix + s.Name
		} else {
			p.aside[ref] = true
			s.Flag &^= FlagDupOK // one of several is of no use under a name of its own
		}
		s.ABI = ABIStatic
		s.Flag2 = 0
	}
}

// symbol converts the references of one definition.
func (p *pass) symbol(s *Symbol) error {
	for i := range s.Relocs {
		r := &s.Relocs[i]
		if p.aside[r.Sym] && (r.Add != 0 && !s.IsText() || p.Within != nil && p.Within(r.Type)) {
			continue // a jump table has F+offset: cmd/internal/obj/x86/asm6.go, Go 1.26 and 1.27, span6
		}
		if err := p.convert(&r.Sym); err != nil {
			return err
		}
	}
	for i := range s.Aux {
		if err := p.convert(&s.Aux[i].Sym); err != nil {
			return err
		}
	}
	info := p.o.funcInfo(s)
	if info == nil {
		return nil
	}
	refs, err := p.o.InlineRefs(info)
	if err != nil {
		return err
	}
	changed := false
	for i := range refs {
		was := refs[i]
		if err := p.convert(&refs[i]); err != nil {
			return err
		}
		changed = changed || refs[i] != was
	}
	if !changed {
		return nil
	}
	return p.o.SetInlineRefs(info, refs)
}

func (p *pass) convert(r *Ref) error {
	switch r.Pkg {
	case 0, PkgHashed64, PkgHashed:
		return nil
	case PkgBuiltin:
		return ErrBuiltin
	}
	if to, ok := p.converted[*r]; ok {
		*r = to
		return nil
	}
	if !r.Indexed() {
		return nil
	}
	to, err := p.nameIndexed(*r)
	if err != nil {
		return err
	}
	p.converted[*r] = to
	*r = to
	return nil
}

// nameIndexed gives the named reference for one by position.
func (p *pass) nameIndexed(r Ref) (Ref, error) {
	path := p.o.Packages[r.Pkg]
	if p.Indexed == nil {
		return Ref{}, fmt.Errorf("no definitions to name symbol %d of package %s", r.Sym, path)
	}
	def, err := p.Indexed(path, r.Sym)
	if err != nil {
		return Ref{}, fmt.Errorf("name symbol %d of package %s: %w", r.Sym, path, err)
	}
	if def.Name == "" || def.ABI == ABIStatic {
		return Ref{}, fmt.Errorf("symbol %d of package %s, %q, cannot be referred to by name", r.Sym, path, def.Name)
	}
	// The object's own account is incomplete, but where it has one, it tells an
	// archive that the object was not compiled against.
	if name, ok := p.names[r]; ok && name != def.Name {
		return Ref{}, fmt.Errorf("symbol %d of package %s is %q for this object and %q in the package's archive",
			r.Sym, path, name, def.Name)
	}
	return p.name(def.Name, def.ABI, 0), nil
}

// name gives the reference to the symbol of this name and ABI.
func (p *pass) name(name string, abi uint16, flag2 uint8) Ref {
	k := nameABI{name, abi}
	i, ok := p.named[k]
	if !ok {
		i = uint32(len(p.o.NonPkgRefs))
		p.o.NonPkgRefs = append(p.o.NonPkgRefs, Symbol{Name: name, ABI: abi})
		p.named[k] = i
	}
	p.o.NonPkgRefs[i].Flag2 |= flag2
	return p.o.NamedRef(int(i))
}
