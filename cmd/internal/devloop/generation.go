package devloop

import (
	"errors"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # Patches of loaded generations
//
// Hosts of one binary may run several generations of a plugin, and a patch fits
// one of them. So beside the plugin's next generation there may be several patches
// wanted, one for each generation that some host runs, and each host takes what
// fits it.
//
// What comes to an end in a host is a version of the sources, however it was to get
// there. Otherwise a rollback to another generation, for which the same sources make
// another patch, would not last longer than to the next look.

// base gives the generation that serves, or that what serves is a patch of.
func (s *slot) base() choose.Base { return s.bases[s.generation] }

// became takes note of what serves since a load or a rollback.
func (s *slot) became(key string, generation int, base choose.Base) {
	s.live, s.generation = key, generation
	if s.bases == nil {
		s.bases = map[int]choose.Base{}
	}
	if generation > 0 && s.bases[generation] == (choose.Base{}) {
		s.bases[generation] = base
	}
}

// patchesOf takes over the patches that the hosts of a binary want of a plugin, and
// takes away those that are too many. It reports whether the user hears about the
// edit.
func (l *Loop) patchesOf(g *group, plan *builder.Plan, pg *planGroup, req planRequest) (answered bool) {
	name := plan.Plugin.Name
	old := g.drop(name, true)
	touched := l.touched(g, name, req)
	for _, h := range l.members(g) {
		s, base := h.slot(name), h.decision.Bases[name]
		switch h.decision.Plugins[name] {
		case choose.InPlace:
			p := h.decision.Patches[name]
			id := wantID(name, base.Key)
			w := g.want[id]
			if w == nil {
				w = &want{slot: name, base: base.Key, version: plan.Key, patch: p, artifact: p.Cached, plan: commonPlan(p)}
				w.phases.Compile = ms(p.Compile)
				w.phases.Plan = max(0, ms(pg.elapsed-p.Compile))
				g.want[id] = w.after(old[id], req)
			}
			answered = l.settle(h, w, touched, req) || answered
		case choose.ToBase:
			if s.loading || s.settled == plan.Key {
				continue // the user has rolled forward
			}
			s.settled, s.failure = plan.Key, nil
			l.rollbackTo(h, name, &base.Generation, backTo{base.Back(), choose.Findings(h.decision.Kept[name])}, req.since)
			answered = true
		}
	}
	return answered
}

// sourcesChanged reports whether files changed while they were looked at.
func (pg *planGroup) sourcesChanged() bool {
	errs := []error{pg.err, pg.patchErr}
	for _, p := range pg.generations {
		errs = append(errs, p.Err)
	}
	_, changed := errors.AsType[*builder.ChangedError](errors.Join(errs...))
	return changed
}

// decide chooses for the hosts of a binary. It reports whether they run what the
// sources were compared with; otherwise nothing is decided.
func (l *Loop) decide(g *group, pg *planGroup) bool {
	members := l.members(g)
	decisions := make([]choose.Decision, len(members))
	for i, h := range members {
		if decisions[i] = choose.Decide(pg.sources(), h.standing(pg)); decisions[i].Again {
			return false
		}
	}
	for i, h := range members {
		h.looked, h.decision = true, decisions[i]
	}
	return true
}

// overtaken looks again where what was on its way when the sources were looked at has
// arrived, and they are now to be brought there another way: a patch was to be made of
// a generation that no longer serves, or to be taken away.
func (l *Loop) overtaken(h *host, slot string, before choose.Base) {
	s := h.slot(slot)
	switch way := h.decision.Plugins[slot]; {
	case slot == ownCode && h.decision.Own == choose.Original && s.generation > 0:
	case way == choose.ToBase && s.live != s.base().Key:
	case way == choose.InPlace && s.base() != before:
	default:
		return
	}
	l.look = true
	if w := h.group.want[wantID(slot, before.Key)]; w != nil && l.since.IsZero() {
		l.since = w.since
	}
}

// refusedPatches gives what a host did not take, of what is planned for it.
func (h *host) refusedPatches(pg *planGroup) map[string]*choose.RefusedError {
	refusals := map[string]*choose.RefusedError{}
	for name, s := range h.slots {
		g := pg.generations[choose.Loaded{Plugin: name, Key: s.base().Key}]
		if g.Plan != nil && g.Plan.Key != "" && g.Plan.Key == s.refused {
			refusals[name] = s.refusal
		}
	}
	return refusals
}

// update takes over what a host says of a plugin.
func (s *slot) update(p control.Plugin) {
	s.live, s.generation, s.builtin, s.bases = "", p.Live, hasBuiltin(p), choose.BasesOf(p)
	for _, g := range p.Generations {
		if g.Generation == p.Live {
			s.live = g.Key
		}
	}
}
