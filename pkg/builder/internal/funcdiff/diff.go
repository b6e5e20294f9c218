package funcdiff

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// Package is a package in both builds.
type Package struct {
	Path     string // import path as compiled
	Old, New *Build
}

// Program is what is patched.
type Program struct {
	// Has reports whether it has a symbol: its linker leaves out what is not
	// used.
	Has   func(name string, abi uint16) bool
	Types goobj.Types // of the Go release
}

// Change says what happened to a function.
type Change string

// The changes.
const (
	Changed Change = "changed"
	Added   Change = "added"
	Removed Change = "removed"
)

// Function is a function that differs.
type Function struct {
	Name    string // as the linker spells it
	Package string // whose objects have it
	Change  Change
	Edited  bool   // its own source differs
	Wrapper bool   // the compiler made it, for a method that is called another way than declared
	Reason  string // why, where it was not edited itself
	// Redirect says that what calls the old one is to reach the new one. It is
	// false where the program does not have the function, and where the old one
	// has callers that could not call the new one.
	Redirect bool
	Unlike   bool   // it keeps other arguments than the old one
	Contract string // hash of what callers rely on
}

// Symbol is a type or variable that the program does not have.
type Symbol struct {
	Name    string
	Package string
	Hash    string // of the type's layout, or of the variable's type
}

// Diff is what differs between two builds of some packages of a program.
type Diff struct {
	Functions []Function // sorted by name
	Types     []Symbol   // added
	Variables []Symbol   // added
	Findings  []Finding  // refusals first
}

// Refused gives the findings that forbid a patch.
func (d *Diff) Refused() []Finding {
	return slices.DeleteFunc(slices.Clone(d.Findings), func(f Finding) bool { return !f.Refuse })
}

// Compare compares packages. Every package must be among them that was compiled
// against the export data of one that differs.
//
// Errors: objects that cannot be read as expected.
func Compare(p Program, packages []Package) (*Diff, error) {
	d := newDiffer(p, packages)
	for {
		n := len(d.rebound)
		if err := d.functions(); err != nil {
			return nil, err
		}
		d.rebind()
		if len(d.rebound) == n {
			break
		}
	}
	return d.result()
}

// Identity gives the diff that replaces every function of the packages by
// itself.
func Identity(p Program, packages []Package) (*Diff, error) {
	d := newDiffer(p, packages)
	d.all = true
	if err := d.functions(); err != nil {
		return nil, err
	}
	return d.result()
}

type differ struct {
	Program
	packages   []Package
	sides      []*comparer
	all        bool
	rebound    map[string]bool
	changed    map[string]*Function
	callers    map[string][]string // old: function -> who calls it directly
	taken      map[string]bool     // old: functions that are more than called
	findings   []Finding
	composites []string // types that changed because what they consist of did
	err        error
}

func newDiffer(p Program, packages []Package) *differ {
	d := &differ{Program: p, packages: packages, rebound: map[string]bool{}, callers: map[string][]string{}, taken: map[string]bool{}}
	for _, pkg := range packages {
		c := newComparer(pkg.Old, pkg.New)
		c.rebound = d.rebound
		d.sides = append(d.sides, c)
		for name, f := range pkg.New.Declared.Funcs {
			if was := pkg.Old.Declared.Funcs[name]; was != nil && was.Signature != f.Signature && !f.Generic {
				d.rebound[name] = true
			}
		}
	}
	d.references()
	return d
}

// references finds who calls functions in the old build, and which are known by
// other means: func values, method tables.
func (d *differ) references() {
	for i, pkg := range d.packages {
		c := d.sides[i]
		for _, o := range pkg.Old.Objects {
			for _, table := range [][]goobj.Symbol{o.Defs, o.Hashed64, o.Hashed, o.NonPkgDefs} {
				for j := range table {
					d.referencesOf(c, place{o, &table[j]})
				}
			}
		}
	}
}

func (d *differ) referencesOf(c *comparer, p place) {
	s := p.symbol
	if s.Type >= goobj.KindDwarfCUInfo && s.Type <= goobj.KindDwarfAddr {
		return
	}
	for i := range s.Relocs {
		r := &s.Relocs[i]
		k, _ := c.resolve(c.old, p.object, r.Sym)
		name, value := strings.CutSuffix(k.name, "·f")
		switch {
		case name == "" || s.Name == k.name+"·f":
		case !value && r.Type == d.Types.Call && s.IsText():
			d.callers[name] = append(d.callers[name], s.Name)
		default:
			d.taken[name] = true
		}
	}
}

// functions finds the functions that differ, given which are rebound.
func (d *differ) functions() error {
	d.changed = map[string]*Function{}
	for i, pkg := range d.packages {
		c := d.sides[i]
		c.forget()
		for _, k := range slices.SortedFunc(maps.Keys(c.newDefs), byName) {
			now := c.newDefs[k]
			if !d.candidate(pkg, now.symbol) || d.changed[k.name] != nil {
				continue
			}
			was, ok := c.oldDefs[k]
			switch {
			case d.all && (!ok || !d.Has(k.name, k.abi) || !strings.HasPrefix(k.name, pkg.New.Declared.Prefix+".")):
			case !ok:
				// Instances and wrappers of other packages' functions come and
				// go with their use. Those of this one's types count: methods
				// are inlined into them, and a type that a patch brought leads
				// to that patch's for good.
				own := pkg.New.Declared.Declares(k.name) || strings.HasPrefix(k.name, pkg.New.Declared.Prefix+".")
				if own && !d.Has(k.name, k.abi) {
					d.add(pkg, k, Added)
				}
			case d.all:
				d.add(pkg, k, Changed)
			default:
				same, err := c.equal(was, now)
				if err != nil {
					return fmt.Errorf("compare %s: %w", k.name, err)
				}
				if !same || d.rebound[k.name] {
					d.add(pkg, k, Changed)
				}
			}
		}
		if d.all {
			continue
		}
		for k, was := range c.oldDefs {
			if _, ok := c.newDefs[k]; !ok && d.candidate(pkg, was.symbol) && pkg.Old.Declared.Declares(k.name) && d.changed[k.name] == nil {
				d.changed[k.name] = &Function{Name: k.name, Package: pkg.Path, Change: Removed, Edited: true}
			}
		}
	}
	return nil
}

func byName(a, b nameABI) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.abi, b.abi))
}

// candidate reports whether a symbol is a function that a patch can be about.
// Of one that is implemented in assembly the compiler makes a wrapper, and the
// program may have the function alone under the name.
func (d *differ) candidate(pkg Package, s *goobj.Symbol) bool {
	if f := pkg.New.Declared.Funcs[s.Name]; f != nil && f.NoBody {
		return false
	}
	return s.IsText() && s.ABI == goobj.ABIInternal && !strings.HasPrefix(s.Name, "type:") &&
		!initialiser(pkg.New.Declared.Prefix, s.Name) && Shared(s, pkg.New.Declared.Names)
}

func (d *differ) add(pkg Package, k nameABI, change Change) {
	f := &Function{Name: k.name, Package: pkg.Path, Change: change, Edited: change == Added}
	base, _ := generic(k.name)
	was, now := pkg.Old.Declared.Funcs[base], pkg.New.Declared.Funcs[base]
	if was != nil && now != nil {
		f.Edited = was.Body != now.Body
	}
	method := base
	if f.Wrapper = now == nil; f.Wrapper {
		method = valueMethod(base)
		now = pkg.New.Declared.Funcs[method]
	}
	signature := ""
	if now != nil {
		signature = now.Signature
	}
	f.Unlike = change == Changed && pkg.Old.Leaks[base] != pkg.New.Leaks[base]
	h := sha256.Sum256([]byte(signature + "\x00" + pkg.New.Leaks[method]))
	f.Contract = fmt.Sprintf("%x", h[:8])
	f.Redirect = change == Changed && !d.rebound[k.name] && d.Has(k.name, k.abi)
	d.changed[k.name] = f
}

// valueMethod gives the method that the wrapper for pointers of its receiver's
// type is named after: example.com/cart.(*Cart).Total -> example.com/cart.Cart.Total.
func valueMethod(name string) string {
	before, after, ok := strings.Cut(name, ".(*")
	if !ok {
		return name
	}
	typ, rest, _ := strings.Cut(after, ")")
	return before + "." + typ + rest
}

// rebind finds functions that must keep their old callers to themselves:
//
//   - An instance of a generic function gets a dictionary from its callers. With
//     another dictionary it is another function to them.
//   - A function that keeps other arguments must not be called by code that was
//     compiled for the old one and would be compiled differently for the new one.
func (d *differ) rebind() {
	for name, f := range d.changed {
		base, instance := generic(name)
		switch {
		case f.Change != Changed || d.rebound[name]:
		case instance && d.dictionaryChanged(base):
			d.rebound[name] = true
		case f.Unlike && !d.taken[name] && slices.ContainsFunc(d.callers[name], d.differs):
			d.rebound[name] = true
		}
	}
}

// differs reports whether a function of the old build, or the one that a literal
// is in, is another one in the new build, or is not in it: what runs of it may
// run for ever.
func (d *differ) differs(name string) bool {
	for i, pkg := range d.packages {
		if initialiser(pkg.Old.Declared.Prefix, name) {
			return d.leftBehind(d.sides[i], name)
		}
	}
	for {
		if f := d.changed[name]; f != nil {
			return f.Change != Added
		}
		i := lastOutside(name, '.')
		if i < 0 || !Closure(name) {
			return d.gone(name)
		}
		name = name[:i]
	}
}

// gone reports whether only the old build has a function. Such a one is not
// always Removed: instances and wrappers come and go with their use.
func (d *differ) gone(name string) bool {
	k := nameABI{name, goobj.ABIInternal}
	return slices.ContainsFunc(d.sides, func(c *comparer) bool {
		return c.oldDefs[k].symbol != nil && c.newDefs[k].symbol == nil
	})
}

// leftBehind reports whether a function that belongs to initialisers is a
// literal, which may be called for ever and is in no patch, and the new build has
// another under its name.
func (d *differ) leftBehind(c *comparer, name string) bool {
	if ranOnce(c.old.Declared.Prefix, name) {
		return false
	}
	k := nameABI{name, goobj.ABIInternal}
	was, now := c.oldDefs[k], c.newDefs[k]
	if was.symbol == nil || now.symbol == nil {
		return true
	}
	same, err := c.equal(was, now)
	return !same || err != nil
}

// dictionaryChanged compares the dictionaries of a generic function's instances.
func (d *differ) dictionaryChanged(base string) bool {
	for _, c := range d.sides {
		for k, was := range c.oldDefs {
			dict, ok := dictionaryOf(k.name)
			if !ok || dict != base {
				continue
			}
			now, ok := c.newDefs[k]
			if !ok {
				continue
			}
			if same, _ := c.equal(was, now); !same {
				return true
			}
		}
	}
	return false
}

// dictionaryOf gives the generic function that a dictionary is for
// (cmd/compile/internal/noder/reader.go, Go 1.26 and 1.27: objDictName).
func dictionaryOf(name string) (function string, ok bool) {
	before, after, ok := strings.Cut(name, "..dict.")
	if !ok {
		return "", false
	}
	base, _ := generic(after)
	return before + "." + base, true
}
