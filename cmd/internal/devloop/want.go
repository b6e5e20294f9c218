package devloop

import (
	"cmp"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// want is what the sources ask for: the next generation of a plugin, a patch of a
// loaded one, or one of the host's own code.
type want struct {
	slot     string // plugin, or ownCode
	base     string // key of the generation that is patched
	version  string // of the plugin's sources, where it is a patch; see settles
	plan     *builder.Plan
	patch    *builder.PatchPlan // plan then says what they have in common
	since    time.Time          // the last file event of the edit
	phases   control.Phases
	artifact *builder.Artifact // once built
}

// id names what is wanted within its group.
func (w *want) id() string { return wantID(w.slot, w.base) }

// settles gives the version that comes to an end where this is loaded.
func (w *want) settles() string {
	if w.base != "" {
		return w.version
	}
	return w.plan.Key
}

// wantID names what is wanted of a plugin for a generation with this key, or with
// "" of a plugin or ownCode as such. Names of plugins have no spaces.
func wantID(slot, base string) string {
	if base == "" {
		return slot
	}
	return slot + " " + base
}

// after starts the clock of what is wanted: that of the edit that made it.
func (w *want) after(old *want, req planRequest) *want {
	if w.since = req.since; w.since.IsZero() {
		w.since = req.start
	} else {
		w.phases.Detect = ms(req.start.Sub(w.since))
	}
	if old != nil && old.plan.Key == w.plan.Key {
		// The same version: the clock of the edit that made it keeps running.
		w.since, w.phases = old.since, old.phases
		if old.artifact != nil {
			w.artifact = old.artifact
		}
	}
	return w
}

// commonPlan gives what a patch and a plan of a new generation have in common.
func commonPlan(p *builder.PatchPlan) *builder.Plan {
	return &builder.Plan{Plugin: builder.Plugin{Name: p.Name}, Host: p.Host, Key: p.Key, Link: "thin", Cached: p.Cached}
}

// drop forgets what is wanted of a plugin, or of its patches alone, and gives it.
func (g *group) drop(slot string, patches bool) map[string]*want {
	dropped := map[string]*want{}
	for id, w := range g.want {
		if w.slot == slot && (w.base != "" || !patches) {
			dropped[id] = w
			delete(g.want, id)
		}
	}
	return dropped
}

// wanted lists what is wanted: the host's own code, and the plugins in the order
// of the snapshot's.
func (g *group) wanted() []string {
	var ids []string
	if g.want[ownCode] != nil {
		ids = append(ids, ownCode)
	}
	for _, p := range g.plugins {
		ids = append(ids, g.wantedOf(p.Name)...)
	}
	return ids
}

// byBase orders what is wanted of one plugin.
func byBase(a, b *want) int { return cmp.Compare(a.base, b.base) }

// wantedOf lists what is wanted of a plugin: its next generation, then patches.
func (g *group) wantedOf(plugin string) []string {
	var list []*want
	for _, w := range g.want {
		if w.slot == plugin {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, byBase)
	var ids []string
	for _, w := range list {
		ids = append(ids, w.id())
	}
	return ids
}
