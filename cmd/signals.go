package cmd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

var (
	errInterrupted = errors.New("interrupted")
	errTimeout     = errors.New("--timeout ran out")
)

// echo is how soon a second signal is still the first one. `go tool hotgo` hands
// on every signal it gets (go1.26: cmd/go/internal/tool/tool.go, runBuiltTool),
// while the terminal sends a Ctrl-C to the whole foreground group anyway: one
// press arrives twice, within a millisecond or so. Nobody presses that fast.
const echo = 150 * time.Millisecond

// signals gives a context that ends with the first SIGINT or SIGTERM, and a
// channel that the second one closes. signal.NotifyContext knows the first
// alone, and a signal between its stop and a second Notify would be lost.
func signals() (ctx context.Context, force <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	forced, stopped := make(chan struct{}), make(chan struct{})
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	// With a handler, a write to a pipe that nobody reads is an error and not
	// the end of the process: run has a child to stop. (Ignoring the signal
	// instead would be inherited by children.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go tellApart(got, stopped, func() { cancel(errInterrupted) }, func() { close(forced) })
	return ctx, forced, sync.OnceFunc(func() {
		signal.Stop(got)
		close(stopped)
		cancel(nil)
	})
}

// tellApart calls first for the first signal and second for one that follows
// it, but not as its echo. It returns after second, or once stopped is closed.
func tellApart(got <-chan os.Signal, stopped <-chan struct{}, first, second func()) {
	var since time.Time
	for {
		select {
		case <-got:
		case <-stopped:
			return
		}
		switch {
		case since.IsZero():
			since = time.Now()
			first()
		case time.Since(since) >= echo:
			second()
			return
		}
	}
}
