package builder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// reloaderPath is the package that a host embeds.
const reloaderPath = "github.com/hotgo/hotgo/pkg/reloader"

// AmbiguousError says that a name means several packages.
type AmbiguousError struct {
	What       string // "plugin pricing", "host"
	Candidates []string
}

// Error lists the candidates.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s: several packages fit: %s", e.What, strings.Join(e.Candidates, ", "))
}

// NotFoundError says that nothing fits a name or pattern.
type NotFoundError struct{ What string }

// Error says what was looked for.
func (e *NotFoundError) Error() string { return e.What + " matches no package" }

// Find resolves directories and patterns (./plugins/..., import paths, plugin
// names) to plugins, sorted by name. A pattern that ends in
// "..." gives those packages that are commands or that no other package of the
// same pattern imports: the sub-packages of a plugin belong to it.
//
// Errors: *NotFoundError for a pattern that matches nothing, *AmbiguousError
// for two plugins of one name, *BuildError where packages cannot be loaded.
func (b *Builder) Find(ctx context.Context, patterns ...string) ([]Plugin, error) {
	found := map[string]Plugin{} // by import path
	for _, pattern := range patterns {
		for target, name := range b.opts.Names {
			if name == pattern {
				pattern = target
				break
			}
		}
		if b.isName(pattern) {
			named, err := b.FindNamed(ctx, pattern)
			if err != nil {
				return nil, err
			}
			for _, p := range named {
				found[p.ImportPath] = p
			}
			if len(named) == 0 {
				return nil, &NotFoundError{What: "plugin " + pattern}
			}
			continue
		}
		pkgs, err := b.tool.List(ctx, nil, relative(b.opts.WorkDir, pattern))
		if err != nil {
			return nil, goError(pattern, err)
		}
		pkgs, err = b.candidates(pattern, pkgs)
		if err != nil {
			return nil, err
		}
		for _, p := range pkgs {
			plugin, err := b.plugin(p)
			if err != nil {
				return nil, err
			}
			found[p.ImportPath] = plugin
		}
	}
	return unambiguous(found)
}

// isName reports whether a pattern can only be a plugin's name: one element,
// neither a directory here nor a domain.
func (b *Builder) isName(pattern string) bool {
	return artifact.ValidName(pattern) == nil && !strings.ContainsAny(pattern, "./") && !isDir(filepath.Join(b.opts.WorkDir, pattern))
}

// relative makes a path that exists a pattern of the go command: "plugins/x"
// is what people write, "./plugins/x" is what the go command takes.
func relative(dir, pattern string) string {
	if filepath.IsAbs(pattern) || strings.HasPrefix(pattern, ".") {
		return pattern
	}
	base := strings.TrimSuffix(strings.TrimSuffix(pattern, "..."), "/")
	if base != "" && isDir(filepath.Join(dir, base)) {
		return "./" + filepath.ToSlash(pattern)
	}
	return pattern
}

// candidates drops what a pattern lists but cannot be a plugin by itself.
func (b *Builder) candidates(pattern string, pkgs []*gotool.Package) ([]*gotool.Package, error) {
	var kept []*gotool.Package
	wild := strings.Contains(pattern, "...")
	imported := map[string]bool{}
	for _, p := range pkgs {
		for _, imp := range p.Imports {
			imported[p.Resolve(imp)] = true
		}
	}
	for _, p := range pkgs {
		empty := p.Dir == "" || p.Name == "" && len(p.Files()) == 0
		switch {
		case wild && (empty || imported[p.ImportPath] || strings.Contains(p.ImportPath+"/", "/internal/")):
		case empty && p.Error != nil:
			return nil, &BuildError{Plugin: pattern, Output: p.Error.Err, Err: errors.New(p.Error.Err)}
		case empty:
		case !source.Own(p):
			return nil, &BuildError{Plugin: pattern, Output: fmt.Sprintf(
				"%s is not part of this module or workspace: a plugin's source has to be", p.ImportPath)}
		default:
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return nil, &NotFoundError{What: pattern}
	}
	return kept, nil
}

// plugin names a package: Options.Names by import path or directory, else the
// base name of its directory.
func (b *Builder) plugin(p *gotool.Package) (Plugin, error) {
	name := filepath.Base(p.Dir)
	for target, n := range b.opts.Names {
		dir := target
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(b.opts.WorkDir, dir)
		}
		if target == p.ImportPath || filepath.Clean(dir) == p.Dir {
			name = n
		}
	}
	if err := artifact.ValidName(name); err != nil {
		return Plugin{}, fmt.Errorf("name the plugin %s: %w", p.ImportPath, err)
	}
	return Plugin{Name: name, ImportPath: p.ImportPath, Dir: p.Dir, Command: p.Name == "main"}, nil
}

func unambiguous(found map[string]Plugin) ([]Plugin, error) {
	var plugins []Plugin
	for _, p := range found {
		plugins = append(plugins, p)
	}
	sort.Slice(plugins, func(i, j int) bool {
		a, b := plugins[i], plugins[j]
		return a.Name < b.Name || a.Name == b.Name && a.ImportPath < b.ImportPath
	})
	for i := 1; i < len(plugins); i++ {
		if plugins[i].Name == plugins[i-1].Name {
			return nil, &AmbiguousError{
				What:       "plugin " + plugins[i].Name,
				Candidates: []string{plugins[i-1].ImportPath, plugins[i].ImportPath},
			}
		}
	}
	return plugins, nil
}

// FindNamed gives the plugins of the current module or workspace that carry
// the given names (what a host has bound), sorted by name. Names without a
// package are left out.
//
// Errors: *AmbiguousError for a name that several packages carry.
func (b *Builder) FindNamed(ctx context.Context, names ...string) ([]Plugin, error) {
	pkgs, err := b.own(ctx, "-find")
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	found := map[string]Plugin{}
	for _, p := range pkgs {
		if p.Dir == "" || len(p.GoFiles)+len(p.CgoFiles) == 0 || !source.Own(p) {
			continue
		}
		if plugin, err := b.plugin(p); err == nil && wanted[plugin.Name] {
			found[p.ImportPath] = plugin
		}
	}
	return unambiguous(found)
}

// FindHost gives the import path of the one main package of the module or
// workspace that imports the reloader, through its own packages or directly.
//
// Errors: *NotFoundError, or *AmbiguousError with the candidates.
func (b *Builder) FindHost(ctx context.Context) (string, error) {
	pkgs, err := b.own(ctx)
	if err != nil {
		return "", err
	}
	g := source.NewGraph(pkgs)
	var hosts []string
	for _, p := range pkgs {
		if p.Name != "main" || !source.Own(p) {
			continue
		}
		for path := range g.Reach(p.ImportPath, nil) {
			if importsReloader(g[path]) {
				hosts = append(hosts, p.ImportPath)
				break
			}
		}
	}
	switch len(hosts) {
	case 0:
		return "", &NotFoundError{What: "a main package that imports " + reloaderPath}
	case 1:
		return hosts[0], nil
	}
	return "", &AmbiguousError{What: "host", Candidates: hosts}
}

// EmbedsReloader reports whether a main package (an import path or a directory)
// imports the reloader, through others or directly.
//
// Errors: *BuildError where the package cannot be loaded.
func (b *Builder) EmbedsReloader(ctx context.Context, pkg string) (bool, error) {
	pkgs, err := b.tool.List(ctx, []string{"-deps"}, relative(b.opts.WorkDir, pkg))
	if err != nil {
		return false, goError(pkg, err)
	}
	for _, p := range pkgs {
		if p.ImportPath == reloaderPath {
			return true, nil
		}
	}
	for _, p := range pkgs {
		if p.Error != nil { // what is missing may be what imports it
			return false, &BuildError{Plugin: pkg, Output: p.Error.Err, Err: errors.New(p.Error.Err)}
		}
	}
	return false, nil
}

func importsReloader(p *gotool.Package) bool {
	for _, imp := range p.Imports {
		if imp == reloaderPath || imp == reloaderPath+"/auto" {
			return true
		}
	}
	return false
}

// own lists every package of the main modules.
func (b *Builder) own(ctx context.Context, flags ...string) ([]*gotool.Package, error) {
	mods, err := b.tool.MainModules(ctx)
	if err != nil {
		return nil, goError("go list -m", err)
	}
	if len(mods) == 0 {
		return nil, &NotFoundError{What: "a go.mod or go.work above " + b.opts.WorkDir}
	}
	var patterns []string
	for _, m := range mods {
		patterns = append(patterns, m.Path+"/...")
	}
	pkgs, err := b.tool.List(ctx, flags, patterns...)
	if err != nil {
		return nil, goError("go list", err)
	}
	return pkgs, nil
}
