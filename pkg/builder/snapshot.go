package builder

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// Snapshot is the source tree at one moment, as it concerns a host.
type Snapshot struct {
	Plans       []*Plan          // in the order asked for; nil where Errors has the plugin's name
	Errors      map[string]error // plugin name -> why it has no plan (*BuildError, *ConflictError, …)
	WatchDirs   []string         // absolute, sorted; every directory whose files the builds read
	WatchFiles  []string         // absolute, sorted; files outside them: go.mod, go.sum, go.work
	HostChanges []HostChange     // what changed in the host since it was built, where that is known
	// Assumed says that nobody wrote down what the host's binary was built from: it
	// is taken to be what the sources were when this builder first saw it.
	Assumed bool
}

// HostChange is a package of the running host whose source is no longer what
// the host was built from: no plugin can carry it.
type HostChange struct {
	ImportPath string   // or a module's path, where its version changed
	Files      []string // absolute
	Shared     bool     // plugins use it too (HG0090); otherwise only the host does
}

// scan is one snapshot in the making. It has its graph's turn.
type scan struct {
	b           *Builder
	target      *target
	env         *gotool.Environment
	settings    *settings
	resident    *resident
	graph       source.Graph
	host        string // import path of the host's main package, "" where its source is not here
	pluginPaths []string
	baseline    *baseline
	known       *derived
}

// Snapshot reads the source tree once and plans every plugin for host. The
// builder keeps what it read: the next snapshot looks for what changed since.
//
// Errors: *ConflictError where no plugin could fit the host; *BuildError where
// the go command cannot list packages at all. What concerns one plugin is in
// Snapshot.Errors.
func (b *Builder) Snapshot(ctx context.Context, host Host, plugins []Plugin) (*Snapshot, error) {
	s, leave, err := b.scan(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	snap := &Snapshot{Errors: map[string]error{}}
	if snap.HostChanges, err = s.hostChanges(); err != nil {
		return nil, err
	}
	for _, p := range plugins {
		plan, err := s.plan(ctx, p)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			snap.Errors[p.Name] = err
			plan = nil
		}
		snap.Plans = append(snap.Plans, plan)
	}
	snap.Assumed = s.baseline != nil && s.baseline.Assumed
	snap.WatchDirs, snap.WatchFiles = s.watchSet()
	return snap, nil
}

// scan gets ready what all plans share. The caller has to call leave.
func (b *Builder) scan(ctx context.Context, host Host, plugins []Plugin) (s *scan, leave func(), err error) {
	env, err := b.environ(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := b.inModule(env); err != nil {
		return nil, nil, err
	}
	t, err := b.resolve(host)
	if err != nil {
		return nil, nil, err
	}
	s = &scan{b: b, target: t, env: env}
	if s.settings, err = followHost(b.opts, env, t.fp, b.directory(t)); err != nil {
		return nil, nil, err
	}
	q := &question{env: env, settings: s.settings}
	for _, p := range plugins {
		q.patterns = append(q.patterns, p.ImportPath)
		s.pluginPaths = append(s.pluginPaths, p.ImportPath)
	}
	if t.pattern != "" {
		q.host = relative(b.opts.WorkDir, t.pattern)
		q.patterns = append(q.patterns, q.host)
	}
	if s.resident, leave, err = b.enter(ctx, q); err != nil {
		return nil, nil, err
	}
	s.graph = s.resident.graph
	s.known = s.resident.derive(t.fp)
	s.host = s.known.host(func() string { return t.mainPackage(b.opts.WorkDir, s.resident.pkgs) })
	if s.baseline, err = b.baseline(ctx, s); err != nil {
		leave()
		return nil, nil, err
	}
	return s, leave, nil
}

// inModule refuses to work where the go command would find no packages, or
// others than hotgo means.
func (b *Builder) inModule(env *gotool.Environment) error {
	if (env.GOMOD == "" || env.GOMOD == os.DevNull) && env.GOWORK == "" {
		return &NotFoundError{What: "a go.mod or go.work above " + b.opts.WorkDir}
	}
	if strings.Contains(env.GOFLAGS, "-overlay=") {
		return &ConflictError{
			Message:  "GOFLAGS sets an overlay, and hotgo needs the go command's only one",
			Evidence: []Mismatch{{What: "GOFLAGS", Host: env.GOFLAGS, Artifact: "-overlay=…"}},
			Limit:    "the go command takes one -overlay",
			Next:     "unset GOFLAGS, or write the overlaid files into the tree",
		}
	}
	return nil
}

// directory guesses where the host's main package lies, for -pgo profiles: the
// build info has an import path, and the package is mostly in this module.
func (b *Builder) directory(t *target) string {
	if isDir(filepath.Join(b.opts.WorkDir, t.pattern)) {
		return filepath.Join(b.opts.WorkDir, t.pattern)
	}
	if t.fp == nil || t.fp.Main.Path == "" {
		return ""
	}
	rel, ok := strings.CutPrefix(t.fp.Package, t.fp.Main.Path)
	if !ok {
		return ""
	}
	for dir := b.opts.WorkDir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, filepath.FromSlash(rel))
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// unit gives a package with what its files hold.
func (s *scan) unit(path string) (*source.Unit, error) {
	u, err := s.resident.ledger.Unit(path)
	if err != nil {
		return nil, fmt.Errorf("read the sources of %s: %w", path, err)
	}
	return u, nil
}

// hostChanges compares the host's sources with what it was built from. A host
// seen for the first time is taken to be built from what is there now.
func (s *scan) hostChanges() ([]HostChange, error) {
	if s.host == "" || s.target.fp == nil {
		return nil, nil
	}
	if s.baseline == nil {
		return nil, s.assumeBaseline()
	}
	var units []*source.Unit
	for _, path := range s.hostOwn() {
		u, err := s.unit(path)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	var changes []HostChange
	for _, u := range units {
		path := u.Package.ImportPath
		if _, known := s.baseline.Packages[path]; !known {
			continue // newly imported: the importing package changed too
		}
		if files, _ := s.changedFiles(u); len(files) > 0 {
			changes = append(changes, HostChange{ImportPath: path, Files: files, Shared: s.usedByPlugins()[path]})
		}
	}
	for _, m := range s.otherVersions("", s.hostReach()) {
		changes = append(changes, HostChange{ImportPath: m.What + " " + m.Host + " -> " + m.Artifact, Files: []string{s.modFile()}})
	}
	return changes, nil
}

// assumeBaseline takes the sources as they are for what the host was built
// from, plugins that it has as built-ins included.
func (s *scan) assumeBaseline() error {
	var units []*source.Unit
	for path := range s.graph.Reach(s.host, nil) {
		if !source.Own(s.graph[path]) {
			continue
		}
		u, err := s.unit(path)
		if err != nil {
			return err
		}
		units = append(units, u)
	}
	s.baseline = newBaseline(s.target.buildID(), units)
	s.baseline.Assumed = true
	s.b.remember(s.baseline, false) // another command may know better
	return nil
}

func (s *scan) modFile() string {
	if s.env.GOMOD != "" && s.env.GOMOD != os.DevNull {
		return s.env.GOMOD
	}
	return s.env.GOWORK
}

// watchSet is what the builds read: the directories of the user's packages,
// theirs with embedded and included files, and the files that choose modules.
func (s *scan) watchSet() (dirs, files []string) {
	if d := s.known; d.dirs != nil {
		return slices.Clone(d.dirs), slices.Clone(d.files)
	}
	set := map[string]bool{}
	mods := map[string]bool{}
	for _, p := range s.graph {
		if p.Dir == "" || !source.Own(p) {
			continue
		}
		set[p.Dir] = true
		for _, f := range p.EmbedFiles {
			for d := filepath.Dir(filepath.Join(p.Dir, f)); d != p.Dir && len(d) > len(p.Dir); d = filepath.Dir(d) {
				set[d] = true
			}
		}
		for _, f := range source.Included(p) {
			set[filepath.Dir(filepath.Join(p.Dir, f))] = true
		}
		if p.Module != nil && p.Module.GoMod != "" {
			mods[p.Module.GoMod] = true
		}
	}
	if s.env.GOWORK != "" && s.env.GOWORK != "off" {
		mods[s.env.GOWORK] = true
		mods[s.env.GOWORK+".sum"] = true
	}
	for m := range maps.Clone(mods) {
		if base, ok := strings.CutSuffix(m, ".mod"); ok {
			mods[base+".sum"] = true
		}
	}
	s.known.dirs, s.known.files = slices.Sorted(maps.Keys(set)), slices.Sorted(maps.Keys(mods))
	return slices.Clone(s.known.dirs), slices.Clone(s.known.files)
}
