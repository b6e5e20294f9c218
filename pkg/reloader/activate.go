package reloader

import (
	"errors"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// activate makes g live; nil stands for the built-ins. The caller holds the
// queue, and closes told when it has recorded its event.
func (h *Host) activate(p *pluginState, g *generation, phases *control.Phases, told <-chan struct{}) (change, error) {
	return h.activateChange(p, change{from: p.serving(), to: g, patch: h.patchOf(p, g)}, phases, told)
}

// activateChange is activate for a change that says more than what becomes live.
func (h *Host) activateChange(p *pluginState, c change, phases *control.Phases, told <-chan struct{}) (change, error) {
	g := c.to
	if g != nil {
		h.mu.Lock()
		g.markEnded(time.Time{})
		h.mu.Unlock()
		if err := h.check(p, g); err != nil {
			return c, h.fail(g, err)
		}
	}
	undo, err := h.redirect(c.patch, phases)
	if err != nil {
		return c, h.fail(g, err)
	}
	x, end := h.passage(p, &c, phases)
	defer end()
	if x != nil && x.hooked {
		if err := x.move(nil); err != nil {
			return c, h.fail(g, undone(err, undo()))
		}
	}
	start := time.Now()
	stop, err := h.begin(&c)
	phases.Health = milliseconds(time.Since(start))
	if err != nil {
		return c, h.fail(g, undone(err, undo()))
	}
	start, state := time.Now(), phases.State
	old, err := h.commit(p, c, x)
	phases.Switch += max(0, milliseconds(time.Since(start))-(phases.State-state))
	if err != nil {
		return c, h.fail(g, undone(errors.Join(err, stop()), undo()))
	}
	end()
	c.notes = append(c.notes, x.notes()...)
	if old != nil {
		h.retireInBackground(old, told)
	}
	return c, nil
}

// change is what becoming live means: for a plugin, or for the host itself.
type change struct {
	from, to  *generation // nil: the built-in
	patch     target
	unhealthy string            // why from is, if it is: then HotHealth of to does not keep from
	doubt     error             // what HotHealth said in that case
	notes     []control.Finding // about state
}

// healthy gives what HotHealth says, if that counts.
func (c *change) healthy(err error) error {
	if c.unhealthy != "" {
		c.doubt, err = err, nil
	}
	return err
}

// inPlace reports whether nothing but the code of functions changes.
func (c change) inPlace() bool {
	return c.patch.base != nil && c.from.root() == c.to.root()
}

func (c change) verdict() control.Verdict {
	if c.inPlace() {
		return control.Patched
	}
	return control.Swapped
}

// begin runs the hooks of what becomes live. stop takes that back.
func (h *Host) begin(c *change) (stop func() error, err error) {
	none := func() error { return nil }
	root := c.to.root()
	switch {
	case root == nil:
		return none, nil
	case c.inPlace(): // it is started
		return none, c.healthy(h.callLimitedHook(root, hookHealth))
	}
	return func() error { return h.stop(root) }, h.start(c)
}

// check holds a generation's symbols against everything the host expects.
func (h *Host) check(p *pluginState, g *generation) error {
	if err := checkHooks(g.symbols); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := p.table(g)
	return ownTypeError(g, err)
}

// commit is the switch: one store moves every handle of the plugin. The
// handles are resolved once more under the lock, since a Bind may have come
// after the check. It gives the end of the generation that served, which is
// the caller's to finish; nil after the built-in. State that was not moved yet moves
// in the same moment.
func (h *Host) commit(p *pluginState, c change, x *passage) (old *ending, err error) {
	before, g := c.from, c.to
	store := func(with func(func()) error) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.ctx.Err() != nil {
			return errClosed()
		}
		t, err := p.table(g)
		if err != nil {
			return err
		}
		if g != nil {
			g.tally.live()
		}
		return with(func() { p.live.Store(t) })
	}
	if x == nil || x.moved {
		err = store(func(now func()) error { now(); return nil })
	} else {
		err = x.move(store)
	}
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if before != nil {
		before.state = control.StateRetired
		if c.unhealthy != "" {
			before.state, before.reason = control.StateFailed, shortText(c.unhealthy)
		}
		before.markEnded(time.Now())
		if before.root() != g.root() {
			old = before.root().end()
		}
	}
	if g != nil {
		g.state, g.reason = control.StateLive, ""
		g.markEnded(time.Time{})
	}
	return old, nil
}

// fail says why g did not become live. A generation that was good before stays
// "retired": it may be tried again.
func (h *Host) fail(g *generation, err error) error {
	var ce *control.Error
	if !errors.As(err, &ce) {
		h.logPanic(err)
		ce = refusal(err)
	}
	if g != nil {
		adviseMisfit(ce, &g.manifest, true)
		h.mu.Lock()
		g.reason = shortText(ce.Error())
		g.markEnded(time.Now())
		h.mu.Unlock()
	}
	return ce
}
