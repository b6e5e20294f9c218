package choose

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # Plugins of which something was loaded
//
// A patch of a plugin replaces functions of one generation, and hosts of one binary
// may run several: what differs from the sources is planned for each. A plan is
// asked for only where the sources are neither what serves nor what the generation
// was built from, so that an edit elsewhere costs nothing.
//
// The generation's own code comes back by a rollback and is loaded no second time.
// A swap is the better way also where a patch would leave a part of the edit
// undone: the initial value of a variable that starts anew with each generation. What
// keeps its value keeps it either way.

// Base is a loaded generation whose functions can be replaced: the one that serves,
// or where that is a patch, the one that it is a patch of. The zero Base stands for
// the built-in.
type Base struct {
	Generation int
	Key        string
}

// Back says why a patch of the generation is taken away.
func (b Base) Back() string { return fmt.Sprintf("back to the code of generation %d", b.Generation) }

// Loaded names a generation that some host runs, whatever its number is there.
type Loaded struct{ Plugin, Key string }

// GenerationPatch is what a patch of a loaded generation does for the sources.
type GenerationPatch struct {
	Plan *builder.PatchPlan
	Err  error // why there is none
}

// PlanGenerations calls plan for each generation that hosts run and that the
// sources may have to be compared with, once, and keeps the answers in
// src.Generations. Of a plugin that does not compile there is no plan of a swap
// either: it moves to the errors of the snapshot, which is replaced by a copy.
func (src *Sources) PlanGenerations(hosts []Host, plan func(p builder.Plugin, key string) (*builder.PatchPlan, error)) {
	src.Generations = map[Loaded]GenerationPatch{}
	for i, p := range src.Plugins {
		for _, h := range hosts {
			id := Loaded{p.Name, h.Bases[p.Name].Key}
			if _, known := src.Generations[id]; known || !src.compares(h, i) {
				continue
			}
			g := GenerationPatch{}
			if g.Plan, g.Err = plan(p, id.Key); isBuildError(g.Err) {
				src.Snapshot = without(src.Snapshot, i, p.Name, g.Err)
				break
			}
			src.Generations[id] = g
		}
	}
}

// compares reports whether the way of a plugin in a host depends on how the sources
// differ from the generation there.
func (src *Sources) compares(h Host, i int) bool {
	name, plan := src.Plugins[i].Name, src.Snapshot.Plans[i]
	return src.Mode != Swap && h.Live[name] > 0 && plan != nil && plan.Key != h.Keys[name] && plan.Key != h.Bases[name].Key
}

// without gives a snapshot in which a plugin has an error in place of its plan.
func without(snap *builder.Snapshot, i int, plugin string, err error) *builder.Snapshot {
	s := *snap
	s.Plans, s.Errors = slices.Clone(snap.Plans), maps.Clone(snap.Errors)
	if s.Errors == nil {
		s.Errors = map[string]error{}
	}
	s.Plans[i], s.Errors[plugin] = nil, err
	return &s
}

// loaded decides about a plugin of which a generation serves.
func (d *Decision) loaded(src Sources, h Host, i int) {
	name, plan := src.Plugins[i].Name, src.Snapshot.Plans[i]
	base := h.Bases[name]
	d.Bases[name] = base
	switch {
	case plan == nil: // the snapshot says why
		d.Plugins[name] = Stay
		return
	case plan.Key == h.Keys[name]:
		if d.Plugins[name] = BySwap; src.Mode == Patch {
			d.Plugins[name] = Stay
		}
		return
	case plan.Key == base.Key:
		d.Plugins[name] = ToBase
		return
	}
	g, planned := src.Generations[Loaded{name, base.Key}]
	if !planned {
		d.Again = true
		return
	}
	refusal := refusalOfLoaded(src.Mode, name, g)
	if refusal == nil && g.Plan.Verdict == builder.CanPatch {
		refusal = h.Refusals[name]
	}
	switch {
	case refusal != nil && src.Mode == Patch:
		d.Plugins[name] = Refused
		d.Refusals = append(d.Refusals, refusal.of(name))
	case refusal != nil:
		d.Plugins[name], d.Instead[name] = BySwap, refusal
	case g.Plan.Verdict == builder.CanPatch:
		d.Plugins[name], d.Patches[name] = InPlace, g.Plan
	case h.Keys[name] != base.Key: // other sources of the same code
		d.Plugins[name], d.Kept[name] = ToBase, g.Plan.Findings
	default:
		d.Plugins[name], d.Kept[name] = Stay, g.Plan.Findings
	}
}

// refusalOfLoaded says why a patch of a generation cannot be made, or is not the
// better way; nil where it is, or where there is nothing to patch.
func refusalOfLoaded(mode Mode, plugin string, g GenerationPatch) *RefusedError {
	if c, ok := errors.AsType[*builder.ConflictError](g.Err); ok {
		return fromConflict(plugin, c)
	}
	switch {
	case g.Err != nil:
		return &RefusedError{Unit: plugin, Message: g.Err.Error(), Err: g.Err, Next: "hotgo push --mode swap " + plugin}
	case g.Plan.Verdict == builder.MustRestart:
		return FromPlan(g.Plan)
	case mode == Auto:
		return keepsValues(g.Plan)
	}
	return nil
}

// keepsValues says which variables' initial values a patch would leave as they were,
// and a new generation would have.
func keepsValues(p *builder.PatchPlan) *RefusedError {
	e := &RefusedError{
		Unit: p.Name, Message: "a patch of " + p.Name + " would be a part of the edit",
		Limit: "variables keep their values when functions are replaced", Next: "hotgo push --mode swap " + p.Name,
	}
	for _, f := range p.Findings {
		what := map[string]string{ruleInitialiser: "the initialiser of %s changed", ruleEmbed: "what is embedded in %s changed"}[f.Code]
		if what != "" && f.Fresh {
			f.Text, f.Refuse = fmt.Sprintf(what, f.Symbol)+", and a patch keeps the value that it has", true
			e.Findings = append(e.Findings, f)
		}
	}
	if len(e.Findings) == 0 {
		return nil
	}
	return e
}

// BasesOf gives the generations of a plugin by their numbers, each as what it is, or
// is a patch of.
func BasesOf(p control.Plugin) map[int]Base {
	keys := map[int]string{}
	for _, g := range p.Generations {
		keys[g.Generation] = g.Key
	}
	bases := map[int]Base{}
	for _, g := range p.Generations {
		b := Base{g.Generation, g.Key}
		if g.Patch {
			b = Base{g.Base, keys[g.Base]}
		}
		bases[g.Generation] = b
	}
	return bases
}
