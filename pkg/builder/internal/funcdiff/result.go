package funcdiff

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// result puts the diff together.
func (d *differ) result() (*Diff, error) {
	out := &Diff{}
	for i, pkg := range d.packages {
		d.added(out, d.sides[i], pkg)
		if d.all {
			continue
		}
		if err := d.catalogue(d.sides[i], pkg); err != nil {
			return nil, err
		}
	}
	for _, f := range d.changed {
		if !f.Edited && f.Change == Changed && !d.all {
			f.Reason = d.reason(f)
		}
		out.Functions = append(out.Functions, *f)
	}
	slices.SortFunc(out.Functions, func(a, b Function) int { return cmp.Compare(a.Name, b.Name) })
	if !d.all {
		d.functionFindings(out.Functions)
	}
	if !slices.ContainsFunc(d.findings, func(f Finding) bool { return f.Refuse }) {
		for _, name := range d.composites {
			d.find(true, CodeLayout, name, "the type %s changed, and the program has values of the old one", Short(name))
		}
	}
	slices.SortStableFunc(d.findings, func(a, b Finding) int {
		if a.Refuse != b.Refuse {
			if a.Refuse {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Symbol, b.Symbol))
	})
	out.Findings = slices.Compact(d.findings)
	return out, d.err
}

// added finds types and variables that the program does not have.
func (d *differ) added(out *Diff, c *comparer, pkg Package) {
	for k, p := range c.newDefs {
		s := p.symbol
		switch {
		case s.IsText() || d.Has(k.name, k.abi):
		case s.Flag&goobj.FlagGoType != 0 || isDescriptor(k.name):
			if s.Flag&goobj.FlagDupOK == 0 {
				out.Types = append(out.Types, Symbol{k.name, pkg.Path, c.contentHash(p)})
			}
		case pkg.New.Declared.Vars[k.name] != nil:
			out.Variables = append(out.Variables, Symbol{k.name, pkg.Path, c.typeHash(p)})
		}
	}
	for _, list := range [][]Symbol{out.Types, out.Variables} {
		slices.SortFunc(list, func(a, b Symbol) int { return cmp.Compare(a.Name, b.Name) })
	}
}

func isDescriptor(name string) bool {
	return strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.")
}

// contentHash hashes a descriptor: its bytes and the names it refers to.
func (c *comparer) contentHash(p place) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %x\n", p.symbol.Size, p.symbol.Data)
	for _, r := range means(p.symbol) {
		k, _ := c.resolve(c.new, p.object, r.Sym)
		fmt.Fprintf(h, "%d %d %d %s\n", r.Off, r.Type, r.Add, k.name)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// typeHash hashes what is known of a variable's type.
func (c *comparer) typeHash(p place) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", p.symbol.Size, p.symbol.Align)
	known := false
	for _, a := range p.symbol.Aux {
		if a.Type == goobj.AuxGotype {
			k, _ := c.resolve(c.new, p.object, a.Sym)
			fmt.Fprintf(h, "%s\n", k.name)
			known = true
		}
	}
	if v := c.new.Declared.Vars[p.symbol.Name]; v != nil && !known {
		fmt.Fprintf(h, "%s\n", v.Type)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// reason says why a function differs that nobody edited.
func (d *differ) reason(f *Function) string {
	edited := func(name string) bool {
		base, _ := generic(name)
		g := d.changed[name]
		if g == nil {
			g = d.changed[base]
		}
		return g != nil && g.Edited || d.editedSource(base)
	}
	if base, ok := generic(f.Name); ok && d.editedSource(base) {
		return "is an instance of " + Short(base) + ", which changed"
	}
	for i, pkg := range d.packages {
		c := d.sides[i]
		p, ok := c.newDefs[nameABI{f.Name, goobj.ABIInternal}]
		if !ok || pkg.Path != f.Package {
			continue
		}
		for _, name := range c.inlined(c.new, p) {
			if name != f.Name && edited(name) {
				return "inlines " + Short(name) + ", which changed"
			}
		}
		var keeps string
		for _, r := range p.symbol.Relocs {
			k, local := c.resolve(c.new, p.object, r.Sym)
			if local.symbol != nil && local.symbol.IsText() {
				for _, name := range c.inlined(c.new, local) {
					if edited(name) {
						return "inlines " + Short(name) + ", which changed"
					}
				}
			}
			switch g := d.changed[k.name]; {
			case d.rebound[k.name] && g != nil && g.Unlike:
				keeps = "passes arguments to " + Short(k.name) + ", which keeps others than before"
			case d.rebound[k.name]:
				return "calls " + Short(k.name) + ", whose signature changed"
			case g != nil && g.Unlike && keeps == "":
				keeps = "passes arguments to " + Short(k.name) + ", which keeps others than before"
			}
		}
		if keeps != "" {
			return keeps
		}
	}
	return "uses a constant or type that changed, or what is inlined into it"
}

// editedSource reports whether a declared function's source differs.
func (d *differ) editedSource(name string) bool {
	for _, pkg := range d.packages {
		was, now := pkg.Old.Declared.Funcs[name], pkg.New.Declared.Funcs[name]
		if was != nil && now != nil && was.Body != now.Body {
			return true
		}
	}
	return false
}

// inlined names the functions that are inlined into one.
func (c *comparer) inlined(b *Build, p place) []string {
	var names []string
	for _, a := range p.symbol.Aux {
		if a.Type != goobj.AuxFuncInfo {
			continue
		}
		info := p.object.Symbol(a.Sym)
		if info == nil {
			continue
		}
		refs, err := p.object.InlineRefs(info)
		if err != nil {
			continue // it is told in the reason only
		}
		for _, r := range refs {
			if k, _ := c.resolve(b, p.object, r); k.name != "" {
				names = append(names, k.name)
			}
		}
	}
	return names
}
