package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// fleet is processes that hold one plugin, numbered from 1; generation 1 serves in all.
type fleet struct {
	mu     sync.Mutex
	hosts  []control.Status
	fails  map[int]error // what a load ends with, by pid
	loads  map[int]bool  // though it failed for the caller, the load was made
	stuck  map[int]bool
	gone   map[int]bool
	others map[int]bool // somebody else loads right after this push
	did    []string
}

func newFleet(n int) *fleet {
	f := &fleet{fails: map[int]error{}, loads: map[int]bool{}, stuck: map[int]bool{}, gone: map[int]bool{}, others: map[int]bool{}}
	for pid := 1; pid <= n; pid++ {
		st := control.Status{Name: "shop", PID: pid, Socket: fmt.Sprint(pid)}
		live(&st, "greet", "", 1)
		f.hosts = append(f.hosts, st)
	}
	return f
}

func (f *fleet) load(pid, generation int, key string) {
	st := &f.hosts[pid-1]
	gens := append(slices.Clone(st.Plugins[0].Generations), control.Generation{Generation: generation, Key: key})
	st.Plugins = []control.Plugin{{Name: "greet", Live: generation, Generations: gens}}
}

func (f *fleet) serves(pid, generation int) {
	st := &f.hosts[pid-1]
	st.Plugins = slices.Clone(st.Plugins)
	st.Plugins[0].Live = generation
}

func (f *fleet) effects() Effects {
	return Effects{
		Load: func(_ context.Context, st control.Status, a *builder.Artifact) (control.Event, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.did = append(f.did, fmt.Sprint("load ", st.PID))
			if f.hosts[st.PID-1].Plugins[0].Live == 2 {
				return control.Event{Event: control.KindUnchanged, Generation: 2}, nil
			}
			err := f.fails[st.PID]
			if err == nil || f.loads[st.PID] {
				f.load(st.PID, 2, a.Manifest.Key)
			}
			if f.others[st.PID] {
				f.load(st.PID, 3, "other")
			}
			return control.Event{Event: control.KindLoaded, Generation: 2}, err
		},
		Restore: func(_ context.Context, st control.Status, _ string, to int) (control.Event, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.did = append(f.did, fmt.Sprintf("restore %d to %d", st.PID, to))
			if f.stuck[st.PID] {
				return control.Event{}, errors.New("it refuses")
			}
			f.serves(st.PID, to)
			return control.Event{Event: control.KindRolledBack, Generation: to}, nil
		},
		Status: func(_ context.Context, st control.Status) (*control.Status, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.gone[st.PID] {
				return nil, &control.UnreachableError{Target: st.Socket}
			}
			now := f.hosts[st.PID-1]
			now.Socket = "as it sees it"
			return &now, nil
		},
	}
}

// push gives what was done, what was told about each process, and how it ended.
func (f *fleet) push(t *testing.T, o rollout.Options) (did, told string, err error) {
	t.Helper()
	a := &builder.Artifact{Digest: "sha256:new", Manifest: builder.Manifest{Plugin: "greet", Key: "new"}}
	var lines []string
	results := Push(t.Context(), []*Change{{Plugin: "greet", Way: choose.BySwap, Artifact: a, Hosts: slices.Clone(f.hosts)}}, o, f.effects(), func(r Result) {
		what := string(r.Event.Event)
		if r.Err != nil {
			what = "failed"
		}
		lines = append(lines, fmt.Sprint(r.Host.PID, " ", what))
	})
	states := map[int]rollout.State{}
	for _, r := range results {
		states[r.Host.PID] = r.State
	}
	var end []string
	for pid := range states {
		end = append(end, fmt.Sprint(pid, " ", states[pid]))
	}
	sort.Strings(end)
	return strings.Join(f.did, ", "), strings.Join(lines, ", ") + " => " + strings.Join(end, ", "), Err(results)
}

var unwell = &control.Error{Code: control.CodeUnhealthy, Message: "unwell"}

// What of a host was loaded before something else failed there is set back, and what
// comes after is not begun.
func TestFailureInTheMiddleOfAHostLeavesNothingThere(t *testing.T) {
	f := newFleet(1)
	fx := f.effects()
	load := fx.Load
	fx.Load = func(ctx context.Context, st control.Status, a *builder.Artifact) (control.Event, error) {
		if a.Manifest.Plugin != "greet" {
			return control.Event{}, unwell
		}
		return load(ctx, st, a)
	}
	var changes []*Change
	for _, plugin := range []string{"greet", "pricing", "tax"} {
		a := &builder.Artifact{Manifest: builder.Manifest{Plugin: plugin, Key: "new"}}
		changes = append(changes, &Change{Plugin: plugin, Way: choose.BySwap, Artifact: a, Hosts: slices.Clone(f.hosts)})
	}
	var states []rollout.State
	for _, r := range Push(t.Context(), changes, rollout.Options{Strategy: rollout.Rolling}, fx, func(Result) {}) {
		states = append(states, r.State)
	}
	if want := []rollout.State{rollout.Undone, rollout.Failed, rollout.Skipped}; !slices.Equal(states, want) || f.hosts[0].Plugins[0].Live != 1 {
		t.Errorf("states %v, want %v; v%d serves", states, want, f.hosts[0].Plugins[0].Live)
	}
}

func TestWhatIsKnownToFailIsNotBegun(t *testing.T) {
	f := newFleet(2)
	a := &builder.Artifact{Manifest: builder.Manifest{Plugin: "greet", Key: "new"}}
	changes := []*Change{
		{Plugin: "greet", Way: choose.BySwap, Artifact: a, Hosts: slices.Clone(f.hosts[:1])},
		{Plugin: "greet", Way: choose.Refused, Err: unwell, Hosts: slices.Clone(f.hosts[1:])},
	}
	results := Push(t.Context(), changes, rollout.Options{Strategy: rollout.Rolling}, f.effects(), func(Result) {})
	if err := Err(results); len(f.did) > 0 || !errors.Is(err, unwell) {
		t.Errorf("it did %q and ended with %v", f.did, err)
	}
	results = Push(t.Context(), changes, rollout.Options{}, f.effects(), func(Result) {})
	if _, partial := errors.AsType[*PartialError](Err(results)); len(f.did) != 1 || !partial {
		t.Errorf("it did %q and ended with %v", f.did, Err(results))
	}
}

func TestRollout(t *testing.T) {
	for name, tc := range map[string]struct {
		options rollout.Options
		fleet   func(*fleet)
		did     string
		told    string
		partial string // "" for what is not
		fails   bool
	}{
		"one after the other": {
			options: rollout.Options{Strategy: rollout.Rolling},
			did:     "load 1, load 2, load 3",
			told:    "1 loaded, 2 loaded, 3 loaded => 1 done, 2 done, 3 done",
		},
		"a failure sets back what was done": {
			options: rollout.Options{Strategy: rollout.Rolling},
			fleet:   func(f *fleet) { f.fails[2] = unwell },
			did:     "load 1, load 2, restore 1 to 1",
			told:    "1 loaded, 2 failed, 1 rolled-back, 3 skipped => 1 undone, 2 failed, 3 not begun",
			fails:   true,
		},
		"unless it is to be kept": {
			options: rollout.Options{Strategy: rollout.Rolling, NoUndo: true},
			fleet:   func(f *fleet) { f.fails[2] = unwell },
			did:     "load 1, load 2",
			told:    "1 loaded, 2 failed, 3 skipped => 1 done, 2 failed, 3 not begun",
			fails:   true, partial: "1 of 3 loads failed, 1 not begun",
		},
		"a canary that fails leaves the others alone": {
			options: rollout.Options{Strategy: rollout.Canary},
			fleet:   func(f *fleet) { f.fails[1] = unwell },
			did:     "load 1",
			told:    "1 failed, 2 skipped, 3 skipped => 1 failed, 2 not begun, 3 not begun",
			fails:   true,
		},
		"what was loaded though nobody heard of it is set back": {
			options: rollout.Options{Strategy: rollout.Rolling},
			fleet:   func(f *fleet) { f.fails[1] = &control.UnreachableError{}; f.loads[1] = true },
			did:     "load 1, restore 1 to 1",
			told:    "1 failed, 1 rolled-back, 2 skipped, 3 skipped => 1 failed, 2 not begun, 3 not begun",
			fails:   true,
		},
		"who died has nothing to set back": {
			options: rollout.Options{Strategy: rollout.Rolling},
			fleet:   func(f *fleet) { f.fails[2] = &control.UnreachableError{}; f.gone[2] = true },
			did:     "load 1, load 2, restore 1 to 1",
			told:    "1 loaded, 2 failed, 1 rolled-back, 3 skipped => 1 undone, 2 failed, 3 not begun",
			fails:   true,
		},
		"what refuses to go back is told": {
			options: rollout.Options{Strategy: rollout.Rolling},
			fleet:   func(f *fleet) { f.fails[2] = unwell; f.stuck[1] = true },
			did:     "load 1, load 2, restore 1 to 1",
			told:    "1 loaded, 2 failed, 1 failed, 3 skipped => 1 not undone, 2 failed, 3 not begun",
			fails:   true, partial: "1 of 3 loads failed, 1 not begun, 1 not set back",
		},
		"what others have loaded since stays": {
			options: rollout.Options{Strategy: rollout.Rolling},
			fleet:   func(f *fleet) { f.fails[2] = unwell; f.others[1] = true },
			did:     "load 1, load 2",
			told:    "1 loaded, 2 failed, 1 failed, 3 skipped => 1 not undone, 2 failed, 3 not begun",
			fails:   true, partial: "1 of 3 loads failed, 1 not begun, 1 not set back",
		},
		"a second push goes where the first did not": {
			options: rollout.Options{Strategy: rollout.Canary},
			fleet:   func(f *fleet) { f.load(1, 2, "new"); f.fails[2] = unwell },
			did:     "load 1, load 2",
			told:    "1 unchanged, 2 failed, 3 skipped => 1 unchanged, 2 failed, 3 not begun",
			fails:   true, partial: "1 of 3 loads failed, 1 not begun",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(3)
			if tc.fleet != nil {
				tc.fleet(f)
			}
			did, told, err := f.push(t, tc.options)
			if did != tc.did {
				t.Errorf("it did   %s\nwant     %s", did, tc.did)
			}
			if told != tc.told {
				t.Errorf("it told  %s\nwant     %s", told, tc.told)
			}
			partial, is := errors.AsType[*PartialError](err)
			if (err != nil) != tc.fails || is != (tc.partial != "") || is && partial.Error() != tc.partial {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
