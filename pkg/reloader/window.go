package reloader

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/window"
)

// # Health windows
//
// What HotHealth says before a switch is said without traffic. A window looks again
// afterwards, for as long as whoever loads asks for, and takes back what turns out to be
// wrong. It is the host that does so, not whoever pushed: a client that is killed, or
// whose connection breaks, leaves nothing behind that nobody decides about.
//
// One goroutine owns a window from the switch to its end (watch.run). It calls
// HotHealth, reads the counters of contained panics and reported errors, hears what
// others report, and tells all of it to package internal/window, which decides. While a
// window is open, no other load changes the host; turn.go says why.
//
// A client may have found out more than the host can: it has asked the service over
// HTTP, say. It can end the window as unhealthy. With Window.Confirm it also has to end
// it as healthy: if it dies before, the generation is undone, for nobody knows what it
// would have found.

// Window is how a generation that has just become live is observed.
type Window = control.Window

// watch is one health window.
type watch struct {
	h      *Host
	p      *pluginState
	g      *generation // observed
	from   *generation // served before; nil: the built-in
	rules  control.Window
	caller *control.Caller

	wake    chan struct{} // a panic was counted
	reports chan report
	quit    chan struct{} // closed when g is not live any more, by somebody's hand
	ended   chan struct{} // closed when health and outcome are final

	// Guarded by Host.mu.
	health  control.Health
	outcome control.Event
	left    bool // quit is closed
}

// report is what somebody outside has found.
type report struct {
	control.ConfirmRequest
	answer chan control.Health
}

// observe opens the window of what a change has made live, if the rules ask for one.
// The caller holds the queue and closes told when it has recorded its event.
func (h *Host) observe(p *pluginState, c change, rules control.Window, caller *control.Caller, told <-chan struct{}) *control.Health {
	if rules.Length == 0 {
		return nil
	}
	w := &watch{
		h: h, p: p, g: c.to, from: c.from, rules: rules, caller: caller,
		wake: make(chan struct{}, 1), reports: make(chan report), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	state := window.New(rules, time.Now())
	h.mu.Lock()
	if h.open != nil {
		h.open.leave()
	}
	h.open, p.watch = w, w
	w.know(state)
	health := w.health
	h.mu.Unlock()
	h.background.Go(func() {
		<-told
		w.end(w.run(state))
	})
	return &health
}

// know takes note of what is known so far. The caller holds h.mu.
func (w *watch) know(state *window.State) {
	w.health = state.Health()
	w.health.Generation = w.g.number
}

// run observes until there is a decision. It gives none where the window has lost its
// sense: somebody has rolled back, or the host is being closed.
func (w *watch) run(state *window.State) *window.Decision {
	tick := time.NewTicker(w.rules.Interval)
	defer tick.Stop()
	deadline := time.NewTimer(time.Until(state.Deadline()))
	defer deadline.Stop()
	checked := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.h.ctx))
	defer cancel() // of the check that is under way
	checking := false
	check := func() {
		if !checking && w.hasCheck() {
			checking = true
			state.Checking()
			w.h.background.Go(func() { checked <- w.check(ctx) })
		}
	}
	for {
		var d *window.Decision
		select {
		case <-tick.C:
			if d = state.Counted(w.g.tally.since()); d == nil {
				check()
			}
		case err := <-checked:
			checking = false
			d = state.Checked(err)
		case <-w.wake:
			d = state.Counted(w.g.tally.since())
		case r := <-w.reports:
			if r.Healthy {
				d = state.Confirm()
			} else {
				d = state.Refuse(r.Reason, r.Evidence)
			}
			r.answer <- w.noted(state)
		case <-deadline.C:
			if state.Unchecked() {
				check()
			}
			if d = state.Counted(w.g.tally.since()); d == nil {
				d = state.At(time.Now())
			}
			if next := time.Until(state.Deadline()); next > 0 {
				deadline.Reset(next)
			}
		case <-w.quit:
			return nil
		case <-w.h.ctx.Done():
			return nil
		}
		w.noted(state)
		if d != nil {
			return d
		}
	}
}

// noted gives what is known, after taking note of it.
func (w *watch) noted(state *window.State) control.Health {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.know(state)
	return w.health
}

func (w *watch) hasCheck() bool {
	root := w.g.root()
	if root == nil {
		return false
	}
	hook, ok := root.symbols[hookHealth].(Hook)
	return ok && hook != nil
}

func (w *watch) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.h.opts.HookTimeout)
	defer cancel()
	err := w.h.callHook(ctx, w.g.root(), hookHealth, w.h.opts.HookTimeout+hookGrace)
	if hook, ok := err.(*hookError); ok {
		w.h.logPanic(err)
		return hook.err
	}
	return err
}

// noticed wakes the window that a panic is about. A patch of the host's own code has
// no handles, so it is asked whether its code is on the stack.
func (h *Host) noticed(t *tally, text string, stack []uintptr) {
	h.mu.Lock()
	w := h.open
	h.mu.Unlock()
	switch {
	case w == nil:
		return
	case w.g.tally == t:
	case w.p.self && w.g.on != nil && w.g.isOn(stack):
		w.g.tally.last.Store(&text)
		w.g.tally.panics.Add(1)
	default:
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// isOn reports whether a function of a patch is on a stack.
func (g *generation) isOn(stack []uintptr) bool {
	entries := map[uintptr]bool{}
	for _, f := range g.manifest.Patch.Functions {
		entries[g.bias+uintptr(f.New)] = true
	}
	frames := runtime.CallersFrames(stack)
	for {
		frame, more := frames.Next()
		if entries[frame.Entry] {
			return true
		}
		if !more {
			return false
		}
	}
}

// supersede ends the window of a plugin of which somebody has made another generation
// live. The caller holds the queue.
func (h *Host) supersede(p *pluginState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil && h.open.p == p {
		h.open.leave()
	}
}

// leave has the window end without a decision. The caller holds h.mu.
func (w *watch) leave() {
	if !w.left {
		w.left = true
		close(w.quit)
	}
}

// end carries out what was decided, and lets everybody know.
func (w *watch) end(d *window.Decision) {
	h := w.h
	var outcome control.Event
	state := control.HealthEnded
	switch {
	case d == nil:
		outcome = w.abandoned()
	case d.Healthy:
		outcome, state = w.healthy(d), control.HealthHealthy
	default:
		outcome, state = w.undo(d)
	}
	h.mu.Lock()
	w.health.State = state
	health := w.health
	h.mu.Unlock()
	outcome.Health = &health
	if d != nil {
		outcome = h.record(outcome)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.outcome = outcome
	if h.open == w {
		h.open = nil
	}
	close(w.ended)
}

// abandoned is how a window ends of which nothing was decided. It is told to those who
// wait; the journal has what ended it.
func (w *watch) abandoned() control.Event {
	ev := control.Event{
		V: control.EventVersion, Time: time.Now(), Event: control.KindFailed, Verdict: control.Failed,
		Plugin: w.g.plugin, Generation: w.g.number, Key: w.g.manifest.Key, Digest: w.g.digest, Code: control.CodeUnhealthy,
		Reason: "another generation was made live while it was observed", Next: "hotgo history",
	}
	if w.h.ctx.Err() != nil {
		ev.Code, ev.Reason, ev.Next = control.CodeClosed, "the host has ended while it was observed", "hotgo status"
	}
	return ev
}

// healthy is the one place where a generation is known to have passed its window.
func (w *watch) healthy(d *window.Decision) control.Event {
	ev := control.Event{
		Event: control.KindHealthy, Plugin: w.g.plugin, Generation: w.g.number, Key: w.g.manifest.Key, Digest: w.g.digest,
		Evidence: d.Evidence,
	}
	if len(d.Evidence) == 0 {
		ev.Notes = append(ev.Notes, control.Finding{
			Code: codeUnobserved, Text: fmt.Sprintf("%s has no HotHealth, and the host reports no calls: nothing was looked at", w.g.plugin),
		})
	}
	return ev
}

// codeUnobserved is the code of a note that a window had nothing to look at.
const codeUnobserved = "unobserved"

// waiting tells others what they wait for. The caller holds h.mu.
func (w *watch) waiting() control.Waiting {
	return control.Waiting{Plugin: w.g.plugin, Generation: w.g.number, Until: w.health.Until, Caller: w.caller}
}

// observing gives how the open window of a plugin stands, nil where there is none.
func (h *Host) observing(p *pluginState) *control.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil || h.open.p != p {
		return nil
	}
	health := h.open.health
	return &health
}
