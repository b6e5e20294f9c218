package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/revision"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// baseline gives what the scan's host was built from, nil where nothing is
// known: what Options.Base names, what BuildHost wrote down, the revision that the go
// command stamped on a binary, or what was there when somebody looked first.
func (b *Builder) baseline(ctx context.Context, s *scan) (*baseline, error) {
	id := s.target.buildID()
	b.mu.Lock()
	bl, asked := b.based[id]
	b.mu.Unlock()
	if bl != nil {
		return bl, nil
	}
	if bl = b.baselineOf(id); b.opts.Base == "" && (asked || id == "" || bl != nil && !bl.Assumed) {
		return bl, nil
	}
	rev := b.opts.Base
	if rev == "" {
		if rev = stamped(s.target.fp.Settings); rev == "" || s.target.pattern == "" {
			return bl, nil
		}
	}
	at, err := b.baselineAt(ctx, s, rev)
	if err == nil && b.opts.Base == "" {
		err = b.tracked(ctx, s, at)
	}
	if err != nil && (b.opts.Base != "" || ctx.Err() != nil) {
		return nil, err
	}
	if err != nil {
		at = nil
	}
	b.mu.Lock()
	b.based[id] = at
	b.mu.Unlock()
	if err != nil {
		b.log.Debug("the revision that the host was built from is not known here", "revision", rev, "err", err)
		return bl, nil
	}
	if b.opts.Base == "" {
		b.remember(at, true)
	}
	return at, nil
}

// stamped gives the git revision of a binary that was built from exactly that, as the
// go command says: without -buildvcs=false, in a clean work tree (cmd/go,
// internal/load/pkg.go, setBuildInfo, Go 1.26 and 1.27).
func stamped(settings map[string]string) string {
	if settings["vcs"] == "git" && settings["vcs.modified"] == "false" {
		return settings["vcs.revision"]
	}
	return ""
}

// tracked gives an error where the user's packages have a file that git ignores: for
// the go command such a work tree is clean, and no revision says what was built.
func (b *Builder) tracked(ctx context.Context, s *scan, at *baseline) error {
	var files []string
	for _, path := range s.hostOwn() {
		u, err := s.unit(path)
		if err != nil {
			return err
		}
		for _, f := range u.Files {
			if _, known := at.Packages[path].Files[f.Name]; !known {
				files = append(files, f.Path)
			}
		}
	}
	ignored, err := revision.Ignored(ctx, b.opts.WorkDir, files)
	if err == nil && len(ignored) > 0 {
		err = fmt.Errorf("%s is in no revision", ignored[0])
	}
	return err
}

// baselineAt reads the user's packages as they were in a revision. Nothing is taken
// for granted: a patch compares with the binary (patch_learn.go).
func (b *Builder) baselineAt(ctx context.Context, s *scan, rev string) (*baseline, error) {
	dir, cleanup, err := b.store.Temp("base")
	if err != nil {
		return nil, err
	}
	defer cleanup()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	into := filepath.Join(dir, "tree")
	if err := os.Mkdir(into, 0o700); err != nil {
		return nil, err
	}
	tree, err := revision.Extract(ctx, b.opts.WorkDir, rev, into)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(tree.Top, b.opts.WorkDir)
	if err != nil {
		return nil, err
	}
	then := func(path string) string { return strings.Replace(path, tree.Top, tree.Dir, 1) }
	tool, err := gotool.New(filepath.Join(tree.Dir, rel), b.tool.Env)
	if err != nil {
		return nil, err
	}
	pattern := s.target.pattern
	if filepath.IsAbs(pattern) {
		pattern = then(pattern)
	}
	pkgs, err := tool.With(s.settings.env...).List(ctx, append([]string{"-deps"}, s.settings.list...), relative(tool.Dir, pattern))
	if err != nil {
		return nil, goError(fmt.Sprintf("%s at %s", s.target.pattern, rev), err)
	}
	var units []*source.Unit
	for _, p := range pkgs {
		if !source.Own(p) {
			continue
		}
		u, err := source.Read(p)
		if err != nil {
			return nil, fmt.Errorf("read the sources of %s at %s: %w", p.ImportPath, rev, err)
		}
		switch {
		case below(p.Dir, tree.Dir):
			moved := *p
			moved.Dir = strings.Replace(p.Dir, tree.Dir, tree.Top, 1)
			u.Package = &moved
		case below(p.Dir, tree.Top):
			continue // the revision has no go.mod, and this is the present text
		}
		// A module beside the repository (by replace or workspace) is in no
		// revision of it: it is taken to be as it is now.
		units = append(units, u)
	}
	return newBaseline(s.target.buildID(), units), nil
}

func below(dir, top string) bool {
	return dir == top || strings.HasPrefix(dir, top+string(filepath.Separator))
}
