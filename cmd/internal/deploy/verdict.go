package deploy

import (
	"context"
	"errors"
	"slices"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Verdict is what the sources mean for one host. Nothing has been done.
type Verdict struct {
	choose.Decision
	Host  control.Status     // Executable alone for a binary that does not run
	Patch *builder.PatchPlan // of the host's own code, nil where nothing of it that runs differs
	// Differ has the plugins that differ and are no part of that patch.
	Differ []PluginVerdict
	// Uncompared is why the host's own code was not compared, nil where it was.
	Uncompared error
	Err        error // why there is no verdict: sources that do not compile, or nothing to compare
}

// PluginVerdict is a plugin that would be swapped, or patched as it was loaded.
type PluginVerdict struct {
	Plugin  string
	Way     choose.Way // BySwap, InPlace or ToBase
	Key     string
	Patch   *builder.PatchPlan   // where the way is InPlace
	Base    choose.Base          // what is patched
	Live    bool                 // it is what serves already
	Instead *choose.RefusedError // why it is no patch
	State   *builder.StatePlan   // where the way is BySwap, and Sources.PlanState was asked
	Err     error                // why there is no way
}

// Verdicts compares the sources with running hosts.
//
// Errors: those of Find and of ctx.
func Verdicts(ctx context.Context, src Sources, all []control.Status) ([]Verdict, error) {
	plugins, err := src.Find(ctx, hosts.Names(all))
	if err != nil {
		return nil, err
	}
	var verdicts []Verdict
	for _, same := range byBinary(all) {
		b := &binary{own: true, always: true}
		b.Mode = src.Mode
		for _, p := range plugins {
			if len(holders(same, p.Name)) > 0 {
				b.Plugins = append(b.Plugins, p)
			}
		}
		if err := b.plan(ctx, src, same); err != nil {
			return nil, err
		}
		for _, st := range same {
			v := b.verdict(st, false)
			if err := b.foresee(ctx, src, &v); err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// Compare compares the sources with a binary that need not run.
func Compare(ctx context.Context, src Sources, host builder.Host) (Verdict, error) {
	plugins, err := src.Find(ctx, nil)
	if err != nil {
		return Verdict{}, err
	}
	b := &binary{own: true, always: true}
	b.Mode, b.Plugins = src.Mode, plugins
	st := control.Status{Executable: host.Binary}
	src.Binary = func(control.Status) (string, error) { return host.Binary, nil }
	if err := b.plan(ctx, src, []control.Status{st}); err != nil {
		return Verdict{}, err
	}
	if b.Patch != nil {
		st.Package = b.Patch.Name
	}
	v := b.verdict(st, true)
	return v, b.foresee(ctx, src, &v)
}

// foresee adds to a verdict what becomes of state where a swap is the way, and that
// there is none where the process would refuse it. Hosts in which the same serves share
// the answer. Errors are those of ctx: others are the verdict's.
func (b *binary) foresee(ctx context.Context, src Sources, v *Verdict) error {
	if src.PlanState == nil || v.Err != nil {
		return nil
	}
	bases := choose.HostOf(v.Host).Bases
	for i := range v.Differ {
		d := &v.Differ[i]
		at := slices.IndexFunc(b.Plugins, func(p builder.Plugin) bool { return p.Name == d.Plugin })
		if d.Way != choose.BySwap || d.Err != nil || at < 0 {
			continue
		}
		id := choose.Loaded{Plugin: d.Plugin, Key: bases[d.Plugin].Key}
		if b.states[id] == nil {
			plan, err := src.PlanState(ctx, b.host, b.Plugins[at], b.Plugins, id.Key)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil:
				v.Err = err
				return nil
			case b.states == nil:
				b.states = map[choose.Loaded]*builder.StatePlan{}
			}
			b.states[id] = plan
		}
		d.State = b.states[id]
		d.Err = d.State.Err()
	}
	return nil
}

// verdict decides for one host. A plugin may be swapped only because the host may
// be older than the sources; of a file that does not run that says nothing.
func (b *binary) verdict(st control.Status, file bool) Verdict {
	v := Verdict{Host: st, Patch: b.Patch, Err: b.err}
	if v.Err != nil {
		return v
	}
	if _, conflict := errors.AsType[*builder.ConflictError](b.PatchErr); b.PatchErr != nil && !conflict {
		v.Err = b.PatchErr
		return v
	}
	v.Uncompared = b.PatchErr
	v.Decision = b.decide(st, nil, nil)
	if b.dead(st) {
		v.Patch = nil
	}
	for i, p := range b.Plugins {
		plan, err := b.Snapshot.Plans[i], b.Snapshot.Errors[p.Name]
		switch way := v.Plugins[p.Name]; {
		case plan == nil && (way == choose.ByPatch || b.told(err, v.Decision)):
		case plan == nil:
			if _, broken := errors.AsType[*builder.BuildError](err); broken {
				v.Err = err
				return v
			}
			v.Differ = append(v.Differ, PluginVerdict{Plugin: p.Name, Err: err})
		case way == choose.InPlace:
			patch := v.Patches[p.Name]
			v.Differ = append(v.Differ, PluginVerdict{
				Plugin: p.Name, Way: way, Key: patch.Key, Patch: patch, Base: v.Bases[p.Name], Live: patch.Key == hosts.Live(st, p.Name).Key,
			})
		case way == choose.ToBase:
			v.Differ = append(v.Differ, PluginVerdict{Plugin: p.Name, Way: way, Key: v.Bases[p.Name].Key, Base: v.Bases[p.Name]})
		case way != choose.BySwap, plan.Key == hosts.Live(st, p.Name).Key:
		case file && !b.changed(i):
		default:
			v.Differ = append(v.Differ, PluginVerdict{Plugin: p.Name, Way: way, Key: plan.Key, Instead: v.Instead[p.Name]})
		}
	}
	if file && len(v.Differ) == 0 && len(v.Refusals) == 0 {
		v.Err = v.Uncompared // nothing was compared at all
	}
	return v
}

// dead reports whether all that differs in a host's own code are plugins of which a
// generation serves.
func (b *binary) dead(st control.Status) bool {
	return b.Patch != nil && len(b.Patch.Packages) > 0 && !slices.ContainsFunc(b.Patch.Packages, func(pkg string) bool {
		dead := false
		for i, p := range b.Plugins {
			if plan := b.Snapshot.Plans[i]; plan != nil && slices.Contains(plan.Private, pkg) {
				if hosts.Live(st, p.Name).Generation == 0 {
					return true
				}
				dead = true
			}
		}
		return !dead
	})
}
