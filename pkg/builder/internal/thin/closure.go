package thin

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # What the host lacks
//
// A linker prunes what a program does not use, so a plugin may name functions,
// variables and types that the host was built without, or packages that it
// never had. They join the artifact. Which ones is found symbol by symbol:
// following packages instead would end with nearly all of them, because nearly
// all packages import each other in the end.
//
// The rules follow the linker's own (cmd/link/internal/ld/deadcode.go, Go 1.26
// and 1.27: flood). Where they leave a choice, this takes in more: a symbol too
// many costs bytes, one too few fails the link.

// Beyond these a full link is the better deal.
const (
	maxPackages = 96
	maxBytes    = 8 << 20
)

// closure finds out what a link needs.
type closure struct {
	l       *Linker
	in      *Input
	types   goobj.Types
	private map[*goobj.Object]bool
	owner   map[*goobj.Object]*unit // of joined units
	shared  map[nameABI]bool        // names that several objects may define
	defined map[nameABI]bool        // by private units
	units   map[string]*unit        // private, patched and joined
	patched []*patchedUnit
	host    map[nameABI]symbol          // what is taken from the host
	seen    map[*goobj.Symbol]bool      // of joined units
	absent  map[string]map[nameABI]bool // names whose package has to join, by its path
	bytes   int
}

func (c *closure) run(ctx context.Context, private []*unit) error {
	for _, u := range private {
		c.units[u.path] = u
		for _, o := range u.objects {
			c.private[o] = true
		}
		for k := range u.defs {
			c.defined[k] = true
			c.shared[k] = true
		}
	}
	for _, u := range c.patched { // the private ones may refer to them
		c.units[u.path] = u.unit
		for _, o := range u.objects {
			c.owner[o] = u.unit
		}
	}
	for _, u := range private {
		for _, path := range u.imports() {
			c.wantPackage(path)
		}
		for _, o := range u.objects {
			if err := c.object(o); err != nil {
				return err
			}
		}
	}
	if err := c.patch(); err != nil {
		return err
	}
	for len(c.absent) > 0 {
		wave := c.absent
		c.absent = map[string]map[nameABI]bool{}
		if err := c.join(ctx, slices.Sorted(maps.Keys(wave))); err != nil {
			return err
		}
		for path, names := range wave {
			u := c.units[path]
			for _, imp := range u.imports() {
				c.wantPackage(imp)
			}
			for k := range names {
				if err := c.find(u, k); err != nil {
					return err
				}
			}
			if !c.in.HostHas(path) {
				if d, ok := u.defs[nameABI{symname.Escape(path) + "..inittask", goobj.ABI0}]; ok {
					if err := c.visit(d); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// patch follows the functions of the patched packages.
func (c *closure) patch() error {
	for _, u := range c.patched {
		for _, path := range u.imports() {
			c.wantPackage(path)
		}
	}
	for _, u := range c.patched {
		for _, d := range u.seeds() {
			if err := c.visit(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// own gives the definition of a function that a patched package has for itself
// though the host has one of the name, or of its func value.
func (c *closure) own(k nameABI) (definition, bool) {
	function := strings.TrimSuffix(k.name, "·f")
	for _, u := range c.patched {
		if d, ok := u.defs[k]; ok && (u.Own[function] || function == u.Listed) && !u.external[k] {
			return d, true
		}
	}
	return definition{}, false
}

// wantPackage makes a package join that the host does not have at all: the
// linker wants to see every package that an object imports.
func (c *closure) wantPackage(path string) {
	if path == "unsafe" || path == "C" || c.units[path] != nil || c.in.HostHas(path) {
		return
	}
	if c.absent[path] == nil {
		c.absent[path] = map[nameABI]bool{}
	}
}

// object follows everything that a private object defines.
func (c *closure) object(o *goobj.Object) error {
	for _, table := range [][]goobj.Symbol{o.Defs, o.Hashed64, o.Hashed, o.NonPkgDefs} {
		for i := range table {
			if err := c.references(o, &table[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// visit follows a definition of a joined unit, once.
func (c *closure) visit(d definition) error {
	if c.seen[d.symbol] {
		return nil
	}
	c.seen[d.symbol] = true
	if c.bytes += len(d.symbol.Data); c.bytes > maxBytes {
		return unfit("it needs more than %d MB that the host lacks", maxBytes>>20)
	}
	return c.references(d.object, d.symbol)
}

func (c *closure) references(o *goobj.Object, s *goobj.Symbol) error {
	if s.Type >= goobj.KindDwarfCUInfo && s.Type <= goobj.KindDwarfAddr {
		return nil // the link leaves debug information out
	}
	for i := range s.Relocs {
		r := &s.Relocs[i]
		switch r.Type &^ goobj.RelocWeak {
		case c.types.UseType, c.types.UseIface, c.types.UseIfaceMethod, c.types.UseNamedMethod:
			continue
		}
		weak := r.Type&goobj.RelocWeak != 0 && s.Flag2&goobj.Flag2Itab == 0
		if err := c.reference(o, r.Sym, weak); err != nil {
			return err
		}
	}
	for _, a := range s.Aux {
		// The type of a variable tells where its pointers are.
		if a.Type == goobj.AuxGotype {
			switch s.Type {
			case goobj.KindData, goobj.KindDataFIPS, goobj.KindBSS:
				if err := c.reference(o, a.Sym, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// reference follows one reference of an object.
func (c *closure) reference(o *goobj.Object, r goobj.Ref, weak bool) error {
	switch {
	case r == goobj.Ref{}:
		return nil
	case r.Pkg == goobj.PkgBuiltin:
		return &Unfit{Reason: "an object refers to the runtime by position", Err: goobj.ErrBuiltin}
	case r.Indexed():
		path := o.Packages[r.Pkg]
		def, err := c.l.definition(c.in, path, r.Sym)
		if err != nil {
			return err
		}
		return c.need(nameABI{def.Name, def.ABI}, path, weak)
	}
	s := o.Symbol(r)
	if s == nil {
		return unfit("an object refers to a symbol that it does not have")
	}
	if r.Pkg == goobj.PkgNone && int(r.Sym) >= len(o.NonPkgDefs) {
		return c.need(nameABI{s.Name, s.ABI}, "", weak)
	}
	if c.private[o] {
		return nil // all of it is followed anyway
	}
	if s.Name != "" && s.ABI != goobj.ABIStatic && r.Pkg != goobj.PkgHashed && r.Pkg != goobj.PkgHashed64 {
		k := nameABI{s.Name, s.ABI}
		if u := c.owner[o]; u.external[k] {
			return c.need(k, u.path, weak)
		}
		if err := c.duplicate(k); err != nil {
			return err
		}
	}
	return c.visit(definition{o, s})
}

// need finds what a name stands for: a private package's symbol, the host's,
// or one of a package that joins.
func (c *closure) need(k nameABI, path string, weak bool) error {
	if !weak {
		if err := c.duplicate(k); err != nil {
			return err
		}
	}
	if _, ok := c.host[k]; ok || c.defined[k] {
		return nil
	}
	if d, ok := c.own(k); ok {
		return c.visit(d)
	}
	h, ok, err := c.l.hostSymbol(c.in, k)
	switch {
	case err != nil:
		return err
	case ok:
		c.host[k] = h
		return nil
	}
	if path == "" {
		path = packageOf(k.name)
	}
	if task, ok := strings.CutSuffix(k.name, "..inittask"); ok {
		path = unescape(task)
		if c.in.HostHas(path) {
			// The host has run it, or had nothing to run.
			c.host[k] = symbol{}
			return nil
		}
	}
	if u := c.units[path]; u != nil {
		if d, ok := u.defs[k]; ok {
			return c.visit(d)
		}
	}
	// Others that joined may carry it too: instances of generic functions
	// belong to nobody.
	for _, u := range c.units {
		if d, ok := u.defs[k]; ok {
			return c.visit(d)
		}
	}
	switch u := c.units[path]; {
	case weak:
		return nil
	case path == "":
		return unfit("nothing defines %s", k.name)
	case u != nil:
		return c.find(u, k)
	}
	c.want(path, k)
	return nil
}

// duplicate notes a name that is part of the link and follows every definition
// of it.
func (c *closure) duplicate(k nameABI) error {
	if c.shared[k] {
		return nil
	}
	c.shared[k] = true
	for _, u := range c.units {
		if d, ok := u.defs[k]; ok && c.owner[d.object] != nil && !u.external[k] {
			if err := c.visit(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// want notes a name that a package that is still to join is to define.
func (c *closure) want(path string, k nameABI) {
	if c.absent[path] == nil {
		c.absent[path] = map[nameABI]bool{}
	}
	c.absent[path][k] = true
}

// find follows a name that joined unit u should define. Where it does not,
// another package does, by a linkname directive.
func (c *closure) find(u *unit, k nameABI) error {
	if d, ok := u.defs[k]; ok {
		return c.visit(d)
	}
	path, err := c.l.pusher(c.in, k)
	if err != nil {
		return err
	}
	switch u := c.units[path]; {
	case path == "":
		return unfit("nothing defines %s", k.name)
	case u == nil:
		c.want(path, k)
		return nil
	default:
		d, ok := u.defs[k]
		if !ok {
			return unfit("%s does not define %s", path, k.name)
		}
		return c.visit(d)
	}
}

// join compiles packages for the artifact and adds them.
func (c *closure) join(ctx context.Context, paths []string) error {
	if n := len(c.units) - len(c.in.Private) - len(c.patched) + len(paths); n > maxPackages {
		return unfit("it needs %d packages that the host lacks or has in part", n)
	}
	joining := make([]*joined, len(paths))
	errs := make([]error, len(paths))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 4)
	for i, path := range paths {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			joining[i], errs[i] = c.l.joinedPackage(ctx, c.in, path)
		})
	}
	wg.Wait()
	for _, err := range errs { // one reason reads better than many
		if err != nil {
			return err
		}
	}
	units := make([]*unit, len(paths))
	for i, j := range joining {
		units[i] = j.unit
	}
	for _, u := range units {
		c.units[u.path] = u
		for _, o := range u.objects {
			c.owner[o] = u
		}
	}
	// Of symbols that several objects define the linker takes the one that it
	// comes upon first.
	for _, u := range units {
		for k := range c.shared {
			if d, ok := u.defs[k]; ok && !u.external[k] {
				if err := c.visit(d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
