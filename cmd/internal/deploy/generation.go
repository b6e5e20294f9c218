package deploy

import (
	"context"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// generation is a loaded generation of a plugin, and the patch that would bring it
// to the sources.
type generation struct {
	patch *builder.PatchPlan
	err   error
}

// base gives the generation of a plugin that a patch is made for: the one that
// serves, or where that is a patch, what it replaces functions of. Its Generation
// is 0 where nothing was loaded.
func base(st control.Status, plugin string) control.Generation {
	serves := hosts.Live(st, plugin)
	if !serves.Patch {
		return serves
	}
	for _, p := range st.Plugins {
		if p.Name != plugin || p.Kind == control.KindHost {
			continue
		}
		for _, g := range p.Generations {
			if g.Generation == serves.Base {
				return g
			}
		}
	}
	return control.Generation{}
}

// planGenerations plans patches of what was loaded, for users who want nothing but
// patches. Otherwise a generation is swapped.
func (b *binary) planGenerations(ctx context.Context, src Sources, host builder.Host, same []control.Status) {
	if b.Mode != choose.Patch || src.PlanGenerationPatch == nil {
		return
	}
	b.generations = map[string]*generation{}
	for _, st := range same {
		for _, p := range b.Plugins {
			g := base(st, p.Name)
			if g.Generation == 0 || b.generations[p.Name+" "+g.Key] != nil {
				continue
			}
			x := new(generation)
			x.patch, x.err = src.PlanGenerationPatch(ctx, host, p, b.Plugins, g.Key)
			if x.err == nil {
				x.err = x.patch.Err()
			}
			b.generations[p.Name+" "+g.Key] = x
		}
	}
}

// generation gives what was planned for the generation of a plugin that a host
// runs, nil where nothing was.
func (b *binary) generation(st control.Status, plugin string) *generation {
	return b.generations[plugin+" "+base(st, plugin).Key]
}

// generationChange is pluginChange for a loaded generation that may only be patched.
func (b *binary) generationChange(st control.Status, g *generation, i int, add func(control.Status, choose.Way, Change)) {
	name, plan := b.Plugins[i].Name, b.Snapshot.Plans[i]
	switch {
	case g.err != nil:
		add(st, choose.Refused, Change{Plugin: name, Err: g.err})
	case g.patch.Verdict == builder.CanPatch:
		add(st, choose.BySwap, Change{Plugin: name, Patch: g.patch, Artifact: g.patch.Cached})
	case hosts.Live(st, name).Patch && plan != nil: // what was loaded is right again
		add(st, choose.BySwap, Change{Plugin: name, Plan: plan, Artifact: plan.Cached})
	default:
		add(st, choose.Stay, Change{Plugin: name})
	}
}
