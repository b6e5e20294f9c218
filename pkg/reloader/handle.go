package reloader

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Handle follows one symbol of a plugin. It may be copied by pointer only, and
// used by any number of goroutines.
type Handle[T any] struct {
	// All handles of a plugin share one pointer to the table of the live
	// generation; a handle knows its slot. That makes a switch one store for
	// all of them, at the price of two dependent loads over a pointer of each
	// handle's own (a fraction of a nanosecond, see BenchmarkGet).
	live *atomic.Pointer[table]
	slot int
}

// table holds what the handles of a plugin give while one generation is live.
// It never changes once it is published.
type table struct {
	generation int
	values     []any // by slot; each is the *T of its handle
	tally      *tally
	held       *hold // handles wait for another table; nil almost always
}

// Get gives the symbol in the generation that is live now: one atomic load. A
// function stays valid for ever, so it is safe to keep; but what was kept does
// not follow the next switch.
//
// While the state of a generation moves to the next one, Get waits, at most for
// Options.HoldCalls. So what a call has changed when it returns is there in the next
// generation, too, if it was made at once: handle.Get()(x), with what x takes time to
// make made before.
//
// While nothing is live and the built-in is nil, Get gives T's zero value; a
// program that binds without a built-in has to compare with nil before it
// calls.
func (h *Handle[T]) Get() T { return *h.table().values[h.slot].(*T) }

// table gives what serves now, as soon as nothing is on its way.
func (h *Handle[T]) table() *table {
	t := h.live.Load()
	if t.held != nil {
		t = held(h.live, t)
	}
	return t
}

// Generation is the number of the live generation, 0 for the built-in.
func (h *Handle[T]) Generation() int { return h.live.Load().generation }

// Bind gives a handle on an exported function or variable of a plugin.
//
// T is the type of the function (a named function type, or an interface that
// the function implements, will do too). For a variable T is its type, and Get
// gives the value it had when its generation became live, read without
// synchronisation; or T is a pointer to that type, and Get gives the variable
// itself.
//
// builtin serves until a generation is live, and again after a rollback to
// generation 0. It may be nil where T allows it.
//
// Bind may be called at any time, also several times for one symbol; it costs
// a table of the plugin's handles, so bind once, not for each call. Where a
// generation is live already the handle is on it at once. If that generation
// has no such symbol of a fitting type, the handle keeps its built-in until a
// generation fits, and the journal has a note about it; later loads that do
// not fit are refused.
//
// Bind panics if h is nil, or if plugin or symbol cannot be names of such:
// these are mistakes in the program's text.
func Bind[T any](h *Host, plugin, symbol string, builtin T) *Handle[T] {
	if err := artifact.ValidName(plugin); err != nil {
		panic("reloader.Bind: " + err.Error())
	}
	if !exportedIdentifier(symbol) {
		panic(fmt.Sprintf("reloader.Bind: %q is not an exported name", symbol))
	}
	b := &binding{
		symbol:     symbol,
		typ:        reflect.TypeFor[T](),
		builtin:    &builtin,
		hasBuiltin: !isNil(reflect.ValueOf(&builtin).Elem()),
		fit: func(value any) (any, bool) {
			v, ok := fit[T](value)
			return &v, ok
		},
	}
	live, slot := h.bind(plugin, b)
	return &Handle[T]{live: live, slot: slot}
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return v.IsNil()
	}
	return false
}
