package reloader

import (
	"context"
	"fmt"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # Whose turn it is
//
// A host changes one thing at a time. The queue is for what takes moments: a load, a
// rollback, the end of a window. A health window is open for as long as somebody asked
// for, and during it no other load is made in this host: what goes wrong meanwhile would
// otherwise have two possible causes. A rollback by hand does not wait for it. It is
// what somebody does who knows better, and ends the window.
//
// So loads come one after the other twice. Who has Host.loads waits until no window is
// open, and then for the queue. Nobody else can open a window meanwhile, and since
// goroutines that are blocked in a send are served in order, loads run in the order in
// which they came. Two kinds of loads pass by all that, since they change nothing: a
// dry run, and the version that is live already, whose pusher is told how its window
// stands.

// turn waits until the load may look at the host and change it.
func (t *transaction) turn(ctx context.Context) (release func(), err error) {
	h := t.h
	if t.req.dryRun {
		return h.acquire(ctx)
	}
	if h.serves(t.file.digest) {
		if release, err = h.acquire(ctx); err != nil || h.serves(t.file.digest) {
			return release, err
		}
		release() // it was replaced meanwhile
	}
	if err := h.admit(); err != nil {
		return nil, err
	}
	defer h.admitted.Add(-1)
	if err := t.waitFor(ctx, h.loads, h.loading); err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.holder = &control.Waiting{Caller: t.req.caller}
	h.mu.Unlock()
	leave := func() {
		h.mu.Lock()
		h.holder = nil
		h.mu.Unlock()
		<-h.loads
	}
	if err := t.waitForWindow(ctx); err != nil {
		leave()
		return nil, err
	}
	inner, err := h.acquire(ctx)
	if err != nil {
		leave()
		return nil, err
	}
	return func() { inner(); leave() }, nil
}

// mostWaiting is how many loads may wait. A window can be open for long, and each that
// waits has a connection, of which a rollback by hand needs one as well.
const mostWaiting = 16

// admit counts a load that is going to wait, or refuses it.
func (h *Host) admit() error {
	if h.admitted.Add(1) <= mostWaiting {
		return nil
	}
	h.admitted.Add(-1)
	return &control.Error{Code: control.CodeBusy, Message: fmt.Sprintf("%d loads wait for their turn already", mostWaiting), Limit: "hotgo", Next: "hotgo status"}
}

// serves reports whether the artifact of these bytes is live.
func (h *Host) serves(digest string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		if g := p.serving(); g != nil && g.digest == digest {
			return true
		}
	}
	return false
}

// loading says what a load waits for that is not the next one.
func (h *Host) loading() control.Waiting {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.open != nil:
		return h.open.waiting()
	case h.holder != nil:
		return *h.holder
	}
	return control.Waiting{}
}

// waitFor takes a token, and tells the caller if that takes waiting.
func (t *transaction) waitFor(ctx context.Context, token chan struct{}, what func() control.Waiting) error {
	select {
	case token <- struct{}{}:
		return nil
	default:
		t.tell(what())
	}
	select {
	case token <- struct{}{}:
		return nil
	case <-t.h.ctx.Done():
		return errClosed()
	case <-ctx.Done():
		return gaveUpWaiting(ctx)
	}
}

// waitForWindow waits until no health window is open. The caller has Host.loads, so
// none opens meanwhile but that of a load which passed by, and that one is not waited
// for: it is the window of what was live anyway.
func (t *transaction) waitForWindow(ctx context.Context) error {
	var waiting control.Waiting
	t.h.mu.Lock()
	w := t.h.open
	if w != nil {
		waiting = w.waiting()
	}
	t.h.mu.Unlock()
	if w == nil {
		return nil
	}
	t.tell(waiting)
	t.h.record(control.Event{
		Event: control.KindWaiting, Plugin: waiting.Plugin, Generation: waiting.Generation, Digest: t.file.digest, Caller: t.req.caller,
		Reason: "a load waits until the health window is over",
	})
	select {
	case <-w.ended:
		return nil
	case <-t.h.ctx.Done():
		return errClosed()
	case <-ctx.Done():
		return gaveUpWaiting(ctx)
	}
}

func (t *transaction) tell(w control.Waiting) {
	if t.req.waits != nil {
		t.req.waits(w)
	}
}

func gaveUpWaiting(ctx context.Context) error {
	return &control.Error{Code: control.CodeTimeout, Message: "gave up waiting for the load that is under way", Err: context.Cause(ctx)}
}
