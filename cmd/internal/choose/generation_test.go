package choose

import (
	"errors"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// generation is a loaded generation of pricing, and what a patch of it can do. The
// zero value can be patched.
type generation struct {
	verdict  builder.PatchVerdict
	findings []builder.Finding
	err      error
	patched  bool   // what serves is a patch of it
	text     string // what it was built from; "" is other text than the sources
	refusal  *RefusedError
	plans    *int
}

// adapt makes it what the host runs.
func (g generation) adapt(h *Host) {
	n := h.Live["pricing"]
	if n == 0 {
		return
	}
	if g.text != "" {
		h.Keys["pricing"], h.Bases["pricing"] = g.text, Base{n, g.text}
	}
	if g.patched {
		h.Keys["pricing"], h.Bases["pricing"] = "some-patch", Base{n - 1, h.Keys["pricing"]}
	}
	h.Refusals = map[string]*RefusedError{"pricing": g.refusal}
}

func (g generation) plan(p builder.Plugin, key string) (*builder.PatchPlan, error) {
	if g.plans != nil {
		*g.plans++
	}
	if g.err != nil {
		return nil, g.err
	}
	plan := &builder.PatchPlan{Name: p.Name, Base: key, Key: "patch-of-" + key, Verdict: g.verdict, Findings: g.findings}
	if g.verdict == "" {
		plan.Verdict = builder.CanPatch
	}
	for _, f := range g.findings {
		if f.Refuse {
			plan.Verdict = builder.MustRestart
		}
	}
	return plan, nil
}

func TestEditsOfLoadedPluginsFindTheirWay(t *testing.T) {
	var (
		value = []builder.Finding{{Code: "HG0031", Symbol: "rules.Base", Text: "rules.Base keeps its value"}}
		anew  = []builder.Finding{{Code: "HG0031", Symbol: "rules.Base", Text: "rules.Base keeps its value", Fresh: true}}
		file  = []builder.Finding{{Code: "HG0093", Symbol: "rules.Text", Text: "rules.Text keeps its value", Fresh: true}}
		inner = []builder.Finding{{Code: "HG0060", Symbol: "rules.Rate", Text: "inlined"}}
	)
	for name, tc := range map[string]struct {
		generation
		want      Way
		code      string // of why it is swapped, or refused
		patches   Way    // where only patches are allowed
		patchCode string
	}{
		"body":                         {want: InPlace, patches: InPlace},
		"body, with a note":            {generation: generation{findings: inner}, want: InPlace, patches: InPlace},
		"body, after a patch":          {generation: generation{patched: true}, want: InPlace, patches: InPlace},
		"layout":                       {generation: generation{findings: layout}, want: BySwap, code: "HG0001", patches: Refused, patchCode: "HG0001"},
		"initialiser and body":         {generation: generation{findings: value}, want: InPlace, patches: InPlace},
		"initialiser":                  {generation: generation{verdict: builder.NoDifference, findings: value}, want: Stay, patches: Stay},
		"fresh initialiser and body":   {generation: generation{findings: anew}, want: BySwap, code: "HG0031", patches: InPlace},
		"fresh initialiser":            {generation: generation{verdict: builder.NoDifference, findings: anew}, want: BySwap, code: "HG0031", patches: Stay},
		"embedded file":                {generation: generation{verdict: builder.NoDifference, findings: file}, want: BySwap, code: "HG0093", patches: Stay},
		"other names":                  {generation: generation{verdict: builder.NoDifference}, want: Stay, patches: Stay},
		"other names, after a patch":   {generation: generation{verdict: builder.NoDifference, patched: true}, want: ToBase, patches: ToBase},
		"undone":                       {generation: generation{patched: true, text: "pricing-key"}, want: ToBase, patches: ToBase},
		"nothing":                      {generation: generation{text: "pricing-key"}, want: BySwap, patches: Stay},
		"generation that is not known": {generation: generation{err: drift}, want: BySwap, code: "HG0094", patches: Refused, patchCode: "HG0094"},
		"fault of the builder":         {generation: generation{err: errors.New("disk")}, want: BySwap, patches: Refused},
		"does not compile":             {generation: generation{err: broken}, want: Stay, patches: Stay},
		"the host refuses":             {generation: generation{refusal: &RefusedError{Err: &control.Error{Rule: "HG0062"}}}, want: BySwap, code: "HG0062", patches: Refused, patchCode: "HG0062"},
	} {
		for _, mode := range []Mode{Auto, Patch} {
			want, code := tc.want, tc.code
			if mode == Patch {
				want, code = tc.patches, tc.patchCode
			}
			d := edit{mode: mode, live: map[string]int{"pricing": 3}, packages: rules, verdict: builder.CanPatch, loaded: tc.generation}.decide()
			got := ""
			if r := d.Instead["pricing"]; r != nil {
				got = r.Code()
			}
			for _, r := range d.Refusals {
				if r.Unit == "pricing" {
					got = r.Code()
				}
			}
			if d.Plugins["pricing"] != want || got != code || d.Own != Stay || d.Again {
				t.Errorf("%s, mode %s: %v for %q, own %v; want %v for %q", name, mode, d.Plugins["pricing"], got, d.Own, want, code)
			}
			if p := d.Patches["pricing"]; (p != nil) != (want == InPlace) {
				t.Errorf("%s, mode %s: the patch is %+v", name, mode, p)
			}
			if b := d.Bases["pricing"]; tc.patched && b.Generation != 2 || !tc.patched && b.Generation != 3 {
				t.Errorf("%s: the base is %+v", name, b)
			}
		}
	}
}

// Generations are patched, though the host that runs them may be older than its
// sources: they say themselves what they were built from.
func TestGenerationOfAnUnknownHostIsPatched(t *testing.T) {
	d := edit{unknown: true, live: loaded}.decide()
	if d.Plugins["pricing"] != InPlace || d.Plugins["greet"] != BySwap {
		t.Errorf("ways are %v", d.Plugins)
	}
}

func TestEachGenerationIsComparedOnce(t *testing.T) {
	plans := 0
	src := Sources{
		Mode: Auto, Plugins: []builder.Plugin{{Name: "pricing"}, {Name: "greet"}},
		Snapshot: &builder.Snapshot{Plans: []*builder.Plan{{Key: "new"}, {Key: "same"}}},
	}
	at := func(live int, key string, base Base) Host {
		return Host{
			Live: map[string]int{"pricing": live, "greet": 1},
			Keys: map[string]string{"pricing": key, "greet": "same"}, Bases: map[string]Base{"pricing": base, "greet": {1, "same"}},
		}
	}
	src.PlanGenerations([]Host{
		at(0, "", Base{}), at(1, "old", Base{1, "old"}), at(4, "patch", Base{2, "old"}),
		at(3, "older", Base{3, "older"}), at(2, "new", Base{2, "new"}), at(6, "patch", Base{5, "new"}),
	}, generation{plans: &plans}.plan)
	if plans != 2 || len(src.Generations) != 2 {
		t.Errorf("%d plans, for %v", plans, src.Generations)
	}
	other := at(7, "unheard of", Base{7, "unheard of"})
	if d := Decide(src, other); !d.Again || len(d.Instead)+len(d.Refusals) > 0 {
		t.Errorf("a host that runs something else than was compared: %+v", d)
	}
}

func TestPluginThatDoesNotCompileHasNoPlan(t *testing.T) {
	snap := &builder.Snapshot{Plans: []*builder.Plan{{Key: "new"}}}
	src := Sources{Mode: Auto, Plugins: []builder.Plugin{{Name: "pricing"}}, Snapshot: snap}
	src.PlanGenerations([]Host{
		{Live: map[string]int{"pricing": 1}, Bases: map[string]Base{"pricing": {1, "old"}}},
		{Live: map[string]int{"pricing": 2}, Bases: map[string]Base{"pricing": {2, "older"}}},
	}, generation{err: broken}.plan)
	if src.Snapshot.Plans[0] != nil || !isBuildError(src.Snapshot.Errors["pricing"]) {
		t.Errorf("the snapshot is %+v", src.Snapshot)
	}
	if snap.Plans[0] == nil {
		t.Error("the builder's snapshot was changed")
	}
}

func TestBaseOfAPatchIsWhatItPatches(t *testing.T) {
	h := HostOf(control.Status{Plugins: []control.Plugin{{Name: "pricing", Live: 3, Generations: []control.Generation{
		{Generation: 1, Key: "a"}, {Generation: 2, Key: "p", Patch: true, Base: 1}, {Generation: 3, Key: "q", Patch: true, Base: 1},
	}}, {Name: "greet"}}})
	if h.Bases["pricing"] != (Base{1, "a"}) || h.Keys["pricing"] != "q" || h.Bases["greet"] != (Base{}) {
		t.Errorf("bases are %v, keys %v", h.Bases, h.Keys)
	}
}
