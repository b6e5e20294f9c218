package reloader

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/window"
)

// # Panics and errors of a plugin
//
// Get gives a plain function, and nobody stands between it and its caller: a panic goes
// up the caller's stack and ends the process, as any panic does. Who wants to live
// through it says so where the call is:
//
//	func total(o Order) (m Money, err error) {
//		call := price.Begin()
//		defer call.Contain(&err)
//		return call.F(o), nil
//	}
//
// The generation that is called is known from Begin on, so a call that began before a
// switch is never counted to the version after it. That is also why this is no wrapper
// around the function: it could be made for any signature by reflection, at some
// forty times the cost (BenchmarkContain has both), and what it gives in the place of
// a result that does not come is for the caller to say.
//
// What nothing contains: a panic on a goroutine that the plugin has started, and what
// the runtime ends the process for (concurrent map writes, no memory, a stack that is
// too deep).

// Call is one use of what a handle gives. It is for one goroutine.
type Call[T any] struct {
	// F is what Get would have given.
	F T
	begun
}

// Begin is Get for a call whose end is looked at: by Contain, which lives through a
// panic, or Observe, which counts errors. It costs what Get does.
func (h *Handle[T]) Begin() Call[T] {
	t := h.table()
	return Call[T]{F: *t.values[h.slot].(*T), begun: begun{t.tally}}
}

// begun is the part of a call that does not depend on its type.
type begun struct{ tally *tally }

// Contain, deferred by the function that calls F, ends a panic there, counts it to the
// generation that was called, and sets *err to a *PanicError. err may be nil.
//
// In a health window the panic makes the generation unhealthy, and
// Options.PanicLimit may do so at any time; see [Window]. http.ErrAbortHandler, which
// is how a handler says that its client has gone, is let pass, and is not counted. So
// is runtime.Goexit, which is no panic.
//
// It has to be deferred itself: recover does nothing in a function that a deferred one
// calls.
func (b begun) Contain(err *error) {
	v := recover()
	switch v {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(v)
	}
	// The frames of the panic are on the stack still: deferred functions run on top.
	e := &PanicError{Plugin: b.tally.plugin, Generation: b.tally.generation, Value: v, Stack: debug.Stack()}
	if err != nil {
		*err = e
	}
	pcs := make([]uintptr, 64)
	b.tally.panicked(e, pcs[:runtime.Callers(1, pcs)])
}

// Observe counts the call, and err, if it is not nil, as an error of the generation
// that was called. What is an error is for the host to say: of an order that is not
// valid a plugin does well to give one. A health window may let only so many pass; see
// [Window].
func (b begun) Observe(err error) { b.tally.observe(err) }

// PanicError is a panic of a plugin's that Contain has ended.
type PanicError struct {
	Plugin     string
	Generation int    // that was called; 0 is the built-in
	Value      any    // what was panicked with
	Stack      []byte // of the goroutine, as debug.Stack gives it
}

// Error tells what and where, without the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("%s panicked in generation %d: %v", e.Plugin, e.Generation, e.Value)
}

// Unwrap gives the panic's value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// tally counts what calls of one generation, or of a built-in, have led to.
type tally struct {
	host       *Host
	plugin     string
	generation int

	calls, errors, panics atomic.Int64
	last                  atomic.Pointer[string] // value of the last panic

	// Guarded by Host.mu.
	before  window.Counts // when it became live
	limited bool          // Options.PanicLimit has been reached since
}

// counts gives the counters as they are.
func (t *tally) counts() window.Counts {
	c := window.Counts{Panics: t.panics.Load(), Calls: t.calls.Load(), Errors: t.errors.Load()}
	if last := t.last.Load(); last != nil {
		c.LastPanic = *last
	}
	return c
}

// live begins to count anew, for a window and for Options.PanicLimit. It is called
// before any handle is on the generation; the caller holds h.mu.
func (t *tally) live() { t.before, t.limited = t.counts(), false }

// since gives what was counted since it became live.
func (t *tally) since() window.Counts {
	t.host.mu.Lock()
	before := t.before
	t.host.mu.Unlock()
	c := t.counts()
	c.Panics, c.Calls, c.Errors = c.Panics-before.Panics, c.Calls-before.Calls, c.Errors-before.Errors
	return c
}

func (t *tally) observe(err error) {
	t.calls.Add(1)
	if err != nil {
		t.errors.Add(1)
	}
}

// panicked counts a panic, tells of the first one, and wakes who has to know.
func (t *tally) panicked(e *PanicError, stack []uintptr) {
	text := shortText(fmt.Sprint(e.Value))
	t.last.Store(&text)
	n := t.panics.Add(1)
	h := t.host
	if n == 1 {
		h.opts.Logger.Error("panic in a plugin", "plugin", t.plugin, "generation", t.generation, "value", text, "stack", string(e.Stack))
		h.record(control.Event{
			Event: control.KindNote, Plugin: t.plugin, Generation: t.generation, Code: codePanic,
			Reason: "a call panicked, and was contained: " + text,
		})
	}
	h.noticed(t, text, stack)
	if limit := h.opts.PanicLimit; limit > 0 && t.generation > 0 && t.since().Panics >= int64(limit) && t.reachLimit() {
		h.inBackground(func() { h.overPanicLimit(t) })
	}
}

// reachLimit notes that Options.PanicLimit has been reached. It gives false where that
// was known, and where a window sees to it.
func (t *tally) reachLimit() bool {
	n := t.since().Panics
	t.host.mu.Lock()
	defer t.host.mu.Unlock()
	w := t.host.open
	if t.limited || w != nil && w.g.tally == t && w.rules.MaxPanics >= 0 && n > int64(w.rules.MaxPanics) {
		return false
	}
	t.limited = true
	return true
}

// codePanic is the code of a note about a panic that was contained.
const codePanic = "panic"
