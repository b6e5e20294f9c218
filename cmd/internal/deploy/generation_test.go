package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// loaded is what patches of loaded generations can do.
type loaded struct {
	verdict  builder.PatchVerdict // "" is CanPatch
	findings []builder.Finding
	err      error
}

func (tr *tree) planLoaded(_ context.Context, _ builder.Host, plugin builder.Plugin, _ []builder.Plugin, key string) (*builder.PatchPlan, error) {
	p := &builder.PatchPlan{Name: plugin.Name, Base: key, Key: "patch of " + key, Verdict: tr.loaded.verdict, Findings: tr.loaded.findings}
	if p.Verdict == "" {
		p.Verdict = builder.CanPatch
		p.Functions = []builder.FunctionChange{{Name: "pricing.Price", Change: "changed"}}
	}
	return p, tr.loaded.err
}

// serve makes a generation of pricing serve, and with patched a patch of it.
func serve(st *control.Status, n int, key string, patched bool) {
	live(st, "pricing", "", n)
	p := &st.Plugins[len(st.Plugins)-1]
	p.Generations[0].Key = key
	if patched {
		p.Live = n + 1
		p.Generations = append(p.Generations, control.Generation{Generation: n + 1, Key: "patch of " + key, Patch: true, Base: n})
	}
}

func TestPushGivesEachGenerationWhatFitsIt(t *testing.T) {
	layout := []builder.Finding{{Code: "HG0001", Symbol: "pricing.rule", Text: "layout", Refuse: true}}
	misfit := &control.Error{Code: control.CodeIncompatible, Rule: "HG0062"}
	for name, tc := range map[string]struct {
		tree
		mode   choose.Mode
		first  func(*control.Status) // what runs in the first process; "old" in the second
		does   string
		code   string
		builds int
		events string // kinds of those about pricing
	}{
		"body, everywhere alike":     {does: "patch of old in 1, patch of old in 2", builds: 1, events: "loaded loaded"},
		"the same by another number": {first: func(st *control.Status) { serve(st, 5, "old", false) }, does: "patch of old in 1, patch of old in 2", builds: 1, events: "loaded loaded"},
		"another generation":         {first: func(st *control.Status) { serve(st, 5, "older", false) }, does: "patch of old in 2, patch of older in 1", builds: 2, events: "loaded loaded"},
		"what the sources say":       {first: func(st *control.Status) { serve(st, 5, "pricing-key", false) }, does: "patch of old in 2, pricing-key in 1", builds: 2, events: "loaded loaded"},
		"undone":                     {first: func(st *control.Status) { serve(st, 5, "pricing-key", true) }, does: "patch of old in 2, pricing v5 in 1", builds: 1, events: "rolled-back loaded"},
		"other names":                {tree: tree{loaded: loaded{verdict: builder.NoDifference}}, events: "unchanged unchanged"},
		"other names, patched": {
			tree: tree{loaded: loaded{verdict: builder.NoDifference}}, first: func(st *control.Status) { serve(st, 5, "old", true) },
			does: "pricing v5 in 1", events: "rolled-back unchanged",
		},
		"layout":               {tree: tree{loaded: loaded{verdict: builder.MustRestart, findings: layout}}, does: "pricing-key in 1, pricing-key in 2", builds: 1, events: "loaded loaded"},
		"layout, only patches": {tree: tree{loaded: loaded{verdict: builder.MustRestart, findings: layout}}, mode: choose.Patch, code: "HG0001"},
		"not compiling":        {tree: tree{loaded: loaded{err: &builder.BuildError{}}}, code: "build"},
		"the hosts refuse":     {tree: tree{refuse: misfit}, does: "pricing-key in 1, pricing-key in 2", builds: 3, events: "loaded loaded"},
		"the hosts refuse, and nothing else may be": {tree: tree{refuse: misfit}, mode: choose.Patch, code: "HG0062", builds: 1},
		"the new code is not healthy":               {tree: tree{refuse: &control.Error{Code: control.CodeUnhealthy, Rule: "unhealthy"}}, code: "unhealthy", builds: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.mode == "" {
				tc.mode = choose.Auto
			}
			tc.done = new(done)
			all := two()
			serve(&all[0], 3, "old", false)
			serve(&all[1], 3, "old", false)
			if tc.first != nil {
				tc.first(&all[0])
			}
			did, results, err := tc.push(t, tc.sources(tc.mode, "pricing"), all)
			if did != tc.does || codeOf(err) != tc.code || tc.builds != tc.done.builds {
				t.Errorf("it did %q and ended with %q (%v) after %d builds; want %q, %q, %d", did, codeOf(err), err, tc.done.builds, tc.does, tc.code, tc.builds)
			}
			kinds := map[int]string{}
			for _, r := range results {
				if r.Err == nil && r.Change.Plugin == "pricing" {
					kinds[r.Host.PID] = string(r.Event.Event)
				}
			}
			if got := strings.TrimSpace(kinds[1] + " " + kinds[2]); got != tc.events {
				t.Errorf("the events are %q, want %q", got, tc.events)
			}
			for _, r := range results {
				if r.Change.Way == choose.BySwap && len(tc.loaded.findings) > 0 && r.Event.Reason != "not patched: layout" {
					t.Errorf("the swap says %q", r.Event.Reason)
				}
			}
		})
	}
}

// What a host did not take is all that is done another way.
func TestRefusedPatchOfAGenerationLeavesTheRestAlone(t *testing.T) {
	tr := &tree{done: new(done), changed: []string{"x/server"}, verdict: builder.CanPatch}
	all := two()[:1]
	serve(&all[0], 3, "old", false)
	fx := tr.effects()
	take := fx.Load
	fx.Load = func(ctx context.Context, st control.Status, a *builder.Artifact) (control.Event, error) {
		if a.Manifest.Key == "patch of old" {
			return control.Event{}, &control.Error{Code: control.CodeIncompatible, Rule: "HG0062"}
		}
		return take(ctx, st, a)
	}
	changes, err := FromSources(t.Context(), tr.sources(choose.Auto), all, false)
	if err != nil {
		t.Fatal(err)
	}
	results := Push(t.Context(), changes, rollout.Options{}, fx, func(Result) {})
	if did := strings.Join(tr.did, ", "); did != "patch-key in 1, pricing-key in 1" || len(results) != 2 || Err(results) != nil {
		t.Errorf("it did %q: %+v", did, results)
	}
}

func TestVerdictsOfLoadedGenerationsAreThoseOfAPush(t *testing.T) {
	all := two()
	serve(&all[0], 3, "old", true)
	serve(&all[1], 7, "pricing-key", true)
	tr := &tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch}
	verdicts, err := Verdicts(t.Context(), tr.sources(choose.Auto), all)
	if err != nil {
		t.Fatal(err)
	}
	first, second := verdicts[0].Differ, verdicts[1].Differ
	if len(first) != 1 || first[0].Way != choose.InPlace || !first[0].Live || first[0].Base.Generation != 3 || len(first[0].Patch.Functions) != 1 {
		t.Errorf("the first has %+v", first)
	}
	if len(second) != 1 || second[0].Way != choose.ToBase || second[0].Key != "pricing-key" || second[0].Base.Generation != 7 {
		t.Errorf("the second has %+v", second)
	}
	// What the host was built with serves nobody, and is no difference.
	if v := verdicts[0]; v.Patch != nil || v.Own != choose.Stay {
		t.Errorf("of the host's own code: %v, %+v", v.Own, v.Patch)
	}
}

func TestPredictionOfAPatchedGenerationNamesFunctions(t *testing.T) {
	tr := &tree{done: new(done)}
	all := two()
	serve(&all[0], 3, "old", false)
	serve(&all[1], 7, "pricing-key", true)
	changes, err := FromSources(t.Context(), tr.sources(choose.Auto, "pricing"), all, false)
	if err != nil {
		t.Fatal(err)
	}
	said := map[int]control.Event{}
	for _, r := range Predict(changes) {
		said[r.Host.PID] = r.Event
	}
	if ev := said[1]; ev.Verdict != control.Patched || len(ev.Functions) != 1 || ev.Reason != "would be patched" {
		t.Errorf("%+v", ev)
	}
	if ev := said[2]; ev.Verdict != control.Patched || ev.Reason != "would go back to the code of generation 7" {
		t.Errorf("%+v", ev)
	}
}

func TestVerdictsTellWhatASwapMakesOfState(t *testing.T) {
	tr := &tree{done: new(done), loaded: loaded{verdict: builder.MustRestart, findings: []builder.Finding{{Code: "HG0001", Refuse: true}}}}
	all := two()
	serve(&all[0], 3, "old", false)
	serve(&all[1], 4, "old", true)
	src := tr.sources(choose.Auto, "pricing")
	var asked []string
	src.PlanState = func(_ context.Context, _ builder.Host, p builder.Plugin, _ []builder.Plugin, key string) (*builder.StatePlan, error) {
		asked = append(asked, p.Name+" "+key)
		return &builder.StatePlan{Variables: []builder.StateVariable{{Package: "x/pricing", Name: "n", Outcome: builder.StateRefused, Code: "HG0032"}}}, nil
	}
	verdicts, err := Verdicts(t.Context(), src, all)
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0] != "pricing old" {
		t.Errorf("asked %q, want once for what both serve", asked)
	}
	for _, v := range verdicts {
		var refused *builder.ConflictError
		if d := v.Differ[0]; d.Way != choose.BySwap || d.State.Count(builder.StateRefused) != 1 || !errors.As(d.Err, &refused) {
			t.Errorf("got %+v", d)
		}
	}

	// What is patched keeps its variables, and what is pushed asks nothing.
	asked, tr.loaded = nil, loaded{}
	if _, err := Verdicts(t.Context(), src, all); err != nil || len(asked) > 0 {
		t.Errorf("asked %q, %v", asked, err)
	}
	tr.loaded = loaded{verdict: builder.MustRestart, findings: []builder.Finding{{Code: "HG0001", Refuse: true}}}
	if _, err := FromSources(t.Context(), src, all, false); err != nil || len(asked) > 0 {
		t.Errorf("a push asked %q, %v", asked, err)
	}

	// What keeps diff from asking is no verdict about the sources.
	full := errors.New("no space left on device")
	src.PlanState = func(context.Context, builder.Host, builder.Plugin, []builder.Plugin, string) (*builder.StatePlan, error) {
		return nil, full
	}
	if all, err := Verdicts(t.Context(), src, all); err != nil || !errors.Is(all[0].Err, full) || all[0].Differ[0].Err != nil {
		t.Errorf("got %+v, %v", all, err)
	}
}
