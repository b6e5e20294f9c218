package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// # Patches
//
// A patch replaces functions of the running host, or of a generation of a plugin
// that it has loaded. What it has to replace is found in three steps, each a value
// before anything is done:
//
//   - which packages changed: the sources against the baseline, what the host
//     was built from (baseline.go), which is checked against the binary itself
//     before it is trusted (patch_learn.go), or what the generation was built
//     from (generation.go);
//   - which functions changed: both versions of those packages are compiled the
//     way a patch is linked, and of their importers as far as they are compiled
//     against something else then (patch_compile.go), and compared object by
//     object (package funcdiff);
//   - whether a patch may do it: the catalogue of edits (package funcdiff too).
//
// Only then is anything linked (patch_build.go).

// PatchVerdict is what a patch can do for an edit.
type PatchVerdict string

// The verdicts.
const (
	CanPatch     PatchVerdict = "patched"
	NoDifference PatchVerdict = "unchanged"        // the code is the same
	MustRestart  PatchVerdict = "restart-required" // no patch can do it, and Findings say why; a plugin's new generation may
)

// Finding is an entry of the catalogue of edits that applies to a change.
type Finding struct {
	Code   string // such as HG0001
	Symbol string // what it is about, as the sources call it
	Text   string // one sentence
	Refuse bool   // a patch cannot do it; false for a note
	Fresh  bool   // of a variable's initial value: a new generation has the new one
}

// FunctionChange is a function that differs from what runs.
type FunctionChange struct {
	Name   string // as the sources call it: cart.(*Cart).Total
	Change string // "changed", "added" or "removed"
	Reason string // why, where the function was not edited itself
}

// PatchPlan says what differs between a host, or a generation of a plugin, and
// its sources, and whether a patch can bring the one to the other. Nothing has
// been linked yet.
type PatchPlan struct {
	Host Host
	Name string // of the host's main package or of the plugin: what the patch is called
	Base string // key of the generation that is patched; "" for the host
	// BaseDigest is that of the generation's artifact in the store, whose
	// addresses the patch has; "" for the host, and where nothing was compared.
	BaseDigest string
	Verdict    PatchVerdict
	Packages   []string // import paths of the user's packages whose files differ
	Functions  []FunctionChange
	Findings   []Finding // refusals first
	Key        string    // 64 hex digits; "" unless there is something to patch
	Cached     *Artifact // the store's artifact with this key, or nil
	Compile    time.Duration
	// Assumed says that nobody wrote down what the host was built from: it is
	// taken to be what the sources were when this builder first saw the host.
	// Packages that differ from that are held against the binary, others not.
	Assumed bool

	settings *settings
	env      *gotool.Environment
	host     *abi.Fingerprint
	deps     source.Graph
	main     string          // import path of the host's main package, or of the plugin
	loaded   *loadedArtifact // what is patched; nil for the host
	swap     string          // key of the generation that would do instead
	read     []*source.Unit
	brought  []*source.Unit // the user's that the host does not have
	diff     *funcdiff.Diff
	compiled *patchedPackages
	identity bool // replaces functions by themselves
}

// Err gives the refusal as an error, nil where a patch can do it.
func (p *PatchPlan) Err() error {
	if p.Verdict != MustRestart {
		return nil
	}
	e := &ConflictError{
		Message: "this edit cannot be patched into the running process",
		Limit:   "a running program: its values, stacks and started initialisers stay as they are",
		Next:    p.next(),
	}
	for _, f := range p.Findings {
		if f.Refuse {
			e.Evidence = append(e.Evidence, Mismatch{What: f.Symbol, Artifact: f.Text, Rule: f.Code})
		}
	}
	return e
}

// next is what to do where there can be no patch.
func (p *PatchPlan) next() string {
	if p.Base != "" {
		return nextGeneration
	}
	return "restart the host with the new code: hotgo run " + p.main
}

// ruleDrift is the catalogue's code for a host whose sources are not known.
const ruleDrift = "HG0094"

// patchable says why hosts of this kind cannot be patched, if they cannot.
func (s *scan) patchable() error {
	switch {
	case s.target.fp == nil:
		return errUnpatchable("host", "there is no binary to compare with: name it with --host")
	case s.target.fp.BuildID == "":
		return errUnpatchable("build ID", "the host has none by which to know it")
	}
	if ok, reason := thin.Supported(toolchain(s.env.GOVERSION), s.env.GOOS, s.env.GOARCH); !ok {
		return errUnpatchable("platform", strings.ReplaceAll(reason, "thin artifacts are", "patches are"))
	}
	for _, f := range []string{"-msan", "-asan"} {
		if s.target.fp.Settings[f] == "true" {
			return errUnpatchable(f, "the host was built with it")
		}
	}
	return nil
}

// errUnpatchable is the error of a host that cannot be patched.
func errUnpatchable(what, reason string) error {
	return &ConflictError{
		Message:  "this host cannot be patched",
		Evidence: []Mismatch{{What: what, Artifact: reason, Rule: ruleThin}},
		Limit:    "this release of hotgo",
		Next:     "restart the host for changes of its own packages, or use plugins: hotgo push --mode swap",
	}
}

// PlanPatch compares the sources with what the host was built from and says
// what a patch would do. plugins are those that snapshots of the host name, so
// that both share one package graph. It compiles the packages that changed; the
// first time for a package it takes about a second more.
//
// Errors: *BuildError where they do not compile; *ConflictError where hosts like
// this one cannot be patched at all, or where what it was built from is not
// known; *ChangedError. A change that is refused is no error but a verdict.
func (b *Builder) PlanPatch(ctx context.Context, host Host, plugins []Plugin) (*PatchPlan, error) {
	s, p, leave, err := b.patchScan(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.patchErrors(); err != nil {
		return nil, err
	}
	if s.otherModules(p) {
		return p, nil
	}
	changed, err := s.patchedSources(p)
	if err != nil || len(changed) == 0 {
		return p, err
	}
	if err := b.compilePatch(ctx, s, p, s.hostBase(p), changed); err != nil {
		return nil, err
	}
	for _, u := range changed {
		p.diff.Findings = append(p.diff.Findings, embedNotes(u, s.baseline.Packages[u.Package.ImportPath])...)
	}
	p.judge()
	if p.Verdict == CanPatch {
		p.Key = p.key()
		p.Cached, err = b.stored(p.artifactName(), p.Key)
	}
	return p, err
}

// patchScan gets ready what a plan of the host needs. The caller has to call
// leave.
func (b *Builder) patchScan(ctx context.Context, host Host, plugins []Plugin) (_ *scan, _ *PatchPlan, leave func(), err error) {
	s, done, err := b.scan(ctx, host, plugins)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	if err := s.patchable(); err != nil {
		return nil, nil, nil, err
	}
	if s.host == "" {
		return nil, nil, nil, errUnpatchable("host", "the source of its main package is not in this module or workspace")
	}
	if _, err := s.hostChanges(); err != nil { // takes the baseline where there is none
		return nil, nil, nil, err
	}
	return s, &PatchPlan{
		Host: host, Name: path.Base(s.host), Verdict: NoDifference,
		settings: s.settings, env: s.env, host: s.target.fp, deps: s.graph, main: s.host,
		Assumed: s.baseline != nil && s.baseline.Assumed,
	}, done, nil
}

// artifactName is the name of the patch's artifacts.
func (p *PatchPlan) artifactName() string { return p.Name }

// patchErrors reports what the go command found wrong with packages of the
// host.
func (s *scan) patchErrors() error {
	return s.loadErrors(s.host, s.graph.Reach(s.host, nil))
}

// otherModules refuses versions of modules that are not the host's.
func (s *scan) otherModules(p *PatchPlan) bool {
	for _, m := range s.otherVersions("", s.hostReach()) {
		p.refuse(ruleFlags, m.What, fmt.Sprintf("the host has %s of the module, and go.mod asks for %s", m.Host, m.Artifact))
	}
	return p.Verdict == MustRestart
}

func (p *PatchPlan) refuse(code, symbol, text string) {
	p.Verdict = MustRestart
	p.Findings = append(p.Findings, Finding{Code: code, Symbol: symbol, Text: text, Refuse: true})
}

// patchedSources finds the user's packages in the host whose code is not what
// the host was built from.
func (s *scan) patchedSources(p *PatchPlan) ([]*source.Unit, error) {
	var changed []*source.Unit
	for _, pkgPath := range slices.Sorted(maps.Keys(s.graph.Reach(s.host, nil))) {
		pkg := s.graph[pkgPath]
		if !source.Own(pkg) {
			continue
		}
		inHost := pkgPath
		if pkgPath == s.host {
			inHost = "main"
		}
		if _, linked := s.target.fp.Packages[inHost]; !linked {
			if _, linked = s.target.fp.Packages[pkgPath]; !linked {
				// It joins the patch where it is needed.
				u, err := s.unit(pkgPath)
				if err != nil {
					return nil, err
				}
				p.read, p.brought = append(p.read, u), append(p.brought, u)
				s.leftBehind(p, u)
				continue
			}
		}
		u, err := s.unit(pkgPath)
		if err != nil {
			return nil, err
		}
		p.read = append(p.read, u)
		was, known := s.baseline.Packages[pkgPath]
		if !known {
			p.refuse(ruleDrift, pkgPath, "what the host was built from is not known for this package")
			continue
		}
		if files, _ := s.changedFiles(u); len(files) == 0 {
			continue
		}
		p.Packages = append(p.Packages, pkgPath)
		if why := beyondPatching(u, was); why != "" {
			p.refuse(funcdiff.CodeBeyond, pkgPath, why)
			continue
		}
		changed = append(changed, u)
	}
	if p.Verdict == MustRestart {
		return nil, nil
	}
	return changed, nil
}

// leftBehind refuses to have a patch bring a package that is a plugin's own and has
// variables: nothing would list them, and the next generation would start without their
// values. A swap brings it with them.
func (s *scan) leftBehind(p *PatchPlan, u *source.Unit) {
	path, kept := u.Package.ImportPath, u.Keeps()
	if len(kept) == 0 {
		return
	}
	for _, plugin := range s.pluginPaths {
		if private, _ := s.split(plugin); slices.Contains(private, path) {
			p.refuse(ruleThin, path, fmt.Sprintf("the plugin %s has the package %s in addition, and what a patch brings of it would not go on in the next generation: %s", plugin, path, kept[0]))
			return
		}
	}
}

// beyondPatching says what of a changed package no patch can carry.
func beyondPatching(u *source.Unit, was baselinePackage) string {
	if len(u.Package.CgoFiles) > 0 {
		return "the package uses cgo, and its C code cannot be replaced"
	}
	for _, f := range u.Files {
		if strings.HasSuffix(f.Name, ".go") || slices.Contains(u.Package.EmbedFiles, f.Name) {
			continue
		}
		if old, ok := was.Files[f.Name]; !ok || old.Raw != hex.EncodeToString(f.Raw[:]) {
			return f.Name + " changed, which is not Go"
		}
	}
	for name := range was.Files {
		if !strings.HasSuffix(name, ".go") && !slices.ContainsFunc(u.Files, func(f source.File) bool { return f.Name == name }) && isForeign(name) {
			return name + " was removed, which is not Go"
		}
	}
	return ""
}

func isForeign(name string) bool {
	switch path.Ext(name) {
	case ".s", ".S", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".syso":
		return true
	}
	return false
}

// judge makes the diff a verdict.
func (p *PatchPlan) judge() {
	for _, f := range p.diff.Functions {
		if f.Wrapper && f.Change == funcdiff.Added || artifact.Generated(f.Name) {
			continue // nobody wrote it
		}
		p.Functions = append(p.Functions, FunctionChange{Name: funcdiff.Short(f.Name), Change: string(f.Change), Reason: f.Reason})
		if f.Change == funcdiff.Changed {
			p.Verdict = CanPatch
		}
	}
	for _, f := range p.diff.Findings {
		p.Findings = append(p.Findings, Finding(f))
		if f.Refuse {
			p.Verdict = MustRestart
		}
	}
	if p.Base != "" {
		p.judgeHidden()
	}
}

// patchLayout is part of every patch's key: a release of hotgo that writes
// other artifacts from the same sources raises it.
const patchLayout = 1

// key hashes everything that the artifact follows from: the host, by its build
// ID, which covers toolchain and flags, the generation's artifact, and both texts
// of every package that is in the patch. Comments and layout of the new text do not
// count, as for plugins: they may move lines, and that is worth no load.
func (p *PatchPlan) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "patch %d\n%s\n%s\n", patchLayout, p.host.BuildID, p.env.GOVERSION)
	if p.loaded != nil {
		fmt.Fprintf(h, "%s %s\n%s\n", p.Base, p.loaded.digest, p.swap)
	}
	for _, x := range p.compiled.packages {
		fmt.Fprintf(h, "%s %x %x\n", x.path, x.old.inputs, hashTokens(x.new.files))
	}
	for _, u := range p.brought {
		fmt.Fprintf(h, "%s %s\n", u.Package.ImportPath, filesHash(u))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// filesHash hashes everything that a package is compiled from.
func filesHash(u *source.Unit) string {
	h := sha256.New()
	for _, f := range u.Files {
		fmt.Fprintf(h, "%s %x\n", f.Name, f.Raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// image gives what the linker knows of what a plan is about.
func (b *Builder) image(p *PatchPlan) (*thin.Image, error) {
	if p.loaded != nil {
		return p.loaded.image, nil
	}
	l, err := b.linkerFor(p.Host.Binary, p.host, p.settings, p.env)
	if err != nil {
		return nil, err
	}
	return l.Image(), nil
}

// errDrift is the error of a baseline that is not what the host was built from.
func errDrift(host string, evidence ...Mismatch) error {
	return &ConflictError{
		Message:  "what the running host was built from is not known exactly",
		Evidence: evidence,
		Limit:    "a patch is the difference to what runs: compared with other sources it would replace the wrong functions",
		Next:     "build and start the host with hotgo run, or name the revision that it was built from: hotgo build --mode patch --base REV",
	}
}
