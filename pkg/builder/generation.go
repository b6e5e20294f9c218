package builder

import (
	"encoding/json"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// # What a generation was built from
//
// A patch of a plugin is the difference to the generation that is live, so the
// builder keeps what each artifact was built from, by key: the texts of the
// plugin's own packages. The key covers them, and so no one has to check them.
// Of everything else that the key covers it keeps hashes: a patch has own
// packages and nothing else.

// generation is what an artifact was built from.
type generation struct {
	baseline                   // of the private packages; BuildID is the key
	Settings string            `json:"settings"` // hash of toolchain, flags, environment
	Others   map[string]string `json:"others"`   // import path -> hash of what the package is, beside private files
}

// newGeneration takes a plan for what its artifact is built from.
func newGeneration(p *Plan) *generation {
	in := p.inputs
	g := &generation{
		baseline: *newBaseline(p.Key, p.private), Others: map[string]string{},
		Settings: digest.Key(digest.Inputs{Plugin: in.Plugin, ImportPath: in.ImportPath, Env: in.Env, Flags: in.Flags, Profile: in.Profile}),
	}
	for _, pkg := range in.Packages {
		if pkg.Role == digest.Private {
			pkg = digest.Package{ImportPath: pkg.ImportPath, Role: pkg.Role, Dir: pkg.Dir, GoVersion: pkg.GoVersion}
		}
		g.Others[pkg.ImportPath] = digest.Key(digest.Inputs{Packages: []digest.Package{pkg}})
	}
	return g
}

// others lists what differs between two generations beside the files of private
// packages, as far as both have it.
func (g *generation) others(now *generation) []string {
	var list []string
	for path, hash := range now.Others {
		if was, ok := g.Others[path]; ok && was != hash {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// exports gives the exported functions and variables of a package.
func (g *generation) exports(path string) (funcs, vars []string) {
	var files [][]byte
	for _, f := range g.sources(path) {
		files = append(files, f.data)
	}
	return source.Exported(files)
}

// sources gives the Go files of a private package, as the user had them.
func (g *generation) sources(path string) []goSource {
	return g.goFiles(path, nil)
}

func generationName(key string) string { return "generation-" + key }

// maxGenerations bounds how many of them a builder has in memory.
const maxGenerations = 32

// generationOf gives what an artifact was built from, nil where that is not
// known.
func (b *Builder) generationOf(key string) *generation {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.generations[key]; g != nil {
		return g
	}
	data, err := b.store.Recall(generationName(key))
	if err != nil {
		return nil
	}
	g := new(generation)
	if json.Unmarshal(data, g) != nil || g.BuildID != key {
		return nil
	}
	b.keepGeneration(g)
	return g
}

// rememberGeneration keeps what a plan's artifact is built from, in the store
// too: patches may be built by another process.
func (b *Builder) rememberGeneration(p *Plan) {
	if b.generationOf(p.Key) != nil {
		return
	}
	g := newGeneration(p)
	b.mu.Lock()
	b.keepGeneration(g)
	b.mu.Unlock()
	data, err := json.Marshal(g)
	if err == nil {
		err = b.store.Remember(generationName(p.Key), data)
	}
	if err != nil {
		b.log.Warn("keep what a generation was built from", "plugin", p.Plugin.Name, "err", err)
	}
}

// keepGeneration keeps g in memory. b.mu is held.
func (b *Builder) keepGeneration(g *generation) {
	if len(b.generations) >= maxGenerations {
		clear(b.generations)
	}
	b.generations[g.BuildID] = g
}
