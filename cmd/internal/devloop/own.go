package devloop

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// ownCode stands for the host's own code where plugins go by their names. No
// plugin can be called so.
const ownCode = "(own)"

// backToOriginal is why the loop takes a patch away.
const backToOriginal = "back to what the host was built from"

// slotOf names the slot of what a host lists as a plugin.
func slotOf(p control.Plugin) string {
	if p.Kind == control.KindHost {
		return ownCode
	}
	return p.Name
}

// nameOf gives the name by which the host knows a slot.
func (h *host) nameOf(slot string) string {
	if slot == ownCode {
		return choose.UnitName(h.Package)
	}
	return slot
}

// ownName is what the own code of a binary is called.
func (l *Loop) ownName(g *group) string {
	for _, h := range l.members(g) {
		return h.nameOf(ownCode)
	}
	return ""
}

// takes reports whether what is wanted is for this host.
func (h *host) takes(w *want) bool {
	switch way := h.decision.Plugins[w.slot]; {
	case w.slot == ownCode:
		return h.decision.Own == choose.ByPatch
	case w.base != "":
		return way == choose.InPlace && h.slot(w.slot).base().Key == w.base && h.slot(w.slot).refused != w.plan.Key
	default:
		return h.holds(w.slot) && way == choose.BySwap
	}
}

// standing is what a choice depends on in this host. pg has the patches in question;
// nil where there are none yet.
func (h *host) standing(pg *planGroup) choose.Host {
	st := choose.HostOf(h.Status)
	for name, s := range h.slots { // they know of loads that the status is too old for
		if name != ownCode {
			st.Live[name], st.Keys[name], st.Bases[name] = s.generation, s.live, s.base()
		}
	}
	own := h.slot(ownCode)
	st.Patch, st.Ours = own.generation, h.patched
	if pg == nil {
		return st
	}
	if key := pg.patchKey(); key != "" && key == own.refused {
		st.Refusal = own.refusal
	}
	st.Refusals = h.refusedPatches(pg)
	return st
}

func (pg *planGroup) patchKey() string {
	if pg.patch == nil {
		return ""
	}
	return pg.patch.Key
}

// wantedOwn takes over what the sources ask of the host's own code. It reports
// whether the user hears about the edit, now or when it is patched.
func (l *Loop) wantedOwn(g *group, pg *planGroup, req planRequest, stale bool) (answered bool) {
	if pg.mode == choose.Swap {
		delete(g.want, ownCode)
		return l.hostChanged(g, pg.snapshot.HostChanges, req)
	}
	if _, conflict := errors.AsType[*builder.ConflictError](pg.patchErr); pg.patchErr != nil && !conflict {
		return !stale && l.planFailed(g, ownCode, pg.patchErr, req)
	}
	delete(g.errs, ownCode)
	w := l.ownWant(g, pg, req)
	touched := l.ownTouched(g, req)
	for _, h := range l.members(g) {
		s := h.slot(ownCode)
		switch {
		case w != nil && h.takes(w):
			answered = l.settle(h, w, touched, req) || answered
		case h.decision.Own == choose.Original && !s.loading && s.generation > 0:
			to := 0
			s.settled, s.failure = "", nil // the same patch again is another edit
			l.rollbackTo(h, ownCode, &to, backTo{reason: backToOriginal}, req.since)
			answered = true
		}
	}
	if stale {
		return answered
	}
	return l.refuse(g, pg, req) || answered
}

// ownWant makes the patch what is wanted, where a host is to have it.
func (l *Loop) ownWant(g *group, pg *planGroup, req planRequest) *want {
	old := g.want[ownCode]
	delete(g.want, ownCode)
	if !slices.ContainsFunc(l.members(g), func(h *host) bool { return h.decision.Own == choose.ByPatch }) {
		return nil
	}
	p := pg.patch
	w := &want{slot: ownCode, patch: p, artifact: p.Cached, plan: commonPlan(p)}
	w.phases.Compile = ms(p.Compile)
	w.phases.Plan = max(0, ms(pg.elapsed-p.Compile))
	g.want[ownCode] = w.after(old, req)
	return w
}

// refuse reports what neither a patch nor a swap can bring into the hosts: each
// once, and again after another edit of the same.
func (l *Loop) refuse(g *group, pg *planGroup, req planRequest) (answered bool) {
	known := map[string]bool{}
	for _, h := range l.members(g) {
		if r := h.decision.Part; r != nil && l.owned() {
			// What the patch leaves undone is asked for once: its event has a note of
			// it each time.
			sig := fmt.Sprint(h.id(), r.Unit, r.Code(), r.Reason())
			known[sig] = true
			if !g.changes[sig] {
				l.needRestart(l.refusalEvent(h, r, pg.snapshot.HostChanges), req.edits, req.since)
				answered = true
			}
		}
		for _, r := range h.decision.Refusals {
			sig := fmt.Sprint(h.id(), r.Unit, r.Code(), r.Reason(), r.Findings)
			known[sig] = true
			again := l.touched(g, r.Unit, req)
			if r.Unit == h.decision.Unit {
				again = ownChanged(pg.snapshot.HostChanges, req)
			}
			if g.changes[sig] && (!again || l.restarting()) {
				continue
			}
			answered = true
			ev := l.refusalEvent(h, r, pg.snapshot.HostChanges)
			ev.TotalMS = l.total(req)
			l.needRestart(ev, req.edits, req.since)
		}
	}
	g.changes = known
	return answered
}

// ownChanged reports whether an edit was of what differs in the host.
func ownChanged(changes []builder.HostChange, req planRequest) bool {
	return req.batch != nil && slices.ContainsFunc(changes, func(c builder.HostChange) bool {
		return slices.ContainsFunc(c.Files, func(f string) bool { return slices.Contains(req.batch.Files, f) })
	})
}

// hostChanged reports edits that no plugin can carry: each once, and again
// when the files are edited again.
func (l *Loop) hostChanged(g *group, changes []builder.HostChange, req planRequest) (answered bool) {
	known := map[string]bool{}
	for _, c := range changes {
		sig := changeSignature(c)
		known[sig] = true
		again := ownChanged([]builder.HostChange{c}, req)
		if g.changes[sig] && (!again || l.restarting()) {
			continue
		}
		answered = true
		for _, h := range l.members(g) {
			ev := hostChangeEvent(h, c)
			ev.TotalMS = l.total(req)
			l.needRestart(ev, req.edits, req.since)
		}
	}
	g.changes = known
	return answered
}

// sameNews reports whether a plugin that has no plan needs no word of its own:
// what is wrong with it was said of the host, or is being patched there.
func (l *Loop) sameNews(g *group, pg *planGroup, plugin string, req planRequest, reported bool) bool {
	err := pg.snapshot.Errors[plugin]
	if pg.mode == choose.Swap {
		return reported && choose.IsShared(err)
	}
	loaded := slices.ContainsFunc(l.members(g), func(h *host) bool { return h.slot(plugin).generation > 0 })
	if choose.IsShared(err) {
		return !loaded || !l.touched(g, plugin, req)
	}
	_, broken := errors.AsType[*builder.BuildError](err)
	_, reportedBroken := errors.AsType[*builder.BuildError](pg.patchErr)
	return broken && reportedBroken && !loaded
}

// ownTouched reports whether an edit may have been of the host's own code: of any
// source but those of plugins that were loaded.
func (l *Loop) ownTouched(g *group, req planRequest) bool {
	return req.batch != nil && slices.ContainsFunc(req.batch.Files, func(f string) bool {
		return isSource(f) && !slices.ContainsFunc(g.plugins, func(p builder.Plugin) bool {
			return within(f, p.Dir) && slices.ContainsFunc(l.members(g), func(h *host) bool { return h.slot(p.Name).generation > 0 })
		})
	})
}

// patchRefused takes note of a patch that a host did not take, and looks again:
// what was to be patched may be swapped.
func (l *Loop) patchRefused(h *host, w *want, r *choose.RefusedError) {
	s := h.slot(w.slot)
	s.refused, s.refusal = w.plan.Key, r
	if l.since.IsZero() {
		l.since = w.since
	}
	if w.slot == ownCode {
		s.settled, l.look = w.plan.Key, true
		return
	}
	// Perhaps somebody else has loaded something: then it is a patch of that.
	l.unsure++
	l.pollHosts(func() {
		l.unsure--
		l.look = true
	})
}

// notes gives what is to be said of a load that the host does not know.
func (h *host) notes(w *want) []control.Finding {
	if w.slot != ownCode {
		return nil
	}
	return choose.Findings(h.decision.Notes)
}

// explained adds to the event of a load why it was a swap, and what is worth
// knowing.
func explained(ev control.Event, instead *choose.RefusedError, notes []control.Finding) control.Event {
	if instead != nil && ev.Event == control.KindLoaded {
		ev.Code = instead.Code()
		reason := "not patched: " + instead.Reason()
		if ev.Reason != "" {
			reason = ev.Reason + "; " + reason
		}
		ev.Reason = reason
	}
	ev.Notes = append(slices.Clip(ev.Notes), notes...)
	return ev
}

// refusalEvent says what takes a restart.
func (l *Loop) refusalEvent(h *host, r *choose.RefusedError, changes []builder.HostChange) control.Event {
	ev := control.Event{
		Event: control.KindRestart, Verdict: control.RestartRequired,
		Host: h.Name, PID: h.PID, Plugin: r.Unit, Generation: h.slot(ownCode).generation,
		Code: r.Code(), Reason: r.Reason(), Evidence: r.Evidence, Next: r.Next,
	}
	if l.owned() {
		ev.Next = "" // the restart is offered
	}
	if len(r.Findings) > 1 {
		ev.Notes = choose.Findings(r.Findings)
	}
	if r.Unit != h.decision.Unit {
		ev.Generation = h.slot(r.Unit).generation
		return ev
	}
	for _, c := range changes {
		ev.Files = union(ev.Files, c.Files)
	}
	return ev
}
