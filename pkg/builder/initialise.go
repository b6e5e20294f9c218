package builder

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/fitness"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// ruleRegister is the catalogue's code for what initialisers of a new generation
// enter into registries of the process once more.
const ruleRegister = "HG0041"

// InitEffect is something that a plugin does outside itself whenever one of its
// generations is initialised.
type InitEffect struct {
	Code    string     // HG0041 for a registration, "" for a goroutine
	Symbol  string     // what initialisation is in there: pricing.init, pricing.setup
	At      Diagnostic // where, with one sentence on what happens again
	Panics  bool       // known to panic the second time, so that such a load fails
	Package string     // import path
}

// InitEffects reads the packages that get a fresh identity for registrations and
// goroutines that their initialisers reach, in the order of packages and lines. It
// knows the registries of the standard library and some well-known modules, and
// follows calls that the sources spell out: finding nothing proves nothing.
//
// It type-checks those packages, without what they import: tens of milliseconds for
// each hundred kilobytes. It is safe for concurrent use.
func (p *Plan) InitEffects() []InitEffect { return p.initEffects(p.ownSources()) }

// ownSources gives the Go files of the packages that get a fresh identity.
func (p *Plan) ownSources() []fitness.Package {
	var pkgs []fitness.Package
	for _, u := range p.private {
		pkg := fitness.Package{ImportPath: u.Package.ImportPath, Name: u.Package.Name}
		for _, f := range u.Files {
			if strings.HasSuffix(f.Name, ".go") && f.Data != nil {
				pkg.Files = append(pkg.Files, fitness.File{Path: f.Path, Data: f.Data})
			}
		}
		pkgs = append(pkgs, pkg)
	}
	return pkgs
}

func (p *Plan) initEffects(pkgs []fitness.Package) []InitEffect {
	var effects []InitEffect
	for _, s := range fitness.Inspect(pkgs, p.packageName) {
		e := InitEffect{
			Symbol: path.Base(s.Package) + "." + strings.TrimPrefix(s.Via[len(s.Via)-1], "var "), Package: s.Package,
			At: Diagnostic{File: s.File, Line: s.Line, Col: s.Col},
		}
		where := "when the package is initialised"
		if len(s.Via) > 1 {
			where += " (" + strings.Join(s.Via, " -> ") + ")"
		}
		switch s.Kind {
		case fitness.Registration:
			e.Code, e.Panics = ruleRegister, s.Panics()
			e.At.Message = fmt.Sprintf("%s is called %s; it %s", s.Call, where, s.Again)
		case fitness.Goroutine:
			e.At.Message = fmt.Sprintf("a goroutine is started %s; nothing ends it when its generation retires", where)
		}
		effects = append(effects, e)
	}
	return effects
}

// InitNotes gives the registrations of InitEffects as entries of the catalogue of
// edits, for the event of a swap. Files below the builder's directory are named
// relative to it. Sources that name no registry cost next to nothing.
func (p *Plan) InitNotes() []Finding {
	pkgs := p.ownSources()
	if !fitness.MayRegister(pkgs) {
		return nil
	}
	var notes []Finding
	for _, e := range p.initEffects(pkgs) {
		if e.Code == "" {
			continue
		}
		file := e.At.File
		if rel, err := filepath.Rel(p.workDir, file); err == nil && filepath.IsLocal(rel) {
			file = rel
		}
		notes = append(notes, Finding{
			Code: e.Code, Symbol: e.Symbol, Text: fmt.Sprintf("%s:%d:%d: %s", file, e.At.Line, e.At.Col, e.At.Message),
		})
	}
	return notes
}

// packageName gives the name of a package of the graph.
func (p *Plan) packageName(importPath string) string {
	if pkg := p.deps[importPath]; pkg != nil {
		return pkg.Name
	}
	return ""
}

// Foreign lists the packages among the private ones that a patch cannot change,
// because not everything in them is the Go compiler's: those with cgo, assembly or
// //go:linkname. A swap can.
func (p *Plan) Foreign() []string {
	var paths []string
	for _, u := range p.private {
		if len(u.Package.Foreign()) > 0 || slices.ContainsFunc(u.Files, func(f source.File) bool {
			return strings.HasSuffix(f.Name, ".go") && bytes.Contains(f.Data, []byte("\n//go:linkname "))
		}) {
			paths = append(paths, u.Package.ImportPath)
		}
	}
	return paths
}
