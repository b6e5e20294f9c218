package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
)

func TestPlan(t *testing.T) {
	none := func(int) bool { return false }
	for _, test := range []struct {
		name    string
		options Options
		n       int
		current func(int) bool
		want    string // batches
		says    string
	}{
		{"nobody", Options{}, 0, none, "[]", ""},
		{"all", Options{}, 3, none, "[[0 1 2]]", "3 hosts together"},
		{"rolling is one by one", Options{Strategy: Rolling}, 3, none, "[[0] [1] [2]]", "3 hosts, 1 at a time"},
		{"a number", Options{Strategy: Rolling, MaxUnavailable: Share{Count: 2}}, 5, none, "[[0 1] [2 3] [4]]", "5 hosts, 2 at a time"},
		{"a percentage is rounded down", Options{Strategy: Rolling, MaxUnavailable: Share{Percent: 50}}, 5, none, "[[0 1] [2 3] [4]]", "5 hosts, 2 at a time"},
		{"but not to none", Options{Strategy: Rolling, MaxUnavailable: Share{Percent: 1}}, 2, none, "[[0] [1]]", "2 hosts, 1 at a time"},
		{"more than there are", Options{Strategy: Rolling, MaxUnavailable: Share{Count: 9}}, 2, none, "[[0 1]]", "2 hosts together"},
		{"canary", Options{Strategy: Canary}, 4, none, "[[0] [1 2 3]]", "host 0 first, alone; then 3 hosts together"},
		{"canary, then a few", Options{Strategy: Canary, MaxUnavailable: Share{Count: 2}}, 4, none, "[[0] [1 2] [3]]", "host 0 first, alone; then 3 hosts, 2 at a time"},
		{"the only one is the canary", Options{Strategy: Canary}, 1, none, "[[0]]", "host 0 first, alone"},
		{
			"who has it is no canary",
			Options{Strategy: Canary},
			4, func(n int) bool { return n < 2 }, "[[0 1] [2] [3]]",
			"2 hosts have the version already; then host 2 first, alone; then 1 host together",
		},
		{"all have it", Options{Strategy: Canary}, 2, func(int) bool { return true }, "[[0 1]]", "2 hosts have the version already"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := New(test.options, test.n, test.current)
			if got := fmt.Sprint(p.Batches); got != test.want {
				t.Errorf("batches %s, want %s", got, test.want)
			}
			if got := p.Describe(func(n int) string { return "host " + strconv.Itoa(n) }); got != test.says {
				t.Errorf("says %q, want %q", got, test.says)
			}
		})
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]Share{"": {}, "3": {Count: 3}, "25%": {Percent: 25}, "100%": {Percent: 100}} {
		if got, err := ParseShare(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "-1", "0%", "101%", "x", "%", "1.5", "25 %"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// world records what happens to targets.
type world struct {
	mu     sync.Mutex
	fails  map[int]bool
	same   map[int]bool
	stuck  map[int]bool
	calls  []string
	during int // targets being changed
	most   int
}

func (w *world) effects() Effects {
	return Effects{
		Apply: func(_ context.Context, target int) State {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls = append(w.calls, fmt.Sprint("apply ", target))
			switch {
			case w.fails[target]:
				return Failed
			case w.same[target]:
				return Same
			}
			return Done
		},
		Undo: func(ctx context.Context, target int) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls = append(w.calls, fmt.Sprint("undo ", target))
			if w.stuck[target] {
				return errors.New("it refuses")
			}
			return ctx.Err()
		},
	}
}

func TestFailureStopsAndSetsBackInReverse(t *testing.T) {
	w := &world{fails: map[int]bool{2: true}, same: map[int]bool{0: true}}
	states := Run(t.Context(), New(Options{Strategy: Rolling}, 5, func(n int) bool { return n == 0 }), w.effects())
	if want := []State{Same, Undone, Failed, Skipped, Skipped}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	if want := []string{"apply 0", "apply 1", "apply 2", "undo 2", "undo 1"}; !slices.Equal(w.calls, want) {
		t.Errorf("calls %v, want %v", w.calls, want)
	}
}

func TestFailedCanaryKeepsTheOthersUntouched(t *testing.T) {
	w := &world{fails: map[int]bool{0: true}}
	states := Run(t.Context(), New(Options{Strategy: Canary}, 3, func(int) bool { return false }), w.effects())
	if want := []State{Failed, Skipped, Skipped}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

func TestNoUndoKeepsWhatWasDone(t *testing.T) {
	w := &world{fails: map[int]bool{1: true}}
	states := Run(t.Context(), New(Options{Strategy: Rolling, NoUndo: true}, 3, func(int) bool { return false }), w.effects())
	if want := []State{Done, Failed, Skipped}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

func TestWhatCannotBeSetBackIsSaid(t *testing.T) {
	w := &world{fails: map[int]bool{2: true}, stuck: map[int]bool{0: true, 2: true}}
	states := Run(t.Context(), New(Options{Strategy: Rolling}, 3, func(int) bool { return false }), w.effects())
	if want := []State{Stuck, Undone, Stuck}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

func TestAllGoOnAfterAFailure(t *testing.T) {
	w := &world{fails: map[int]bool{1: true}}
	states := Run(t.Context(), New(Options{}, 3, func(int) bool { return false }), w.effects())
	if want := []State{Done, Failed, Done}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

// An interruption is no reason to leave half a rollout, and its end must not keep
// targets from being set back. After the last target there is nothing to set back.
func TestInterruptionLeavesAllOrNothing(t *testing.T) {
	for n, want := range map[int][]State{3: {Undone, Undone, Skipped}, 2: {Done, Done}} {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{}
		fx := w.effects()
		apply := fx.Apply
		fx.Apply = func(ctx context.Context, target int) State {
			if target == 1 {
				cancel()
			}
			return apply(ctx, target)
		}
		states := Run(ctx, New(Options{Strategy: Rolling}, n, func(int) bool { return false }), fx)
		if !slices.Equal(states, want) {
			t.Errorf("states %v, want %v", states, want)
		}
	}
}

func TestNeverMoreAtOnceThanAllowed(t *testing.T) {
	for _, o := range []Options{
		{MaxUnavailable: Share{Count: 3}}, {Strategy: Rolling, MaxUnavailable: Share{Count: 3}},
	} {
		w := &world{}
		enter := make(chan struct{})
		fx := Effects{
			Apply: func(context.Context, int) State {
				w.mu.Lock()
				w.during++
				w.most = max(w.most, w.during)
				w.mu.Unlock()
				<-enter
				w.mu.Lock()
				w.during--
				w.mu.Unlock()
				return Done
			},
		}
		var states []State
		var wg sync.WaitGroup
		wg.Go(func() { states = Run(t.Context(), New(o, 10, func(int) bool { return false }), fx) })
		for range 10 {
			enter <- struct{}{}
		}
		wg.Wait()
		if w.most > 3 || slices.ContainsFunc(states, func(s State) bool { return s != Done }) {
			t.Errorf("%+v: %d at once, states %v", o, w.most, states)
		}
	}
}
