package reloader

import (
	"context"
	"fmt"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Previous as the target of Rollback is the newest healthy generation before
// the live one, or the built-in where there is none.
const Previous = -1

// Rollback makes a generation that was opened before live again; 0 is the
// built-in, and for the host itself the code that it was built with. Nothing is
// loaded. Its HotStart and HotHealth run first and may refuse, then comes the switch,
// then HotStop of the generation that served, whose health window ends. ctx bounds the
// wait for a load that is under way; for the end of a window it does not wait.
//
// Errors: always a *control.Error; CodeNotFound for a plugin or generation that
// is not there, CodeRefused for one that cannot run.
func (h *Host) Rollback(ctx context.Context, plugin string, to int) (control.Event, error) {
	return h.rollback(ctx, plugin, to, nil)
}

func (h *Host) rollback(ctx context.Context, plugin string, to int, caller *control.Caller) (control.Event, error) {
	began := time.Now()
	ev := control.Event{Plugin: plugin, Caller: caller, PhasesMS: &control.Phases{}}
	told := make(chan struct{})
	defer close(told)
	err := h.rollBackTo(ctx, &ev, to, told)
	ev.TotalMS = milliseconds(time.Since(began))
	if err != nil {
		e := asControlError(err)
		ev.Event, ev.Verdict = control.KindFailed, control.Failed
		ev.Code, ev.Reason, ev.Evidence, ev.Next = e.Code, "rollback: "+e.Error(), e.Evidence, e.Next
		h.metrics.rolledBack(ev)
		return h.record(ev), e
	}
	h.metrics.rolledBack(ev)
	return h.record(ev), nil
}

func (h *Host) rollBackTo(ctx context.Context, ev *control.Event, to int, told <-chan struct{}) error {
	release, err := h.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	p, g, err := h.rollbackTarget(ev.Plugin, to)
	if err != nil {
		return err
	}
	describeEarlier(ev, g)
	if ev.Generation == p.live.Load().generation {
		ev.Event, ev.Verdict = control.KindUnchanged, control.Unchanged
		if g == nil {
			h.keeper.settled(p, true, &ev.Notes) // what was not restored is not wanted any more
		}
		return nil
	}
	_, err = h.goBack(p, change{from: p.serving(), to: g, patch: h.patchOf(p, g)}, ev, told)
	return err
}

// goBack makes live what served before, ends the window of what it takes the place of,
// and has the next process know. The caller holds the queue; the event says what came of
// it where that went well, apart from which generation it is.
func (h *Host) goBack(p *pluginState, c change, ev *control.Event, told <-chan struct{}) (change, error) {
	h.keeper.tryBack(c.to, &ev.Notes)
	c, err := h.activateChange(p, c, ev.PhasesMS, told)
	if err != nil {
		h.keeper.gaveUp(&ev.Notes)
		return c, err
	}
	h.supersede(p)
	h.keeper.settled(p, true, &ev.Notes)
	ev.Event, ev.Verdict = control.KindRolledBack, c.verdict()
	h.tell(ev, c)
	return c, nil
}

// describeEarlier enters into an event which generation it makes live again; nil is the
// built-in. The caller holds the queue.
func describeEarlier(ev *control.Event, g *generation) {
	if g == nil {
		return
	}
	ev.Generation, ev.Key, ev.Digest, ev.Link = g.number, g.manifest.Key, g.digest, g.manifest.Link
	ev.Foreign, ev.Signer = g.manifest.Foreign, g.signer
	ev.Functions = shownNames(g.replaces)
}

// lacking says that there is nothing to go back to.
func lacking(plugin, missing string) error {
	return &control.Error{
		Code: control.CodeRefused, Message: fmt.Sprintf("%s cannot go back to the built-in: the host has none for %s", plugin, missing),
		Limit: "the host",
	}
}

// rollbackTarget finds the generation; nil is the built-in.
func (h *Host) rollbackTarget(plugin string, to int) (*pluginState, *generation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.plugins[plugin]
	if p == nil {
		return nil, nil, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("this host has no plugin %q", plugin), Next: "hotgo status"}
	}
	if to == Previous {
		to = p.previous()
	}
	if to == 0 {
		if missing := p.lacksBuiltin(); missing != "" {
			return nil, nil, lacking(plugin, missing)
		}
		return p, nil, nil
	}
	g := p.generation(to)
	switch {
	case g == nil:
		return nil, nil, &control.Error{
			Code:    control.CodeNotFound,
			Message: fmt.Sprintf("%s has no generation %d in this process (it has %d)", plugin, to, len(p.gens)), Next: "hotgo status",
		}
	case g.symbols == nil:
		return nil, nil, &control.Error{Code: control.CodeRefused, Message: fmt.Sprintf("generation %d of %s never ran: %s", to, plugin, g.reason)}
	}
	return p, g, nil
}

// previous gives the number of the newest healthy generation before the live
// one, 0 where there is none.
func (p *pluginState) previous() int {
	for n := p.live.Load().generation - 1; n > 0; n-- {
		if p.gens[n-1].state == control.StateRetired {
			return n
		}
	}
	return 0
}
