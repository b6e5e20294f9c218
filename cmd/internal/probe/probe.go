// Package probe asks a service from outside whether it works: over HTTP, or by a
// command that somebody wrote. It knows nothing of hosts.
package probe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Probe is one question.
type Probe struct {
	Name string // as people wrote it, with its kind: "GET http://localhost/healthz"
	// Ask gives nil where the service works, and says what is wrong where it does not.
	// It ends soon after its context does.
	Ask func(context.Context) error
}

// Options say how long and how closely to ask.
type Options struct {
	Length   time.Duration // from the first question to the last one
	Interval time.Duration // from the end of one to the next
	Timeout  time.Duration // of one; longer is a failure
	Failures int           // in a row, which are one too many
}

// Result is what one probe has found.
type Result struct {
	Name         string
	Runs, Failed int
	Last         error // of the last one that failed
}

// FailedError says that the service does not work.
type FailedError struct {
	Result
	InRow int
}

// Error tells what failed, how often, and how in the end.
func (e *FailedError) Error() string {
	if e.InRow == 1 {
		return fmt.Sprintf("%s failed: %v", e.Name, e.Last)
	}
	return fmt.Sprintf("%s failed %d times in a row: %v", e.Name, e.InRow, e.Last)
}

// Unwrap gives what was wrong the last time.
func (e *FailedError) Unwrap() error { return e.Last }

// Watch asks all probes, each again and again, at once and until Length is over. It
// does not end on a question that has failed: it asks on until one is answered well, or
// the row is long enough.
//
// Errors: *FailedError for the first probe that failed too often, after which nothing is
// asked any more; the cause of ctx's end.
func Watch(ctx context.Context, probes []Probe, o Options) ([]Result, error) {
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	end := time.Now().Add(o.Length)
	results := make([]Result, len(probes))
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() {
			r := &results[i]
			r.Name = p.Name
			if err := watch(asking, p, o, end, r); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return results, context.Cause(asking)
}

// watch asks one probe.
func watch(ctx context.Context, p Probe, o Options, end time.Time, r *Result) error {
	for inRow := 0; ; {
		err := ask(ctx, p, o.Timeout)
		if ctx.Err() != nil {
			return nil // it says nothing any more
		}
		r.Runs++
		if err == nil {
			inRow = 0
		} else {
			r.Failed, r.Last = r.Failed+1, err
			if inRow++; inRow >= o.Failures {
				return &FailedError{*r, inRow}
			}
		}
		left := time.Until(end)
		if left <= 0 && inRow == 0 {
			return nil
		}
		pause := o.Interval
		if inRow == 0 {
			pause = min(pause, left) // the last question is about the end
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func ask(ctx context.Context, p Probe, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	err := p.Ask(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
