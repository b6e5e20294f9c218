package reloader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

func wantCalls(t *testing.T, f *fakeProcess, want string) {
	t.Helper()
	if got := f.code.calls(); got != want {
		t.Errorf("Total, Add and loop run %s, want %s", got, want)
	}
}

func TestPatchReplacesFunctionsOfTheHost(t *testing.T) {
	f, h := shopHost(t)
	m := patch("a")
	replaces(&m, nameTotal, 0x100, 0x2000, 1)
	replaces(&m, nameAdd, 0x200, 0x2100, 1)
	m.Patch.Notes = []artifact.Finding{{Code: "HG0031", Symbol: "cart.rate", Text: "the variable keeps its value"}}
	ev := mustLoad(t, h, f.patchFile(m, 2))
	wantCalls(t, f, "2 2 1")
	if ev.Event != control.KindLoaded || ev.Verdict != control.Patched || ev.Plugin != "shop" || ev.Generation != 1 || ev.Code != "" {
		t.Errorf("event %+v", ev)
	}
	if !slices.Equal(ev.Functions, []string{"cart.(*Cart).Total", "cart.Add[...]"}) {
		t.Errorf("functions %q", ev.Functions)
	}
	if ev.PhasesMS.Pause != 0.05 || len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0031" {
		t.Errorf("pause %v, notes %+v", ev.PhasesMS.Pause, ev.Notes)
	}
	s := h.Status()
	if len(s.Plugins) != 1 {
		t.Fatalf("status %+v", s.Plugins)
	}
	p := s.Plugins[0]
	if p.Name != "shop" || p.Kind != control.KindHost || p.Live != 1 || !p.Generations[0].Patch || len(p.Generations[0].Functions) != 2 {
		t.Errorf("status %+v", p)
	}
	want := []control.Replaced{{Function: "cart.(*Cart).Total", Generation: 1}, {Function: "cart.Add[...]", Generation: 1}}
	if !slices.Equal(p.Replaced, want) {
		t.Errorf("replaced %+v", p.Replaced)
	}
	var b strings.Builder
	if err := writeFamilies(&b, h.families()); err != nil || !strings.Contains(b.String(), "hotgo_patch_pause_seconds_sum 0.00005") ||
		!strings.Contains(b.String(), `hotgo_loads_total{plugin="shop",verdict="patched"} 1`) {
		t.Errorf("metrics: %v\n%s", err, b.String())
	}
}

func TestPatchTakesThePlaceOfTheOneBefore(t *testing.T) {
	f, h := shopHost(t)
	a, b := patch("a"), patch("b")
	replaces(&a, nameTotal, 0x100, 0x2000, 1)
	replaces(&b, nameAdd, 0x200, 0x3000, 1)
	pathA := f.patchFile(a, 2)
	mustLoad(t, h, pathA)
	mustLoad(t, h, f.patchFile(b, 3))
	wantCalls(t, f, "1 3 1")
	if f.code.sets != 2 {
		t.Errorf("%d switches for two patches", f.code.sets)
	}
	if ev := mustLoad(t, h, f.patchFile(b, 3)); ev.Verdict != control.Unchanged || ev.Generation != 2 {
		t.Errorf("the same again: %+v", ev)
	}
	rollback := func(to int, calls string) control.Event {
		t.Helper()
		ev, err := h.Rollback(context.Background(), "shop", to)
		if err != nil || ev.Event != control.KindRolledBack || ev.Verdict != control.Patched {
			t.Errorf("rollback to %d: %+v, %v", to, ev, err)
		}
		wantCalls(t, f, calls)
		return ev
	}
	if ev := rollback(1, "2 1 1"); !slices.Equal(ev.Functions, []string{"cart.(*Cart).Total"}) {
		t.Errorf("functions %q", ev.Functions)
	}
	rollback(2, "1 3 1")
	rollback(Previous, "2 1 1")
	rollback(0, "1 1 1")
	if s := h.Status(); s.Plugins[0].Live != 0 || s.Plugins[0].Replaced != nil {
		t.Errorf("status %+v", s.Plugins[0])
	}
	if ev := mustLoad(t, h, pathA); ev.Verdict != control.Patched || ev.Generation != 1 {
		t.Errorf("an earlier patch again: %+v", ev)
	}
	wantCalls(t, f, "2 1 1")
	if len(f.opened) != 2 {
		t.Errorf("opened %d times", len(f.opened))
	}
}

// What an earlier patch was first to bring is still called by its code and
// through function values: it leads to the newest, where callers may.
func TestFunctionThatAPatchBroughtIsReplacedByLaterOnes(t *testing.T) {
	f, h := shopHost(t)
	load := func(version string, at uint64, number byte, contract string) {
		t.Helper()
		m := patch(version)
		replaces(&m, nameTotal, 0x100, at, 1)
		if contract != "" {
			brings(&m, nameFresh, at+0x100, contract)
			brings(&m, nameFresh+".func1", at+0x200, contract) // never: what it captured differs
		}
		mustLoad(t, h, f.patchFile(m, number))
	}
	want := func(when string, calls ...byte) {
		t.Helper()
		var got []byte
		for at := uintptr(0x2100); at <= 0x5100; at += 0x1000 {
			got = append(got, f.code.call(at))
			if n := f.code.call(at + 0x100); n != f.code.first[at+0x100] {
				t.Errorf("%s: the function literal at %#x leads to one of %d", when, at+0x100, n)
			}
		}
		if !slices.Equal(got[:len(calls)], calls) {
			t.Errorf("%s: calls end up in %d, want %d", when, got, calls)
		}
	}
	load("a", 0x2000, 2, "c")
	want("first", 2)
	load("b", 0x3000, 3, "c")
	want("second", 3, 3)
	load("c", 0x4000, 4, "other")
	want("with another contract", 2, 3, 4)
	load("d", 0x5000, 5, "c")
	want("as at first", 5, 5, 4, 5)
	for to, calls := range map[int][]byte{1: {2, 2, 4, 2}, 3: {2, 3, 4, 5}, 0: {2, 3, 4, 5}} {
		if _, err := h.Rollback(context.Background(), "shop", to); err != nil {
			t.Fatal(err)
		}
		want(fmt.Sprint("rolled back to ", to), calls...)
	}
}

// TestRefusedPatchChangesNothing goes through everything that is wrong with a
// patch. Nothing of it may be opened where that shows before.
func TestRefusedPatchChangesNothing(t *testing.T) {
	good := func() artifact.Manifest {
		m := patch("bad")
		replaces(&m, nameTotal, 0x100, 0x9000, 1)
		replaces(&m, nameAdd, 0x200, 0x9100, 1)
		return m
	}
	first := func(edit func(*artifact.PatchedFunction)) func(*fakeProcess, *artifact.Manifest) {
		return func(_ *fakeProcess, m *artifact.Manifest) { edit(&m.Patch.Functions[0]) }
	}
	for name, c := range map[string]struct {
		edit       func(*fakeProcess, *artifact.Manifest)
		code, rule string
		opened     bool
	}{
		"no functions":       {func(_ *fakeProcess, m *artifact.Manifest) { m.Patch.Functions = nil }, control.CodeNotArtifact, "", false},
		"unsorted":           {func(_ *fakeProcess, m *artifact.Manifest) { slices.Reverse(m.Patch.Functions) }, control.CodeNotArtifact, "", false},
		"one name twice":     {first(func(p *artifact.PatchedFunction) { p.Name = nameAdd }), control.CodeNotArtifact, "", false},
		"one address twice":  {first(func(p *artifact.PatchedFunction) { p.New = 0x9100 }), control.CodeNotArtifact, "", false},
		"no address":         {first(func(p *artifact.PatchedFunction) { p.New = 0 }), control.CodeNotArtifact, "", false},
		"one function twice": {first(func(p *artifact.PatchedFunction) { p.Old = 0x200 }), control.CodeNotArtifact, "", false},
		"no size":            {first(func(p *artifact.PatchedFunction) { p.Size = 0 }), control.CodeNotArtifact, "", false},
		"too few bytes":      {first(func(p *artifact.PatchedFunction) { p.Was = p.Was[2:] }), control.CodeNotArtifact, "", false},
		"no bytes":           {first(func(p *artifact.PatchedFunction) { p.Was = "xx" }), control.CodeNotArtifact, "", false},
		"endless name":       {first(func(p *artifact.PatchedFunction) { p.Name = strings.Repeat("x", 1<<11) }), control.CodeNotArtifact, "", false},
		"function literal":   {first(func(p *artifact.PatchedFunction) { p.Name = "cart.F.func1" }), control.CodeNotArtifact, "", false},
		"other bytes":        {first(func(p *artifact.PatchedFunction) { p.Was = strings.Repeat("07", 16) }), control.CodeIncompatible, "HG0094", false},
		"other function":     {first(func(p *artifact.PatchedFunction) { p.Old = 0x300 }), control.CodeIncompatible, "HG0094", false},
		"no function":        {first(func(p *artifact.PatchedFunction) { p.Old = 0x120 }), control.CodeIncompatible, "HG0094", false},
		"too long":           {first(func(p *artifact.PatchedFunction) { p.Size = 99 }), control.CodeIncompatible, "HG0094", false},
		"other build":        {func(_ *fakeProcess, m *artifact.Manifest) { m.HostBuild = "other" }, control.CodeIncompatible, "HG0092", false},
		"unknown base":       {func(_ *fakeProcess, m *artifact.Manifest) { m.Patch.Base = "ffff" }, control.CodeIncompatible, "HG0094", false},
		"name of a plugin":   {func(_ *fakeProcess, m *artifact.Manifest) { m.Plugin = "pricing" }, control.CodeRefused, "", false},
		"another name":       {func(_ *fakeProcess, m *artifact.Manifest) { m.Plugin = "store" }, control.CodeRefused, "", false},
		"another variable": {func(_ *fakeProcess, m *artifact.Manifest) {
			m.Patch.Variables = []artifact.AddedSymbol{{Name: "cart.n", Hash: "2"}}
		}, control.CodeIncompatible, "HG0032", false},
		"another type": {func(_ *fakeProcess, m *artifact.Manifest) {
			m.Patch.Types = []artifact.AddedSymbol{{Name: "type:cart.T", Hash: "2"}}
		}, control.CodeIncompatible, "HG0001", false},
		"called by others": {first(func(p *artifact.PatchedFunction) { p.Unlike, p.Contract = true, "other" }), control.CodeIncompatible, "HG0062", false},
		"unsupported": {func(f *fakeProcess, _ *artifact.Manifest) {
			f.code.refuse = &livepatch.Error{Reason: livepatch.Unsupported, Detail: "no"}
		}, control.CodeUnsupported, "", false},
		"not where it says": {func(f *fakeProcess, m *artifact.Manifest) { f.versionInit(*m, prices2) }, control.CodeNotArtifact, "", true},
		"system refuses": {func(f *fakeProcess, _ *artifact.Manifest) {
			f.code.fail = &livepatch.Error{Reason: livepatch.Denied, Detail: "no"}
		}, control.CodeUnsupported, "", true},
		"busy": {func(f *fakeProcess, _ *artifact.Manifest) {
			f.code.fail = &livepatch.Error{Reason: livepatch.Busy, Function: nameTotal, Detail: "no"}
		}, control.CodeRefused, "", true},
		"cannot be redirected": {func(f *fakeProcess, _ *artifact.Manifest) {
			f.code.fail = &livepatch.Error{Reason: livepatch.Unfit, Detail: "no"}
		}, control.CodeIncompatible, "HG0063", true},
		"changed since": {func(f *fakeProcess, _ *artifact.Manifest) {
			f.code.fail = &livepatch.Error{Reason: livepatch.Changed, Detail: "no"}
		}, control.CodeIncompatible, "HG0094", true},
		"something else happens": {func(f *fakeProcess, _ *artifact.Manifest) { f.code.fail = errFake }, control.CodeInternal, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := shopHost(t)
			Bind(h, "pricing", "Price", times(1))
			before := patch("a")
			replaces(&before, nameTotal, 0x100, 0x2000, 1)
			before.Patch.Variables = []artifact.AddedSymbol{{Name: "cart.n", Hash: "1"}}
			before.Patch.Types = []artifact.AddedSymbol{{Name: "type:cart.T", Hash: "1"}}
			before.Joined = []string{nameTotal} // it calls that
			mustLoad(t, h, f.patchFile(before, 2))
			wantCalls(t, f, "2 1 1")

			m := good()
			f.patchFile(m, 3) // what opening it does
			c.edit(f, &m)
			opened := len(f.opened)
			e := mustFail(t, h, writeArtifact(t, m), c.code)
			if e.Rule != c.rule {
				t.Errorf("rule %q (%v), want %q", e.Rule, e, c.rule)
			}
			if e.Next == "" && c.code != control.CodeInternal {
				t.Errorf("no way out: %+v", e)
			}
			if got := len(f.opened) > opened; got != c.opened {
				t.Errorf("opened: %v", got)
			}
			wantCalls(t, f, "2 1 1")
			if s := h.Status(); s.Plugins[len(s.Plugins)-1].Live != 1 {
				t.Errorf("status %+v", s.Plugins)
			}
			f.code.refuse = nil
			next := patch("next")
			replaces(&next, nameAdd, 0x200, 0xa000, 1)
			mustLoad(t, h, f.patchFile(next, 4))
			wantCalls(t, f, "1 4 1")
		})
	}
}

func prices2() (map[string]any, error) { return prices(2), nil }

func TestPluginCannotHaveTheNameOfThePatches(t *testing.T) {
	f, h := shopHost(t)
	m := patch("a")
	replaces(&m, nameTotal, 0x100, 0x2000, 1)
	mustLoad(t, h, f.patchFile(m, 2))
	mustFail(t, h, f.version("shop", "b", prices(2)), control.CodeRefused)
	// A handle of that name keeps its built-in, and is in nobody's way.
	price := Bind(h, "shop", "Price", times(7))
	next := patch("next")
	replaces(&next, nameTotal, 0x100, 0x3000, 1)
	mustLoad(t, h, f.patchFile(next, 3))
	if price.Get()(1) != 7 || price.Generation() != 2 {
		t.Errorf("price %d, generation %d", price.Get()(1), price.Generation())
	}
}

// Code that was compiled to call what a function was must not meet what it is.
func TestCallersOfFunctionsThatKeepOtherArgumentsAreRefused(t *testing.T) {
	f, h := shopHost(t)
	unlike := func(version string, at uint64, contract string, number byte) string {
		m := patch(version)
		replaces(&m, nameTotal, 0x100, at, 1)
		m.Patch.Functions[0].Unlike, m.Patch.Functions[0].Contract = true, contract
		m.Joined = []string{nameTotal} // its own callers of it
		return f.patchFile(m, number)
	}
	mustLoad(t, h, unlike("a", 0x2000, "keeps", 2))
	caller := manifest("pricing", "x")
	caller.Joined = []string{nameTotal}
	f.version("pricing", "x", prices(2))
	if e := mustFail(t, h, writeArtifact(t, caller), control.CodeIncompatible); e.Rule != "HG0062" {
		t.Errorf("new caller: %+v", e)
	}
	// The next edit keeps the same: the code of the one before was compiled for it.
	mustLoad(t, h, unlike("b", 0x3000, "keeps", 3))
	wantCalls(t, f, "3 1 1")
	if e := mustFail(t, h, unlike("c", 0x4000, "keeps more", 4), control.CodeIncompatible); e.Rule != "HG0062" {
		t.Errorf("other contract: %+v", e)
	}
	if _, err := h.Rollback(context.Background(), "shop", 0); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, h, writeArtifact(t, caller))
	// Now it is mapped, and in the way of the patch that was there before it.
	_, err := h.Rollback(context.Background(), "shop", 1)
	var e *control.Error
	if !errors.As(err, &e) || e.Rule != "HG0062" {
		t.Errorf("rollback: %v", err)
	}
	wantCalls(t, f, "1 1 1")
}

func TestGoroutinesInsideOfReplacedFunctionsAreNamed(t *testing.T) {
	f, h := shopHost(t)
	f.code.running = [][]uintptr{
		{0x7777, hostBias + 0x310, hostBias + 0x318}, // in loop, twice
		{hostBias + 0x305},
		{hostBias + 0x105},
		{hostBias + 0x200}, // in what ends where Add begins
	}
	a, b := patch("a"), patch("b")
	replaces(&a, nameAdd, 0x200, 0x2100, 1)
	replaces(&a, "main.loop", 0x300, 0x2000, 1)
	replaces(&b, nameTotal, 0x100, 0x3000, 1)
	ev := mustLoad(t, h, f.patchFile(a, 2))
	if len(ev.Notes) != 1 || ev.Notes[0] != (control.Finding{Code: "HG0080", Symbol: "main.loop", Text: "2 goroutines finish main.loop on the old code"}) {
		t.Errorf("notes %+v", ev.Notes)
	}
	f.code.running = append(f.code.running, []uintptr{0x2003}) // in the first patch's loop
	ev = mustLoad(t, h, f.patchFile(b, 3))
	if len(ev.Notes) != 2 || ev.Notes[0].Symbol != "cart.(*Cart).Total" || ev.Notes[1].Text != "1 goroutine finishes main.loop on the old code" {
		t.Errorf("notes %+v", ev.Notes)
	}
	want := []control.Finishing{{Function: "cart.(*Cart).Total", Goroutines: 1}, {Function: "main.loop", Goroutines: 1}}
	if s := h.Status(); !slices.Equal(s.Plugins[0].Finishing, want) {
		t.Errorf("status %+v", s.Plugins[0].Finishing)
	}
	f.code.running = nil
	if ev, err := h.Rollback(context.Background(), "shop", 0); err != nil || len(ev.Notes) != 1 || !strings.Contains(ev.Notes[0].Text, "too many") {
		t.Errorf("event %+v, %v", ev, err)
	}
}

// pricingPatch is a patch of a generation of the plugin pricing.
func pricingPatch(version string, base artifact.Manifest) artifact.Manifest {
	m := patch(version)
	m.Plugin, m.Patch.Base = "pricing", base.Key
	return m
}

func TestPatchOfAPluginKeepsItsHandlesAndHooks(t *testing.T) {
	f, h := shopHost(t)
	price := Bind(h, "pricing", "Price", times(1))
	var started, checked int
	var stopped atomic.Int32 // in the background
	unwell := false
	symbols := func(n int) map[string]any {
		return map[string]any{
			"Price":    times(n),
			"HotStart": func(context.Context) error { started++; return nil },
			"HotStop":  func(context.Context) error { stopped.Add(1); return nil },
			"HotHealth": func(context.Context) error {
				if checked++; unwell {
					return errFake
				}
				return nil
			},
		}
	}
	const private = "example.com/shop/pricing/hotgo_1.rate"
	one, two := manifest("pricing", "one"), manifest("pricing", "two")
	load := func(m artifact.Manifest, at uintptr, n int) string {
		return f.versionInit(m, func() (map[string]any, error) {
			f.code.has(at, private, 1)
			return symbols(n), nil
		})
	}
	pathOne := load(one, 0x600, 2)
	mustLoad(t, h, pathOne)
	a, b := pricingPatch("a", one), pricingPatch("b", one)
	replaces(&a, private, 0x600, 0x2000, 1)
	replaces(&b, private, 0x600, 0x3000, 1)
	if e := mustFail(t, h, f.patchFile(func() artifact.Manifest { m := pricingPatch("x", two); m.Patch.Functions = a.Patch.Functions; return m }(), 9), control.CodeIncompatible); e.Rule != "HG0094" {
		t.Errorf("patch of another generation: %+v", e)
	}
	ev := mustLoad(t, h, f.patchFile(a, 2))
	if ev.Verdict != control.Patched || ev.Generation != 2 || f.code.call(0x600) != 2 {
		t.Errorf("event %+v, runs %d", ev, f.code.call(0x600))
	}
	if price.Get()(1) != 2 || price.Generation() != 2 || started != 1 || stopped.Load() != 0 || checked != 2 {
		t.Errorf("price %d of generation %d, started %d, stopped %d, checked %d", price.Get()(1), price.Generation(), started, stopped.Load(), checked)
	}
	unwell = true
	mustFail(t, h, f.patchFile(b, 3), control.CodeUnhealthy)
	if f.code.call(0x600) != 2 || price.Generation() != 2 {
		t.Errorf("an unwell patch runs %d, generation %d is live", f.code.call(0x600), price.Generation())
	}
	unwell = false
	// The host is patched as well, and both are in force.
	self := patch("self")
	replaces(&self, nameTotal, 0x100, 0x5000, 1)
	mustLoad(t, h, f.patchFile(self, 5))
	wantCalls(t, f, "5 1 1")
	if f.code.call(0x600) != 2 {
		t.Error("a patch of the host took back the plugin's")
	}
	// A swap leaves what retires as it was.
	last := h.journal.Last()
	mustLoad(t, h, load(two, 0x700, 3))
	await(t, h, last, control.KindRetired)
	if price.Get()(1) != 3 || started != 2 || stopped.Load() != 1 || f.code.call(0x600) != 2 {
		t.Errorf("price %d, started %d, stopped %d, runs %d", price.Get()(1), started, stopped.Load(), f.code.call(0x600))
	}
	rollback := func(to, wantPrice, wantStarted int, runs byte) {
		t.Helper()
		if _, err := h.Rollback(context.Background(), "pricing", to); err != nil {
			t.Fatal(err)
		}
		if price.Get()(1) != wantPrice || price.Generation() != to || started != wantStarted || f.code.call(0x600) != runs {
			t.Errorf("rolled back to %d: price %d, generation %d, started %d, runs %d", to, price.Get()(1), price.Generation(), started, f.code.call(0x600))
		}
	}
	rollback(2, 2, 3, 2) // started anew, under its patch
	rollback(1, 2, 3, 1) // only the code changes
	rollback(2, 2, 3, 2)
	rollback(3, 2, 3, 3) // the one that was unwell
	rollback(0, 1, 3, 3)
	rollback(1, 2, 4, 1)
	wantCalls(t, f, "5 1 1")
	s := h.Status()
	i := slices.IndexFunc(s.Plugins, func(p control.Plugin) bool { return p.Name == "pricing" })
	if p := s.Plugins[i]; p.Kind != "" || p.Replaced != nil || p.Generations[1].Base != 1 || !p.Generations[1].Patch || p.Generations[0].Patch {
		t.Errorf("status %+v", p)
	}
}

func TestCloseStopsTheBaseOnceAndKeepsThePatch(t *testing.T) {
	f := newFakeProcess(t)
	h, err := newHost(Options{NoSocket: true}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	stopped := 0
	m := manifest("pricing", "one")
	mustLoad(t, h, f.versionInit(m, func() (map[string]any, error) {
		f.code.has(0x600, "p.rate", 1)
		s := prices(2)
		s["HotStop"] = func(context.Context) error { stopped++; return nil }
		return s, nil
	}))
	a := pricingPatch("a", m)
	replaces(&a, "p.rate", 0x600, 0x2000, 1)
	mustLoad(t, h, f.patchFile(a, 2))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if stopped != 1 || f.code.call(0x600) != 2 {
		t.Errorf("stopped %d times, runs %d", stopped, f.code.call(0x600))
	}
}

func TestHostsOfOneProcessPatchSideBySide(t *testing.T) {
	f := newFakeProcess(t)
	f.code.has(hostBias+0x100, nameTotal, 1)
	f.code.has(hostBias+0x200, nameAdd, 1)
	p := f.platform()
	one, two := hostOn(t, p), hostOn(t, p)
	a, b := patch("a"), patch("b")
	replaces(&a, nameTotal, 0x100, 0x2000, 1)
	replaces(&b, nameAdd, 0x200, 0x3000, 1)
	mustLoad(t, one, f.patchFile(a, 2))
	mustLoad(t, two, f.patchFile(b, 3))
	if f.code.call(hostBias+0x100) != 2 || f.code.call(hostBias+0x200) != 3 {
		t.Error("one host took back what the other patched")
	}
}

// TestPatchesUnderLoad patches, rolls back and asks for the status from many
// goroutines: the code that runs is that of the generation that is live.
func TestPatchesUnderLoad(t *testing.T) {
	const each = 12
	f, h := shopHost(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range each {
				m := patch(fmt.Sprint(w, "-", i))
				at := uint64(0x10000 * (1 + w*each + i) * 16)
				replaces(&m, nameTotal, 0x100, at, 1)
				brings(&m, nameFresh, at+0x100, "c")
				if _, err := h.Load(context.Background(), f.patchFile(m, byte(w*each+i+2))); err != nil {
					t.Errorf("load: %v", err)
				}
				if _, err := h.Rollback(context.Background(), "shop", i%3); err != nil {
					t.Errorf("rollback: %v", err)
				}
				h.Status()
			}
		})
	}
	wg.Wait()
	if n := h.Status().Plugins[0]; len(n.Generations) != 4*each {
		t.Errorf("%d generations", len(n.Generations))
	}
	if _, err := h.Rollback(context.Background(), "shop", 0); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "1 1 1")
}

func TestNamesAreShownAsPeopleKnowThem(t *testing.T) {
	for symbol, want := range map[string]string{
		"main.main":                                     "main.main",
		"example.com/shop/cart.(*Cart).Total":           "cart.(*Cart).Total",
		"example.com/shop/cart.Cart.Total":              "cart.Cart.Total",
		"gopkg.in/yaml%2ev3.Marshal":                    "yaml.v3.Marshal",
		"example.com/a.F[example.com/b/c.T]":            "a.F[...]",
		"example.com/a.(*L[go.shape.int]).M":            "a.(*L[...]).M",
		"a/b.F.func1":                                   "b.F.func1",
		"odd":                                           "odd",
		"example.com/rates/hotgo_a2ad3a74434d.Rate":     "rates.Rate",
		"example.com/rates/hotgo_a2ad3a74434d/sub.Rate": "sub.Rate",
		"example.com/hotgo_notes.Rate":                  "hotgo_notes.Rate",
	} {
		if got := shortName(symbol); got != want {
			t.Errorf("%s: %q, want %q", symbol, got, want)
		}
	}
}

func TestFunctionLiteralsAreToldByTheirNames(t *testing.T) {
	for symbol, want := range map[string]bool{
		"main.F.func1": true, "main.(*T).M.func2": true, "main.F.func1.2": true, "main.F.gowrap1": true, "main.F.deferwrap3": true,
		"main.F-range1": true, "a.com/b.F[go.shape.int].func1": true, "main.(*T[go.shape.int]).M.func1.1": true,
		"main.F": false, "main.func1": false, "main.(*T).func1": false, "main.(*T[go.shape.int]).M": false, "main.F[example.com/x.func1]": false,
		"a.b/c.func1": false, "main.functional": false,
	} {
		if got := isClosure(symbol); got != want {
			t.Errorf("%s: %v", symbol, got)
		}
	}
}
