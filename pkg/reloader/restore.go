package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

// Restore says whether and when a host loads again what was live in the process
// before: [Options.Restore].
type Restore string

// The values of Options.Restore.
const (
	// RestoreAtStart restores before New returns. Where it cannot (another process
	// has the directory, its state cannot be used) the host starts without, and
	// says why in its events, its log and its status.
	RestoreAtStart Restore = "at-start"
	// RestoreStrict is RestoreAtStart, but where the state as a whole cannot be
	// used New gives an error. A single artifact that is not restored is none.
	RestoreStrict Restore = "strict"
	// RestoreLater leaves it to Host.Restore: for programs whose plugins need what
	// is set up after New.
	RestoreLater Restore = "later"
	// RestoreOff neither restores nor keeps anything for a restart. What an earlier
	// process kept stays as it was.
	RestoreOff Restore = "off"
)

func (o *Options) completeRestore() error {
	setDefault(&o.Restore, RestoreAtStart)
	switch o.Restore {
	case RestoreAtStart, RestoreStrict, RestoreLater, RestoreOff:
	default:
		return fmt.Errorf("check options: Restore is %q, which is none of at-start, strict, later and off", o.Restore)
	}
	setDefault(&o.RestoreTimeout, 30*time.Second)
	setDefault(&o.ConfirmAfter, 30*time.Second)
	setDefault(&o.DirBudget, 1<<30)
	if o.RestoreTimeout < 0 || o.ConfirmAfter < 0 || o.DirBudget < 0 {
		return fmt.Errorf("check options: a negative limit (RestoreTimeout %v, ConfirmAfter %v, DirBudget %d)", o.RestoreTimeout, o.ConfirmAfter, o.DirBudget)
	}
	return nil
}

// restoreAtStart waits for Restore within Options.RestoreTimeout.
func (h *Host) restoreAtStart() {
	ctx, cancel := context.WithTimeout(h.ctx, h.opts.RestoreTimeout)
	defer cancel()
	if h.Restore(ctx) != nil && h.ctx.Err() == nil && h.keeper.on() {
		h.record(control.Event{
			Event:  control.KindNote,
			Reason: fmt.Sprintf("what was live before is not restored within %v; it goes on in the background", h.opts.RestoreTimeout),
		})
	}
}

// Restore loads again what was live and healthy in the process before, in the order
// in which it was loaded there, and returns when that is done. New does it, unless
// Options.Restore is RestoreLater. A plugin of which something was loaded meanwhile
// is left alone. Then plugins go on with the state of the process before, where this one
// was started with some (docs/state.md). Loads and rollbacks wait until it is done. Only
// the first call does anything.
//
// What is not restored or recalled is no error: an event says why, and the built-in
// serves, with variables as initialised.
//
// Errors: ctx's, where it ended first. Restoring goes on then.
func (h *Host) Restore(ctx context.Context) error {
	if !h.keeper.on() && h.recall == "" {
		return nil
	}
	h.restoring.Do(func() {
		until := time.Now().Add(h.opts.RestoreTimeout)
		h.background.Go(func() {
			defer close(h.restored)
			release, err := h.acquire(h.ctx)
			if err != nil {
				return
			}
			defer release()
			if h.keeper.on() {
				h.restoreAll()
			}
			h.recallAll(until)
		})
	})
	select {
	case <-h.restored:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// restoreAll makes everything live that is wanted. The caller holds the queue.
func (h *Host) restoreAll() {
	missing := map[string]string{} // plugin -> why it is not to be touched any more
	for _, want := range h.keeper.wanted() {
		if h.ctx.Err() != nil {
			return
		}
		why, skip := missing[want.Plugin]
		if !skip && want.Root && h.anyLive(want.Plugin) {
			why, skip = "something else of it was loaded before it could be restored", true
			missing[want.Plugin] = why
		}
		if skip {
			h.notRestored(want.Trial, control.Event{Code: control.CodeRefused, Reason: why})
			continue
		}
		if ev, err := h.restoreOne(&want.Trial); err != nil {
			missing[want.Plugin] = "what it was made for was not restored"
			h.keeper.note(want.Trial, ev)
		}
	}
}

// restoreOne is a load of a kept artifact, with all that belongs to one.
func (h *Host) restoreOne(want *restore.Trial) (control.Event, error) {
	k := h.keeper
	return h.load(h.ctx, loadRequest{
		restore: want, digest: want.Entry.Digest,
		receive: func() (*copied, error) {
			c, err := h.receiveFile(h.ctx, k.files.Path(want.Entry.Digest))
			switch {
			case errors.Is(err, os.ErrNotExist):
				k.files.Drop(want.Entry.Digest)
				return nil, &control.Error{Code: control.CodeNotFound, Message: "the artifact that was live is not kept any more", Next: "hotgo push " + want.Plugin}
			case err == nil && c.digest != want.Entry.Digest:
				k.files.Drop(want.Entry.Digest)
				c.discard()
				return nil, &control.Error{
					Code: control.CodeDigest, Message: "the kept artifact is damaged", Next: "hotgo push " + want.Plugin,
					Evidence: []control.Evidence{{What: "digest", Host: c.digest, Artifact: want.Entry.Digest}},
				}
			}
			return c, err
		},
	})
}

func (h *Host) anyLive(plugin string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.plugins[plugin]
	return p != nil && p.serving() != nil
}

// notRestored tells of what was not even tried.
func (h *Host) notRestored(want restore.Trial, ev control.Event) {
	ev.Event, ev.Plugin, ev.Key, ev.Digest = control.KindNotRestored, want.Plugin, want.Entry.Key, want.Entry.Digest
	h.keeper.note(want, h.record(ev))
}
