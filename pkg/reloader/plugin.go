package reloader

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// pluginState is one plugin of a host: bound, loaded, or both. Host.mu guards
// everything but live, which handles read. The list of generations and what is
// in them is changed only by who holds the host's queue as well, and so may be
// read with either.
type pluginState struct {
	name  string
	self  bool // it stands for the host: its generations are patches of it
	live  atomic.Pointer[table]
	binds []*binding    // by slot
	tally *tally        // of the built-in
	watch *watch        // the health window that is open, or was last; nil: there was none
	gens  []*generation // number n is at n-1
}

// generation is one version that was opened. Its life, each arrow taken by
// whoever holds the host's queue:
//
//	opened ── HotStart, HotHealth ──> live ──> retired ──> live again …
//	   └──── any failure ──> failed ──────────────────────^
//
// A failed generation can become live later if its code is there (the hooks
// refused, not the initialisers). Nothing ever leaves the list, as nothing
// ever leaves memory.
type generation struct {
	number   int
	plugin   string
	manifest artifact.Manifest
	digest   string
	bytes    int64
	path     string // the file it was mapped from, which may be unlinked
	loaded   time.Time
	symbols  map[string]any // nil: its initialisers failed, it can never run
	list     stateFunc      // lists its state; nil: its artifact does not
	builtin  stateFunc      // lists that of the built-in; nil: its artifact does not
	bias     uintptr        // how far its code is from where its file has it
	tally    *tally
	on       *patchBase // of a patch: what it replaces functions of; else nil
	signer   string     // id of the trusted key that signed it last; guarded by Host.mu
	replaces []string   // of a patch: the functions, as events have them
	restored bool       // at the start, because it was live in the process before
	order    int        // in which artifacts were opened, in this process and before

	// Guarded by Host.mu.
	state  control.State
	reason string             // why it failed, the last time it was tried
	retire context.CancelFunc // ends HotStart's context; nil where it does not run, and for patches
	idle   chan struct{}      // closed while no HotStop of it runs
	proven bool               // it was live for Options.ConfirmAfter
	gone   bool               // the file it was mapped from has been removed
	ended  time.Time          // when it was live last, or failed; zero before, and while it is live or starts
}

// plugin gives the state of a plugin, made at its first mention. The caller
// holds h.mu.
func (h *Host) plugin(name string) *pluginState {
	p := h.plugins[name]
	if p == nil {
		p = h.newPlugin(name)
		h.plugins[name] = p
	}
	return p
}

func (h *Host) newPlugin(name string) *pluginState {
	p := &pluginState{name: name, tally: &tally{host: h, plugin: name}}
	p.live.Store(&table{tally: p.tally})
	return p
}

// bind adds a slot to a plugin's table.
func (h *Host) bind(plugin string, b *binding) (live *atomic.Pointer[table], slot int) {
	p, slot, generation, err := h.addSlot(plugin, b)
	if err != nil {
		h.record(control.Event{
			Event: control.KindNote, Plugin: plugin, Generation: generation,
			Reason: "a new handle keeps its built-in: " + err.Error(),
		})
	}
	return &p.live, slot
}

// addSlot gives the error of a live generation that does not fit.
func (h *Host) addSlot(plugin string, b *binding) (p *pluginState, slot, generation int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p = h.plugin(plugin)
	now := p.live.Load()
	value := b.builtin
	if g := p.serving(); g != nil && !p.self {
		var v any
		if v, err = b.value(g.symbols); err == nil {
			value = v
		}
	}
	slot = len(p.binds)
	p.binds = append(p.binds, b)
	values := append(append(make([]any, 0, slot+1), now.values...), value)
	p.live.Store(&table{generation: now.generation, values: values, tally: now.tally, held: now.held})
	return p, slot, now.generation, err
}

// generation gives generation n, nil for 0 and for numbers that never were.
func (p *pluginState) generation(n int) *generation {
	if n < 1 || n > len(p.gens) {
		return nil
	}
	return p.gens[n-1]
}

// serving gives the live generation, nil where the built-in serves.
func (p *pluginState) serving() *generation { return p.generation(p.live.Load().generation) }

// find gives the generation that was made from the same bytes or the same
// build inputs, which amount to the same code under the same identity.
func (p *pluginState) find(digest, key string) *generation {
	for _, g := range p.gens {
		if g.digest == digest || g.manifest.Key == key {
			return g
		}
	}
	return nil
}

// table resolves all handles in g (nil: the built-ins).
func (p *pluginState) table(g *generation) (*table, error) {
	t := &table{values: make([]any, len(p.binds)), tally: p.tally}
	if p.self && g != nil {
		t.generation, t.tally = g.number, g.tally
	}
	if p.self || g == nil { // patches of the host have nothing to be bound
		for slot, b := range p.binds {
			t.values[slot] = b.builtin
		}
		return t, nil
	}
	t.generation, t.tally = g.number, g.tally
	for slot, b := range p.binds {
		v, err := b.value(g.symbols)
		if err != nil {
			return nil, err
		}
		t.values[slot] = v
	}
	return t, nil
}

// lacksBuiltin names a bound symbol that has no built-in, or "".
func (p *pluginState) lacksBuiltin() string {
	for _, b := range p.binds {
		if !b.hasBuiltin {
			return b.symbol
		}
	}
	return ""
}
