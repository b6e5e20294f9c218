package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # Patches of a generation
//
// The functions of a plugin that is loaded are replaced as those of the host
// are: the code that is mapped already is the generation's, its variables stay
// where they are, and a patch refers to them, by the names that the generation's
// artifact gives them (thin, job.visibility).
//
// What differs from a patch of the host: the key of the live generation says
// what it was built from (generation.go), so that nothing has to be held against
// a binary to find out; its packages have import paths of its own, so that they
// are compiled under the constant identity and renamed; and names are looked up
// in two files, the host's and then the artifact's.
//
// Whatever else than bodies changed, a new generation can carry, so such edits
// are refused here and not analysed.

// ruleExport is the catalogue's code for what hosts bind that came or went.
const ruleExport = "HG0011"

// nextGeneration is what to do where a generation cannot be patched.
const nextGeneration = "load it as a new generation: hotgo push --mode swap"

// loadedArtifact is the artifact of a generation that is patched.
type loadedArtifact struct {
	path, digest string
	element      string
	host         *thin.Image
	image        *thin.Image // of host and artifact
	fp           *abi.Fingerprint
}

// PlanGenerationPatch compares a plugin's own packages with what the generation
// with the given key was built from, which has to be live in a host of the given
// binary, and says what a patch of that generation would do. What is patched
// already counts for nothing: a patch takes the place of the one before it.
// plugins are as for PlanPatch.
//
// The generation's artifact has to be in the store: patches have addresses in
// it. PatchPlan.Base is the key.
//
// Errors: those of a Plan in Snapshot.Errors, so *ConflictError with HG0090
// where a package of the host changed; *ConflictError with HG0094 where it is
// not known what the generation was built from; those of PlanPatch. A change
// that is refused is no error but a verdict.
func (b *Builder) PlanGenerationPatch(ctx context.Context, host Host, plugin Plugin, plugins []Plugin, key string) (*PatchPlan, error) {
	s, leave, err := b.scan(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.patchable(); err != nil {
		return nil, err
	}
	if _, err := s.hostChanges(); err != nil { // takes the baseline where there is none
		return nil, err
	}
	plan, err := s.plan(ctx, plugin)
	if err != nil {
		return nil, err
	}
	p := &PatchPlan{
		Host: host, Name: plugin.Name, Base: key, Verdict: NoDifference, settings: s.settings, env: s.env,
		host: s.target.fp, deps: s.graph, main: plugin.ImportPath, read: plan.read, swap: plan.Key,
	}
	if plan.Key == key {
		return p, nil
	}
	was := b.generationOf(key)
	if was == nil {
		return nil, errUnknownGeneration(plugin.Name, Mismatch{What: "sources", Artifact: "it was built by another hotgo, or long ago", Rule: ruleDrift})
	}
	g := &generationPatch{b: b, s: s, plan: plan, p: p, was: was, id: b.thinIdentity(plan)}
	if g.beyond(); p.Verdict == MustRestart || len(p.Packages) == 0 {
		return p, nil
	}
	if p.loaded, err = b.loadedArtifact(p); err != nil {
		return nil, err
	}
	p.BaseDigest = p.loaded.digest
	if err := b.compilePatch(ctx, s, p, g.base(), plan.private); err != nil {
		if r, ok := errors.AsType[*refusal](err); ok {
			p.refuse(r.code, r.symbol, r.text)
			return p, nil
		}
		return nil, err
	}
	if err := p.held(); err != nil {
		return nil, err
	}
	fresh := map[string]bool{} // what starts anew, as findings call it
	for _, u := range plan.private {
		p.diff.Findings = append(p.diff.Findings, embedNotes(u, was.Packages[u.Package.ImportPath])...)
		for name := range u.Fresh() {
			fresh[funcdiff.Short(u.Package.ImportPath+"."+name)] = true
		}
	}
	for i := range p.diff.Findings {
		f := &p.diff.Findings[i]
		f.Fresh = f.Fresh || f.Code == funcdiff.CodeInitialiser && fresh[f.Symbol]
	}
	p.judge()
	if p.Verdict == CanPatch {
		p.Key = p.key()
		p.Cached, err = b.stored(p.artifactName(), p.Key)
	}
	return p, err
}

// errUnknownGeneration is the error of a generation that there is nothing to
// compare with.
func errUnknownGeneration(plugin string, evidence Mismatch) error {
	return &ConflictError{
		Message:  fmt.Sprintf("what the live generation of %s was built from is not known exactly", plugin),
		Evidence: []Mismatch{evidence},
		Limit:    "a patch is the difference to what runs: compared with other sources it would replace the wrong functions",
		Next:     nextGeneration,
	}
}

// refusal is a finding that ends the compilation.
type refusal struct{ code, symbol, text string }

func (r *refusal) Error() string { return r.text }

// loadedArtifact reads the artifact that a plan is to patch, once as long as it
// is the same.
func (b *Builder) loadedArtifact(p *PatchPlan) (*loadedArtifact, error) {
	unknown := func(what, host, now string) error {
		return errUnknownGeneration(p.Name, Mismatch{What: what, Host: host, Artifact: now, Rule: ruleDrift})
	}
	a, err := b.stored(p.Name, p.Base)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, unknown("artifact "+p.Base[:min(12, len(p.Base))], "", "it is not in the store")
	}
	if m := &a.Manifest; m.HostBuild != "" && m.HostBuild != p.host.BuildID {
		return nil, unknown("host", p.host.BuildID, "its artifact is for "+m.HostBuild)
	}
	l, err := b.linkerFor(p.Host.Binary, p.host, p.settings, p.env)
	if err != nil {
		return nil, err
	}
	at := p.Host.Binary + "\x00" + p.main
	b.mu.Lock()
	known := b.loaded[at]
	b.mu.Unlock()
	if known != nil && known.digest == a.Digest && known.host == l.Image() {
		return known, nil
	}
	x := &loadedArtifact{path: a.Path, digest: a.Digest, host: l.Image(), element: source.NewIdentity(p.Base, nil).Element}
	if x.image, err = thin.OpenLoaded(a.Path, x.host); err != nil {
		return nil, err
	}
	if x.fp, err = abi.ReadFile(a.Path); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.loaded[at] = x
	b.mu.Unlock()
	return x, nil
}

// generationPatch is the planning of one patch of a generation.
type generationPatch struct {
	b    *Builder
	s    *scan
	plan *Plan // for a new generation
	p    *PatchPlan
	was  *generation
	id   source.Identity // as compiled
}

// beyond finds the packages that changed, and refuses what only a new generation
// can carry.
func (g *generationPatch) beyond() {
	p, now := g.p, newGeneration(g.plan)
	if g.was.Settings != now.Settings {
		p.refuse(ruleFlags, p.Name, "the toolchain, its flags or its environment are not those that the live generation was built with")
	}
	for _, path := range g.was.others(now) {
		p.refuse(ruleFlags, path, path+" is not what the live generation was built with: another version, Go language version or place")
	}
	for _, u := range g.plan.private {
		if _, ok := g.was.Packages[u.Package.ImportPath]; !ok {
			p.refuse(ruleThin, u.Package.ImportPath, "the plugin has the package "+u.Package.ImportPath+" in addition, whose variables nothing has initialised")
		}
	}
	for path := range g.was.Packages {
		if !slices.Contains(g.plan.Private, path) {
			p.refuse(ruleThin, path, "the plugin no longer has the package "+path+" for itself")
		}
	}
	if p.Verdict == MustRestart {
		return
	}
	for _, u := range g.plan.private {
		path := u.Package.ImportPath
		if files, _ := g.was.changedFiles(u); len(files) == 0 {
			continue
		}
		p.Packages = append(p.Packages, path)
		if why := beyondPatching(u, g.was.Packages[path]); why != "" {
			p.refuse(funcdiff.CodeBeyond, path, why)
		}
		if path == g.plan.Plugin.ImportPath {
			g.exports(u)
		}
	}
}

// exports refuses other exported names than those that the host was told when
// the generation was loaded.
func (g *generationPatch) exports(u *source.Unit) {
	wasFuncs, wasVars := g.was.exports(u.Package.ImportPath)
	funcs, vars := u.Exports()
	was, now := slices.Concat(wasFuncs, wasVars), slices.Concat(funcs, vars)
	for _, name := range was {
		if !slices.Contains(now, name) {
			g.p.refuse(ruleExport, g.plan.Plugin.Name+"."+name, name+" is gone or renamed, and hosts can have bound it")
		}
	}
	for _, name := range now {
		if !slices.Contains(was, name) {
			g.p.refuse(ruleExport, g.plan.Plugin.Name+"."+name, name+" is new, and hosts find it in a new generation only")
		}
	}
}

// base is the generation's code as the compiler sees it.
func (g *generationPatch) base() *patchBase {
	s, plan := g.s, g.plan
	r := &run{b: g.b, plan: plan, dir: g.b.opts.Dir} // nothing lies there
	return &patchBase{
		id:       s.target.fp.BuildID + "\x00" + plan.Plugin.ImportPath,
		shape:    fmt.Sprintf("%q %q %q", plan.Private, s.settings.flags, s.settings.env),
		order:    slices.DeleteFunc(s.dependencyOrder(plan.Plugin.ImportPath), func(path string) bool { return !g.id.Private[path] }),
		main:     plan.Plugin.ImportPath + "/" + thinElement + "/main",
		compiled: g.id.Fresh,
		element:  g.p.loaded.element,
		sources:  g.sources,
		learn:    g.learn,
		fails: func(sd side, output string, err error) error {
			if sd == newSide {
				return r.compileError(err)
			}
			return errUnknownGeneration(plan.Plugin.Name, Mismatch{
				What: "sources", Artifact: "as they were they no longer compile: " + firstLine(output), Rule: ruleDrift,
			})
		},
		foreign: func(path string) error {
			return &refusal{funcdiff.CodeBeyond, path, path + " uses cgo or assembly, and would have to be compiled again"}
		},
	}
}

// sources gives the Go files of one version of a private package under the
// constant identity.
func (g *generationPatch) sources(u *source.Unit, sd side) ([]goSource, error) {
	path := u.Package.ImportPath
	var files []goSource
	if sd == newSide {
		files = sourcesOf(u)
	} else {
		files = g.was.goFiles(path, u.Package.EmbedFiles)
	}
	if len(u.Package.Foreign()) > 0 {
		return files, nil // they are only compared
	}
	state := map[string][]byte{}
	for i, f := range files {
		state[filepath.Join(u.Package.Dir, f.name)] = f.data
		data, err := g.id.Go(filepath.Join(u.Package.Dir, f.name), path, f.data, u.Package.Resolve)
		if err != nil {
			return nil, fmt.Errorf("lay out %s: %w", path, err)
		}
		files[i] = goSource{name: f.name, data: data, text: f.data}
	}
	listed, err := g.id.State(u.Package.Name, path, state)
	if err != nil {
		return nil, cmp.Or(directiveError(g.plan.Plugin.Name, err), err)
	}
	files = append(files, goSource{name: source.StateFile, data: listed})
	if path == g.plan.Plugin.ImportPath {
		funcs, vars := u.Exports()
		entry := source.Entry(u.Package.Name, g.id.Fresh(path), g.s.settings.race, true, funcs, vars, nil)
		files = append(files, goSource{name: source.EntryFile, data: entry.File})
	}
	slices.SortFunc(files, func(a, b goSource) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// held holds the generation's code against what its sources give now: with
// another result there would be no telling what differs.
func (p *PatchPlan) held() error {
	types, ok := goobj.RelocTypes(toolchain(p.env.GOVERSION))
	if !ok {
		return fmt.Errorf("the object format of %s is not known", p.env.GOVERSION)
	}
	for _, pkg := range p.compiled.packages {
		for name := range notAsLinked(p.loaded.image, pkg.old.build.Objects, types, noOperands) {
			return errUnknownGeneration(p.Name, Mismatch{
				What: funcdiff.Short(name), Host: "its code in the artifact", Artifact: "other code from the sources that it is built from", Rule: ruleDrift,
			})
		}
	}
	return nil
}

// judgeHidden refuses changes of functions that have names like those that the
// compiler gives to function literals: artifacts keep those to themselves.
func (p *PatchPlan) judgeHidden() {
	for _, f := range p.diff.Functions {
		if f.Change == funcdiff.Changed && !f.Redirect && funcdiff.Closure(f.Name) {
			name := funcdiff.Short(f.Name)
			p.refuse(ruleThin, name, name+" is called as the compiler calls function literals, and cannot be found in the generation")
		}
	}
}
