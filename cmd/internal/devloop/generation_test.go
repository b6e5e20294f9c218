package devloop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// loadedSources is what patches of loaded generations can do for the sources.
type loadedSources struct {
	findings map[string][]builder.Finding // by key of the sources; layout and the like refuse
	same     map[string]bool              // keys of sources that are the same code as any
	err      error                        // of planning
	refuse   error                        // what hosts answer
	astray   bool                         // they may get patches of what no longer serves
	plans    int
}

func (w *world) planLoaded(_ context.Context, h builder.Host, p builder.Plugin, _ []builder.Plugin, key string) (*builder.PatchPlan, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded.plans++
	if w.loaded.err != nil {
		return nil, w.loaded.err
	}
	to := w.sources[p.Name]
	plan := &builder.PatchPlan{
		Host: h, Name: p.Name, Base: key, Verdict: builder.CanPatch, Findings: w.loaded.findings[to],
		Key: fmt.Sprintf("patch of %s to %s", key, to), Compile: 50 * time.Millisecond,
	}
	if w.loaded.same[to] {
		plan.Verdict, plan.Key = builder.NoDifference, ""
	}
	for _, f := range plan.Findings {
		if f.Refuse {
			plan.Verdict, plan.Key = builder.MustRestart, ""
		}
	}
	return plan, nil
}

// loadInPlace is the host's side; the caller holds the lock. A patch that was made
// for another generation than the one that serves is refused, as hosts do.
func (w *world) loadInPlace(h Host, a *builder.Artifact) (control.Event, error) {
	if w.loaded.refuse != nil {
		return control.Event{}, w.loaded.refuse
	}
	base, _, _ := strings.Cut(strings.TrimPrefix(a.Manifest.Key, "patch of "), " to ")
	p := w.pluginOf(h.PID, a.Manifest.Plugin)
	number := p.Live
	if serves := p.Generations[p.Live-1]; serves.Patch {
		number = serves.Base
	}
	if have := p.Generations[number-1].Key; have != base {
		if !w.loaded.astray {
			w.t.Errorf("pid %d runs %s and got a patch of %s", h.PID, have, base)
		}
		return control.Event{}, &control.Error{Code: control.CodeIncompatible, Rule: choose.RuleDrift, Message: "made for another version"}
	}
	n := slices.IndexFunc(p.Generations, func(g control.Generation) bool { return g.Key == a.Manifest.Key }) + 1
	if n > 0 {
		p.Live = n
	} else {
		n = w.put(h.PID, a.Manifest.Plugin, a.Manifest.Key)
		p = w.pluginOf(h.PID, a.Manifest.Plugin)
		p.Generations[n-1].Patch, p.Generations[n-1].Base = true, number
	}
	return control.Event{Event: control.KindLoaded, Verdict: control.Patched, Generation: n, Functions: []string{"pricing.Price"}}, nil
}

func (w *world) pluginOf(pid int, plugin string) *control.Plugin {
	for i := range w.hosts {
		for j := range w.hosts[i].Plugins {
			if w.hosts[i].PID == pid && w.hosts[i].Plugins[j].Name == plugin {
				return &w.hosts[i].Plugins[j]
			}
		}
	}
	return nil
}

// generations is a bubble with two hosts of one binary. Both run a generation of
// pricing, whose sources are theirs: v1.
func generations(t *testing.T, f func(w *world)) {
	bubble(t, func(w *world) {
		w.own = &ownSources{}
		w.sources["pricing"] = "v1"
		w.loaded.findings = map[string][]builder.Finding{}
		w.loaded.same = map[string]bool{}
		for pid := 1; pid <= 2; pid++ {
			w.up(fmt.Sprint("shop", pid), "A", pid, "pricing")
			w.hosts[pid-1].Package = "example.com/shop/" + unit
			w.put(pid, "pricing", "v1")
		}
		f(w)
	})
}

// did gives what was loaded since it was asked last.
func (w *world) did() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	loads := slices.Clone(w.loads)
	slices.Sort(loads)
	w.loads = nil
	return strings.Join(loads, ", ")
}

func (w *world) wantDid(want string) {
	w.t.Helper()
	if got := w.did(); got != want {
		w.t.Errorf("it loaded %q, want %q; events: %s", got, want, w.story())
	}
}

func TestEditOfALoadedGenerationIsPatched(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		if w.wantDid(""); w.loaded.plans > 0 {
			t.Errorf("%d plans of patches were made for hosts that run their sources", w.loaded.plans)
		}
		w.forget()
		w.edit("pricing", "v2")
		w.wantDid("patch of v1 to v2 into 1, patch of v1 to v2 into 2")
		evs := w.of(control.KindLoaded)
		if len(evs) != 2 {
			t.Fatal(w.story())
		}
		for _, ev := range evs {
			if ev.Verdict != control.Patched || ev.Plugin != "pricing" || ev.Generation != 2 || ev.Code != "" || len(ev.Functions) != 1 || ev.PhasesMS.Compile != 50 {
				t.Errorf("the event is %+v", ev)
			}
		}
		if w.loaded.plans != 1 || len(w.builds) != 1 {
			t.Errorf("%d plans and %d builds for two hosts of one binary", w.loaded.plans, len(w.builds))
		}
		w.edit("pricing", "v3")
		w.wantDid("patch of v1 to v3 into 1, patch of v1 to v3 into 2")
		w.edit("pricing", "v3") // a comment
		w.wantDid("")
		if len(w.of(control.KindUnchanged)) != 2 {
			t.Errorf("a comment is not answered: %s", w.story())
		}
	})
}

func TestWhatHasNoEffectIsToldAlsoWhereAPatchIsUndone(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		w.edit("pricing", "v2")
		w.forget()
		w.loaded.same["v1'"] = true
		w.loaded.findings["v1'"] = []builder.Finding{{Code: "HG0031", Symbol: "pricing.base", Text: "pricing.base keeps its value"}}
		w.edit("pricing", "v1'")
		evs := w.of(control.KindRolledBack)
		if len(evs) != 2 || len(evs[1].Notes) != 1 || evs[1].Notes[0].Code != "HG0031" {
			t.Errorf("events: %s", w.story())
		}
	})
}

func TestUndoneEditOfALoadedGenerationLoadsNothing(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		w.edit("pricing", "v2")
		w.wantDid("patch of v1 to v2 into 1, patch of v1 to v2 into 2")
		w.forget()
		plans := w.loaded.plans
		w.edit("pricing", "v1")
		w.wantDid("")
		w.wantLive(1, "pricing", "v1")
		evs := w.of(control.KindRolledBack)
		if len(evs) != 2 || evs[0].Verdict != control.Patched || evs[0].Reason != "back to the code of generation 1" || evs[0].Generation != 1 {
			t.Errorf("events: %s", w.story())
		}
		if w.loaded.plans != plans {
			t.Error("a patch was planned for what the generation was built from")
		}
		w.forget()
		w.edit("pricing", "v1")
		if len(w.of(control.KindUnchanged)) != 2 || len(w.of(control.KindRolledBack)) > 0 {
			t.Errorf("events: %s", w.story())
		}
		w.edit("pricing", "v2") // and once more, though it was settled before
		w.wantDid("patch of v1 to v2 into 1, patch of v1 to v2 into 2")
	})
}

func TestOtherTextOfTheGenerationsCodeTakesThePatchAway(t *testing.T) {
	generations(t, func(w *world) {
		w.loaded.same["v1-renamed"] = true
		w.start(Options{})
		w.edit("pricing", "v1-renamed")
		w.wantDid("")
		w.none(control.KindFailed)
		if len(w.of(control.KindUnchanged)) == 0 {
			t.Errorf("the edit is not answered: %s", w.story())
		}
		w.edit("pricing", "v2")
		w.did()
		w.edit("pricing", "v1-renamed")
		w.wantDid("")
		w.wantLive(1, "pricing", "v1")
		w.wantLive(2, "pricing", "v1")
	})
}

func TestEditThatNoPatchCanDoIsSwappedAndTheNextPatchesThat(t *testing.T) {
	generations(t, func(w *world) {
		w.loaded.findings["v2"] = []builder.Finding{layout}
		w.start(Options{})
		w.edit("pricing", "v2")
		w.wantDid("v2 into 1, v2 into 2")
		for _, ev := range w.of(control.KindLoaded) {
			if ev.Verdict != control.Swapped || ev.Code != "HG0001" || ev.Reason != "not patched: cart.Cart: its fields changed" {
				t.Errorf("the event is %+v", ev)
			}
		}
		w.edit("pricing", "v3")
		w.wantDid("patch of v2 to v3 into 1, patch of v2 to v3 into 2")
		w.edit("pricing", "v1") // an earlier generation is another one now
		w.wantDid("patch of v2 to v1 into 1, patch of v2 to v1 into 2")
	})
}

func TestHostsGetThePatchOfTheirGeneration(t *testing.T) {
	generations(t, func(w *world) {
		w.put(2, "pricing", "v0")
		w.start(Options{})
		w.wantDid("patch of v0 to v1 into 2")
		w.edit("pricing", "v2")
		w.wantDid("patch of v0 to v2 into 2, patch of v1 to v2 into 1")
		w.edit("pricing", "v0")
		w.wantDid("patch of v1 to v0 into 1")
		w.wantLive(2, "pricing", "v0")
	})
}

func TestPatchThatAHostRefusesIsSwappedThereAlone(t *testing.T) {
	generations(t, func(w *world) {
		w.loaded.refuse = &control.Error{Code: control.CodeIncompatible, Rule: "HG0062", Message: "arguments"}
		w.start(Options{})
		w.forget()
		w.edit("pricing", "v2")
		w.wantDid("patch of v1 to v2 into 1, patch of v1 to v2 into 2, v2 into 1, v2 into 2")
		w.none(control.KindFailed)
		for _, ev := range w.of(control.KindLoaded) {
			if ev.Verdict != control.Swapped || ev.Code != "HG0062" {
				t.Errorf("the event is %+v", ev)
			}
		}
	})
}

// Somebody else loads something, and the loop has not looked since.
func TestPatchOfWhatNoLongerServesIsMadeAnewAndNotSwapped(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{Poll: time.Hour})
		w.change(func() {
			for pid := 1; pid <= 2; pid++ {
				w.put(pid, "pricing", "v0")
			}
			w.loaded.astray = true
		})
		w.edit("pricing", "v2")
		w.wantDid("patch of v0 to v2 into 1, patch of v0 to v2 into 2, patch of v1 to v2 into 1, patch of v1 to v2 into 2")
		w.wantLive(1, "pricing", "patch of v0 to v2")
		w.wantLive(2, "pricing", "patch of v0 to v2")
		w.none(control.KindFailed)
	})
}

func TestUnhealthyPatchIsReportedOnceAndNotSwapped(t *testing.T) {
	generations(t, func(w *world) {
		w.loaded.refuse = &control.Error{Code: control.CodeUnhealthy, Message: "HotHealth: no"}
		w.start(Options{})
		w.forget()
		w.edit("pricing", "v2")
		w.pass(5 * time.Second)
		w.wantDid("patch of v1 to v2 into 1, patch of v1 to v2 into 2")
		if len(w.of(control.KindFailed)) != 2 {
			t.Errorf("events: %s", w.story())
		}
		w.wantLive(1, "pricing", "v1")
		w.change(func() { w.loaded.refuse = nil })
		w.edit("pricing", "v3")
		w.wantDid("patch of v1 to v3 into 1, patch of v1 to v3 into 2")
	})
}

func TestLoadedPluginThatDoesNotCompileFailsOnce(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		w.forget()
		w.change(func() { w.loaded.err = errSyntax })
		w.edit("pricing", "v2")
		w.wantDid("")
		if ev := w.only(control.KindFailed); len(ev.Diagnostics) != 1 || len(w.builds) > 0 {
			t.Errorf("%+v after %d builds", ev, len(w.builds))
		}
		w.change(func() { w.loaded.err = nil })
		w.edit("pricing", "v3")
		w.wantDid("patch of v1 to v3 into 1, patch of v1 to v3 into 2")
	})
}

// The same sources make another patch for another generation: that must not undo what
// the user did.
func TestRollbackOfAGenerationHoldsUntilTheNextEdit(t *testing.T) {
	generations(t, func(w *world) {
		w.loaded.findings["v2"] = []builder.Finding{layout}
		w.start(Options{})
		w.edit("pricing", "v2")
		w.edit("pricing", "v3")
		w.wantDid("patch of v2 to v3 into 1, patch of v2 to v3 into 2, v2 into 1, v2 into 2")
		w.press(Rollback) // v2
		w.press(Rollback) // v1
		w.wantLive(1, "pricing", "v1")
		w.touch("/src/other.go")
		w.pass(5 * time.Second)
		w.wantDid("")
		w.wantLive(1, "pricing", "v1")
		w.edit("pricing", "v4")
		w.wantDid("patch of v1 to v4 into 1, patch of v1 to v4 into 2")
	})
}

func TestPatchThatTheUserBroughtBackHoldsUntilTheNextEdit(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		w.edit("pricing", "v2")
		w.edit("pricing", "v1")
		w.wantLive(1, "pricing", "v1")
		w.change(func() { w.pluginOf(1, "pricing").Live = 2 }) // hotgo rollback --to 2
		w.pass(5 * time.Second)
		w.touch("/src/other.go")
		w.wantLive(1, "pricing", "patch of v1 to v2")
		w.edit("pricing", "v3")
		w.wantLive(1, "pricing", "patch of v1 to v3")
	})
}

// A swap is under way when the next edit is planned as a patch of what served before
// it. What comes is a patch of the new generation.
func TestEditDuringASwapPatchesTheNewGeneration(t *testing.T) {
	bubble(t, func(w *world) {
		w.own = &ownSources{}
		w.sources["pricing"] = "v1"
		w.loaded.findings = map[string][]builder.Finding{"v2": {layout}}
		w.up("shop", "A", 1, "pricing")
		w.put(1, "pricing", "v1")
		gate := make(chan struct{})
		w.held = gate
		w.start(Options{})
		w.edit("pricing", "v2") // its load waits
		w.edit("pricing", "v3")
		close(gate)
		w.pass(time.Second)
		w.wantDid("patch of v2 to v3 into 1, v2 into 1")
		w.wantLive(1, "pricing", "patch of v2 to v3")
		w.none(control.KindFailed)
	})
}

// The sources are back where they were before what is being loaded.
func TestUndoneEditTakesAwayAPatchThatWasOnItsWay(t *testing.T) {
	generations(t, func(w *world) {
		w.start(Options{})
		w.edit("pricing", "v2")
		w.did()
		gate := make(chan struct{})
		w.change(func() { w.held = gate })
		w.edit("pricing", "v3") // its load waits
		w.edit("pricing", "v1")
		close(gate)
		w.pass(time.Second)
		w.wantDid("patch of v1 to v3 into 1, patch of v1 to v3 into 2")
		w.wantLive(1, "pricing", "v1")
		w.wantLive(2, "pricing", "v1")
	})
}

func TestUndoneEditOfTheHostTakesAwayAPatchThatWasOnItsWay(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.editHost("k1", builder.CanPatch)
		gate := make(chan struct{})
		w.change(func() { w.held = gate })
		w.editHost("k2", builder.CanPatch)
		w.editHost("", builder.NoDifference)
		close(gate)
		w.pass(time.Second)
		w.wantLive(1, unit, "")
		w.none(control.KindFailed)
	})
}

func TestLoadedPluginIsNotComparedForEditsElsewhere(t *testing.T) {
	generations(t, func(w *world) {
		w.sources["greet"] = asBuilt
		for i := range w.hosts {
			w.hosts[i].Plugins = append(w.hosts[i].Plugins, control.Plugin{Name: "greet"})
		}
		w.start(Options{})
		w.editHost("k1", builder.CanPatch)
		w.wantDid("k1+v1 into 1, k1+v1 into 2")
		if w.loaded.plans > 0 {
			t.Errorf("%d plans of patches of pricing", w.loaded.plans)
		}
	})
}
