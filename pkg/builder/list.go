package builder

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// # The list of a built-in, alone
//
// When a process is restarted its state is to go on in the next one, in the built-in of
// either, and nobody lists a built-in's variables but artifacts (builtin.go). Those of
// the plugin's next generation would do. But at a restart there is mostly none: what was
// edited is the host. And opening one runs its initialisers, which is for those who want
// it live. So there are artifacts with the list and no code of the plugin. What has to be
// known for one is what the host was built from, whatever the sources are by now.

// BuildList builds an artifact that lists the variables that a host's binary has of a
// plugin, and has nothing else, or gives the store's. plugins are all that the host may
// load, the plugin among them. It is nil where the binary has no code of the plugin, and
// where it has no variable of it, unless host is Patched: then the artifact says which
// packages are the plugin's. Cancelling ctx ends the programs that it runs.
//
// Errors: *ConflictError where there can be no list, with the reason as its evidence;
// *ChangedError where sources changed meanwhile.
func (b *Builder) BuildList(ctx context.Context, host Host, plugin Plugin, plugins []Plugin) (*Artifact, error) {
	p, err := b.planList(ctx, host, plugin, plugins)
	if err != nil || p == nil {
		return nil, err
	}
	unlock, err := b.store.Lock(ctx, p.Plugin.Name+"-"+p.Key[:12])
	if err != nil {
		return nil, err
	}
	defer unlock()
	if a, err := b.stored(p.Plugin.Name, p.Key); a != nil || err != nil {
		return a, err
	}
	dir, cleanup, err := b.store.Temp(p.Plugin.Name)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	r := &run{b: b, plan: p, dir: dir, out: filepath.Join(dir, "list.so")}
	err = r.linkList(ctx, host.Patched)
	var why *unlisted
	var unfit *thin.Unfit
	switch {
	case errors.As(err, &why):
		return nil, cannotList(plugin, why.Code, why.Reason)
	case errors.As(err, &unfit):
		return nil, cannotList(plugin, ruleThin, unfit.Reason)
	case err != nil || len(r.listed) == 0 && !host.Patched:
		return nil, err
	}
	fp, err := r.check()
	if err != nil {
		return nil, err
	}
	m := r.origin(fp)
	m.List = true
	for _, own := range p.builtin.packages {
		m.Builtin.Own = append(m.Builtin.Own, own.path)
	}
	if err := artifact.Append(r.out, m); err != nil {
		return nil, fmt.Errorf("add the manifest: %w", err)
	}
	return b.publish(ctx, p.Plugin.Name, p.Key, r.out, r.compiled, r.linked)
}

// planList plans one: a plan without packages. It is nil where the host has no code of
// the plugin.
func (b *Builder) planList(ctx context.Context, host Host, plugin Plugin, plugins []Plugin) (*Plan, error) {
	s, leave, err := b.scan(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	if s.target.fp == nil {
		return nil, cannotList(plugin, ruleThin, "there is no binary of the host to link against")
	}
	if reason := hostCannotThin(s.target.fp); reason != "" {
		return nil, cannotList(plugin, ruleThin, reason)
	}
	if _, err := s.hostChanges(); err != nil { // takes the baseline where there is none
		return nil, err
	}
	p := &Plan{
		Plugin: plugin, Host: s.target.host, Flags: s.settings.flags, settings: s.settings, env: s.env,
		host: s.target.fp, deps: s.graph, epoch: s.resident.epoch, workDir: b.opts.WorkDir,
	}
	p.Private, _ = s.graphBefore().Split(plugin.ImportPath, s.host, s.pluginPaths, s.target.has())
	if p.builtin, err = s.builtinCode(p); err != nil || p.builtin == nil {
		return nil, err
	}
	if why := p.builtin.reason; why != "" {
		return nil, cannotList(plugin, p.builtin.code, why)
	}
	p.Private = nil
	p.inputs = digest.Inputs{
		Plugin: plugin.Name, ImportPath: plugin.ImportPath, Salt: b.opts.Salt, Flags: s.settings.flags, Env: s.keyEnv(ctx),
		// No package, not even the plugin's own: so it is the key of no generation.
	}
	p.setLink("thin", "")
	p.PluginPath = listPath(p, p.id.Element)
	return p, nil
}

// graphBefore is the graph with the imports that the baseline's files have: what was
// edited may have made a package of the plugin one that it shares with the host, or the
// other way round. Packages that are not in the graph any more are not.
func (s *scan) graphBefore() source.Graph {
	if s.baseline == nil {
		return s.graph
	}
	g := maps.Clone(s.graph)
	for path := range s.baseline.Packages {
		now := g[path]
		if now == nil {
			continue
		}
		imports := map[string]bool{}
		for _, f := range s.baseline.goFiles(path, nil) {
			parsed, err := parser.ParseFile(token.NewFileSet(), f.name, f.original(), parser.ImportsOnly)
			if err != nil {
				continue // an embedded file
			}
			for _, imp := range parsed.Imports {
				if p, err := strconv.Unquote(imp.Path.Value); err == nil {
					imports[p] = true
				}
			}
		}
		was := *now
		was.Imports = slices.Sorted(maps.Keys(imports))
		g[path] = &was
	}
	return g
}

// listPath is the import path of the artifact's main package.
func listPath(p *Plan, element string) string { return p.Plugin.ImportPath + "/" + element + "/list" }

// cannotList is why there is no list.
func cannotList(plugin Plugin, code, reason string) error {
	return &ConflictError{
		Message:  fmt.Sprintf("the variables that the host has of %s cannot be listed", plugin.Name),
		Evidence: []Mismatch{{What: plugin.ImportPath, Artifact: reason, Rule: code}},
		Limit:    "this release of hotgo",
		Next:     "state starts anew with the next process",
	}
}

// linkList compiles the list and links it against the host. Where nothing is to be listed
// it does so only if even that is to be said.
func (r *run) linkList(ctx context.Context, even bool) error {
	p := r.plan
	builtin, err := r.b.startBuiltin(p, r.dir)
	if err != nil {
		return err
	}
	if r.listed = builtin.listed(); len(r.listed) == 0 && !even {
		return nil
	}
	list, err := builtin.finish(ctx)
	if err != nil {
		return err
	}
	in := &thin.Input{
		Exports: map[string]string{}, Old: thinElement, New: p.id.Element, PluginPath: p.PluginPath, Export: source.EntrySymbol,
		HostHas: func(path string) bool { _, ok := p.host.Packages[path]; return ok },
		ModInfo: modInfo(p.host, p.deps, p.Plugin.ImportPath, p.PluginPath), BuildID: p.Key, Dir: r.dir, Out: r.out,
		Compile: func(ctx context.Context, path string) (string, error) {
			return r.b.compileForHost(ctx, p.settings, path)
		},
	}
	if err := r.compileListMain(ctx, in); err != nil {
		return err
	}
	list.add(in, p.host)
	l, err := r.b.linker(p)
	if err != nil {
		return err
	}
	res, err := l.Link(ctx, in)
	if err != nil {
		return err
	}
	r.joined = res.Joined
	return nil
}

// compileListMain compiles the main package, and adds it to a link.
func (r *run) compileListMain(ctx context.Context, in *thin.Input) error {
	p := r.plan
	main := listPath(p, thinElement)
	tree := source.NewTree(filepath.Join(r.dir, "main"))
	if err := os.Mkdir(filepath.Join(r.dir, "main"), 0o700); err != nil {
		return err
	}
	file := filepath.Join(p.deps[p.Plugin.ImportPath].Dir, thinElement, "list", source.EntryFile)
	if err := tree.Replace(file, source.ListMain(p.settings.race, listSymbols(r.listed))); err != nil {
		return err
	}
	overlay, err := tree.Overlay()
	if err != nil {
		return err
	}
	args := append([]string{"-export", "-deps", "-buildvcs=false", "-overlay=" + overlay}, p.settings.flags...)
	args = append(args, "-gcflags="+main+"="+forThin(p.settings.gcflags)+" -p="+main) // see askGo
	exports, err := r.b.tool.With(p.settings.env...).With("GOTMPDIR="+r.dir).Exports(ctx, args, main)
	if err != nil {
		return err
	}
	for _, e := range exports {
		if e.ImportPath == main {
			in.Private = []thin.Package{{Path: main, File: e.File}}
		} else {
			in.Exports[e.ImportPath] = e.File
		}
	}
	return nil
}
