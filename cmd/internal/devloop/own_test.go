package devloop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// unit is what the own code of the world's hosts is called, and asBuilt the key of
// plugins that are what the hosts were built from.
const (
	unit    = "server"
	asBuilt = "as-built"
)

// ownSources is the own code of hosts, as the sources have it.
type ownSources struct {
	key      string // of the patch; "" is the code that the hosts were built from
	verdict  builder.PatchVerdict
	findings []builder.Finding
	err      error // of planning
	assumed  bool  // nobody wrote down what the hosts were built from
	plans    int

	functions []string // that differ; nil is cart.Total
}

// patchable is a bubble in which a host with a built-in plugin runs.
func patchable(t *testing.T, f func(w *world)) {
	bubble(t, func(w *world) {
		w.own = &ownSources{}
		w.sources["pricing"] = asBuilt
		w.up("shop", "A", 1, "pricing")
		w.hosts[0].Package = "example.com/shop/" + unit
		f(w)
	})
}

// editHost changes the own code of the hosts: key "" changes it back.
func (w *world) editHost(key string, verdict builder.PatchVerdict, findings ...builder.Finding) {
	w.change(func() {
		w.own.key, w.own.verdict, w.own.findings, w.changes = key, verdict, findings, nil
		if key != "" {
			w.changes = []builder.HostChange{{ImportPath: "x/" + unit, Files: []string{"/src/main.go"}}}
		}
	})
	w.touch("/src/main.go")
}

func (w *world) planPatch(_ context.Context, h builder.Host, ps []builder.Plugin) (*builder.PatchPlan, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own.plans++
	if w.own.err != nil {
		return nil, w.own.err
	}
	p := &builder.PatchPlan{
		Host: h, Name: unit, Verdict: w.own.verdict, Findings: w.own.findings, Assumed: w.own.assumed,
		Key: w.own.key, Compile: 50 * time.Millisecond,
	}
	if w.own.key != "" {
		p.Packages = append(p.Packages, "x/"+unit)
	}
	for _, plugin := range ps {
		if key := w.sources[plugin.Name]; key != asBuilt {
			p.Packages = append(p.Packages, "x/"+plugin.Name)
			p.Key += "+" + key
		}
	}
	if len(p.Packages) == 0 {
		p.Verdict = builder.NoDifference
	}
	if p.Verdict == builder.CanPatch {
		p.Functions = []builder.FunctionChange{{Name: "cart.Total", Change: "changed"}}
		if w.own.functions != nil {
			p.Functions = nil
		}
		for _, f := range w.own.functions {
			p.Functions = append(p.Functions, builder.FunctionChange{Name: f, Change: "changed"})
		}
	}
	return p, nil
}

func (w *world) buildPatch(_ context.Context, p *builder.PatchPlan) (*builder.Artifact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.builds = append(w.builds, p.Key+" for "+p.Host.Binary)
	a := &builder.Artifact{Path: "/store/" + p.Key + ".so", Digest: "sha256:" + p.Key, Bytes: 7, Compile: p.Compile, Link: 30 * time.Millisecond}
	a.Manifest.Plugin, a.Manifest.Key, a.Manifest.Link = p.Name, p.Key, "thin"
	return a, nil
}

// loadPatch and restore are the host's side; the caller holds the lock.
func (w *world) loadPatch(h Host, a *builder.Artifact) (control.Event, error) {
	i := slices.IndexFunc(w.hosts, func(o Host) bool { return o.PID == h.PID })
	own := func(p control.Plugin) bool { return p.Kind == control.KindHost }
	if !slices.ContainsFunc(w.hosts[i].Plugins, own) {
		w.hosts[i].Plugins = append(slices.Clone(w.hosts[i].Plugins), control.Plugin{Name: unit, Kind: control.KindHost})
	}
	return control.Event{
		Event: control.KindLoaded, Verdict: control.Patched, Generation: w.put(h.PID, unit, a.Manifest.Key),
		Functions: []string{"cart.Total"}, PhasesMS: &control.Phases{Load: 1, Pause: 0.05},
	}, nil
}

func (w *world) restore(h Host, plugin string, to int) (control.Event, error) {
	p := w.pluginOf(h.PID, plugin)
	p.Live = to
	ev := control.Event{Event: control.KindRolledBack, Verdict: control.Patched, Generation: to}
	if to > 0 {
		ev.Key = p.Generations[to-1].Key
	}
	return ev, nil
}

var layout = builder.Finding{Code: "HG0001", Symbol: "cart.Cart", Text: "cart.Cart: its fields changed", Refuse: true}

func TestEditOfTheHostIsPatched(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		if len(w.loads) > 0 || w.own.plans > 0 {
			t.Errorf("a host that runs its sources got %q, and %d plans of patches were made", w.loads, w.own.plans)
		}
		w.forget()
		w.editHost("k1", builder.CanPatch)
		ev := w.only(control.KindLoaded)
		if ev.Plugin != unit || ev.Host != "shop" || ev.Verdict != control.Patched || ev.Generation != 1 || ev.Digest != "sha256:k1" || len(ev.Functions) != 1 {
			t.Errorf("the event is incomplete: %+v", ev)
		}
		if p := ev.PhasesMS; p.Compile != 50 || p.Link != 30 || p.Pause != 0.05 {
			t.Errorf("phases are %+v", p)
		}
		w.wantLive(1, unit, "k1")
		w.editHost("k2", builder.CanPatch)
		w.wantLive(1, unit, "k2")
		w.none(control.KindRestart)
		w.stop()
	})
}

func TestBuiltInPluginIsPatchedAsAPartOfItsHost(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.change(func() { w.own.verdict = builder.CanPatch })
		w.forget()
		w.edit("pricing", "p1")
		if ev := w.only(control.KindLoaded); ev.Plugin != unit || ev.Verdict != control.Patched {
			t.Errorf("the edit came as %+v", ev)
		}
		if want := []string{"+p1 into 1"}; !slices.Equal(w.loads, want) {
			t.Errorf("loads are %q, want %q", w.loads, want)
		}
		w.stop()
	})
}

func TestBackToTheOriginalTakesThePatchAway(t *testing.T) {
	for _, assumed := range []bool{false, true} {
		patchable(t, func(w *world) {
			w.own.assumed = assumed
			w.start(Options{})
			w.editHost("k1", builder.CanPatch)
			w.wantLive(1, unit, "k1")
			w.forget()
			w.editHost("", builder.NoDifference)
			if ev := w.only(control.KindRolledBack); ev.Plugin != unit || ev.Reason != backToOriginal {
				t.Errorf("the event is %+v", ev)
			}
			w.none(control.KindUnchanged)
			w.wantLive(1, unit, "")
			w.editHost("k1", builder.CanPatch)
			w.wantLive(1, unit, "k1")
			w.stop()
		})
	}
}

// What the sources are taken for may be the very patch that serves.
func TestPatchOfSomebodyElseStaysInAHostThatNobodyKnows(t *testing.T) {
	patchable(t, func(w *world) {
		w.own.assumed = true
		w.hosts[0].Plugins = append(w.hosts[0].Plugins, control.Plugin{
			Name: unit, Kind: control.KindHost, Live: 1, Generations: []control.Generation{{Generation: 1, Key: "theirs"}},
		})
		w.start(Options{})
		w.wantLive(1, unit, "theirs")
		w.touch("/src/main.go")
		w.wantLive(1, unit, "theirs")
		w.none(control.KindRolledBack)
		w.stop()
	})
}

func TestRefusedPatchOfAPluginBecomesASwap(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.change(func() { w.own.verdict, w.own.findings = builder.MustRestart, []builder.Finding{layout} })
		w.forget()
		w.edit("pricing", "p1")
		ev := w.only(control.KindLoaded)
		if ev.Plugin != "pricing" || ev.Verdict != control.Swapped || ev.Code != "HG0001" || !strings.Contains(ev.Reason, layout.Text) {
			t.Errorf("the event does not say what happened, and why: %+v", ev)
		}
		plans := w.own.plans
		w.edit("pricing", "p2")
		if ev := w.only(control.KindLoaded); ev.Code != "" || ev.Reason != "" || ev.Generation != 2 {
			t.Errorf("the patch of what was loaded has a reason: %+v", ev)
		}
		if w.own.plans != plans {
			t.Error("a plugin that was loaded costs the plan of a patch of the host")
		}
		w.none(control.KindRestart)
		w.stop()
	})
}

func TestRefusedPatchOfTheHostNeedsARestart(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.forget()
		w.editHost("k1", builder.MustRestart, layout, builder.Finding{Code: "HG0040", Text: "init changed", Refuse: true})
		ev := w.only(control.KindRestart)
		if ev.Code != "HG0001" || ev.Reason != layout.Text || len(ev.Notes) != 2 || len(ev.Files) != 1 || ev.Verdict != control.RestartRequired {
			t.Errorf("the event is incomplete: %+v", ev)
		}
		// Others go on, and the news is told once.
		w.edit("pricing", "p1")
		w.wantLive(1, "pricing", "p1")
		w.none(control.KindRestart)
		w.edit("pricing", "p2")
		w.none(control.KindRestart)
		w.wantLive(1, "pricing", "patch of p1 to p2")
		w.editHost("k1", builder.MustRestart, layout)
		w.only(control.KindRestart)
		w.stop()
	})
}

func TestRestartIsOfferedOnlyForWhatCannotBePatched(t *testing.T) {
	patchable(t, func(w *world) {
		w.hosts, w.owned = nil, true
		w.start(Options{Restart: RestartAlways})
		w.change(func() { w.hosts[0].Package = "example.com/shop/" + unit })
		w.pass(time.Second)
		w.editHost("k1", builder.CanPatch)
		w.pass(time.Second)
		if w.hostBuilds != 1 {
			t.Errorf("the host was built %d times, want once: the edit can be patched", w.hostBuilds)
		}
		w.editHost("k2", builder.MustRestart, layout)
		w.pass(time.Second)
		if w.hostBuilds != 2 {
			t.Errorf("the host was built %d times, want twice: %s", w.hostBuilds, w.story())
		}
		w.stop()
	})
}

// What runs since the program started stays as it is, whatever else is patched.
func TestRestartIsOfferedOnceForWhatAPatchLeavesUndone(t *testing.T) {
	patchable(t, func(w *world) {
		w.hosts, w.owned = nil, true
		w.start(Options{Restart: RestartAsk})
		w.change(func() { w.hosts[0].Package = "example.com/shop/" + unit })
		w.pass(time.Second)
		w.change(func() { w.own.functions = []string{"cart.Total", "main.main"} })
		w.forget()
		w.editHost("k1", builder.CanPatch)
		if ev := w.of(control.KindRestart); len(ev) != 1 || ev[0].Code != "HG0081" || w.asked != 1 {
			t.Errorf("the user was asked %d times: %s", w.asked, w.story())
		}
		w.wantLive(101, unit, "k1")
		w.editHost("k2", builder.CanPatch)
		w.wantLive(101, unit, "k2")
		if w.asked != 1 {
			t.Errorf("the user was asked %d times", w.asked)
		}
		w.stop()
	})
}

func TestHostThatTakesNoPatchesGetsASwap(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.change(func() {
			w.own.verdict = builder.CanPatch
			w.loadErr["shop"] = &control.Error{Code: control.CodeUnsupported, Message: "this system forbids it"}
		})
		w.snapped = func() { // the first load fails, the second is a swap
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.loads) == 1 {
				delete(w.loadErr, "shop")
			}
		}
		w.forget()
		w.edit("pricing", "p1")
		w.wantLive(1, "pricing", "p1")
		if ev := w.only(control.KindLoaded); ev.Verdict != control.Swapped || !strings.Contains(ev.Reason, "this system forbids it") {
			t.Errorf("the event is %+v", ev)
		}
		w.stop()
	})
}

func TestHostThatTakesNoPatchesNeedsARestartForItsOwnCode(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.change(func() {
			w.loadErr["shop"] = &control.Error{Code: control.CodeUnsupported, Message: "this system forbids it", Next: "restart"}
		})
		w.forget()
		w.editHost("k1", builder.CanPatch)
		if ev := w.only(control.KindRestart); ev.Reason != "this system forbids it" || ev.Next != "restart" {
			t.Errorf("the event is %+v", ev)
		}
		w.pass(time.Minute)
		w.none(control.KindRestart)
		if len(w.loads) != 1 {
			t.Errorf("loads are %q, want one", w.loads)
		}
		w.stop()
	})
}

func TestProcessesOfOneBinaryArePatchedByOneBuild(t *testing.T) {
	patchable(t, func(w *world) {
		for pid := 2; pid <= 5; pid++ {
			w.up(fmt.Sprint("shop", pid), "A", pid, "pricing")
			w.hosts[pid-1].Package = w.hosts[0].Package
		}
		w.start(Options{})
		w.editHost("k1", builder.CanPatch)
		for pid := 1; pid <= 5; pid++ {
			w.wantLive(pid, unit, "k1")
		}
		if len(w.builds) != 1 {
			t.Errorf("builds are %q, want one", w.builds)
		}
		w.stop()
	})
}

func TestProcessesOfOneBinaryGoTheirOwnWays(t *testing.T) {
	patchable(t, func(w *world) {
		w.up("other", "A", 2, "pricing")
		w.hosts[1].Package = w.hosts[0].Package
		w.put(2, "pricing", "p0")
		w.start(Options{})
		w.change(func() { w.own.verdict = builder.CanPatch })
		w.edit("pricing", "p1")
		w.wantLive(1, unit, "+p1")
		w.wantLive(1, "pricing", "")
		w.wantLive(2, "pricing", "patch of p0 to p1")
		w.wantLive(2, unit, "")
		w.stop()
	})
}

func TestSourcesThatDoNotCompileKeepThePatch(t *testing.T) {
	patchable(t, func(w *world) {
		w.start(Options{})
		w.editHost("k1", builder.CanPatch)
		w.forget()
		w.change(func() { w.own.err = errSyntax })
		w.editHost("k2", builder.CanPatch)
		if ev := w.only(control.KindFailed); ev.Plugin != unit || ev.Generation != 1 || len(ev.Diagnostics) != 1 {
			t.Errorf("the event is incomplete: %+v", ev)
		}
		w.wantLive(1, unit, "k1")
		w.change(func() { w.own.err = nil })
		w.editHost("k3", builder.CanPatch)
		w.wantLive(1, unit, "k3")
		w.stop()
	})
}
