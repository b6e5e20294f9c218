package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// tree is sources with the plugins pricing and greet, and hosts that run two
// processes of one binary.
type tree struct {
	changed  []string // packages of the host: x/server, x/pricing, x/greet
	verdict  builder.PatchVerdict
	assumed  bool
	patchErr error
	errs     map[string]error // of snapshots
	snapErr  error
	noBinary error
	refuse   error // what hosts answer to a patch
	loaded   loaded

	*done
}

// done is what was done to hosts and store.
type done struct {
	mu     sync.Mutex
	did    []string
	builds int
}

func (tr *tree) sources(mode choose.Mode, named ...string) Sources {
	all := map[string]builder.Plugin{
		"pricing": {Name: "pricing", ImportPath: "x/pricing"}, "greet": {Name: "greet", ImportPath: "x/greet"},
		"server": {Name: "server", ImportPath: "x/server", Command: true},
	}
	return Sources{
		Mode: mode, Named: len(named) > 0,
		Find: func(_ context.Context, held []string) ([]builder.Plugin, error) {
			if len(named) == 0 {
				named = held
			}
			var found []builder.Plugin
			for _, n := range named {
				found = append(found, all[n])
			}
			return found, nil
		},
		Snapshot: func(_ context.Context, _ builder.Host, ps []builder.Plugin) (*builder.Snapshot, error) {
			if tr.snapErr != nil {
				return nil, tr.snapErr
			}
			s := &builder.Snapshot{Errors: tr.errs}
			own := slices.Clone(tr.changed)
			for _, p := range ps {
				own = slices.DeleteFunc(own, func(c string) bool { return c == p.ImportPath })
				if tr.errs[p.Name] != nil {
					s.Plans = append(s.Plans, nil)
					continue
				}
				s.Plans = append(s.Plans, &builder.Plan{
					Plugin: p, Key: p.Name + "-key", Private: []string{p.ImportPath},
					Builtin: !tr.assumed && !slices.Contains(tr.changed, p.ImportPath),
				})
			}
			for _, c := range own {
				s.HostChanges = append(s.HostChanges, builder.HostChange{ImportPath: c})
			}
			return s, nil
		},
		PlanPatch: func(context.Context, builder.Host, []builder.Plugin) (*builder.PatchPlan, error) {
			p := &builder.PatchPlan{Name: "server", Verdict: tr.verdict, Packages: tr.changed, Key: "patch-key", Assumed: tr.assumed}
			if tr.verdict == "" {
				p.Verdict = builder.NoDifference
			}
			if tr.verdict == builder.CanPatch {
				p.Functions = []builder.FunctionChange{{Name: "cart.Total", Change: "changed"}}
			}
			if tr.verdict == builder.MustRestart {
				p.Findings = []builder.Finding{{Code: "HG0001", Symbol: "cart.Cart", Text: "layout", Refuse: true}}
			}
			return p, tr.patchErr
		},
		PlanGenerationPatch: tr.planLoaded,
		Binary:              func(control.Status) (string, error) { return "server", tr.noBinary },
	}
}

func (tr *tree) effects() Effects {
	built := func(plugin, key string) *builder.Artifact {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.builds++
		return &builder.Artifact{Digest: "sha256:" + key, Manifest: builder.Manifest{Plugin: plugin, Key: key}}
	}
	note := func(what string, st control.Status) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.did = append(tr.did, fmt.Sprintf("%s in %d", what, st.PID))
	}
	return Effects{
		Build: func(_ context.Context, p *builder.Plan) (*builder.Artifact, error) {
			return built(p.Plugin.Name, p.Key), nil
		},
		BuildPatch: func(_ context.Context, p *builder.PatchPlan) (*builder.Artifact, error) {
			return built(p.Name, p.Key), nil
		},
		Load: func(_ context.Context, st control.Status, a *builder.Artifact) (control.Event, error) {
			if tr.refuse != nil && (a.Manifest.Plugin == "server" || strings.HasPrefix(a.Manifest.Key, "patch of ")) {
				return control.Event{}, fmt.Errorf("server would not load: %w", tr.refuse)
			}
			note(a.Manifest.Key, st)
			return control.Event{Event: control.KindLoaded}, nil
		},
		Restore: func(_ context.Context, st control.Status, unit string, to int) (control.Event, error) {
			if to > 0 {
				note(fmt.Sprintf("%s v%d", unit, to), st)
				return control.Event{Event: control.KindRolledBack, Verdict: control.Patched}, nil
			}
			note("original", st)
			return control.Event{Event: control.KindRolledBack}, nil
		},
	}
}

// push gives what happened in the hosts, sorted, and how it ended.
func (tr *tree) push(t *testing.T, src Sources, all []control.Status) (did string, results []Result, err error) {
	t.Helper()
	changes, err := FromSources(t.Context(), src, all, false)
	if err != nil {
		return "", nil, err
	}
	told := 0
	results = Push(t.Context(), changes, rollout.Options{}, tr.effects(), func(Result) { told++ })
	if told != len(results) {
		t.Errorf("%d of %d results were told", told, len(results))
	}
	sort.Strings(tr.did)
	return strings.Join(tr.did, ", "), results, Err(results)
}

// two gives two processes of one binary.
func two() []control.Status {
	var all []control.Status
	for pid := 1; pid <= 2; pid++ {
		all = append(all, control.Status{
			Name: "shop", PID: pid, BuildID: "A", Package: "x/server", Socket: fmt.Sprint(pid),
			Plugins: []control.Plugin{{Name: "greet"}, {Name: "pricing"}},
		})
	}
	return all
}

// live makes a generation of a plugin serve.
func live(st *control.Status, plugin, kind string, n int) {
	st.Plugins = append(slices.DeleteFunc(st.Plugins, func(p control.Plugin) bool { return p.Name == plugin }), control.Plugin{
		Name: plugin, Kind: kind, Live: n, Generations: []control.Generation{{Generation: n, Key: "old"}},
	})
}

func TestPushGoesTheChosenWay(t *testing.T) {
	for name, tc := range map[string]struct {
		tree
		mode  choose.Mode
		named []string
		hosts func([]control.Status)
		does  string
		code  string // of the first error
	}{
		"host":                {tree: tree{changed: []string{"x/server"}, verdict: builder.CanPatch}, does: "patch-key in 1, patch-key in 2"},
		"built-in plugin":     {tree: tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch}, does: "patch-key in 1, patch-key in 2"},
		"nothing":             {},
		"unknown host":        {tree: tree{assumed: true}, does: "greet-key in 1, greet-key in 2, pricing-key in 1, pricing-key in 2"},
		"refused plugin":      {tree: tree{changed: []string{"x/pricing"}, verdict: builder.MustRestart}, does: "pricing-key in 1, pricing-key in 2"},
		"refused host":        {tree: tree{changed: []string{"x/server"}, verdict: builder.MustRestart}, code: "HG0001"},
		"refused, only patch": {tree: tree{changed: []string{"x/pricing"}, verdict: builder.MustRestart}, mode: choose.Patch, code: "HG0001"},
		"swaps only":          {tree: tree{changed: []string{"x/server", "x/pricing"}}, mode: choose.Swap, does: "greet-key in 1, greet-key in 2, pricing-key in 1, pricing-key in 2"},
		"processes differ": {
			tree: tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch}, does: "patch of old in 2, patch-key in 1",
			hosts: func(all []control.Status) { live(&all[1], "pricing", "", 3) },
		},
		"back to the original": {
			hosts: func(all []control.Status) { live(&all[0], "server", control.KindHost, 2) }, does: "original in 1",
		},
		"host that takes no patch": {
			tree: tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch, refuse: &control.Error{Code: control.CodeUnsupported}},
			does: "pricing-key in 1, pricing-key in 2",
		},
		"host that takes no patch of its own": {
			tree: tree{changed: []string{"x/server"}, verdict: builder.CanPatch, refuse: &control.Error{Code: control.CodeUnsupported, Rule: "HG0062"}},
			code: "HG0062",
		},
		"host that takes no patch, only patch": {
			tree: tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch, refuse: &control.Error{Code: control.CodeUnsupported, Rule: "HG0062"}},
			mode: choose.Patch, code: "HG0062",
		},
		"plugin by name":                 {tree: tree{changed: []string{"x/pricing"}, verdict: builder.CanPatch}, named: []string{"pricing"}, does: "patch-key in 1, patch-key in 2"},
		"plugin by name, more is edited": {tree: tree{changed: []string{"x/pricing", "x/server"}, verdict: builder.CanPatch}, named: []string{"pricing"}, does: "pricing-key in 1, pricing-key in 2"},
		"host by name":                   {tree: tree{changed: []string{"x/server"}, verdict: builder.CanPatch}, named: []string{"server"}, does: "patch-key in 1, patch-key in 2"},
		"sources that do not compile":    {tree: tree{changed: []string{"x/server"}, patchErr: &builder.BuildError{}}, code: "build"},
		"binary that is elsewhere":       {tree: tree{noBinary: new(hosts.BinaryError)}, code: "elsewhere"},
		"flags that differ":              {tree: tree{snapErr: &builder.ConflictError{Evidence: []builder.Mismatch{{Rule: "HG0091"}}}}, code: "HG0091"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.mode == "" {
				tc.mode = choose.Auto
			}
			tc.done = new(done)
			all := two()
			if tc.hosts != nil {
				tc.hosts(all)
			}
			what, results, err := tc.push(t, tc.sources(tc.mode, tc.named...), all)
			if what != tc.does {
				t.Errorf("it did %q, want %q", what, tc.does)
			}
			if code := codeOf(err); code != tc.code {
				t.Errorf("it ended with %q (%v), want %q", code, err, tc.code)
			}
			if len(results) == 0 {
				t.Error("nothing is said")
			}
			if strings.Contains(tc.does, "patch-key in 1, patch-key") && tc.builds != 1 {
				t.Errorf("%d builds for two processes of one binary", tc.builds)
			}
		})
	}
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*choose.RefusedError](err); ok {
		return e.Code()
	}
	if e, ok := errors.AsType[*control.Error](err); ok {
		return e.Rule
	}
	if _, ok := errors.AsType[*builder.BuildError](err); ok {
		return "build"
	}
	if e, ok := errors.AsType[*builder.ConflictError](err); ok {
		return e.Evidence[0].Rule
	}
	if _, ok := errors.AsType[*hosts.BinaryError](err); ok {
		return "elsewhere"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestSwapInPlaceOfAPatchSaysWhy(t *testing.T) {
	tr := &tree{done: new(done), changed: []string{"x/pricing"}, verdict: builder.MustRestart}
	_, results, _ := tr.push(t, tr.sources(choose.Auto), two())
	for _, r := range results {
		if r.Event.Plugin != "pricing" || r.Event.Code != "HG0001" || r.Event.Reason != "not patched: layout" {
			t.Errorf("the event is %+v", r.Event)
		}
	}
}

func TestNothingDiffersFromAnUnknownHostWithADoubt(t *testing.T) {
	tr := &tree{done: new(done), assumed: true}
	all := two()[:1]
	all[0].Plugins = nil
	_, results, err := tr.push(t, tr.sources(choose.Patch), all)
	if err != nil || len(results) != 1 || results[0].Event.Event != control.KindUnchanged ||
		len(results[0].Event.Notes) != 1 || results[0].Event.Notes[0].Code != choose.RuleDrift {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestPredictionTouchesNothing(t *testing.T) {
	tr := &tree{done: new(done), changed: []string{"x/server"}, verdict: builder.CanPatch}
	changes, err := FromSources(t.Context(), tr.sources(choose.Auto), two(), false)
	if err != nil {
		t.Fatal(err)
	}
	results := Predict(changes)
	if len(results) != 2 || !results[0].Pending() || results[0].Event.Verdict != control.Patched || len(results[0].Event.Functions) != 1 {
		t.Errorf("%+v", results)
	}
	if len(tr.did)+tr.builds > 0 {
		t.Errorf("%q was done, %d built", tr.did, tr.builds)
	}
}

func TestPatchFileGoesToTheProcessesOfItsBinary(t *testing.T) {
	all := two()
	all[1].BuildID = "B"
	a := new(builder.Artifact)
	if err := json.Unmarshal([]byte(`{"plugin":"server","host_build":"A","patch":{"functions":[]}}`), &a.Manifest); err != nil {
		t.Fatal(err)
	}
	if got := patchedBy(all, a); len(got) != 1 || got[0].PID != 1 {
		t.Errorf("it goes to %+v", got)
	}
	// Where nobody runs it, those of its name say what differs.
	a.Manifest.HostBuild = "C"
	if got := patchedBy(all, a); len(got) != 2 {
		t.Errorf("it goes to %+v", got)
	}
	a.Manifest.Plugin = "other"
	if got := patchedBy(all, a); len(got) != 0 {
		t.Errorf("it goes to %+v", got)
	}
}

func TestVerdictsTellWhatAPushWouldDo(t *testing.T) {
	for name, tc := range map[string]struct {
		tree
		own   choose.Way
		swaps int
	}{
		"host":           {tree{changed: []string{"x/server"}, verdict: builder.CanPatch}, choose.ByPatch, 0},
		"nothing":        {tree{}, choose.Stay, 0},
		"refused plugin": {tree{changed: []string{"x/pricing"}, verdict: builder.MustRestart}, choose.Stay, 1},
		"refused host":   {tree{changed: []string{"x/server"}, verdict: builder.MustRestart}, choose.Refused, 0},
		"unknown host":   {tree{assumed: true}, choose.Stay, 2},
	} {
		all, err := Verdicts(t.Context(), tc.sources(choose.Auto), two())
		if err != nil || len(all) != 2 {
			t.Fatalf("%s: %+v, %v", name, all, err)
		}
		if v := all[0]; v.Own != tc.own || len(v.Differ) != tc.swaps || v.Unit != "server" {
			t.Errorf("%s: own %v, %d swaps; want %v, %d", name, v.Own, len(v.Differ), tc.own, tc.swaps)
		}
	}
	// A file that does not run may be as old as the sources.
	unknown := tree{assumed: true}
	v, err := Compare(t.Context(), unknown.sources(choose.Auto, "pricing"), builder.Host{Binary: "server"})
	if err != nil || len(v.Differ) != 0 || v.Unit != "server" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestWhatThereWasNothingToDoForIsNoSuccess(t *testing.T) {
	bad := errors.New("no")
	stay, swap := &Change{Way: choose.Stay}, &Change{Way: choose.BySwap}
	same := control.Event{Event: control.KindUnchanged}
	failed := NewResult(swap, control.Status{}, control.Event{}, bad)
	if err := Err([]Result{NewResult(stay, control.Status{}, same, nil), failed}); !errors.Is(err, bad) || codeOf(err) != "no" {
		t.Errorf("%v", err)
	}
	if _, partial := errors.AsType[*PartialError](Err([]Result{NewResult(swap, control.Status{}, control.Event{}, nil), failed})); !partial {
		t.Error("one of two loads failed, and it is not partial")
	}
}
