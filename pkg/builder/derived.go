package builder

import (
	"slices"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// derived is what follows from a graph and a host's binary alone, worked out
// once: with a thousand packages each walk over the graph takes as long as
// looking for an edit. It is kept with its graph and goes with it.
type derived struct {
	hostPath *string
	reach    map[string]map[string]bool // root -> all that it imports
	splits   map[string]split           // by plugin
	outer    map[string]outer           // by plugin
	alone    map[string]bool            // what the host reaches other than through plugins
	own      []string
	plugins  map[string]bool // what plugins use
	flawed   *bool
	versions map[string][]abi.Mismatch // by plugin, "" being the host: modules in other versions
	dirs     []string                  // to watch
	files    []string

	baseline *baseline // that compared is about
	compared map[string]comparison
}

// split is what source.Graph.Split gives.
type split struct{ private, shared []string }

// outer is what a plugin takes from elsewhere.
type outer struct {
	hashes map[string]string // of the host, by import path
	rest   []string          // packages that are neither the user's nor standard
}

// comparison is how a package differs from the baseline.
type comparison struct {
	unit     *source.Unit
	changed  []string
	reworded bool
}

// maxDerived bounds the hosts that one graph is kept for. More than one host
// with the same question is rare, and of a host that was built again the old
// binary is gone.
const maxDerived = 4

// derive gives what is known of the graph for a host's binary, nil being none.
func (r *resident) derive(fp *abi.Fingerprint) *derived {
	d := r.derived[fp]
	if d == nil {
		if len(r.derived) >= maxDerived {
			clear(r.derived)
		}
		d = &derived{
			reach: map[string]map[string]bool{}, splits: map[string]split{}, outer: map[string]outer{}, compared: map[string]comparison{},
			versions: map[string][]abi.Mismatch{},
		}
		r.derived[fp] = d
	}
	return d
}

func (d *derived) host(find func() string) string {
	if d.hostPath == nil {
		path := find()
		d.hostPath = &path
	}
	return *d.hostPath
}

// closure gives every package that root imports, root included. The caller
// must not change it; neither those of the other functions.
func (s *scan) closure(root string) map[string]bool {
	c, ok := s.known.reach[root]
	if !ok {
		c = s.graph.Reach(root, nil)
		s.known.reach[root] = c
	}
	return c
}

// split says which packages are the plugin's own, and which of the user's the
// host has too.
func (s *scan) split(plugin string) (private, shared []string) {
	sp, ok := s.known.splits[plugin]
	if !ok {
		sp.private, sp.shared = s.graph.Split(plugin, s.host, s.pluginPaths, s.target.has())
		s.known.splits[plugin] = sp
	}
	return slices.Clone(sp.private), slices.Clone(sp.shared)
}

// outside gives the host's package hashes that a plugin's artifact has to match,
// and the packages of its closure that are neither the user's nor standard.
func (s *scan) outside(plugin string, private []string, closure map[string]bool) (hashes map[string]string, rest []string) {
	if o, ok := s.known.outer[plugin]; ok {
		return o.hashes, o.rest
	}
	o := outer{hashes: map[string]string{}}
	for path := range closure {
		if _, own := slices.BinarySearch(private, path); s.target.fp != nil && !own {
			if h, ok := s.target.fp.Packages[path]; ok {
				o.hashes[path] = h.String()
			}
		}
		if pkg := s.graph[path]; !pkg.Standard && !source.Own(pkg) {
			o.rest = append(o.rest, path)
		}
	}
	s.known.outer[plugin] = o
	return o.hashes, o.rest
}

// hostReach gives the packages that the host has by itself, not through
// plugins.
func (s *scan) hostReach() map[string]bool {
	if s.known.alone == nil {
		cut := map[string]bool{}
		for _, p := range s.pluginPaths {
			cut[p] = true
		}
		s.known.alone = s.graph.Reach(s.host, cut)
	}
	return s.known.alone
}

// hostOwn gives those of them that are the user's, sorted.
func (s *scan) hostOwn() []string {
	if s.known.own == nil {
		s.known.own = []string{}
		for path := range s.hostReach() {
			if source.Own(s.graph[path]) {
				s.known.own = append(s.known.own, path)
			}
		}
		slices.Sort(s.known.own)
	}
	return s.known.own
}

// usedByPlugins gives every package that a plugin imports.
func (s *scan) usedByPlugins() map[string]bool {
	if s.known.plugins == nil {
		s.known.plugins = map[string]bool{}
		for _, p := range s.pluginPaths {
			for path := range s.closure(p) {
				s.known.plugins[path] = true
			}
		}
	}
	return s.known.plugins
}

// hasErrors reports whether any package could not be loaded.
func (s *scan) hasErrors() bool {
	if s.known.flawed == nil {
		flawed := false
		for _, p := range s.graph {
			flawed = flawed || p.Error != nil
		}
		s.known.flawed = &flawed
	}
	return *s.known.flawed
}

// otherVersions is differingModules for the packages of a plugin, or with "" of
// the host.
func (s *scan) otherVersions(plugin string, packages map[string]bool) []abi.Mismatch {
	diff, ok := s.known.versions[plugin]
	if !ok {
		diff = s.differingModules(packages)
		s.known.versions[plugin] = diff
	}
	return diff
}

// changedFiles is the baseline's changedFiles, once for each text of a package.
func (s *scan) changedFiles(u *source.Unit) (changed []string, reworded bool) {
	d := s.known
	if d.baseline != s.baseline {
		d.baseline = s.baseline
		clear(d.compared)
	}
	path := u.Package.ImportPath
	c, ok := d.compared[path]
	if !ok || c.unit != u {
		c = comparison{unit: u}
		c.changed, c.reworded = s.baseline.changedFiles(u)
		d.compared[path] = c
	}
	return c.changed, c.reworded
}
