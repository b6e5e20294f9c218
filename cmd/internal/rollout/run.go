package rollout

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// State is where a target stands at the end.
type State int

// The states.
const (
	Skipped State = iota // not begun: the rollout had stopped
	Done                 // it has the new version
	Same                 // it had it before
	Failed               // it did not take it
	Undone               // it had the new version, and was set back
	Stuck                // it should have been set back, and was not
)

// String gives a state's word.
func (s State) String() string {
	return [...]string{"not begun", "done", "unchanged", "failed", "undone", "not undone"}[s]
}

// Effects is what a rollout does to the world. They are called concurrently, for
// different targets.
type Effects struct {
	// Apply brings the new version to a target, waits for the verdict, and gives Done,
	// Same or Failed.
	Apply func(ctx context.Context, target int) State
	// Undo sets a target back to what it had when Apply began. It is called for
	// targets that are Done or Failed: a failure may have come in the middle. Its
	// context outlives that of Run, so that who interrupts a rollout is not left with
	// half of it.
	Undo func(ctx context.Context, target int) error
}

// Run carries out a plan and gives the state of each target that is in it. When ctx
// ends, no other target is begun, and a plan that stops does what it does after a
// failure.
func Run(ctx context.Context, p Plan, fx Effects) []State {
	n := 0
	for _, b := range p.Batches {
		n += len(b)
	}
	states := make([]State, n)
	var failed atomic.Bool
	ended := func() bool { return ctx.Err() != nil || p.Stop && failed.Load() }
	begun := 0
	for _, batch := range p.Batches {
		if ended() {
			break
		}
		begun++
		p.each(batch, func(target int) {
			if ended() {
				return
			}
			states[target] = fx.Apply(ctx, target)
			if states[target] == Failed {
				failed.Store(true)
			}
		})
	}
	complete := !failed.Load() && !slices.Contains(states, Skipped)
	if complete || !p.Undo {
		return states
	}
	ctx = context.WithoutCancel(ctx)
	for _, batch := range slices.Backward(p.Batches[:begun]) {
		p.each(batch, func(target int) { states[target] = undo(ctx, states[target], target, fx) })
	}
	return states
}

// undo sets a target back and gives its new state.
func undo(ctx context.Context, was State, target int, fx Effects) State {
	if was != Done && was != Failed {
		return was
	}
	switch err := fx.Undo(ctx, target); {
	case err != nil:
		return Stuck
	case was == Done:
		return Undone
	}
	return was
}

// each calls do for the targets of a batch, a few at a time, and waits for all.
func (p Plan) each(batch []int, do func(target int)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, max(1, p.AtOnce))
	for _, target := range batch {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			do(target)
		})
	}
	wg.Wait()
}
