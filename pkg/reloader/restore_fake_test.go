package reloader

import (
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

// boots is a program that is started again and again with one directory. What its
// artifacts do stays known from one process to the next; what is mapped does not.
type boots struct {
	*fakeProcess
	opts  Options
	build string
	code  map[uintptr]string // functions of the host
}

func newBoots(t *testing.T) *boots {
	return &boots{fakeProcess: newFakeProcess(t), opts: Options{Name: "shop", Dir: ownDir(t)}, build: "fake"}
}

// start starts a process.
func (b *boots) start() *Host {
	b.t.Helper()
	h, err := b.tryStart()
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func (b *boots) tryStart() (*Host, error) {
	b.mu.Lock()
	b.opened, b.paths = nil, map[string]bool{}
	b.fakeProcess.code = newFakeCode()
	for at, name := range b.code {
		b.fakeProcess.code.has(at, name, 1)
	}
	b.mu.Unlock()
	p := b.platform()
	p.host = func() (*abi.Fingerprint, error) { return &abi.Fingerprint{BuildID: b.build}, nil }
	o := b.opts
	o.NoSocket = true
	h, err := newHost(o, p)
	if err == nil {
		b.t.Cleanup(func() { _ = h.Close() })
	}
	return h, err
}

// crash ends a process as kill -9 does, as far as its directory is concerned.
func crash(h *Host) {
	k := h.keeper
	k.mu.Lock()
	k.ended = true
	for _, w := range k.watches {
		w.Stop()
	}
	k.mu.Unlock()
	_ = k.close()
}

// proven has everything that is live prove itself, as time does.
func proven(h *Host) {
	for _, g := range h.allLive() {
		h.keeper.confirm(g)
	}
}

// price binds Price and gives what it makes of 1.
func price(h *Host) int { return Bind(h, "pricing", "Price", times(1)).Get()(1) }

// told gives the events of a kind that this process has recorded, less what every
// process of a release of Go says of that.
func told(h *Host, kind control.Kind) (events []control.Event) {
	issue := abi.KnownIssue(runtime.Version())
	for _, ev := range h.History() {
		switch {
		case ev.Event == control.KindStarted:
			events = nil
		case ev.Event == kind && (issue == "" || ev.Reason != issue):
			events = append(events, ev)
		}
	}
	return events
}

// tells checks how often a process said so, and gives the last time.
func tells(t *testing.T, h *Host, kind control.Kind, n int) control.Event {
	t.Helper()
	events := told(h, kind)
	if len(events) != n {
		t.Fatalf("%d events %q, want %d: %+v", len(events), kind, n, events)
	}
	if n == 0 {
		return control.Event{}
	}
	return events[n-1]
}

// fullDisk has everything that is written for the next process fail while it is
// true.
func fullDisk(t *testing.T) *atomic.Bool {
	var full atomic.Bool
	before := restore.System
	t.Cleanup(func() { restore.System = before })
	restore.System.Write = func(f *os.File, b []byte) (int, error) {
		if full.Load() {
			n, _ := before.Write(f, b[:len(b)/3])
			return n, syscall.ENOSPC
		}
		return before.Write(f, b)
	}
	return &full
}

// openedKeys gives the first digits of what this process opened, in order.
func (b *boots) openedKeys() (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.opened {
		keys = append(keys, k[:2])
	}
	return slices.Clip(keys)
}
