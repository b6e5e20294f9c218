package reloader

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Code of a plugin is run on a goroutine of its own, because three of the ways
// in which it can misbehave are only survivable there: it panics, it ends its
// goroutine (runtime.Goexit, as testing.T.FailNow does), or it never comes
// back. The last leaks the goroutine; that is counted and shown.

// panicError is a panic of a plugin's code.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Unwrap gives a panic's value where it is an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

var (
	errGoexit = errors.New("it called runtime.Goexit")
	errHung   = errors.New("it did not return")
)

// supervise runs fn and waits for it at most limit; then it gives an error
// that wraps errHung and leaves fn running. late, if not nil, is called with
// fn's error should it return after all.
func (h *Host) supervise(limit time.Duration, fn func() error, late func(error)) error {
	done := make(chan error) // unbuffered: exactly one of the two sides gets away first
	gaveUp := make(chan struct{})
	go func() {
		err := errGoexit
		// After Goexit deferred functions are all that still runs.
		defer func() {
			if v := recover(); v != nil {
				err = &panicError{value: v, stack: debug.Stack()}
			}
			select {
			case done <- err:
			case <-gaveUp:
				h.stuck.Add(-1)
				if late != nil {
					late(err)
				}
			}
		}()
		err = fn()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		h.stuck.Add(1)
		close(gaveUp)
		return fmt.Errorf("%w within %v", errHung, limit)
	}
}
