package builder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// # Compiling two versions of a package
//
// For each package that a patch may concern there are two versions: the
// baseline's, compiled once, and the present one. Both are compiled alike, the
// way a patch is linked, with the command that the go command would use
// (record.go) and the files laid out below a directory of our own, so that the
// text is the one that was read. What differs between their objects then is the
// edit and what follows from it.
//
// An importer has two versions as well, of one text, where the export data of
// what it imports differs: it is compiled against each.
//
// Packages of a host are compiled under their own import paths. Those of a
// plugin's generation are compiled under the constant identity (thin.go), so
// that what is compiled serves for the generation after that too, and the one of
// the generation takes its place in the archives.

// patchBase is what a patch is the difference to, as far as compiling goes: the
// code of a host (patch_learn.go) or of a generation (patch_generation.go).
type patchBase struct {
	id       string                   // tells it from others of the builder, but not from generations of the same plugin
	shape    string                   // what all that was compiled is valid for
	order    []string                 // import paths of its packages, dependencies first
	main     string                   // import path of the generated main package, as compiled
	compiled func(path string) string // a package's import path as compiled
	element  string                   // what thinElement stands for in that; "" where it is nothing

	// sources gives the Go files of one version of a package.
	sources func(u *source.Unit, sd side) ([]goSource, error)
	// learn finds out how packages are compiled.
	learn func(ctx context.Context, j *patchCompile, paths []string) error
	// fails gives the error for what the compiler said of a version.
	fails func(sd side, output string, err error) error
	// foreign gives the error for a package that only the go command can
	// compile, and that has to be compiled.
	foreign func(path string) error
}

// named gives the import path that a package's symbols have in what is patched.
func (pb *patchBase) named(path string) string {
	if pb.element == "" {
		return pb.compiled(path)
	}
	return strings.ReplaceAll(pb.compiled(path), thinElement, pb.element)
}

// patchCompiler compiles packages of one base.
type patchCompiler struct {
	turn sync.Mutex
	dir  string
	seq  int

	shape    string // what follows is valid for
	epoch    uint64 // of the graph that verified is about
	element  string // in the names of what follows
	packages map[string]*patchable
	exports  [2]map[string]string // by side: import path -> archive of the host's build
	main     string               // archive of the generated main package
	verified map[string]bool      // packages whose baseline is the host's
	names    map[string][]goobj.Definition
}

// side is one of the two versions.
type side int

const (
	oldSide side = iota
	newSide
)

// patchable is a package in both versions.
type patchable struct {
	path     string // import path
	compiled string // in what is patched: "main" for the host's own
	command  *command
	fixed    string   // archive, where there is no command
	fixedFor [32]byte // of the files of what that was compiled against
	old, new *compiledVersion
}

func (p *patchable) at(sd side) *compiledVersion {
	if sd == oldSide {
		return p.old
	}
	return p.new
}

// differs reports whether the two versions are compiled from different input.
func (p *patchable) differs() bool { return p.old.archive != p.new.archive }

// compiledVersion is a package as it was compiled.
type compiledVersion struct {
	inputs      [32]byte // of the files
	used        [32]byte // of the export data of packages that have versions
	archive     string
	fingerprint [8]byte
	files       []goSource
	output      string // of the compiler

	renamed string // the archive with the names of what is patched; "" where they are the same
	build   *funcdiff.Build
}

// unnamed gives the version without what has the names of a base in it.
func (v *compiledVersion) unnamed() *compiledVersion {
	if v == nil {
		return nil
	}
	x := *v
	x.renamed, x.build = "", nil
	return &x
}

// linked is the archive that goes into links.
func (v *compiledVersion) linked() string {
	if v.renamed != "" {
		return v.renamed
	}
	return v.archive
}

// patchedPackages is what a patch is made from.
type patchedPackages struct {
	packages []*patchable // dependencies first; those whose versions differ
	exports  map[string]string
	compiled map[string]string // import path as compiled -> archive of the new version
	main     string
	mainPath string
}

func (b *Builder) patchCompilerFor(id string) *patchCompiler {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.patchCompilers[id]
	if c == nil {
		c = new(patchCompiler)
		b.patchCompilers[id] = c
	}
	return c
}

// prepare makes the compiler one for a base.
func (c *patchCompiler) prepare(base *patchBase, epoch uint64) {
	if c.shape != base.shape || c.packages == nil {
		c.shape, c.packages = base.shape, map[string]*patchable{}
		c.exports = [2]map[string]string{{}, {}}
		c.verified, c.main, c.names = map[string]bool{}, "", map[string][]goobj.Definition{}
	}
	if c.epoch != epoch {
		c.epoch, c.verified = epoch, map[string]bool{}
	}
	if c.element == base.element {
		return
	}
	c.element = base.element
	for path, p := range c.packages {
		// Plans for the generation before may still be built.
		x := *p
		x.compiled = base.named(path)
		x.old = p.old.unnamed()
		if x.new = x.old; p.new != p.old {
			x.new = p.new.unnamed()
		}
		c.packages[path] = &x
	}
}

// compilePatch compiles both versions of the changed packages, and of importers
// as far as that is needed, and compares them.
func (b *Builder) compilePatch(ctx context.Context, s *scan, p *PatchPlan, base *patchBase, changed []*source.Unit) error {
	start := time.Now()
	c := b.patchCompilerFor(base.id)
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.dir == "" {
		dir, cleanup, err := b.store.Temp(p.artifactName())
		if err != nil {
			return err
		}
		c.dir = dir
		b.onClose(cleanup)
	}
	c.prepare(base, s.resident.epoch)
	j := &patchCompile{b: b, s: s, c: c, plan: p, base: base}
	units := map[string]*source.Unit{}
	for _, u := range changed {
		units[u.Package.ImportPath] = u
	}
	for path, known := range c.packages { // they may be what they were again
		if known.old == nil {
			continue // who was about to compile it gave way
		}
		if u, err := s.unit(path); err != nil {
			return err
		} else if units[path] == nil {
			units[path] = u
		}
	}
	for {
		if err := j.dependencies(units); err != nil {
			return err
		}
		if err := j.versions(ctx, units); err != nil {
			return err
		}
		more, err := j.importers(units)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	var err error
	if p.compiled, err = j.result(units); err != nil {
		return err
	}
	p.Compile = time.Since(start)
	image, err := b.image(p)
	if err != nil {
		return err
	}
	p.diff, err = p.compiled.diff(image, toolchain(s.env.GOVERSION), p.identity)
	return err
}

// patchCompile is one run of a patchCompiler.
type patchCompile struct {
	b    *Builder
	s    *scan
	c    *patchCompiler
	plan *PatchPlan
	base *patchBase
}

// dependencyOrder lists the packages that a root imports, and the root,
// dependencies first.
func (s *scan) dependencyOrder(root string) []string {
	var order []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(path string) {
		pkg := s.graph[path]
		if pkg == nil || seen[path] {
			return
		}
		seen[path] = true
		for _, imp := range pkg.Imports {
			visit(pkg.Resolve(imp))
		}
		order = append(order, path)
	}
	visit(root)
	return order
}

// dependencies adds what packages import that is compiled here and was not yet, where who
// was about to do it gave way: the go command's archive of such a one is not known.
func (j *patchCompile) dependencies(units map[string]*source.Unit) (err error) {
	for _, path := range slices.Collect(maps.Keys(units)) {
		for dep := range j.s.graph.Reach(path, nil) {
			if p := j.c.packages[dep]; p == nil || p.old != nil || units[dep] != nil {
				continue
			}
			if units[dep], err = j.s.unit(dep); err != nil {
				return err
			}
		}
	}
	return nil
}

// importers adds the importers of packages whose export data differs.
func (j *patchCompile) importers(units map[string]*source.Unit) (more bool, err error) {
	for _, path := range j.base.order {
		if units[path] != nil {
			continue
		}
		pkg := j.s.graph[path]
		needs := slices.ContainsFunc(pkg.Imports, func(imp string) bool {
			dep := j.c.packages[pkg.Resolve(imp)] // without versions where who was about to compile it gave way
			return dep != nil && dep.old != nil && units[dep.path] != nil && dep.old.fingerprint != dep.new.fingerprint
		})
		if !needs {
			continue
		}
		if len(pkg.CgoFiles) > 0 {
			return false, j.base.foreign(path)
		}
		if units[path], err = j.s.unit(path); err != nil {
			return false, err
		}
		more = true
	}
	return more, nil
}

// versions brings both versions of all units up to date.
func (j *patchCompile) versions(ctx context.Context, units map[string]*source.Unit) error {
	var unknown []string
	for _, path := range j.base.order {
		if units[path] != nil && (j.c.packages[path] == nil || !j.c.verified[path]) {
			unknown = append(unknown, path)
		}
	}
	if len(unknown) > 0 {
		if err := j.base.learn(ctx, j, unknown); err != nil {
			return err
		}
	}
	var todo []*versionTask
	tasks := map[string]*versionTask{}
	for _, path := range j.base.order {
		if units[path] == nil {
			continue
		}
		t := &versionTask{j: j, p: j.c.packages[path], u: units[path], done: make(chan struct{})}
		if err := t.read(tasks); err != nil {
			return err
		}
		tasks[path] = t
		todo = append(todo, t)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, max(2, runtime.NumCPU()))
	var wg sync.WaitGroup
	for _, t := range todo {
		wg.Go(func() {
			defer close(t.done)
			for _, d := range t.deps {
				if <-d.done; d.err != nil {
					t.err = d.err
					return
				}
			}
			t.err = t.run(ctx, slots)
		})
	}
	wg.Wait()
	for _, t := range todo {
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// compileError makes what the compiler said a *BuildError.
func (p *PatchPlan) compileError(b *Builder, text string, err error) error {
	var exit *gotool.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if path, changed := source.Changed(p.read); changed {
		return &ChangedError{File: path}
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, b.opts.WorkDir+string(filepath.Separator), ""))
	return &BuildError{Plugin: p.Name, Output: text, Diagnostics: diagnostics(b.opts.WorkDir, text), Err: err}
}

// result gathers the packages whose versions differ, with what a comparison
// needs.
func (j *patchCompile) result(units map[string]*source.Unit) (*patchedPackages, error) {
	c := j.c
	r := &patchedPackages{exports: c.exports[newSide], compiled: map[string]string{}, main: c.main, mainPath: j.base.main}
	var archives [2]map[string]string
	for _, sd := range []side{oldSide, newSide} {
		archives[sd] = map[string]string{}
		for _, path := range j.base.order {
			if p := c.packages[path]; units[path] != nil && p != nil {
				if err := j.rename(p.at(sd)); err != nil {
					return nil, err
				}
				archives[sd][p.compiled] = p.at(sd).linked()
			}
		}
	}
	for _, path := range j.base.order {
		p := c.packages[path]
		if units[path] == nil || p == nil {
			continue
		}
		r.compiled[p.compiled] = p.new.linked()
		if !p.differs() && !j.plan.identity {
			continue
		}
		for _, sd := range []side{oldSide, newSide} {
			if err := j.read(p, p.at(sd), c.indexed(archives[sd], c.exports[sd])); err != nil {
				return nil, err
			}
		}
		x := *p
		r.packages = append(r.packages, &x)
	}
	return r, nil
}

// rename gives an archive the names of the generation that is patched.
func (j *patchCompile) rename(v *compiledVersion) error {
	if j.base.element == "" || v.renamed != "" {
		return nil
	}
	data, err := os.ReadFile(v.archive)
	if err != nil {
		return err
	}
	a, err := goobj.ReadArchive(data)
	if err == nil {
		err = a.Replace(thinElement, j.base.element)
	}
	if err != nil {
		return fmt.Errorf("read what the compiler wrote: %w", err)
	}
	file := j.archive()
	if err := os.WriteFile(file, a.Bytes(), 0o600); err != nil {
		return err
	}
	v.renamed = file
	return nil
}
