package source

import (
	"sort"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// Graph is the packages of a program by import path. It is read-only.
type Graph map[string]*gotool.Package

// NewGraph indexes what `go list -deps` gave.
func NewGraph(pkgs []*gotool.Package) Graph {
	g := Graph{}
	for _, p := range pkgs {
		g[p.ImportPath] = p
	}
	return g
}

// Reach gives every package that root imports, directly or not, root included,
// without going into the packages of cut.
func (g Graph) Reach(root string, cut map[string]bool) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(path string) {
		p := g[path]
		if p == nil || seen[path] || cut[path] {
			return
		}
		seen[path] = true
		for _, imp := range p.Imports {
			visit(p.Resolve(imp))
		}
	}
	visit(root)
	return seen
}

// Own reports whether p is the user's to edit: it lies in a main module or in
// a module that a replace directive points at a directory, and is not a
// vendored copy.
func Own(p *gotool.Package) bool {
	m := p.Module
	if p.Standard || m == nil || m.Dir == "" {
		return false
	}
	if !m.Main && (m.Replace == nil || m.Replace.Version != "") {
		return false
	}
	rest, ok := strings.CutPrefix(p.Dir, m.Dir)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '\\') && !strings.Contains(rest+"/", "/vendor/")
}

// Split says which packages of the plugin's closure get a fresh identity
// (private) and which of the user's packages keep theirs (shared).
//
// host is the import path of the host's main package, plugins are all plugins
// that may be replaced, and hostHas tells what the host's binary contains (nil
// where there is no binary: the graph answers then). Private are the plugin
// itself and those of the user's packages that the host does not have, or has
// only because it imports plugins as its built-ins. Where the host's source is
// not part of the graph (it lies in a module that this one does not see), what
// lies below the plugin's directory counts as the plugin's own.
func (g Graph) Split(plugin, host string, plugins []string, hostHas func(path string) bool) (private, shared []string) {
	cut := map[string]bool{}
	for _, p := range plugins {
		cut[p] = true
	}
	cut[plugin] = true
	direct := g.Reach(host, cut) // what the host reaches another way
	all := g.Reach(host, nil)
	if hostHas == nil {
		hostHas = func(path string) bool { return all[path] }
	}
	own := func(path string) bool {
		switch {
		case path == plugin:
			return true
		case direct[path]:
			return false
		case !hostHas(path) || all[path]:
			return true
		}
		return g[host] == nil && strings.HasPrefix(path, plugin+"/")
	}
	for path := range g.Reach(plugin, nil) {
		switch {
		case !Own(g[path]):
		case own(path):
			private = append(private, path)
		default:
			shared = append(shared, path)
		}
	}
	sort.Strings(private)
	sort.Strings(shared)
	return private, shared
}
