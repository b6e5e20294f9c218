package reloader

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/window"
)

// undo makes what served before the observed generation live again. It gives the event,
// which is not recorded yet.
func (w *watch) undo(d *window.Decision) (control.Event, control.HealthState) {
	h, g := w.h, w.g
	release, err := h.acquire(context.Background())
	if err != nil {
		return w.abandoned(), control.HealthEnded
	}
	defer release()
	if w.p.serving() != g { // somebody was faster
		return w.abandoned(), control.HealthEnded
	}
	ev, err := h.takeBack(w.p, g, w.from, d.Reason)
	ev.Evidence = append(d.Evidence, ev.Evidence...)
	if err != nil {
		return ev, control.HealthStuck
	}
	return ev, control.HealthUndone
}

// takeBack makes to live in the place of g, which is unhealthy; nil is the built-in. Its
// HotHealth is asked, but keeps nothing as it is: g is unhealthy in any case, and to was
// not. If it cannot be, g goes on serving: it is all there is. The caller holds the queue
// and records the event.
func (h *Host) takeBack(p *pluginState, g, to *generation, why string) (ev control.Event, err error) {
	began := time.Now()
	defer func() { h.metrics.rolledBack(ev) }()
	ev = control.Event{Plugin: p.name, Undone: g.number, Code: control.CodeUnhealthy, PhasesMS: &control.Phases{}}
	why = fmt.Sprintf("v%d is unhealthy: %s", g.number, shortText(why))
	told := make(chan struct{})
	defer close(told)
	h.keeper.doubt(g, &ev.Notes)
	c := change{from: g, to: to, patch: h.patchOf(p, to), unhealthy: why}
	err = h.canGoBack(p, to)
	if err == nil {
		c, err = h.goBack(p, c, &ev, told)
	}
	ev.TotalMS = milliseconds(time.Since(began))
	if err != nil {
		e := asControlError(err)
		h.logPanic(err)
		ev.Event, ev.Verdict, ev.Undone, ev.Evidence = control.KindFailed, control.Failed, 0, e.Evidence
		ev.Generation, ev.Key, ev.Digest = g.number, g.manifest.Key, g.digest
		ev.Reason = fmt.Sprintf("%s; it goes on serving, for %s cannot take its place: %s", why, called(to), e.Error())
		ev.Next = cmp.Or(e.Next, "push a version that works, or restart the host")
		return ev, err
	}
	describeEarlier(&ev, to)
	ev.Reason = why
	if c.doubt != nil {
		ev.Notes = append(ev.Notes, control.Finding{
			Code: codeDoubt, Text: fmt.Sprintf("%s is unhealthy too, so the cause may be elsewhere: %s", called(to), shortText(c.doubt.Error())),
		})
	}
	return ev, nil
}

// canGoBack says why to cannot serve where it did before. The built-in is what not every
// host has.
func (h *Host) canGoBack(p *pluginState, to *generation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to == nil && !p.self {
		if missing := p.lacksBuiltin(); missing != "" {
			return lacking(p.name, missing)
		}
	}
	return nil
}

// codeDoubt is the code of a note that what was gone back to is no healthier.
const codeDoubt = "unhealthy-too"

func called(g *generation) string {
	if g == nil {
		return "the built-in"
	}
	return fmt.Sprintf("v%d", g.number)
}

// overPanicLimit takes back a generation that has reached Options.PanicLimit.
func (h *Host) overPanicLimit(t *tally) {
	release, err := h.acquire(context.Background())
	if err != nil {
		return
	}
	defer release()
	h.mu.Lock()
	p := h.plugins[t.plugin]
	h.mu.Unlock()
	g := p.serving()
	if g == nil || g.tally != t {
		return // it was replaced meanwhile
	}
	to, panics := p.generation(p.previous()), t.since().Panics
	ev, _ := h.takeBack(p, g, to, fmt.Sprintf("calls of it have panicked %d times, the last time with: %s", panics, *t.last.Load()))
	ev.Evidence = append([]control.Evidence{{What: "panics", Host: fmt.Sprintf("Options.PanicLimit is %d", h.opts.PanicLimit), Artifact: fmt.Sprint(panics)}}, ev.Evidence...)
	h.record(ev)
}

// inBackground runs fn, unless the host is being closed. Close waits for it.
func (h *Host) inBackground(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() == nil { // Close cancels before it takes the lock, and waits after
		h.background.Go(fn)
	}
}

// AwaitWindow waits until the health window of a generation is over, and gives the
// event that ended it: healthy, rolled-back where what served before serves again, or
// failed where nothing could take its place or somebody has rolled back meanwhile.
//
// Errors: always a *control.Error; CodeNotFound for a generation that was not observed,
// or before another one of its plugin, CodeTimeout where ctx has ended.
func (h *Host) AwaitWindow(ctx context.Context, plugin string, generation int) (control.Event, error) {
	w, err := h.findWindow(plugin, generation)
	if err != nil {
		return control.Event{}, err
	}
	select {
	case <-w.ended:
		h.mu.Lock()
		defer h.mu.Unlock()
		return w.outcome, nil
	case <-ctx.Done():
		return control.Event{}, &control.Error{Code: control.CodeTimeout, Message: "gave up waiting for the end of the window", Err: context.Cause(ctx)}
	}
}

func (h *Host) findWindow(plugin string, generation int) (*watch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.plugins[plugin]
	if p == nil || p.watch == nil || p.watch.g.number != generation {
		return nil, &control.Error{
			Code: control.CodeNotFound, Message: fmt.Sprintf("generation %d of %.100q is not observed", generation, plugin), Next: "hotgo status",
		}
	}
	return p.watch, nil
}

// confirm passes on what somebody outside has found, and gives how the window stands
// then.
func (h *Host) confirm(ctx context.Context, req control.ConfirmRequest) (control.Health, error) {
	w, err := h.findWindow(req.Plugin, req.Generation)
	if err != nil {
		return control.Health{}, err
	}
	req.Reason = shortText(req.Reason)
	req.Evidence = slices.Clone(req.Evidence[:min(len(req.Evidence), shownEvidence)])
	for i, e := range req.Evidence {
		req.Evidence[i] = control.Evidence{What: shortText(e.What), Host: shortText(e.Host), Artifact: shortText(e.Artifact)}
	}
	r := report{req, make(chan control.Health, 1)}
	select {
	case w.reports <- r:
		return <-r.answer, nil
	case <-w.ended:
		h.mu.Lock()
		defer h.mu.Unlock()
		return w.health, nil
	case <-ctx.Done():
		return control.Health{}, &control.Error{Code: control.CodeTimeout, Message: "the caller gave up", Err: context.Cause(ctx)}
	}
}
