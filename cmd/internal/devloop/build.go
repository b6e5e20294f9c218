package devloop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// deathLimit is how many hosts may end while they load one version of a plugin
// before it is left alone: a host that its supervisor restarts would otherwise
// die of it for ever.
const deathLimit = 2

// building is the build that runs.
type building struct {
	group  *group
	slot   string // of what is wanted
	base   string
	name   string
	key    string
	cancel context.CancelFunc
}

// reconcile starts what is missing between what is wanted and what is there:
// loads of what is built, and one build.
func (l *Loop) reconcile() {
	for _, id := range l.order {
		g := l.groups[id]
		for _, id := range g.wanted() {
			w := g.want[id]
			needing := l.needing(g, w)
			switch {
			case len(needing) == 0:
			case w.artifact != nil:
				for _, h := range needing {
					l.load(h, w)
				}
			case l.building == nil:
				l.build(g, w)
			}
		}
	}
}

// needing lists the hosts in which the wanted version has not come to an end.
func (l *Loop) needing(g *group, w *want) []*host {
	var hs []*host
	for _, h := range l.members(g) {
		if !h.looked || !h.takes(w) {
			continue
		}
		s := h.slot(w.slot)
		if !s.loading && s.settled != w.settles() && l.deaths[deathID(h, w)] < deathLimit {
			hs = append(hs, h)
		}
	}
	return hs
}

func (l *Loop) build(g *group, w *want) {
	ctx, cancel := context.WithCancel(l.ctx)
	l.building = &building{group: g, slot: w.slot, base: w.base, name: w.plan.Plugin.Name, key: w.plan.Key, cancel: cancel}
	plan, patch := w.plan, w.patch
	l.async(func() func() {
		var a *builder.Artifact
		var err error
		if patch != nil {
			a, err = l.fx.BuildPatch(ctx, patch)
		} else {
			a, err = l.fx.Build(ctx, plan)
		}
		cancelled := ctx.Err() != nil
		cancel()
		return func() {
			l.building = nil
			l.built(g, w.id(), plan, a, err, cancelled)
		}
	})
}

// built takes over the result of a build, which may have been overtaken.
func (l *Loop) built(g *group, id string, plan *builder.Plan, a *builder.Artifact, err error, cancelled bool) {
	w := g.want[id]
	current := w != nil && w.plan.Key == plan.Key
	if _, changed := errors.AsType[*builder.ChangedError](err); changed {
		l.look = true
		if current {
			delete(g.want, id) // of sources that are no more
		}
		return
	}
	if !current || err != nil && cancelled {
		return
	}
	if err != nil {
		l.buildFailed(g, w, err)
		return
	}
	w.artifact, w.plan = a, follow(plan, a)
	w.phases.Compile, w.phases.Link = ms(a.Compile), ms(a.Link)
	l.emit(builtEvent(l.members(g), w))
}

// follow gives the plan that an artifact carries out. It is another one than
// was asked for where a thin link turned out to be impossible; from then on
// snapshots plan that one themselves.
func follow(plan *builder.Plan, a *builder.Artifact) *builder.Plan {
	m := a.Manifest
	if m.Key == "" || m.Key == plan.Key {
		return plan
	}
	p := *plan
	p.Key, p.Link, p.Reason, p.PluginPath, p.Cached = m.Key, m.Link, m.Reason, m.PluginPath, nil
	return &p
}

// buildFailed settles a version that does not build, in every host of the
// binary.
func (l *Loop) buildFailed(g *group, w *want, err error) {
	if r := choose.FromError(w.plan.Plugin.Name, err); r != nil && w.patch != nil {
		for _, h := range l.taking(g, w) {
			l.patchRefused(h, w, r)
		}
		return
	}
	ev := l.failure(g, w.slot, err)
	phases := w.phases
	ev.PhasesMS = &phases
	ev.TotalMS = ms(l.fx.Now().Sub(w.since))
	known := l.knownBuild(g, w.slot, ev)
	for _, h := range l.taking(g, w) {
		s := h.slot(w.slot)
		s.settled, s.failure = w.settles(), &ev
	}
	switch {
	case known:
	case ev.Event == control.KindRestart:
		l.needRestart(ev, l.edits, w.since)
	default:
		l.fail(ev)
	}
}

// taking lists the hosts that what is wanted is for.
func (l *Loop) taking(g *group, w *want) []*host {
	return slices.DeleteFunc(l.members(g), func(h *host) bool { return !h.takes(w) })
}

// knownBuild reports whether hosts with another binary have failed in the same
// way: the user's mistake is one, however many hosts there are.
func (l *Loop) knownBuild(g *group, plugin string, ev control.Event) bool {
	for _, h := range l.hosts {
		if h.group == g {
			continue
		}
		if f := h.slot(plugin).failure; f != nil && sameFailure(*f, ev) {
			return true
		}
	}
	return false
}

func (l *Loop) load(h *host, w *want) {
	slot, key := w.slot, w.settles()
	s := h.slot(slot)
	s.loading = true
	target, plan, artifact, phases, since := h.Host, w.plan, w.artifact, w.phases, w.since
	swap := w.patch == nil
	var instead *choose.RefusedError
	if swap {
		instead = h.decision.Instead[slot]
	}
	before, notes := s.base(), h.notes(w)
	l.async(func() func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.opt.LoadTimeout)
		defer cancel()
		ev, err := l.fx.Load(ctx, target, artifact)
		total := ms(l.fx.Now().Sub(since))
		if swap && (err != nil || ev.Event == control.KindLoaded) {
			// What it registers once more is often why it was not taken.
			notes = append(notes, choose.Findings(plan.InitNotes())...)
		}
		return func() {
			s.loading = false
			if err != nil {
				l.loadFailed(h, s, w, err, notes, total)
				return
			}
			s.settled, s.failure = key, nil
			delete(l.deaths, deathID(h, w))
			if ev.Event == control.KindLoaded || ev.Event == control.KindUnchanged {
				base := choose.Base{Generation: ev.Generation, Key: plan.Key}
				if w.base != "" {
					base = before
				}
				s.became(plan.Key, ev.Generation, base)
				l.loaded = slot
				h.patched = h.patched || slot == ownCode
				l.overtaken(h, slot, before)
			}
			ev = loadedEvent(target, plan, artifact, ev, phases, total)
			l.emit(explained(ev, instead, notes))
		}
	})
}

// loadFailed settles a load that the host did not carry out.
func (l *Loop) loadFailed(h *host, s *slot, w *want, err error, notes []control.Finding, total float64) {
	name := w.plan.Plugin.Name
	if r := choose.FromError(name, err); r != nil && w.patch != nil {
		l.patchRefused(h, w, r)
		return
	}
	lethal := false
	if unreachable(err) {
		if l.hosts[h.id()] != h {
			return // known to be gone
		}
		// The next look finds it, or the process that replaces it, and tries
		// again, within reason.
		l.left(h, err.Error())
		l.deaths[deathID(h, w)]++
		if l.deaths[deathID(h, w)] < deathLimit {
			return
		}
		lethal = true
		err = fmt.Errorf("the host ended %d times while it loaded this version; it is left alone until the sources change: %w", deathLimit, err)
	}
	phases := w.phases
	ev := loadFailure(h.Host, name, s.generation, err)
	ev.Key, ev.Digest, ev.Artifact = w.plan.Key, w.artifact.Digest, w.artifact.Path
	ev.Link, ev.LinkReason = w.plan.Link, w.plan.Reason
	ev.PhasesMS, ev.TotalMS, ev.Notes = &phases, total, append(slices.Clip(ev.Notes), notes...)
	if !lethal {
		s.settled, s.failure = w.settles(), &ev
	}
	if ev.Event == control.KindRestart {
		l.needRestart(ev, l.edits, w.since)
		return
	}
	l.fail(ev)
}

// deathID names what may have ended a host.
func deathID(h *host, w *want) string {
	return strings.Join([]string{h.Name, w.plan.Plugin.Name, w.plan.Key}, "|")
}

// fail reports a failure and keeps it for those who ask again.
func (l *Loop) fail(ev control.Event) {
	ev.Time = l.fx.Now()
	l.last = &ev
	l.emit(ev)
}
