package thin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// # Packages that are patched
//
// A patched package is in the host and in the artifact, under one import path.
// The artifact has the functions that replace the host's, and what is theirs
// alone: closures, temporaries, new functions, types and variables. The rest is
// the host's, by name: its variables, with their values, its types, its other
// functions.
//
// A function that replaces one of the host stays beside it: the artifact's code
// calls it through the host's entry, as the host does, and so reaches whatever
// replaces that function at the time. Code of an old patch that still runs calls
// new code that way.

// Patched is a package of the host whose functions the artifact replaces.
type Patched struct {
	Path     string // import path as compiled; "main" for the host's own
	File     string // archive
	Replace  map[string]bool
	Own      map[string]bool // functions that are the artifact's alone, whatever the host has
	Declared func(function string) bool
	// Assembled reports whether a function is declared without a body. Of such a
	// one the host may have nothing but the assembly, whose calling convention is
	// another, under the name of the compiler's wrapper.
	Assembled func(function string) bool
	// Listed is the function that lists the package's state, where that is all that
	// the artifact has the package for: see list.go. The others are zero then.
	Listed string
}

// patchedUnit is a patched package in a link.
type patchedUnit struct {
	*unit
	Patched
	index int
	aside map[nameABI]bool
}

// readPatched reads the patched packages of a link.
func (l *Linker) readPatched(in *Input, types goobj.Types) ([]*patchedUnit, error) {
	var units []*patchedUnit
	for i, p := range in.Patched {
		u, err := readUnit(p.Path, p.File)
		if err != nil {
			return nil, err
		}
		u.dropForeign()
		x := &patchedUnit{unit: u, Patched: p, index: i, aside: map[nameABI]bool{}}
		leave := l.leavePatched
		if p.Listed != "" {
			leave = l.leaveListed
		}
		if err := leave(in, x, types); err != nil {
			return nil, err
		}
		units = append(units, x)
	}
	return units, nil
}

// leavePatched decides, for every definition of a patched unit, whether it is
// left to the host.
func (l *Linker) leavePatched(in *Input, u *patchedUnit, types goobj.Types) error {
	u.external = map[nameABI]bool{}
	for k, d := range u.defs {
		switch {
		case d.symbol.IsText() && k.abi == goobj.ABIInternal && u.Replace[k.name]:
			u.aside[k], u.external[k] = true, true
			continue
		case k.name == "go:plugin.tabs", k.name == "go:plugin.exports":
			u.external[k] = true // of a main package: the artifact's is another one
			continue
		case d.symbol.IsText() && k.abi == goobj.ABIInternal && u.Assembled(k.name):
			continue // the wrapper asks for the assembly by its own convention
		case u.Own[strings.TrimSuffix(k.name, "·f")], !funcdiff.Shared(d.symbol, u.Declared), ownType(d.symbol):
			continue
		}
		_, ok, err := l.hostSymbol(in, k)
		if err != nil {
			return err
		}
		if ok {
			u.external[k] = true
		}
	}
	u.keepOffsets(types, u.aside)
	return nil
}

// seeds gives the functions that the artifact is made for.
func (u *patchedUnit) seeds() []definition {
	var list []definition
	for k, d := range u.defs {
		if u.aside[k] || d.symbol.IsText() && k.abi == goobj.ABIInternal && (u.Own[k.name] || k.name == u.Listed) {
			list = append(list, d)
		}
	}
	return list
}

// keeper is the symbol that keeps the functions of a patched package in the
// artifact.
func (u *patchedUnit) keeper() string { return fmt.Sprintf("hotgo.keep.%d", u.index) }

// hostMain is the path under which the linker knows the host's main package,
// where that is patched: "main" is the artifact's to it.
const hostMain = "hotgo.main"

// libraryPath is the path under which the linker knows the package.
func (u *patchedUnit) libraryPath() string {
	if u.path == "main" {
		return hostMain
	}
	return u.path
}

// archivePatched writes a patched package's rewritten archive.
func (j *job) archivePatched(u *patchedUnit) error {
	positions := map[*goobj.Object][]goobj.Ref{}
	for _, d := range u.seeds() {
		ref, ok := d.object.Position(d.symbol)
		if !ok {
			return unfit("%s is not where its object says", d.symbol.Name)
		}
		positions[d.object] = append(positions[d.object], ref)
	}
	w := &goobj.Rewriter{
		Indexed:  func(path string, i uint32) (goobj.Definition, error) { return j.l.definition(j.in, path, i) },
		External: func(s *goobj.Symbol) bool { k := nameABI{s.Name, s.ABI}; return u.external[k] && !u.aside[k] },
		Aside:    func(s *goobj.Symbol) bool { return u.aside[nameABI{s.Name, s.ABI}] },
		Within:   func(t uint16) bool { return within(j.closure.types, t) },
	}
	for k, d := range u.defs {
		// Variables and types outlive the artifact's turn: later ones use them.
		if !u.external[k] && (d.symbol.IsText() || !funcdiff.Shared(d.symbol, u.Declared) || j.l.listedAlone(j.in, u, k.name)) {
			j.alone[mangle(k.name)] = true
		}
	}
	j.alone[u.keeper()] = true
	host := j.l.fingerprints(j.in)
	own := [8]byte{1} // of the host's main package nobody compares it, but with that of the patch before
	if f, ok := host(u.path); ok {
		own = f // the runtime compares it with the host's
	}
	u.finish = func(o *goobj.Object) {
		if refs := positions[o]; refs != nil {
			o.Keep(u.keeper(), j.closure.types, refs)
		}
	}
	data, err := u.rewrite(w, j.closure.types, host, own)
	if err != nil {
		return err
	}
	file := filepath.Join(j.in.Dir, fmt.Sprintf("h%d.a", u.index))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(&j.config, "packagefile %s=%s\n", u.libraryPath(), file)
	return nil
}

// keepPatched has the artifact's entry keep what the patched packages keep.
func (j *job) keepPatched(main *unit) error {
	if len(j.closure.patched) == 0 {
		return nil
	}
	for _, o := range main.objects {
		s := o.Definition(main.symbolPrefix()+j.in.Export, goobj.ABIInternal)
		if s == nil {
			continue
		}
		for _, u := range j.closure.patched {
			o.NonPkgRefs = append(o.NonPkgRefs, goobj.Symbol{Name: u.keeper(), ABI: goobj.ABI0})
			s.Relocs = append(s.Relocs, goobj.Reloc{Type: j.closure.types.Keep, Sym: o.NamedRef(len(o.NonPkgRefs) - 1)})
			o.Imports = append(o.Imports, goobj.Import{Path: u.libraryPath()})
		}
		return nil
	}
	return unfit("the main package has no function %s", j.in.Export)
}
