package reloader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
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
	for _, name := range slices.Sorted(maps.Keys(hookTypes)) {
		if v, ok := symbols[name]; ok && !isHook(name, v) {
			return &misfitError{rule: ruleSignature, symbol: name, host: hookTypes[name], artifact: describe(v)}
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

// start runs HotMigrate, HotStart and HotHealth of what takes another one's place. On
// failure everything that was started is stopped again before it
// returns, HotStop included where HotStart had succeeded.
func (h *Host) start(c *change) (err error) {
	from, g := c.from.root(), c.to.root()
	if err := h.awaitStopped(g); err != nil {
		return err
	}
	if err := h.migrate(from, g); err != nil {
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
	if err := c.healthy(h.callLimitedHook(g, hookHealth)); err != nil {
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
