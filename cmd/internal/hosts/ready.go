package hosts

import (
	"context"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// A host answers before it is made: it restores what was live before meanwhile, and
// binds nothing until the program goes on. Who plans from such an answer takes it for a
// host without plugins.

const (
	// pause is how long it takes until a host is asked again.
	pause = 20 * time.Millisecond
	// young is how long a host that binds nothing may be about to. Programs bind
	// their handles when they start; there are some that never bind any.
	young = time.Second
)

// FindReady is Find for whoever changes hosts, or says what a change would be: it waits
// until the hosts have started, which takes at most their Options.RestoreTimeout, and as
// long as one that binds nothing is younger than a second. waits is told of each host
// that is waited for because it starts; it may be called concurrently.
func (r *Reach) FindReady(ctx context.Context, targets []string, waits func(control.Status)) (*Found, error) {
	f, err := r.Find(ctx, targets)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	for i := range f.Hosts {
		wg.Go(func() { f.Hosts[i] = r.ready(ctx, f.Hosts[i], waits) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, nil
}

// ready gives what a host says of itself once it is ready. Where it does not answer any
// more, that is for whoever calls it next to find out.
func (r *Reach) ready(ctx context.Context, st control.Status, waits func(control.Status)) control.Status {
	if st.Starting {
		waits(st)
	}
	// By this clock: the host's may be another machine's.
	until := time.Now().Add(young - min(young, max(0, time.Since(st.Started))))
	if !waitsFor(st, until) {
		return st
	}
	client := r.Client(st)
	defer client.Close()
	t := time.NewTicker(pause)
	defer t.Stop()
	for waitsFor(st, until) {
		select {
		case <-ctx.Done():
			return st
		case <-t.C:
		}
		now, err := client.Status(ctx)
		if err != nil {
			return st
		}
		if st.Starting && !now.Starting {
			until = time.Now().Add(young) // it begins to bind now
		}
		now.Socket = st.Socket // a host says where it listens as it sees it
		st = *now
	}
	return st
}

// waitsFor reports whether a host may be about to bind its plugins.
func waitsFor(st control.Status, until time.Time) bool {
	return st.Starting || !binds(st) && time.Now().Before(until)
}

func binds(st control.Status) bool {
	for _, p := range st.Plugins {
		if len(p.Symbols) > 0 {
			return true
		}
	}
	return false
}
