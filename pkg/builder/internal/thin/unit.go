package thin

import (
	"os"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// unit is a package that is linked into the artifact.
type unit struct {
	path    string // import path, as in the objects
	archive *goobj.Archive
	objects []*goobj.Object // of the archive's Go members, in order
	members []int           // their positions in the archive
	defs    map[nameABI]definition

	external map[nameABI]bool    // of a joined or patched unit: definitions that are left to the host
	finish   func(*goobj.Object) // of a patched unit: what is done to its objects last
}

type nameABI struct {
	name string
	abi  uint16
}

// definition is where a unit defines a symbol.
type definition struct {
	object *goobj.Object
	symbol *goobj.Symbol
}

// readUnit reads a package's archive.
func readUnit(path, file string) (*unit, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a, err := goobj.ReadArchive(data)
	if err != nil {
		return nil, unfit("the object of %s: %w", path, err)
	}
	u := &unit{path: path, archive: a, members: a.Objects(), defs: map[nameABI]definition{}}
	for _, i := range u.members {
		o, err := goobj.Parse(a.Members[i].Data)
		if err != nil {
			return nil, unfit("the object of %s: %w", path, err)
		}
		u.objects = append(u.objects, o)
		for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
			for j := range table {
				s := &table[j]
				k := nameABI{s.Name, s.ABI}
				if _, ok := u.defs[k]; !ok && s.Name != "" && s.ABI != goobj.ABIStatic {
					u.defs[k] = definition{o, s}
				}
			}
		}
	}
	if len(u.objects) == 0 {
		return nil, unfit("%s has no Go object", path)
	}
	return u, nil
}

// symbolPrefix begins the names of the unit's symbols.
func (u *unit) symbolPrefix() string { return symname.Escape(u.path) + "." }

// declares reports whether a function that has a name like those of function
// literals is a declared one: func1, or a method (*T).func1 or T.func1. All
// literals are in a function.
func (u *unit) declares(function string) bool {
	bare, ok := strings.CutPrefix(function, u.symbolPrefix())
	recv, method, qualified := strings.Cut(bare, ".")
	switch {
	case !ok || strings.Contains(method, "."):
		return false
	case !qualified || strings.HasPrefix(recv, "(*"):
		return true
	}
	_, isType := u.defs[nameABI{"type:" + u.symbolPrefix() + recv, goobj.ABI0}]
	return isType
}

// foreign reports whether the unit has objects of other compilers.
func (u *unit) foreign() bool {
	for _, m := range u.archive.Members {
		if m.Name != goobj.PkgDef && !m.IsObject() && m.Name != "preferlinkext" && m.Name != "dynimportfail" {
			return true
		}
	}
	return false
}

// dropForeign leaves out the objects of other compilers and what is said of
// them.
func (u *unit) dropForeign() {
	a := &goobj.Archive{}
	for _, m := range u.archive.Members {
		if m.Name == goobj.PkgDef || m.IsObject() {
			a.Members = append(a.Members, m)
		}
	}
	u.archive, u.members = a, a.Objects()
	for _, o := range u.objects {
		o.Head = withoutCgo(o.Head)
	}
}

// imports gives every package that an object of the unit makes the linker load.
func (u *unit) imports() []string {
	var paths []string
	for _, o := range u.objects {
		for _, imp := range o.Imports {
			// Paths of object files, of old, end in ".a" or ".o".
			paths = append(paths, strings.TrimSuffix(imp.Path, ".a"))
		}
	}
	return paths
}

// rewrite rewrites the unit's objects and gives the archive. own, where not
// zero, becomes the package's hash.
func (u *unit) rewrite(w *goobj.Rewriter, types goobj.Types, fingerprint func(path string) ([8]byte, bool), own [8]byte) ([]byte, error) {
	out := &goobj.Archive{Members: append([]goobj.Member{}, u.archive.Members...)}
	for i := range out.Members {
		if m := &out.Members[i]; m.Name == goobj.PkgDef && w.Old != "" {
			m.Data = []byte(strings.ReplaceAll(string(m.Data), w.Old, w.New))
		}
	}
	for n, i := range u.members {
		o := u.objects[n]
		if own != [8]byte{} && o.Fingerprint != [8]byte{} {
			o.Fingerprint = own
		}
		for j := range o.Imports {
			if f, ok := fingerprint(o.Imports[j].Path); ok {
				o.Imports[j].Fingerprint = f
			}
		}
		if err := w.Rewrite(o); err != nil {
			return nil, unfit("the object of %s: %w", u.path, err)
		}
		straighten(o, types)
		if u.finish != nil {
			u.finish(o)
		}
		out.Members[i].Data = o.Bytes()
	}
	return out.Bytes(), nil
}
