package store

import (
	"context"
	"fmt"
	"sync"
)

// gates are locks by name among goroutines. They spare those of one process
// the asking again that processes need, and tell the race detector about the
// order that a file lock makes. The zero value is ready.
type gates struct {
	mu     sync.Mutex
	byName map[string]*gate
}

// gate lets one goroutine through at a time.
type gate struct {
	free  chan struct{} // holds one token while nobody is inside
	users int           // inside or waiting; the last one takes the gate away
}

// enter waits for the gate of that name.
//
// Errors: ctx's, where it ended first.
func (g *gates) enter(ctx context.Context, name string) (leave func(), err error) {
	g.mu.Lock()
	if g.byName == nil {
		g.byName = map[string]*gate{}
	}
	at := g.byName[name]
	if at == nil {
		at = &gate{free: make(chan struct{}, 1)}
		at.free <- struct{}{}
		g.byName[name] = at
	}
	at.users++
	g.mu.Unlock()

	gone := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(g.byName, name)
		}
	}
	select {
	case <-at.free:
	default:
		select {
		case <-at.free:
		case <-ctx.Done():
			gone()
			return nil, fmt.Errorf("wait for another goroutine: %w", context.Cause(ctx))
		}
	}
	return func() {
		at.free <- struct{}{}
		gone()
	}, nil
}
