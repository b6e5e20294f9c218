package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
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

// patchCompiler compiles packages of one host build.
type patchCompiler struct {
	turn sync.Mutex
	dir  string
	seq  int

	shape    string // what follows is valid for
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
	compiled string // as compiled: "main" for the host's own
	command  *command
	old, new *compiledVersion
}

func (p *patchable) at(s side) **compiledVersion {
	if s == oldSide {
		return &p.old
	}
	return &p.new
}

// differs reports whether the two versions are compiled from different input.
func (p *patchable) differs() bool { return p.old.archive != p.new.archive }

// compiledVersion is a package as it was compiled.
type compiledVersion struct {
	inputs      [32]byte // of the files
	used        [32]byte // of the export data of packages that have versions
	against     map[string]string
	archive     string
	fingerprint [8]byte
	build       *funcdiff.Build
}

// patchedPackages is what a patch is made from.
type patchedPackages struct {
	packages []*patchable // dependencies first; those whose versions differ
	exports  map[string]string
	compiled map[string]string // import path as compiled -> archive of the new version
	main     string
	mainPath string
}

func (b *Builder) patchCompilerFor(s *scan) *patchCompiler {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.patchCompilers[s.target.fp.BuildID]
	if c == nil {
		c = new(patchCompiler)
		b.patchCompilers[s.target.fp.BuildID] = c
	}
	return c
}

// compilePatch compiles both versions of the changed packages, and of importers
// as far as that is needed, and compares them.
func (b *Builder) compilePatch(ctx context.Context, s *scan, p *PatchPlan, changed []*source.Unit) error {
	start := time.Now()
	c := b.patchCompilerFor(s)
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
	if shape := fmt.Sprintf("%d %q %q", s.resident.epoch, s.settings.flags, s.settings.env); c.shape != shape {
		c.shape, c.packages = shape, map[string]*patchable{}
		c.exports = [2]map[string]string{{}, {}}
		c.verified, c.main, c.names = map[string]bool{}, "", map[string][]goobj.Definition{}
	}
	j := &patchCompile{b: b, s: s, c: c, plan: p, order: s.dependencyOrder()}
	units := map[string]*source.Unit{}
	for _, u := range changed {
		units[u.Package.ImportPath] = u
	}
	for {
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
	p.Compile = time.Since(start)
	p.compiled = j.result(units)
	image, err := b.image(p)
	if err != nil {
		return err
	}
	p.diff, err = p.compiled.diff(image, toolchain(s.env.GOVERSION), p.identity)
	return err
}

// patchCompile is one run of a patchCompiler.
type patchCompile struct {
	b     *Builder
	s     *scan
	c     *patchCompiler
	plan  *PatchPlan
	order []string // import paths of the host, dependencies first
}

// dependencyOrder lists the packages of the host, dependencies first.
func (s *scan) dependencyOrder() []string {
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
	visit(s.host)
	return order
}

// compiledPath is the import path that a package's symbols have.
func (s *scan) compiledPath(path string) string {
	if path == s.host {
		return "main"
	}
	return path
}

// importers adds the importers of packages whose export data differs.
func (j *patchCompile) importers(units map[string]*source.Unit) (more bool, err error) {
	for _, path := range j.order {
		if units[path] != nil {
			continue
		}
		pkg := j.s.graph[path]
		needs := slices.ContainsFunc(pkg.Imports, func(imp string) bool {
			dep := j.c.packages[pkg.Resolve(imp)]
			return dep != nil && units[dep.path] != nil && dep.old.fingerprint != dep.new.fingerprint
		})
		if !needs {
			continue
		}
		if len(pkg.CgoFiles) > 0 {
			return false, errDrift(j.s.host, Mismatch{
				What: path, Artifact: "uses cgo and imports what changed in a way that it is compiled against", Rule: funcdiff.CodeBeyond,
			})
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
	for _, path := range j.order {
		if units[path] != nil && (j.c.packages[path] == nil || !j.c.verified[path]) {
			unknown = append(unknown, path)
		}
	}
	if len(unknown) > 0 {
		if err := j.learn(ctx, unknown); err != nil {
			return err
		}
	}
	done := map[string]chan struct{}{}
	errs := make([]error, len(j.order))
	for path := range units {
		done[path] = make(chan struct{})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, max(2, runtime.NumCPU()))
	var wg sync.WaitGroup
	for i, path := range j.order {
		u := units[path]
		if u == nil {
			continue
		}
		wg.Go(func() {
			defer close(done[path])
			for _, imp := range u.Package.Imports {
				if d := done[u.Package.Resolve(imp)]; d != nil {
					<-d
				}
			}
			var both sync.WaitGroup
			var failed [2]error
			for _, sd := range []side{oldSide, newSide} {
				both.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					failed[sd] = j.version(ctx, u, sd)
				})
			}
			both.Wait()
			errs[i] = cmpErr(failed[newSide], failed[oldSide])
			if errs[i] == nil {
				j.share(path)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
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

// share makes the two versions of a package one where nothing differs.
func (j *patchCompile) share(path string) {
	p := j.c.packages[path]
	if p.old.inputs == p.new.inputs && p.old.used == p.new.used {
		p.new = p.old
	}
}

// version compiles one version of a package, unless it is there.
func (j *patchCompile) version(ctx context.Context, u *source.Unit, sd side) error {
	p := j.c.packages[u.Package.ImportPath]
	files := sourcesOf(u)
	if sd == oldSide {
		files = j.s.baseline.sources(u)
	}
	v := &compiledVersion{inputs: hashSources(files), against: map[string]string{}}
	h := sha256.New()
	for _, imp := range slices.Sorted(maps.Keys(importSet(j.order, u, j.c.packages))) {
		d := *j.c.packages[imp].at(sd)
		v.against[j.s.compiledPath(imp)] = d.archive
		fmt.Fprintf(h, "%s %x\n", imp, d.fingerprint)
	}
	v.used = [32]byte(h.Sum(nil))
	if now := *p.at(sd); now != nil && now.inputs == v.inputs && now.used == v.used {
		return nil
	}
	if err := j.run(ctx, p, u, v, sd, files); err != nil {
		return err
	}
	*p.at(sd) = v
	return nil
}

// importSet gives the packages with versions that a package is compiled
// against, directly or not: export data may lead to all of them.
func importSet(order []string, u *source.Unit, packages map[string]*patchable) map[string]bool {
	set := map[string]bool{}
	for _, path := range order {
		if path == u.Package.ImportPath {
			return set // what comes later is not imported
		}
		if p := packages[path]; p != nil && p.old != nil && p.new != nil {
			set[path] = true
		}
	}
	return set
}

// goSource is a Go file's text.
type goSource struct {
	name string
	data []byte
}

func sourcesOf(u *source.Unit) []goSource {
	var list []goSource
	for _, f := range u.Files {
		if slices.Contains(u.Package.GoFiles, f.Name) {
			list = append(list, goSource{f.Name, f.Data})
		}
	}
	return list
}

// sources gives the Go files of a package as they were; those of now where the
// package is not the user's.
func (bl *baseline) sources(u *source.Unit) []goSource {
	was, ok := bl.Packages[u.Package.ImportPath]
	if !ok {
		return sourcesOf(u)
	}
	var list []goSource
	for _, name := range slices.Sorted(maps.Keys(was.Files)) {
		if strings.HasSuffix(name, ".go") && !slices.Contains(u.Package.EmbedFiles, name) {
			list = append(list, goSource{name, was.Files[name].Text})
		}
	}
	return list
}

func hashSources(files []goSource) [32]byte {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %x\n", f.name, sha256.Sum256(f.data))
	}
	return [32]byte(h.Sum(nil))
}

// run compiles one version and reads what came out.
func (j *patchCompile) run(ctx context.Context, p *patchable, u *source.Unit, v *compiledVersion, sd side, files []goSource) error {
	at := sha256.Sum256([]byte(p.path))
	dir := filepath.Join(j.c.dir, [2]string{"old", "new"}[sd], hex.EncodeToString(at[:6]))
	if err := layOut(dir, files); err != nil {
		return err
	}
	j.b.mu.Lock()
	j.c.seq++
	v.archive = filepath.Join(j.c.dir, fmt.Sprintf("o%d.a", j.c.seq))
	j.b.mu.Unlock()
	config := v.archive + ".cfg"
	if err := os.WriteFile(config, j.importcfg(p, v, sd), 0o600); err != nil {
		return err
	}
	defer os.Remove(config)
	argv := p.command.over(dir, u.Package.Dir, files, v.archive, config)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = p.command.dir
	cmd.Env = append(slices.Clone(j.b.tool.With(j.s.settings.env...).Env), "PWD="+p.command.dir)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := strings.ReplaceAll(string(out), dir+string(filepath.Separator), u.Package.Dir+string(filepath.Separator))
	if err != nil {
		return j.plan.compileError(j.b, text, &gotool.ExitError{Args: []string{"tool", "compile"}, Stderr: text, Err: err})
	}
	if v.fingerprint, err = readFingerprint(v.archive); err != nil {
		return err
	}
	return j.read(p, v, sd, files, text)
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

// layOut makes a directory hold these files and no others.
func layOut(dir string, files []goSource) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// importcfg tells the compiler where the export data is.
func (j *patchCompile) importcfg(p *patchable, v *compiledVersion, sd side) []byte {
	var b bytes.Buffer
	for _, line := range p.command.imports {
		if strings.HasPrefix(line, "importmap ") {
			b.WriteString(line + "\n")
		}
	}
	for path, file := range j.c.exports[sd] {
		if v.against[path] == "" && path != p.compiled {
			fmt.Fprintf(&b, "packagefile %s=%s\n", path, file)
		}
	}
	for path, file := range v.against {
		fmt.Fprintf(&b, "packagefile %s=%s\n", path, file)
	}
	return b.Bytes()
}

// over gives the command for files in another directory, under the names that
// they have in their own, with the compiler telling what functions keep.
func (c *command) over(dir, own string, files []goSource, archive, config string) []string {
	argv := c.with(archive, config)
	for len(argv) > 0 && strings.HasSuffix(argv[len(argv)-1], ".go") {
		argv = argv[:len(argv)-1]
	}
	named := own
	for i := 0; i+1 < len(argv); i++ {
		if argv[i] != "-trimpath" {
			continue
		}
		for rule := range strings.SplitSeq(argv[i+1], ";") {
			if from, to, ok := strings.Cut(rule, "=>"); ok && from == own {
				named = to
			}
		}
		argv[i+1] = dir + "=>" + named + ";" + argv[i+1]
	}
	argv = slices.Insert(argv, 1, funcdiff.LeakFlags...)
	for _, f := range files {
		argv = append(argv, filepath.Join(dir, f.name))
	}
	return argv
}

// result gathers the packages whose versions differ.
func (j *patchCompile) result(units map[string]*source.Unit) *patchedPackages {
	r := &patchedPackages{
		exports: j.c.exports[newSide], compiled: map[string]string{}, main: j.c.main, mainPath: j.s.host + "/" + thinElement,
	}
	for _, path := range j.order {
		p := j.c.packages[path]
		if units[path] == nil || p == nil {
			continue
		}
		c := *p
		if c.differs() || j.plan.identity {
			r.packages = append(r.packages, &c)
		}
		r.compiled[c.compiled] = c.new.archive
	}
	return r
}
