package choose

import (
	"errors"
	"maps"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// edit is what changed in the sources of a host that has the plugins pricing
// (private: pricing and its rules) and greet.
type edit struct {
	mode     Mode
	packages []string // changed in the host, as a patch sees it
	own      bool     // some of them are not private to plugins
	verdict  builder.PatchVerdict
	findings []builder.Finding
	function string // "" is cart.Total
	err      error  // of planning the patch
	unknown  bool   // the host was not built by hotgo: what it was built from is assumed
	errs     map[string]error
	live     map[string]int
	patch    int // generation of the host's own code
	ours     bool
	refusal  *RefusedError // the host's
	loaded   generation    // of pricing
}

func (e edit) decide() Decision {
	src := Sources{
		Mode:     e.mode,
		Plugins:  []builder.Plugin{{Name: "greet", ImportPath: "x/greet"}, {Name: "pricing", ImportPath: "x/pricing"}},
		Snapshot: &builder.Snapshot{Errors: e.errs}, PatchErr: e.err,
	}
	if src.Mode == "" {
		src.Mode = Auto
	}
	changed := map[string]bool{}
	for _, p := range e.packages {
		changed[p] = true
	}
	private := map[string][]string{"greet": {"x/greet"}, "pricing": {"x/pricing", "x/pricing/rules"}}
	for _, p := range src.Plugins {
		if e.errs[p.Name] != nil {
			src.Snapshot.Plans = append(src.Snapshot.Plans, nil)
			continue
		}
		plan := &builder.Plan{Plugin: p, Key: p.Name + "-key", Private: private[p.Name], Builtin: !e.unknown}
		for _, path := range plan.Private {
			plan.Builtin = plan.Builtin && !changed[path]
		}
		src.Snapshot.Plans = append(src.Snapshot.Plans, plan)
	}
	if e.own {
		src.Snapshot.HostChanges = []builder.HostChange{{ImportPath: "x/server"}}
	}
	if e.err == nil {
		src.Patch = &builder.PatchPlan{Name: "server", Verdict: e.verdict, Packages: e.packages, Findings: e.findings, Key: "patch-key", Assumed: e.unknown}
		if e.verdict == "" {
			src.Patch.Verdict = builder.NoDifference
		}
		if e.verdict == builder.CanPatch {
			f := e.function
			if f == "" {
				f = "cart.Total"
			}
			src.Patch.Functions = []builder.FunctionChange{{Name: f, Change: "changed"}, {Name: "main.fresh", Change: "added"}}
		}
	}
	h := Host{Package: "x/server", Live: e.live, Keys: map[string]string{}, Bases: map[string]Base{}, Refusal: e.refusal, Patch: e.patch, Ours: e.ours}
	for name, n := range e.live { // greet is as loaded, pricing was edited
		h.Keys[name] = map[string]string{"greet": "greet-key", "pricing": "pricing-old"}[name]
		h.Bases[name] = Base{n, h.Keys[name]}
	}
	e.loaded.adapt(&h)
	src.PlanGenerations([]Host{h}, e.loaded.plan)
	return Decide(src, h)
}

var (
	layout = []builder.Finding{
		{Code: "HG0001", Symbol: "rules.Rate", Text: "rules.Rate: its fields changed", Refuse: true},
		{Code: "HG0031", Symbol: "rules.Base", Text: "rules.Base keeps its value"},
	}
	drift  = &builder.ConflictError{Message: "not known", Evidence: []builder.Mismatch{{What: "x", Rule: "HG0094"}}}
	shared = &builder.ConflictError{Message: "shared", Evidence: []builder.Mismatch{{What: "x/api", Rule: "HG0090"}}}
	broken = &builder.BuildError{Plugin: "x/server"}
	rules  = []string{"x/pricing/rules"}
	loaded = map[string]int{"pricing": 3}
)

func TestEditsFindTheirWay(t *testing.T) {
	for name, tc := range map[string]struct {
		edit
		own            Way
		greet, pricing Way
		refused        string // code of the first refusal
		instead        string // code of why not patched
	}{
		"nothing changed":                        {edit: edit{}},
		"back to the original":                   {edit: edit{patch: 2}, own: Original},
		"the same, of an unknown host":           {edit: edit{patch: 2, unknown: true}, greet: BySwap, pricing: BySwap},
		"the same, patched by us":                {edit: edit{patch: 2, unknown: true, ours: true, live: map[string]int{"greet": 1, "pricing": 1}}, own: Original, greet: BySwap, pricing: InPlace},
		"other names, patched before":            {edit: edit{patch: 2, own: true, packages: []string{"x/server"}}, own: Original},
		"function of the host":                   {edit: edit{own: true, packages: []string{"x/server"}, verdict: builder.CanPatch}, own: ByPatch},
		"built-in plugin":                        {edit: edit{packages: rules, verdict: builder.CanPatch}, own: ByPatch, pricing: ByPatch},
		"built-in plugin and host":               {edit: edit{own: true, packages: []string{"x/server", "x/greet"}, verdict: builder.CanPatch}, own: ByPatch, greet: ByPatch},
		"loaded plugin":                          {edit: edit{packages: rules, verdict: builder.CanPatch, live: loaded}, pricing: InPlace},
		"loaded plugin and host":                 {edit: edit{own: true, packages: []string{"x/server", "x/pricing"}, verdict: builder.CanPatch, live: loaded}, own: ByPatch, pricing: InPlace},
		"other names for the same code":          {edit: edit{packages: rules}, pricing: ByPatch},
		"layout of a built-in plugin":            {edit: edit{packages: rules, verdict: builder.MustRestart, findings: layout}, pricing: BySwap, instead: "HG0001"},
		"layout of a loaded plugin":              {edit: edit{packages: rules, verdict: builder.MustRestart, findings: layout, live: loaded, loaded: generation{findings: layout}}, pricing: BySwap, instead: "HG0001"},
		"layout in the host":                     {edit: edit{own: true, packages: []string{"x/server"}, verdict: builder.MustRestart, findings: layout}, own: Refused, refused: "HG0001"},
		"layout in the host, and a plugin":       {edit: edit{own: true, packages: []string{"x/server", "x/greet"}, verdict: builder.MustRestart, findings: layout}, own: Refused, greet: BySwap, refused: "HG0001", instead: "HG0001"},
		"main.main alone":                        {edit: edit{own: true, packages: []string{"x/server"}, verdict: builder.CanPatch, function: "main.main"}, own: Refused, refused: "HG0081"},
		"main.main alone, patches only":          {edit: edit{mode: Patch, own: true, packages: []string{"x/server"}, verdict: builder.CanPatch, function: "main.main"}, own: ByPatch},
		"host that may be older than sources":    {edit: edit{unknown: true}, greet: BySwap, pricing: BySwap},
		"the same, patches only":                 {edit: edit{mode: Patch, unknown: true}},
		"drift, and an edit of the host":         {edit: edit{own: true, err: drift}, own: Refused, refused: "HG0094"},
		"drift, and an edit of a plugin":         {edit: edit{unknown: true, err: drift}, greet: BySwap, pricing: BySwap, instead: "HG0094"},
		"drift, patches only":                    {edit: edit{mode: Patch, unknown: true, err: drift}, own: Refused, refused: "HG0094"},
		"sources that do not compile":            {edit: edit{packages: rules, err: broken, live: map[string]int{"greet": 1}}, greet: BySwap},
		"layout of a plugin, patches only":       {edit: edit{mode: Patch, packages: rules, verdict: builder.MustRestart, findings: layout}, pricing: Refused, refused: "HG0001"},
		"loaded plugin, patches only":            {edit: edit{mode: Patch, packages: rules, verdict: builder.CanPatch, live: loaded}, pricing: InPlace},
		"loaded plugin as it is, patches only":   {edit: edit{mode: Patch, live: map[string]int{"greet": 2}}},
		"swaps only":                             {edit: edit{mode: Swap, own: true, packages: rules}, greet: BySwap, pricing: BySwap},
		"the host refuses, a plugin was edited":  {edit: edit{packages: rules, verdict: builder.CanPatch, refusal: &RefusedError{Err: &control.Error{Rule: "HG0062"}}}, pricing: BySwap, instead: "HG0062"},
		"the host refuses, it was edited itself": {edit: edit{own: true, packages: []string{"x/server"}, verdict: builder.CanPatch, refusal: &RefusedError{Err: &control.Error{Rule: "HG0062"}}}, own: Refused, refused: "HG0062"},
		"package shared with a built-in plugin":  {edit: edit{own: true, packages: []string{"x/api", "x/pricing"}, verdict: builder.CanPatch, errs: map[string]error{"pricing": shared}}, own: ByPatch, pricing: ByPatch},
	} {
		d := tc.decide()
		if want := map[string]Way{"greet": tc.greet, "pricing": tc.pricing}; d.Own != tc.own || !maps.Equal(d.Plugins, want) {
			t.Errorf("%s: own %v, plugins %v; want %v, %v", name, d.Own, d.Plugins, tc.own, want)
		}
		refused, instead := "", ""
		if len(d.Refusals) > 0 {
			refused = d.Refusals[0].Code()
		}
		for _, r := range d.Instead {
			instead = r.Code()
		}
		if refused != tc.refused || instead != tc.instead {
			t.Errorf("%s: refused for %q, swapped for %q; want %q, %q", name, refused, instead, tc.refused, tc.instead)
		}
		if d.Unit != "server" {
			t.Errorf("%s: the host's own code is called %q", name, d.Unit)
		}
	}
}

// A generation that was loaded has the old text of a shared package inlined, and
// nobody would guess it.
func TestPatchOfASharedPackageNamesLoadedPlugins(t *testing.T) {
	e := edit{own: true, packages: []string{"x/api"}, verdict: builder.CanPatch, errs: map[string]error{"pricing": shared}, live: loaded}
	d := e.decide()
	if len(d.Notes) != 1 || d.Notes[0].Code != RuleShared || d.Notes[0].Symbol != "pricing" {
		t.Errorf("notes are %+v", d.Notes)
	}
	e.live = nil
	if d := e.decide(); len(d.Notes) != 0 {
		t.Errorf("a built-in plugin is patched with the host, but: %+v", d.Notes)
	}
}

func TestPlanningAPatchIsSparedWhereNothingCanBePatched(t *testing.T) {
	plugin := []builder.Plugin{{Name: "pricing"}}
	for name, tc := range map[string]struct {
		mode Mode
		plan *builder.Plan
		host []builder.HostChange
		live int
		want bool
	}{
		"built-in as built":    {Auto, &builder.Plan{Builtin: true}, nil, 0, false},
		"built-in edited":      {Auto, &builder.Plan{}, nil, 0, true},
		"loaded plugin":        {Auto, &builder.Plan{}, nil, 1, false},
		"host edited":          {Auto, &builder.Plan{Builtin: true}, []builder.HostChange{{}}, 1, true},
		"plugin does not load": {Auto, nil, nil, 0, false},
		"swaps only":           {Swap, &builder.Plan{}, []builder.HostChange{{}}, 0, false},
		"patched host":         {Auto, &builder.Plan{Builtin: true}, nil, -1, true},
		"patches only":         {Patch, &builder.Plan{Builtin: true}, nil, 0, true},
	} {
		src := Sources{Mode: tc.mode, Plugins: plugin, Snapshot: &builder.Snapshot{Plans: []*builder.Plan{tc.plan}, HostChanges: tc.host}}
		hosts := []Host{{Live: map[string]int{"pricing": max(0, tc.live)}, Patch: max(0, -tc.live)}}
		if got := NeedsPatch(src, hosts); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// Only an answer that will be the same next time may change the way.
func TestFailuresOfAHostAreNoRefusals(t *testing.T) {
	for code, want := range map[string]bool{
		control.CodeIncompatible: true, control.CodeUnsupported: true, control.CodeRefused: true,
		control.CodeTimeout: false, control.CodeBusy: false, control.CodeInternal: false, control.CodeForbidden: false,
	} {
		if got := FromError("server", &control.Error{Code: code}) != nil; got != want {
			t.Errorf("%s is a refusal: %v, want %v", code, got, want)
		}
	}
	if FromError("server", &control.Error{Code: control.CodeRefused, Rule: control.RuleQuarantined}) != nil {
		t.Error("what is quarantined is brought by a swap instead")
	}
	if FromError("server", errors.New("connection reset")) != nil {
		t.Error("a broken connection is a refusal")
	}
}
