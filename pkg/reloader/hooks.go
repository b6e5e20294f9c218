package reloader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Hook is the type of HotStart, HotStop and HotHealth.
type Hook = func(context.Context) error

// Names of the hooks.
const (
	hookStart  = "HotStart"
	hookStop   = "HotStop"
	hookHealth = "HotHealth"
)

// hookType is how a manifest writes Hook.
const hookType = "func(context.Context) error"

// checkHooks finds a symbol that has a hook's name and not its type.
func checkHooks(symbols map[string]any) error {
	for _, name := range []string{hookStart, hookStop, hookHealth} {
		v, ok := symbols[name]
		if !ok {
			continue
		}
		if _, ok := v.(Hook); !ok {
			return &misfitError{rule: ruleSignature, symbol: name, host: hookType, artifact: describe(v)}
		}
	}
	if v, ok := symbols[hookMigrate]; ok {
		if _, ok := v.(Migrate); !ok {
			return &misfitError{rule: ruleSignature, symbol: hookMigrate, host: "func(map[string]any) error", artifact: describe(v)}
		}
	}
	return nil
}

// hookError says which hook failed, and how.
type hookError struct {
	hook string
	err  error
}

func (e *hookError) Error() string { return fmt.Sprintf("%s failed: %v", e.hook, e.err) }
func (e *hookError) Unwrap() error { return e.err }

// callHook runs a hook of g, if it has it, within limit.
func (h *Host) callHook(ctx context.Context, g *generation, name string, limit time.Duration) error {
	hook, ok := g.symbols[name].(Hook)
	if !ok || hook == nil {
		return nil
	}
	if err := h.supervise(limit, func() error { return hook(ctx) }, nil); err != nil {
		return &hookError{name, err}
	}
	return nil
}

// start runs HotStart and HotHealth of g. On failure everything that was
// started is stopped again before it returns, HotStop included where HotStart
// had succeeded.
func (h *Host) start(g *generation) (err error) {
	if err := h.awaitStopped(g); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(h.ctx)
	if err := h.callHook(ctx, g, hookStart, h.opts.HookTimeout); err != nil {
		cancel()
		return err
	}
	h.mu.Lock()
	g.retire = cancel
	h.mu.Unlock()
	if err := h.callLimitedHook(g, hookHealth); err != nil {
		return errors.Join(err, h.stop(g))
	}
	return nil
}

// callLimitedHook runs a hook whose context has a deadline.
func (h *Host) callLimitedHook(g *generation, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), h.opts.HookTimeout)
	defer cancel()
	return h.callHook(ctx, g, name, h.opts.HookTimeout+hookGrace)
}

// ending is a generation's way out: from the moment it is decided until
// HotStop has returned.
type ending struct {
	g      *generation
	retire context.CancelFunc
	idle   chan struct{}
}

// end decides that g stops, nil where it is not started. From then on it
// cannot start again before HotStop has returned. The caller holds h.mu.
func (g *generation) end() *ending {
	if g == nil || g.retire == nil {
		return nil
	}
	e := &ending{g: g, retire: g.retire, idle: make(chan struct{})}
	g.retire, g.idle = nil, e.idle
	return e
}

// finish ends HotStart's context, runs HotStop and tells how that ended. Only
// then may the generation start again.
func (h *Host) finish(e *ending, tell func(error)) {
	e.retire()
	err := h.callLimitedHook(e.g, hookStop)
	tell(err)
	if !errors.Is(err, errHung) {
		close(e.idle) // a HotStop that hangs keeps its generation from starting again
	}
}

// stop stops g and waits for it. It does nothing where g is not started.
func (h *Host) stop(g *generation) (err error) {
	h.mu.Lock()
	e := g.end()
	h.mu.Unlock()
	if e != nil {
		h.finish(e, func(e error) { err = e })
	}
	return err
}

// awaitStopped waits for a HotStop that still runs.
func (h *Host) awaitStopped(g *generation) error {
	h.mu.Lock()
	idle := g.idle
	h.mu.Unlock()
	if idle == nil {
		return nil
	}
	timer := time.NewTimer(h.opts.HookTimeout + 2*hookGrace)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
		return &hookError{hookStop, fmt.Errorf("generation %d cannot start again: %w", g.number, errHung)}
	}
}

// retireInBackground stops a generation that has been replaced: the load that
// replaced it is done. told is closed when that load's own event is recorded;
// the generation's end is told after it, however quick its HotStop is.
func (h *Host) retireInBackground(e *ending, told <-chan struct{}) {
	h.background.Go(func() {
		g := e.g
		ev := control.Event{Event: control.KindRetired, Plugin: g.plugin, Generation: g.number, Key: g.manifest.Key, Digest: g.digest}
		h.finish(e, func(err error) {
			if err != nil {
				ev.Code, ev.Reason = control.CodeRefused, err.Error()
				h.logPanic(err)
			}
			<-told
			h.record(ev)
		})
	})
}
