package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// graph reads lines "path: import import"; what begins with "m/" is the
// user's, other paths come from the module cache.
func graph(text string) Graph {
	g := Graph{}
	for line := range strings.Lines(text) {
		path, imports, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		p := &gotool.Package{ImportPath: path, Imports: strings.Fields(imports), Dir: "/cache/" + path}
		p.Module = &gotool.Module{Path: "x", Dir: "/cache", Version: "v1"}
		if strings.HasPrefix(path, "m/") {
			p.Dir, p.Module = "/src/"+path, &gotool.Module{Path: "m", Dir: "/src/m", Main: true}
		}
		g[path] = p
	}
	return g
}

func TestSplit(t *testing.T) {
	has := func(paths ...string) func(string) bool {
		return func(p string) bool { return slices.Contains(paths, p) }
	}
	cases := []struct {
		name, graph     string
		plugins         []string
		host            string
		hostHas         func(string) bool
		private, shared string
	}{
		{
			name:  "the host never imports the plugin",
			graph: "m/host: m/api x\nm/p: m/api m/p/calc x\nm/p/calc: x\nm/api:\nx:",
			host:  "m/host", private: "m/p m/p/calc", shared: "m/api",
		}, {
			name:  "the plugin is the host's built-in",
			graph: "m/host: m/api m/p\nm/p: m/api m/p/calc\nm/p/calc:\nm/api:",
			host:  "m/host", hostHas: has("m/host", "m/api", "m/p", "m/p/calc"), private: "m/p m/p/calc", shared: "m/api",
		}, {
			name:  "the host uses a sub-package of the plugin",
			graph: "m/host: m/p/api\nm/p: m/p/api m/p/calc\nm/p/api: m/p/deep\nm/p/calc: m/p/deep\nm/p/deep:",
			host:  "m/host", private: "m/p m/p/calc", shared: "m/p/api m/p/deep",
		}, {
			name:  "two built-ins and a package that only they use",
			graph: "m/host: m/p m/q\nm/p: m/common\nm/q: m/common\nm/common:",
			host:  "m/host", plugins: []string{"m/p", "m/q"}, private: "m/common m/p",
		}, {
			name:  "a package that another importer of the host uses too",
			graph: "m/host: m/p m/q\nm/p: m/common\nm/q: m/common\nm/common:",
			host:  "m/host", plugins: []string{"m/p"}, private: "m/p", shared: "m/common",
		}, {
			name:  "a binary older than the sources keeps what it has",
			graph: "m/host:\nm/p: m/api m/new\nm/api:\nm/new:",
			host:  "m/host", hostHas: has("m/api"), private: "m/new m/p", shared: "m/api",
		}, {
			name:  "the host's source is elsewhere",
			graph: "m/p: m/p/calc m/api\nm/p/calc:\nm/api:",
			host:  "other/host", hostHas: has("m/p", "m/p/calc", "m/api"), private: "m/p m/p/calc", shared: "m/api",
		}, {
			name:  "third-party packages are never private",
			graph: "m/host:\nm/p: x\nx:",
			host:  "m/host", private: "m/p",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plugins := c.plugins
			if plugins == nil {
				plugins = []string{"m/p"}
			}
			private, shared := graph(c.graph).Split("m/p", c.host, plugins, c.hostHas)
			if got := strings.Join(private, " "); got != c.private {
				t.Errorf("private: got %q, want %q", got, c.private)
			}
			if got := strings.Join(shared, " "); got != c.shared {
				t.Errorf("shared: got %q, want %q", got, c.shared)
			}
		})
	}
}
