package reloader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// byHand as the tool of a fake artifact makes it one that hotgo did not build.
const byHand = "by hand"

// foreignVersion adds a version of a plugin that hotgo did not build; pkg is the
// import path of its main package.
func (f *fakeProcess) foreignVersion(pkg, name string, symbols map[string]any) string {
	f.t.Helper()
	return f.versionInit(foreignManifest(pkg, name, symbols), func() (map[string]any, error) { return symbols, nil })
}

func foreignManifest(pkg, name string, symbols map[string]any) artifact.Manifest {
	m := manifest("", name)
	m.Tool, m.Package, m.Symbols, m.Reason = byHand, pkg, nil, "not built by hotgo"
	for symbol, value := range symbols {
		kind := "var"
		if _, isFunc := value.(func(int) int); isFunc {
			kind = "func"
		}
		m.Symbols = append(m.Symbols, artifact.Symbol{Name: symbol, Kind: kind})
	}
	return m
}

func TestForeignPluginGetsItsName(t *testing.T) {
	rate := 3
	both := map[string]any{"Price": times(2), "Rate": &rate}
	for _, c := range []struct {
		name, pkg, as string
		symbols       map[string]any
		want          string // plugin, or what the refusal says
		next          string // of the refusal
	}{
		{"of its directory", "example.com/plugins/pricing", "", both, "pricing", ""},
		{"of the plugin whose symbols it has", "example.com/rules", "", map[string]any{"Price": times(2)}, "tax", ""},
		{"of files", "command-line-arguments", "", map[string]any{"Price": times(2)}, "tax", ""},
		{"that the caller gives", "example.com/plugins/tax", "pricing", both, "pricing", ""},
		{"of several", "example.com/rules", "", both, "exports all that the host binds of pricing and of tax", "hotgo push --plugin pricing FILE"},
		{"of none", "example.com/rules", "", map[string]any{"Rate": &rate}, "has no plugin rules", "export Price for pricing, build it again, and hotgo push FILE"},
		{"that nobody has", "example.com/plugins/pricing", "pricng", both, `no plugin "pricng"`, "hotgo status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeProcess(t)
			h := openHost(t, Options{}, f)
			price, tax := Bind(h, "pricing", "Price", times(1)), Bind(h, "tax", "Price", times(1))
			Bind(h, "pricing", "Rate", 0)
			ev, err := h.LoadAs(t.Context(), c.as, f.foreignVersion(c.pkg, "a", c.symbols))
			if c.next == "" {
				if err != nil || ev.Plugin != c.want || !ev.Foreign || ev.LinkReason != "not built by hotgo" {
					t.Fatalf("event %+v, %v", ev, err)
				}
				if now := map[string]int{"pricing": price.Get()(1), "tax": tax.Get()(1)}; now[c.want] != 2 || now["pricing"]+now["tax"] != 3 {
					t.Errorf("prices are %v", now)
				}
				return
			}
			var e *control.Error
			if !errors.As(err, &e) || e.Code != control.CodeRefused || !strings.Contains(e.Message, c.want) || e.Next != c.next || e.Limit == "" || len(e.Evidence) == 0 {
				t.Errorf("refusal %+v", e)
			}
			if len(f.opened) > 0 {
				t.Error("it was opened")
			}
		})
	}
}

func TestArtifactKeepsTheNameItWasBuiltFor(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "tax", "Price", times(1))
	path := f.version("pricing", "a", prices(2))
	var e *control.Error
	if _, err := h.LoadAs(t.Context(), "tax", path); !errors.As(err, &e) || e.Code != control.CodeRefused || len(e.Evidence) != 1 {
		t.Errorf("as another plugin: %v", err)
	}
	if ev, err := h.LoadAs(t.Context(), "pricing", path); err != nil || ev.Foreign {
		t.Errorf("as what it is: %+v, %v", ev, err)
	}
}

func TestForeignVersionsComeAndGoAsOthersDo(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	Bind(h, "tax", "Price", times(1))
	first := f.foreignVersion("example.com/rules", "a", prices(2))
	if ev, err := h.LoadAs(t.Context(), "pricing", first); err != nil || ev.Generation != 1 {
		t.Fatalf("%+v, %v", ev, err)
	}
	// From now on the host knows these bytes without being told.
	if ev := mustLoad(t, h, first); ev.Verdict != control.Unchanged || ev.Plugin != "pricing" || !ev.Foreign {
		t.Errorf("same bytes: %+v", ev)
	}
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	if ev, err := h.Rollback(t.Context(), "pricing", Previous); err != nil || price.Get()(1) != 2 || !ev.Foreign {
		t.Errorf("back to what was built by hand: %+v, %v", ev, err)
	}
	if ev, err := h.Rollback(t.Context(), "pricing", 2); err != nil || price.Get()(1) != 3 || ev.Foreign {
		t.Errorf("forth again: %+v, %v", ev, err)
	}
	if ev := mustLoad(t, h, first); ev.Generation != 1 || price.Get()(1) != 2 {
		t.Errorf("loaded again: %+v", ev)
	}
	if len(f.opened) != 2 {
		t.Errorf("opened %d times", len(f.opened))
	}
	gens := h.Status().Plugins[0].Generations
	if !gens[0].Foreign || gens[1].Foreign || gens[0].LinkReason != "not built by hotgo" {
		t.Errorf("status %+v", gens)
	}
}

// ownOrder stands for a type that a plugin defines.
type ownOrder struct{ Items int }

// TestFailedForeignLoadKeepsOldGeneration goes through what a manifest would have
// told: what the file shows is refused before it is opened, the rest after.
func TestFailedForeignLoadKeepsOldGeneration(t *testing.T) {
	own := func(ownOrder) int { return 0 }
	text := "text"
	hook := func(context.Context) error { return errors.New("unwell") }
	for _, c := range []struct {
		name    string
		symbols map[string]any
		own     bool // the package of the tests is the plugin's own
		code    string
		rule    string
		says    string
		opened  bool
	}{
		{"symbol gone", map[string]any{"Price": times(7)}, false, control.CodeRefused, "HG0011", "binds Rate", false},
		{"function for a variable", map[string]any{"Price": times(7), "Rate": times(7)}, false, control.CodeRefused, "HG0010", "a function", false},
		{"signature", map[string]any{"Price": own, "Rate": new(int)}, false, control.CodeRefused, "HG0010", "ownOrder", true},
		{"own type", map[string]any{"Price": own, "Rate": new(int)}, true, control.CodeRefused, "HG0004", "defined by the plugin itself", true},
		{"variable of another type", map[string]any{"Price": times(7), "Rate": &text}, false, control.CodeRefused, "HG0010", "string", true},
		{"hook of another type", map[string]any{"Price": times(7), "Rate": new(int), "HotStart": times(7)}, false, control.CodeRefused, "HG0010", "HotStart", true},
		{"health", map[string]any{"Price": times(7), "Rate": new(int), "HotHealth": hook}, false, control.CodeUnhealthy, "", "unwell", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeProcess(t)
			h := openHost(t, Options{}, f)
			price := Bind(h, "pricing", "Price", times(1))
			Bind(h, "pricing", "Rate", 0)
			mustLoad(t, h, f.foreignVersion("example.com/pricing", "good", map[string]any{"Price": times(2), "Rate": new(int)}))
			m := foreignManifest("example.com/pricing", "bad", c.symbols)
			if c.own {
				m.Packages = map[string]string{"github.com/hotgo/hotgo/pkg/reloader": strings.Repeat("0", 16)}
			}
			path := f.versionInit(m, func() (map[string]any, error) { return c.symbols, nil })
			for range 2 { // the second time it is not opened again
				e := mustFail(t, h, path, c.code)
				if e.Rule != c.rule || !strings.Contains(e.Error(), c.says) {
					t.Errorf("error %q with rule %q", e.Error(), e.Rule)
				}
				next := "hotgo push FILE"
				if c.opened { // its plugin path is taken
					next = "hotgo push pricing"
				}
				if c.rule != "" && !strings.HasSuffix(e.Next, next) {
					t.Errorf("next is %q, want %q", e.Next, next)
				}
			}
			if price.Get()(1) != 2 || price.Generation() != 1 {
				t.Error("the old generation does not serve")
			}
			if opened := slices.Contains(f.opened, m.Key); opened != c.opened {
				t.Errorf("opened: %v", opened)
			}
		})
	}
}

func TestForeignMisfitSaysWhoBuildsOneThatFits(t *testing.T) {
	taken := abi.Mismatch{Kind: abi.MismatchPath, What: "plugin path", Host: "taken by pricing generation 1", Artifact: "example.com/pricing", Limit: "the Go runtime"}
	theirs := abi.Mismatch{Kind: abi.MismatchPackage, What: "example.com/tax", Host: "aa (from pricing generation 1)", Artifact: "bb", Rule: "HG0090", Limit: "the Go runtime"}
	shared := abi.Mismatch{Kind: abi.MismatchPackage, What: "example.com/shared", Host: "aa", Artifact: "bb", Rule: "HG0090", Limit: "the Go runtime"}
	flag := abi.Mismatch{Kind: abi.MismatchFlag, What: "-trimpath", Host: "true", Artifact: "false", Rule: "HG0091", Limit: "the Go runtime"}
	poisoned := abi.Mismatch{Kind: abi.MismatchPoisoned, What: "example.com/tax", Limit: "the Go runtime"}
	for _, c := range []struct {
		name             string
		found            []abi.Mismatch
		text, rule, next string
	}{
		{"second version", []abi.Mismatch{taken}, "the same one", "", "hotgo push pricing"},
		{"second version with other packages", []abi.Mismatch{theirs, taken}, "the same one", "", "hotgo push pricing"},
		{"package of an earlier plugin", []abi.Mismatch{theirs}, "an earlier plugin brought another version of example.com/tax", "HG0090", "hotgo push pricing"},
		{"flags", []abi.Mismatch{flag}, "does not fit this host", "HG0091", "hotgo push pricing"},
		{"changed sources", []abi.Mismatch{shared, taken}, "example.com/shared is shared", "HG0090", "restart the host"},
		{"poisoned", []abi.Mismatch{poisoned}, "does not fit", "", "restart the host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeProcess(t)
			p := f.platform()
			p.host = func() (*abi.Fingerprint, error) {
				return &abi.Fingerprint{Packages: map[string]abi.Hash{"example.com/shared": {}}}, nil
			}
			h, err := newHost(Options{NoSocket: true}, p)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			Bind(h, "pricing", "Price", times(1))
			path := f.foreignVersion("example.com/pricing", "bad", prices(7))
			f.misfit[manifest("", "bad").Key] = c.found
			e := mustFail(t, h, path, control.CodeIncompatible)
			if !strings.Contains(e.Message, c.text) || e.Rule != c.rule || !strings.HasPrefix(e.Next, c.next) || len(e.Evidence) != len(c.found) {
				t.Errorf("refusal %+v", e)
			}
		})
	}
}

func TestForeignPluginThatTheProgramOpenedIsLeftToIt(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(1))
	path := f.versionInit(foreignManifest("example.com/pricing", "a", prices(2)), func() (map[string]any, error) {
		return nil, errors.New(`plugin.Open("a"): plugin already loaded`)
	})
	if e := mustFail(t, h, path, control.CodeRefused); !strings.Contains(e.Message, "opened by itself") || e.Next != "hotgo push pricing" {
		t.Errorf("refusal %+v", e)
	}
}

func TestForeignLoadTellsWhatItHasFromEarlierOnes(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(1))
	f.shared = []abi.SharedPackage{{Package: "example.com/tax", By: "pricing generation 1"}}
	if ev := mustLoad(t, h, f.version("pricing", "ours", prices(2))); len(ev.Notes) > 0 {
		t.Errorf("an artifact with copies of its own has notes: %+v", ev.Notes)
	}
	path := f.foreignVersion("example.com/pricing", "a", prices(2))
	dry, err := h.load(t.Context(), loadRequest{dryRun: true, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
	if err != nil || len(dry.Notes) != 1 {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	ev := mustLoad(t, h, path)
	if len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0095" || ev.Notes[0].Symbol != "example.com/tax" || !strings.Contains(ev.Notes[0].Text, "hotgo push pricing") {
		t.Errorf("notes %+v", ev.Notes)
	}
	if ev := mustLoad(t, h, path); len(ev.Notes) > 0 {
		t.Errorf("where nothing was opened: %+v", ev.Notes)
	}
}

func TestForeignGenerationIsSwappedAndNotPatched(t *testing.T) {
	f, h := shopHost(t)
	Bind(h, "pricing", "Price", times(1))
	path := f.foreignVersion("example.com/pricing", "a", prices(2))
	mustLoad(t, h, path)
	m := pricingPatch("of a foreign one", manifest("", "a"))
	brings(&m, nameFresh, 0x9300, "c")
	if e := mustFail(t, h, f.patchFile(m, 2), control.CodeRefused); !strings.Contains(e.Message, "not built by hotgo") {
		t.Errorf("refusal %+v", e)
	}
	if len(f.opened) != 1 {
		t.Error("the patch was opened")
	}
}
