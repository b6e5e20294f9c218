package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/symbols"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/store"
)

// Build carries out a plan: it gives the store's artifact, or compiles, links,
// checks and publishes a new one. Cancelling ctx ends the go command and its
// children. Builds of the same key wait for each other, in other processes
// too; builds of different keys do not.
//
// Errors: *BuildError with diagnostics; *ConflictError where the artifact would
// not fit the plan's host; *ChangedError where sources changed while the build
// ran (take a new snapshot).
func (b *Builder) Build(ctx context.Context, p *Plan) (*Artifact, error) {
	unlock, err := b.store.Lock(ctx, p.Plugin.Name+"-"+p.Key[:12])
	if err != nil {
		return nil, err
	}
	defer unlock()
	if a, err := b.stored(p.Plugin.Name, p.Key); a != nil || err != nil {
		b.rememberGeneration(p)
		return a, err
	}
	dir, cleanup, err := b.store.Temp(p.Plugin.Name)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	r := &run{b: b, plan: p, dir: dir, out: filepath.Join(dir, "plugin.so")}
	if p.Link == "thin" {
		err = r.thin(ctx)
	} else {
		err = r.full(ctx)
	}
	if u, ok := errors.AsType[*thin.Unfit](err); ok {
		return b.buildFull(ctx, p, u)
	}
	if err != nil {
		return nil, err
	}
	fp, err := r.check()
	if err != nil {
		return nil, err
	}
	if path, changed := source.Changed(p.read); changed {
		return nil, &ChangedError{File: path}
	}
	m := r.manifest(fp)
	if err := artifact.Append(r.out, m); err != nil {
		return nil, fmt.Errorf("add the manifest: %w", err)
	}
	var side sync.WaitGroup
	side.Go(func() { b.rememberGeneration(p) })
	defer side.Wait()
	return b.publish(ctx, p.Plugin.Name, p.Key, r.out, r.compiled, r.linked)
}

// publish moves a file into the store, which then keeps as many of its name as the
// options say. compile and link are how long that took.
func (b *Builder) publish(ctx context.Context, name, key, file string, compile, link time.Duration) (*Artifact, error) {
	entry, err := b.store.Publish(ctx, name, key, file)
	if err != nil {
		return nil, err
	}
	if b.opts.Keep > 0 {
		if _, err := b.store.Clean(name, b.opts.Keep); err != nil {
			b.log.Warn("clean the store", "err", err)
		}
	}
	a := fromStore(entry)
	a.Cached, a.Compile, a.Link = false, compile, link
	return a, nil
}

// stored gives the store's artifact of a name and key, nil if it has none.
func (b *Builder) stored(name, key string) (*Artifact, error) {
	entry, err := b.store.Lookup(name, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fromStore(entry), nil
}

func fromStore(e store.Entry) *Artifact {
	return &Artifact{Path: e.Path, Digest: e.Digest, Bytes: e.Bytes, Manifest: e.Manifest, Cached: true}
}

// run is one build under way.
type run struct {
	b    *Builder
	plan *Plan
	dir  string // scratch, removed afterwards
	out  string

	archive          string   // of the plugin's package
	joined           []string // packages that the artifact has parts of, because the host lacks them
	listed           []string // packages of the built-in whose variables the artifact lists
	compiled, linked time.Duration
}

// buildFull builds what could not be linked thin.
func (b *Builder) buildFull(ctx context.Context, p *Plan, why *thin.Unfit) (*Artifact, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.log.Debug("cannot link thin", "plugin", p.Plugin.Name, "err", why.Err)
	if b.opts.Link == "thin" {
		return nil, b.refuseFull(p.Plugin.Name, why.Reason)
	}
	b.rememberUnfit(p, why.Reason)
	return b.Build(ctx, p.full(why.Reason))
}

// tree lays the private packages out under an identity, in files below dir.
func (r *run) tree(dir string, id source.Identity) (*source.Tree, error) {
	p := r.plan
	tree := source.NewTree(dir)
	for _, u := range p.private {
		if err := r.place(tree, id, u); err != nil {
			return nil, err
		}
	}
	for path, text := range p.reworded {
		if err := tree.Replace(path, text); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// place lays one private package out, the plugin's own with what hosts call.
func (r *run) place(tree *source.Tree, id source.Identity, u *source.Unit) error {
	var entry *source.Generated
	p := r.plan
	if u.Package.ImportPath == p.Plugin.ImportPath {
		funcs, vars := u.Exports()
		entry = source.Entry(u.Package.Name, id.Fresh(p.Plugin.ImportPath), p.settings.race, true, funcs, vars, listSymbols(r.listed))
	}
	if err := tree.Add(id, u, entry); err != nil {
		return cmp.Or(directiveError(p.Plugin.Name, err), fmt.Errorf("lay out %s: %w", u.Package.ImportPath, err))
	}
	return nil
}

// full has the go command compile and link everything under the fresh identity.
func (r *run) full(ctx context.Context) error {
	p := r.plan
	tree, err := r.tree(r.dir, p.id)
	if err != nil {
		return err
	}
	overlay, err := tree.Overlay()
	if err != nil {
		return err
	}
	args := []string{"-buildmode=plugin", "-buildvcs=false", "-overlay=" + overlay, "-o", r.out, "-work"}
	graph := filepath.Join(r.dir, "actions.json")
	args = append(args, "-debug-actiongraph="+graph, "-ldflags="+r.b.opts.LDFlags)
	args = append(args, p.settings.flags...)
	args = append(args, r.trimFlags()...)
	modArgs, modEnv, err := r.nestedModules(tree.Nested)
	if err != nil {
		return err
	}
	args = append(append(args, modArgs...), p.PluginPath)
	tool := r.b.tool.With(p.settings.env...).With(modEnv...).With("GOTMPDIR=" + r.dir)
	start := time.Now()
	out, err := tool.Build(ctx, args...)
	if err != nil {
		return r.buildError(out, err)
	}
	r.compiled = time.Since(start)
	if r.linked = gotool.LinkTime(graph); r.linked < r.compiled {
		r.compiled -= r.linked
	}
	r.archive = gotool.LinkedArchives(r.dir)[p.id.Fresh(p.Plugin.ImportPath)]
	return nil
}

// trimFlags makes -trimpath take source.TrimRoot off the names of the user's
// files. Packages with cgo or assembly keep the go command's own rule: theirs
// also hides the scratch directory that those tools write into.
func (r *run) trimFlags() []string {
	if !r.plan.settings.trimpath {
		return nil
	}
	var flags []string
	for _, u := range r.plan.private {
		if len(u.Package.Foreign()) > 0 {
			continue
		}
		path := r.plan.id.Fresh(u.Package.ImportPath)
		flags = append(flags, fmt.Sprintf("-gcflags=%s=%s %s", path, gcflagsFor(r.plan.settings.gcflags), r.trimRoot(r.plan.id, path)))
	}
	return flags
}

// original turns compiler output into what the user knows: own import paths,
// own files.
func (r *run) original(line string) string {
	line = r.b.thinIdentity(r.plan).Original(r.plan.id.Original(line))
	for _, u := range r.plan.private {
		line = strings.ReplaceAll(line, source.TrimRoot+"/"+u.Package.ImportPath+"/", u.Package.Dir+string(filepath.Separator))
	}
	return strings.ReplaceAll(line, r.dir+string(filepath.Separator), "")
}

// gcflagsFor gives the host's -gcflags as they apply to a package that is not
// on the command line: those given for "all", since the last pattern that
// matches wins and the rule of trimFlags is that last one.
func gcflagsFor(hostFlags string) string {
	if rest, ok := strings.CutPrefix(hostFlags, "all="); ok {
		return rest
	}
	return ""
}

// check reads what the linker made and compares it with the host, before
// anything is published.
func (r *run) check() (*abi.Fingerprint, error) {
	fp, err := abi.ReadFile(r.out)
	if err == nil {
		err = fp.RequirePlugin()
	}
	if err != nil {
		return nil, fmt.Errorf("check what the go command built: %w", err)
	}
	if fp.PluginPath != r.plan.PluginPath {
		return nil, fmt.Errorf("check what the go command built: plugin path %q, want %q", fp.PluginPath, r.plan.PluginPath)
	}
	if r.plan.host == nil {
		return fp, nil
	}
	if found := abi.Compare(r.plan.host, fp, nil); len(found) > 0 {
		return nil, &ConflictError{
			Message:  fmt.Sprintf("plugin %s would not load into %s", r.plan.Plugin.Name, filepath.Base(r.plan.Host.Binary)),
			Evidence: found,
			Limit:    "the Go runtime: every package that host and plugin share must be built from the same source in the same way",
			Next:     "build the host again from the present sources, then restart it",
		}
	}
	return fp, nil
}

func (r *run) manifest(fp *abi.Fingerprint) artifact.Manifest {
	p := r.plan
	m := r.origin(fp)
	id := p.id
	if p.Link == "thin" {
		id = r.b.thinIdentity(p)
	}
	syms, err := symbols.Read(id.Fresh(p.Plugin.ImportPath), r.archive, id.Original)
	if err != nil {
		// A hotgo built with an older release does not read the export data
		// of a newer one. The host still checks every type after opening.
		m.Untyped = true
		r.b.log.Warn("the manifest has no types", "plugin", p.Plugin.Name, "err", err)
	}
	m.Symbols = slices.DeleteFunc(syms, func(s artifact.Symbol) bool { return artifact.Generated(s.Name) })
	return m
}

// origin is the manifest as far as it says what was built from what.
func (r *run) origin(fp *abi.Fingerprint) artifact.Manifest {
	p := r.plan
	m := artifact.Manifest{
		V: artifact.Version, Plugin: p.Plugin.Name, Key: p.Key, Package: p.Plugin.ImportPath,
		PluginPath: p.PluginPath, GoVersion: fp.GoVersion, GOOS: p.env.GOOS, GOARCH: p.env.GOARCH,
		Flags: p.settings.manifest, Link: p.Link, Reason: p.Reason,
		Private: map[string]string{}, Packages: map[string]string{}, Modules: map[string]string{},
		Tool: r.b.opts.Tool, Built: buildTime(r.b.tool.Getenv("SOURCE_DATE_EPOCH")),
	}
	if v := fp.Settings["GOOS"]; v != "" {
		m.GOOS, m.GOARCH = v, fp.Settings["GOARCH"]
	}
	for _, path := range p.Private {
		m.Private[path] = p.id.Fresh(path)
	}
	for path, h := range fp.Packages {
		m.Packages[path] = h.String()
	}
	for _, mod := range fp.Modules {
		m.Modules[mod.Path] = mod.String()
	}
	for _, u := range p.private {
		for _, f := range u.Files {
			m.Sources = append(m.Sources, artifact.Source{Path: u.Package.ImportPath + "/" + filepath.ToSlash(f.Name), SHA256: fmt.Sprintf("%x", f.Raw)})
		}
	}
	if p.Link == "thin" {
		m.HostBuild, m.Joined = p.host.BuildID, r.joined
	}
	m.Builtin = r.builtinState()
	return m
}

// buildTime honours https://reproducible-builds.org/specs/source-date-epoch/.
func buildTime(epoch string) time.Time {
	if sec, err := strconv.ParseInt(epoch, 10, 64); err == nil {
		return time.Unix(sec, 0).UTC()
	}
	return time.Now().UTC().Truncate(time.Second)
}

// buildError makes the go command's output a *BuildError about the user's own
// files.
func (r *run) buildError(out *gotool.Output, err error) error {
	var exit *gotool.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if path, changed := source.Changed(r.plan.read); changed {
		return &ChangedError{File: path}
	}
	e := &BuildError{Plugin: r.plan.Plugin.Name, Err: err}
	var text strings.Builder
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "WORK=") {
			continue // asked for by -work
		}
		text.WriteString(strings.TrimPrefix(r.original(line), r.b.opts.WorkDir+string(filepath.Separator)))
	}
	e.Output = strings.TrimSpace(text.String())
	e.Diagnostics = diagnostics(r.b.opts.WorkDir, e.Output)
	if e.Output == "" {
		if _, statErr := os.Stat(r.dir); errors.Is(statErr, fs.ErrNotExist) {
			return fmt.Errorf("build %s: the scratch directory %s was removed: %w", e.Plugin, r.dir, err)
		}
	}
	return e
}
