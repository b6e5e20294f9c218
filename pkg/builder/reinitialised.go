package builder

import (
	"context"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
)

// Reinitialised gives the package variables of a plugin that two binaries of a host
// initialise in different ways, by import path and name, sorted. They keep their values
// while a process lives, and when state goes on in another process it is for the new
// initialisers to say what they are. A variable that one of the binaries lacks is none of
// them. plugins are all that the host may load. Nothing is compiled.
//
// Errors: of files. Where it is not known what a binary was built from there are none.
func (b *Builder) Reinitialised(ctx context.Context, before, after Host, plugin Plugin, plugins []Plugin) ([]string, error) {
	t, err := b.resolve(before)
	if err != nil {
		return nil, err
	}
	old := b.baselineOf(t.buildID())
	s, leave, err := b.scan(ctx, after, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	if old == nil || s.baseline == nil {
		return nil, nil
	}
	var names []string
	private, _ := s.graphBefore().Split(plugin.ImportPath, s.host, s.pluginPaths, s.target.has())
	for _, path := range private {
		was, err := old.declared(path)
		if err != nil {
			return nil, err
		}
		now, err := s.baseline.declared(path)
		if err != nil {
			return nil, err
		}
		for name, v := range now.Vars {
			if o := was.Vars[name]; o != nil && o.Init != v.Init {
				names = append(names, path+name[len(now.Prefix):])
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// declared gives what a package declares.
func (bl *baseline) declared(path string) (*funcdiff.Declarations, error) {
	var files []funcdiff.Source
	for _, f := range bl.goFiles(path, nil) {
		files = append(files, funcdiff.Source{Name: f.name, Data: f.original()})
	}
	return funcdiff.Declare(path, files)
}
