package builder

import (
	"cmp"
	"context"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// diff compares the versions.
func (c *patchedPackages) diff(image *thin.Image, goVersion string, identity bool) (*funcdiff.Diff, error) {
	types, ok := goobj.RelocTypes(goVersion)
	if !ok {
		return nil, fmt.Errorf("the object format of %s is not known", goVersion)
	}
	var pkgs []funcdiff.Package
	for _, p := range c.packages {
		pkgs = append(pkgs, funcdiff.Package{Path: p.compiled, Old: p.old.build, New: p.new.build})
	}
	program := funcdiff.Program{Types: types, Has: func(name string, _ uint16) bool { return image.Has(name) }}
	if identity {
		return funcdiff.Identity(program, pkgs)
	}
	return funcdiff.Compare(program, pkgs)
}

// BuildPatch links a plan's patch, or gives the store's. Cancelling ctx ends
// the programs that it runs.
//
// Errors: the plan's refusal; *ConflictError with HG0099 where something cannot
// be linked; *ChangedError where sources changed since the plan.
func (b *Builder) BuildPatch(ctx context.Context, p *PatchPlan) (*Artifact, error) {
	if err := p.Err(); err != nil {
		return nil, err
	}
	if p.Verdict != CanPatch {
		return nil, fmt.Errorf("nothing of %s differs from what runs", p.Name)
	}
	unlock, err := b.store.Lock(ctx, p.artifactName()+"-"+p.Key[:12])
	if err != nil {
		return nil, err
	}
	defer unlock()
	if a, err := b.stored(p.artifactName(), p.Key); a != nil || err != nil {
		return a, err
	}
	dir, cleanup, err := b.store.Temp(p.artifactName())
	if err != nil {
		return nil, err
	}
	defer cleanup()
	r := &patchLink{b: b, plan: p, dir: dir, out: filepath.Join(dir, "patch.so")}
	start := time.Now()
	if err := r.link(ctx); err != nil {
		if u, ok := errors.AsType[*thin.Unfit](err); ok {
			b.log.Debug("cannot link a patch", "err", u.Err)
			return nil, &ConflictError{
				Message: "this edit cannot be linked as a patch", Evidence: []Mismatch{{What: p.Name, Artifact: u.Reason, Rule: ruleThin}},
				Limit: "this release of hotgo", Next: p.next(),
			}
		}
		return nil, err
	}
	linked := time.Since(start)
	if err := r.describe(); err != nil {
		return nil, err
	}
	if path, changed := source.Changed(p.read); changed {
		return nil, &ChangedError{File: path}
	}
	return b.publish(ctx, p.artifactName(), p.Key, r.out, p.Compile, linked)
}

// patchLink is the linking of one patch.
type patchLink struct {
	b      *Builder
	plan   *PatchPlan
	dir    string
	out    string
	path   string // import path of the artifact's main package
	joined []string
}

func (r *patchLink) link(ctx context.Context) error {
	p := r.plan
	l, err := r.b.linkerFor(p.Host.Binary, p.host, p.settings, p.env)
	if err != nil {
		return err
	}
	element := source.Prefix + p.Key[:len(thinElement)-len(source.Prefix)]
	r.path = strings.ReplaceAll(p.compiled.mainPath, thinElement, element)
	in := &thin.Input{
		Private: []thin.Package{{Path: p.compiled.mainPath, File: p.compiled.main}},
		Exports: p.compiled.exports, Compiled: p.compiled.compiled, Hashes: map[string][8]byte{},
		HostHas: func(path string) bool { _, ok := p.linked(path); return ok },
		Old:     thinElement, New: element, PluginPath: r.path, Export: source.EntrySymbol,
		ModInfo: modInfo(p.host, p.deps, p.main, r.path), BuildID: p.Key, Dir: r.dir, Out: r.out,
		Compile: func(ctx context.Context, path string) (string, error) {
			return r.b.compileForHost(ctx, p.settings, path)
		},
	}
	for path := range p.compiled.compiled {
		if h, ok := p.linked(path); ok {
			in.Hashes[path] = h
		}
	}
	if p.loaded != nil {
		in.Base = p.loaded.image
	}
	for _, pkg := range p.compiled.packages {
		x := thin.Patched{
			Path: pkg.compiled, File: pkg.new.linked(), Replace: map[string]bool{}, Own: map[string]bool{},
			Declared: pkg.new.build.Declared.Names,
			Assembled: func(name string) bool {
				f := pkg.new.build.Declared.Funcs[name]
				return f != nil && f.NoBody
			},
		}
		for _, f := range p.diff.Functions {
			switch {
			case f.Package != pkg.compiled || f.Change == funcdiff.Removed:
			case f.Redirect && !f.Unlike:
				x.Replace[f.Name] = true
			default:
				// One that keeps other arguments the patch's own code calls
				// directly: by name it would call the base's again after a
				// rollback, for which it was not compiled.
				x.Own[f.Name] = true
			}
		}
		if len(x.Replace)+len(x.Own) > 0 {
			in.Patched = append(in.Patched, x)
		}
	}
	res, err := l.Link(ctx, in)
	if err != nil {
		return err
	}
	r.joined = res.Joined
	return nil
}

// linked gives the hash of a package that what is patched has.
func (p *PatchPlan) linked(path string) ([8]byte, bool) {
	h, ok := p.host.Packages[path]
	if !ok && p.loaded != nil {
		h, ok = p.loaded.fp.Packages[path]
	}
	return h, ok
}

// describe gives what was linked its manifest.
func (r *patchLink) describe() error {
	m, err := r.manifest()
	if err != nil {
		return err
	}
	if err := artifact.Append(r.out, *m); err != nil {
		return fmt.Errorf("add the manifest: %w", err)
	}
	return nil
}

// manifest reads what was linked and describes it.
func (r *patchLink) manifest() (*artifact.Manifest, error) {
	p := r.plan
	fp, err := abi.ReadFile(r.out)
	if err == nil {
		err = fp.RequirePlugin()
	}
	if err != nil {
		return nil, fmt.Errorf("check what the linker built: %w", err)
	}
	if found := abi.Compare(p.host, fp, nil); len(found) > 0 {
		return nil, &ConflictError{
			Message:  fmt.Sprintf("the patch would not load into %s", filepath.Base(p.Host.Binary)),
			Evidence: found, Limit: "the Go runtime", Next: p.next(),
		}
	}
	m := &artifact.Manifest{
		V: artifact.Version, Plugin: p.Name, Key: p.Key, Package: p.main, PluginPath: r.path,
		GoVersion: fp.GoVersion, GOOS: p.env.GOOS, GOARCH: p.env.GOARCH, Flags: p.settings.manifest,
		Link: "thin", HostBuild: p.host.BuildID, Joined: r.joined, Packages: map[string]string{},
		Tool: r.b.opts.Tool, Built: buildTime(r.b.tool.Getenv("SOURCE_DATE_EPOCH")),
	}
	if m.GoVersion == "" {
		m.GoVersion = p.host.GoVersion
	}
	for path, h := range fp.Packages {
		m.Packages[path] = h.String()
	}
	for _, u := range p.read {
		if slices.Contains(p.Packages, u.Package.ImportPath) {
			for _, f := range u.Files {
				m.Sources = append(m.Sources, artifact.Source{Path: u.Package.ImportPath + "/" + filepath.ToSlash(f.Name), SHA256: fmt.Sprintf("%x", f.Raw)})
			}
		}
	}
	m.Patch, err = r.patch()
	return m, err
}

// wasBytes is how much of a replaced function the manifest has.
const wasBytes = 16

// patch finds the functions in what was linked.
func (r *patchLink) patch() (*artifact.Patch, error) {
	p := r.plan
	addresses, err := functionAddresses(r.out)
	if err != nil {
		return nil, err
	}
	image, err := r.b.image(p)
	if err != nil {
		return nil, err
	}
	out := &artifact.Patch{Base: p.Base}
	for _, f := range p.diff.Functions {
		if f.Change == funcdiff.Removed {
			continue
		}
		at, ok := addresses[thin.Mangle(f.Name)]
		switch {
		case ok:
		case f.Redirect:
			return nil, fmt.Errorf("the linker left %s out", f.Name)
		default:
			continue // nothing uses the new function
		}
		x := artifact.PatchedFunction{Name: f.Name, New: at, Contract: f.Contract, Reason: f.Reason}
		if f.Redirect {
			addr, code, ok := image.Function(f.Name)
			if !ok {
				return nil, fmt.Errorf("what is patched has no function %s", f.Name)
			}
			x.Old, x.Size, x.Unlike = addr, uint64(len(code)), f.Unlike
			x.Was = hex.EncodeToString(code[:min(len(code), wasBytes)])
		}
		out.Functions = append(out.Functions, x)
	}
	for _, s := range p.diff.Types {
		out.Types = append(out.Types, artifact.AddedSymbol{Name: s.Name, Hash: s.Hash})
	}
	for _, u := range p.brought {
		if path := u.Package.ImportPath; slices.Contains(r.joined, path) {
			out.Packages = append(out.Packages, artifact.AddedSymbol{Name: path, Hash: filesHash(u)})
		}
	}
	for _, s := range p.diff.Variables {
		out.Variables = append(out.Variables, artifact.AddedSymbol{Name: s.Name, Hash: s.Hash})
	}
	for _, f := range p.diff.Findings {
		out.Notes = append(out.Notes, artifact.Finding{Code: f.Code, Symbol: f.Symbol, Text: f.Text})
	}
	return out, nil
}

// functionAddresses reads the symbol table of an artifact.
func functionAddresses(file string) (map[string]uint64, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	// Of several instances of a generic function, each object has its own:
	// they are the same code.
	slices.SortStableFunc(symbols, func(a, b elf.Symbol) int { return cmp.Compare(b.Value, a.Value) })
	at := map[string]uint64{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Section != elf.SHN_UNDEF {
			at[s.Name] = s.Value
		}
	}
	return at, nil
}
