package reloader

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # Calls that wait
//
// What a call changes has to be in the state that is carried over, or to happen
// after it. So while state is on its way, handles of the plugin give nothing: Get
// waits, calls that are under way return, and the state is read when none is left.
// Then the handles move, and who waited goes on with the new code.
//
// Nobody waits longer than Options.HoldCalls. A call may take longer than that, or
// may wait itself for somebody who waits here; after that time all goes on, and what
// such a call changes in what was copied may be lost. The event says so. A call that
// was made from inside of the plugin belongs to one that is under way, and does not
// wait.
//
// It costs Get a comparison. Nothing else is known of a call: handles give functions,
// and do not see them return.

// hold is one such wait, of all handles of a plugin.
type hold struct {
	identities map[string]bool // of the plugin's generations: see cutIdentity
	packages   []string        // of the built-in, as symbol names have them
	until      time.Time
	open       chan struct{}
	once       sync.Once
	timer      *time.Timer
}

// hold has the handles of a plugin wait until end is called, or limit is over. builtin
// are the packages of its built-in, where that is on the way.
func (h *Host) hold(p *pluginState, limit time.Duration, builtin []string) (x *hold, end func()) {
	x = &hold{identities: map[string]bool{}, packages: builtin, until: time.Now().Add(limit), open: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range p.gens {
		if key := g.manifest.Key; len(key) >= identityDigits {
			x.identities[key[:identityDigits]] = true
		}
	}
	now := *p.live.Load()
	now.held = x
	p.live.Store(&now)
	x.timer = time.AfterFunc(limit, x.release)
	return x, func() {
		x.timer.Stop()
		h.mu.Lock()
		if now := *p.live.Load(); now.held == x {
			now.held = nil
			p.live.Store(&now)
		}
		h.mu.Unlock()
		x.release()
	}
}

func (x *hold) release() { x.once.Do(func() { close(x.open) }) }

// over reports whether handles may have given something since it began.
func (x *hold) over() bool { return !time.Now().Before(x.until) }

// held gives the table that a handle is to use, which found t.
func held(live *atomic.Pointer[table], t *table) *table {
	for x := t.held; x != nil; x = t.held {
		select {
		case <-x.open:
		default:
			if x.inside() {
				return t
			}
			<-x.open
		}
		if t = live.Load(); t.held == x {
			return t // it was given up
		}
	}
	return t
}

// inside reports whether the plugin is on this goroutine's stack.
func (x *hold) inside() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	for {
		f, more := frames.Next()
		if x.identities[identityOf(f.Function)] || slices.Contains(x.packages, symname.Package(f.Function)) {
			return true
		}
		if !more {
			return false
		}
	}
}
