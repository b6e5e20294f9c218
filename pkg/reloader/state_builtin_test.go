package reloader

import (
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// keepsBuiltin adds what the host has of the plugin to a version's symbols.
func keepsBuiltin(symbols map[string]any, vars map[string]any, unused ...string) map[string]any {
	symbols[builtinEntry] = func(visit func(string) bool, add func(kind, path, name string, value any)) {
		for name, p := range vars {
			add("var", "shop", name, p)
		}
		for _, name := range unused {
			add("unused", "shop", name, nil)
		}
	}
	return symbols
}

func TestTheBuiltinIsGenerationZero(t *testing.T) {
	f := newFakeProcess(t)
	var moment livepatch.Moment
	f.busy = func(m livepatch.Moment) error { moment = m; return nil }
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(0))
	builtin, one, two := 5, 1, 2
	mustLoad(t, h, f.version("pricing", "1", keepsBuiltin(keeps(prices(1), map[string]any{"n": &one, "added": new(int)}), map[string]any{"n": &builtin}, "added")))
	if one != 5 {
		t.Errorf("the first generation has %d", one)
	}
	if !slices.Equal(moment.Packages, []string{"shop"}) || !moment.NoCalls {
		t.Errorf("in the way was %+v", moment)
	}
	one = 6
	// The second has no list of the built-in: that of the first does.
	mustLoad(t, h, f.version("pricing", "2", keeps(prices(2), map[string]any{"n": &two})))
	two++
	ev, err := h.Rollback(t.Context(), "pricing", 0)
	if err != nil || builtin != 7 || len(ev.Notes) != 0 || len(moment.Packages) != 1 || len(moment.Code) != 1 {
		t.Errorf("back again it is %d, %v, %+v", builtin, err, ev)
	}
	builtin = 9
	if _, err := h.Rollback(t.Context(), "pricing", 2); err != nil || two != 9 {
		t.Errorf("and there again %d, %v", two, err)
	}
}

func TestRefusedStateKeepsTheBuiltin(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(7))
	builtin, small := 300, int8(1)
	version := f.version("pricing", "1", keepsBuiltin(keeps(prices(1), map[string]any{"n": &small}), map[string]any{"n": &builtin}))
	if e := mustFail(t, h, version, control.CodeIncompatible); e.Rule != "HG0032" || small != 1 || price.Get()(1) != 7 {
		t.Errorf("%+v", e)
	}
	builtin = 100
	mustLoad(t, h, version)
	if small != 100 {
		t.Errorf("the first generation has %d", small)
	}
}

func TestHotMigrateOfTheFirstGenerationSeesTheBuiltin(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	text, number := "five", 0
	symbols := keepsBuiltin(keeps(prices(1), map[string]any{"Limit": &number}), map[string]any{"Limit": &text})
	symbols[hookMigrate] = func(old map[string]any) error {
		number = len(*old["Limit"].(*string)) + len(old)
		return nil
	}
	m := manifest("pricing", "1")
	m.Package = "shop"
	mustLoad(t, h, f.versionInit(m, func() (map[string]any, error) { return symbols, nil }))
	if number != 6 || text != "five" { // 4 letters, under 2 names
		t.Errorf("it is %d", number)
	}
}

func TestABuiltinWithoutAListIsNoted(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	n := 1
	m := manifest("pricing", "1")
	m.Builtin = &artifact.Builtin{Code: "HG0094", Reason: "it is not known"}
	ev := mustLoad(t, h, f.versionInit(m, func() (map[string]any, error) { return keeps(prices(1), map[string]any{"n": &n}), nil }))
	want := []control.Finding{{Code: "HG0094", Text: "package variables start anew: it is not known"}}
	if !slices.Equal(ev.Notes, want) {
		t.Errorf("%+v", ev.Notes)
	}
	ev, err := h.Rollback(t.Context(), "pricing", 0)
	want[0].Text = "the built-in goes on with its own package variables: it is not known"
	if err != nil || !slices.Equal(ev.Notes, want) {
		t.Errorf("%+v, %v", ev.Notes, err)
	}
}

func TestTypesOfPackagesWithoutVariablesAreTheBuiltins(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	n := 1
	m := manifest("pricing", "1")
	m.Private = map[string]string{"shop": "shop/hotgo_1", "shop/model": "shop/model/hotgo_1"}
	mustLoad(t, h, f.versionInit(m, func() (map[string]any, error) {
		return keepsBuiltin(prices(1), map[string]any{"n": &n}), nil
	}))
	k := h.builtin(h.plugins["pricing"].gens[0])
	if k.Packages["shop"] != "shop" || k.Packages["shop/model"] != "shop/model" || len(k.Packages) != 2 {
		t.Errorf("%v", k.Packages)
	}
}
