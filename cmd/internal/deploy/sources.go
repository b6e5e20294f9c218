package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Sources finds and plans what is to be pushed.
type Sources struct {
	Mode  choose.Mode
	Named bool // Find gives what the user named, and nothing else may change
	// Find gives the plugins to push; names are those that the hosts hold.
	Find      func(ctx context.Context, names []string) ([]builder.Plugin, error)
	Snapshot  func(ctx context.Context, host builder.Host, plugins []builder.Plugin) (*builder.Snapshot, error)
	PlanPatch func(ctx context.Context, host builder.Host, plugins []builder.Plugin) (*builder.PatchPlan, error)
	// Binary gives a file that is what a host runs; nil is hosts.FindBinary.
	Binary func(control.Status) (string, error)
	// PlanGenerationPatch plans a patch of what was loaded: the generation of a
	// plugin that has the key.
	PlanGenerationPatch func(ctx context.Context, host builder.Host, plugin builder.Plugin, plugins []builder.Plugin, key string) (*builder.PatchPlan, error)
	// PlanState says what a swap would make of a plugin's variables, where the
	// generation that has the key serves, or the built-in; nil does not ask. Verdicts
	// do, and nothing that loads anything.
	PlanState func(ctx context.Context, host builder.Host, plugin builder.Plugin, plugins []builder.Plugin, key string) (*builder.StatePlan, error)
}

// binary is what the sources ask of the processes that run one binary.
type binary struct {
	choose.Sources
	named    bool // the user named plugins
	own      bool // the user named the hosts' own code, or nothing
	targeted bool
	always   bool  // plan a patch also where it seems that there is nothing to patch
	err      error // why there is no snapshot
	host     builder.Host
	states   map[choose.Loaded]*builder.StatePlan // of swaps, by what serves
}

// FromSources plans every plugin, and the hosts' own code, for every binary that
// hosts run.
//
// Errors: those of Find; *NoHolderError where no host holds any of them. What
// is wrong with one binary or plugin is in Change.Err.
func FromSources(ctx context.Context, src Sources, all []control.Status, targeted bool) ([]*Change, error) {
	plugins, err := src.Find(ctx, hosts.Names(all))
	if err != nil {
		return nil, err
	}
	var changes []*Change
	for _, same := range byBinary(all) {
		b := &binary{named: src.Named, own: !src.Named, targeted: targeted}
		b.Mode = src.Mode
		for _, p := range plugins {
			switch {
			case src.Named && p.ImportPath == same[0].Package:
				b.own = true
			case targeted || len(holders(same, p.Name)) > 0:
				b.Plugins = append(b.Plugins, p)
			}
		}
		if b.own = b.own && src.Mode != choose.Swap; !b.own && len(b.Plugins) == 0 {
			continue
		}
		if err := b.plan(ctx, src, same); err != nil {
			return nil, err
		}
		changes = append(changes, b.changes(same)...)
	}
	if len(changes) == 0 {
		e := &NoHolderError{Hosts: all}
		for _, p := range plugins {
			e.Plugins = append(e.Plugins, p.Name)
		}
		return nil, e
	}
	return changes, nil
}

// plan asks the builder. Errors are those of ctx: what is wrong with the sources is
// kept.
func (b *binary) plan(ctx context.Context, src Sources, same []control.Status) error {
	if src.Binary == nil {
		src.Binary = func(st control.Status) (string, error) { return hosts.FindBinary(st) }
	}
	if b.host.Binary, b.err = src.Binary(same[0]); b.err != nil {
		return nil
	}
	host := b.host
	snap, err := src.Snapshot(ctx, host, b.Plugins)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.Snapshot, b.err = snap, err; err != nil {
		return nil
	}
	var standing []choose.Host
	for _, st := range same {
		standing = append(standing, choose.HostOf(st))
	}
	if b.Mode != choose.Swap && (b.always || b.own || choose.NeedsPatch(b.Sources, standing)) {
		b.Patch, b.PatchErr = src.PlanPatch(ctx, host, b.Plugins)
	}
	b.PlanGenerations(standing, func(p builder.Plugin, key string) (*builder.PatchPlan, error) {
		return src.PlanGenerationPatch(ctx, host, p, b.Plugins, key)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// changes says what goes into hosts of the binary.
func (b *binary) changes(same []control.Status) []*Change { return b.changesAfter(same, nil, nil) }

// changesAfter is changes once a host did not take refused, for the reason why.
func (b *binary) changesAfter(same []control.Status, refused *Change, why *choose.RefusedError) []*Change {
	var list []*Change
	at := map[string]*Change{} // by plugin, way and generation
	said := 0                  // of the host in question
	add := func(st control.Status, way choose.Way, c Change) {
		id := fmt.Sprint(c.Plugin, " ", way, " ", c.Base)
		if way == choose.InPlace { // whatever its number is there
			id = fmt.Sprint(c.Plugin, " ", way, " ", c.Base.Key)
		}
		if at[id] == nil {
			c.Way, c.binary = way, b
			at[id] = &c
			list = append(list, &c)
		}
		at[id].Hosts = append(at[id].Hosts, st)
		said++
	}
	for _, st := range same {
		if b.err != nil {
			b.failed(st, add)
			continue
		}
		d := b.decide(st, refused, why)
		said = 0
		b.ownChange(st, d, add)
		for i, p := range b.Plugins {
			if b.targeted || hosts.Holds(st, p.Name) {
				b.pluginChange(st, d, i, add)
			}
		}
		if b.own && said == 0 && d.Own == choose.Stay {
			add(st, choose.Stay, Change{Plugin: d.Unit, Notes: b.doubt(d)})
		}
	}
	return list
}

// failed gives every plugin the same error.
func (b *binary) failed(st control.Status, add func(control.Status, choose.Way, Change)) {
	for _, p := range b.Plugins {
		if b.targeted || hosts.Holds(st, p.Name) {
			add(st, choose.Refused, Change{Plugin: p.Name, Err: b.err})
		}
	}
	if len(b.Plugins) == 0 {
		add(st, choose.Refused, Change{Plugin: choose.UnitName(st.Package), Err: b.err})
	}
}

// decide chooses for one host; refused and why are as for changesAfter. Somebody who
// names a plugin means that plugin: what else a patch would bring keeps it from being
// one.
func (b *binary) decide(st control.Status, refused *Change, why *choose.RefusedError) choose.Decision {
	h := choose.HostOf(st)
	switch {
	case refused == nil:
	case refused.Way == choose.InPlace:
		h.Refusals = map[string]*choose.RefusedError{refused.Plugin: why}
	default:
		h.Refusal = why
	}
	if more := b.more(); len(more) > 0 && h.Refusal == nil {
		h.Refusal = &choose.RefusedError{
			Unit:    choose.UnitName(h.Package),
			Message: "a patch would bring more than what was named: " + strings.Join(more, ", "),
			Next:    "hotgo push",
		}
	}
	return choose.Decide(b.Sources, h)
}

// more lists what a patch holds beside the plugins that were named.
func (b *binary) more() []string {
	if b.Patch == nil || b.own || !b.named {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.Patch.Packages), func(pkg string) bool {
		return slices.ContainsFunc(b.Snapshot.Plans, func(p *builder.Plan) bool {
			return p != nil && slices.Contains(p.Private, pkg)
		})
	})
}

// doubt says that nothing differs from what is only taken for the host's sources.
func (b *binary) doubt(d choose.Decision) []builder.Finding {
	if b.Patch == nil || !b.Patch.Assumed || len(b.Patch.Packages) > 0 {
		return nil
	}
	return []builder.Finding{Doubt(d.Unit)}
}

// Doubt is the entry of the catalogue for a host of which nobody wrote down what it
// was built from.
func Doubt(unit string) builder.Finding {
	return builder.Finding{
		Code: choose.RuleDrift, Symbol: unit,
		Text: "nobody wrote down what " + unit + " was built from; it was taken to be these sources",
	}
}

func (b *binary) ownChange(st control.Status, d choose.Decision, add func(control.Status, choose.Way, Change)) {
	_, conflict := errors.AsType[*builder.ConflictError](b.PatchErr)
	switch {
	case b.PatchErr != nil && !conflict:
		if b.own || len(b.Plugins) == 0 {
			add(st, choose.Refused, Change{Plugin: d.Unit, Err: b.PatchErr})
		}
	case d.Own == choose.ByPatch:
		add(st, d.Own, Change{Plugin: d.Unit, Patch: b.Patch, Artifact: b.Patch.Cached, Notes: d.Notes})
	case d.Own == choose.Original && b.own:
		add(st, d.Own, Change{Plugin: d.Unit})
	}
	for _, r := range d.Refusals {
		if r.Unit != d.Unit || b.own {
			add(st, choose.Refused, Change{Plugin: r.Unit, Err: r})
		}
	}
}

func (b *binary) pluginChange(st control.Status, d choose.Decision, i int, add func(control.Status, choose.Way, Change)) {
	name, plan := b.Plugins[i].Name, b.Snapshot.Plans[i]
	err := b.Snapshot.Errors[name]
	base := d.Bases[name]
	switch way := d.Plugins[name]; {
	case way == choose.ByPatch || way == choose.Refused: // told with the host
	case plan == nil && b.told(err, d):
	case plan == nil:
		add(st, choose.Refused, Change{Plugin: name, Err: err})
	case way == choose.InPlace:
		add(st, way, Change{Plugin: name, Patch: d.Patches[name], Artifact: d.Patches[name].Cached, Base: base})
	case way == choose.ToBase:
		add(st, way, Change{Plugin: name, Base: base, Notes: d.Kept[name]})
	case way == choose.BySwap:
		add(st, way, Change{Plugin: name, Plan: plan, Artifact: plan.Cached, Instead: d.Instead[name]})
	case b.named || base.Generation > 0:
		add(st, way, Change{Plugin: name, Notes: d.Kept[name]})
	}
}

// told reports whether what is wrong with a plugin is being patched in the host, or
// was said of it.
func (b *binary) told(err error, d choose.Decision) bool {
	if b.Mode == choose.Swap {
		return false
	}
	if choose.IsShared(err) {
		return d.Own == choose.ByPatch || d.Own == choose.Refused && b.own
	}
	return b.own && sameBuild(err, b.PatchErr)
}

// sameBuild reports whether two errors are about sources that do not build: the
// host's are the plugin's too.
func sameBuild(a, b error) bool {
	_, first := errors.AsType[*builder.BuildError](a)
	_, second := errors.AsType[*builder.BuildError](b)
	return first && second
}

func (b *binary) changed(i int) bool {
	return b.Patch != nil && slices.ContainsFunc(b.Patch.Packages, func(pkg string) bool {
		return slices.Contains(b.Snapshot.Plans[i].Private, pkg)
	})
}

// byBinary groups hosts by what they run, in the order found.
func byBinary(all []control.Status) [][]control.Status {
	var groups [][]control.Status
	index := map[string]int{}
	for _, st := range all {
		id := st.BuildID
		if id == "" {
			id = st.Executable
		}
		if i, ok := index[id]; ok {
			groups[i] = append(groups[i], st)
			continue
		}
		index[id] = len(groups)
		groups = append(groups, []control.Status{st})
	}
	return groups
}
