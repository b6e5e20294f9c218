package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestLoadMovesEveryHandle(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	again := Bind[func(int) int](h, "pricing", "Price", nil)
	other := Bind(h, "other", "Price", times(9))
	if again.Get() != nil {
		t.Error("a handle without a built-in is not nil")
	}
	ev := mustLoad(t, h, f.version("pricing", "a", prices(2)))
	if ev.Verdict != control.Swapped || ev.Generation != 1 || ev.Event != control.KindLoaded || ev.Plugin != "pricing" {
		t.Errorf("event %+v", ev)
	}
	if got := []int{price.Get()(1), again.Get()(1), other.Get()(1), price.Generation(), other.Generation()}; !slices.Equal(got, []int{2, 2, 9, 1, 0}) {
		t.Errorf("handles give %v", got)
	}
	if late := Bind(h, "pricing", "Price", times(1)); late.Get()(1) != 2 {
		t.Error("a handle bound after the load is not on the live generation")
	}
}

func TestSameVersionIsUnchangedAndNotOpened(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	path := f.version("pricing", "a", prices(2))
	mustLoad(t, h, path)
	if ev := mustLoad(t, h, path); ev.Verdict != control.Unchanged || ev.Generation != 1 {
		t.Errorf("same bytes: %+v", ev)
	}
	m := manifest("pricing", "a")
	m.Tool = "another build of the same inputs"
	if ev := mustLoad(t, h, writeArtifact(t, m)); ev.Verdict != control.Unchanged {
		t.Errorf("same key: %+v", ev)
	}
}

func TestEarlierVersionComesBackWithoutOpening(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	first := f.version("pricing", "a", prices(2))
	mustLoad(t, h, first)
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	ev := mustLoad(t, h, first)
	if ev.Verdict != control.Swapped || ev.Generation != 1 || price.Get()(1) != 2 {
		t.Errorf("event %+v, price %d", ev, price.Get()(1))
	}
	if len(f.opened) != 2 {
		t.Errorf("opened %d times", len(f.opened))
	}
}

func TestThinArtifactOfAnotherBuildIsRefusedBeforeOpening(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	thin := func(version, hostBuild string) string {
		f.version("pricing", version, prices(2)) // what opening it does
		m := manifest("pricing", version)
		m.Link, m.HostBuild = "thin", hostBuild
		return writeArtifact(t, m)
	}
	for version, build := range map[string]string{"a": "other", "b": ""} {
		_, err := h.Load(t.Context(), thin(version, build))
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.CodeIncompatible || e.Rule != "HG0092" {
			t.Fatalf("build id %q: %v, want incompatible with HG0092", build, err)
		}
		want := control.Evidence{What: "build id", Host: "fake", Artifact: build}
		if build == "" {
			want.Artifact = "none"
		}
		if len(e.Evidence) != 1 || e.Evidence[0] != want || e.Next != "hotgo push pricing" || e.Limit == "" {
			t.Errorf("the refusal does not explain itself: %+v", e)
		}
	}
	if len(f.opened) != 0 || price.Generation() != 0 {
		t.Errorf("opened %q, generation %d is live", f.opened, price.Generation())
	}
	mustLoad(t, h, thin("c", "fake"))
	if price.Get()(1) != 2 {
		t.Error("the artifact for this build is not live")
	}
}

// TestFailedLoadKeepsOldGeneration goes through every step of a load that can
// fail: the old generation serves, and the next load works.
func TestFailedLoadKeepsOldGeneration(t *testing.T) {
	sym := func(name, typ string) artifact.Symbol { return artifact.Symbol{Name: name, Kind: "func", Type: typ} }
	price := sym("Price", "func(int) int")
	hook := func(err error) Hook { return func(context.Context) error { return err } }
	bad := errors.New("bad day")
	with := func(extra map[string]any) func() (map[string]any, error) {
		s := prices(7)
		for k, v := range extra {
			s[k] = v
		}
		return func() (map[string]any, error) { return s, nil }
	}
	private := manifest("pricing", "private", sym("Price", "func(example.com/shop/pricing.Order) int"))
	private.Private = map[string]string{"example.com/shop/pricing": "x"}
	lies := manifest("pricing", "lies")
	lies.PluginPath = "fake/other"
	ours := manifest("pricing", "good")
	ours.PluginPath, ours.Tool = "fake/other", "another plugin"

	for _, c := range []struct {
		name     string
		manifest artifact.Manifest
		init     func() (map[string]any, error)
		code     string
		rule     string
		text     string
		opened   bool
	}{
		{"symbol gone", manifest("pricing", "gone", sym("Other", "func()")), nil, control.CodeRefused, "HG0011", "binds Price", false},
		{"signature", manifest("pricing", "sig", sym("Price", "func(string) int")), nil, control.CodeRefused, "HG0010", "func(string) int", false},
		{"private type", private, nil, control.CodeRefused, "HG0004", "example.com/shop/pricing.Order", false},
		{"hook type", manifest("pricing", "hooktype", price, sym("HotStop", "func()")), nil, control.CodeRefused, "HG0010", "HotStop", false},
		{"lying manifest", lies, nil, control.CodeNotArtifact, "", "does not describe", false},
		{"key of another", ours, nil, control.CodeNotArtifact, "", "claims the key", false},
		{"mismatch", manifest("pricing", "misfit"), nil, control.CodeIncompatible, "HG0091", "does not fit", false},
		{"open error", manifest("pricing", "open"), func() (map[string]any, error) { return nil, bad }, control.CodeRefused, "", "bad day", false},
		{"init panic", manifest("pricing", "panic"), func() (map[string]any, error) { panic("in init") }, control.CodeRefused, "", "in init", true},
		{"init goexit", manifest("pricing", "exit"), func() (map[string]any, error) { runtime.Goexit(); return nil, nil }, control.CodeRefused, "", "Goexit", true},
		{"lied symbol", manifest("pricing", "liedsym"), with(map[string]any{"Price": "text"}), control.CodeRefused, "HG0010", "Price", true},
		{"lied hook", manifest("pricing", "liedhook"), with(map[string]any{"HotStart": func() {}}), control.CodeRefused, "HG0010", "HotStart", true},
		{"start error", manifest("pricing", "start"), with(map[string]any{"HotStart": hook(bad)}), control.CodeRefused, "", "HotStart failed: bad day", true},
		{"start panic", manifest("pricing", "startp"), with(map[string]any{"HotStart": func(context.Context) error { panic(bad) }}), control.CodeRefused, "", "bad day", true},
		{"health error", manifest("pricing", "health"), with(map[string]any{"HotHealth": hook(bad)}), control.CodeUnhealthy, "", "HotHealth failed: bad day", true},
		{"health goexit", manifest("pricing", "healthx"), with(map[string]any{"HotHealth": func(context.Context) error { runtime.Goexit(); return nil }}), control.CodeUnhealthy, "", "Goexit", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeProcess(t)
			f.misfit[manifest("pricing", "misfit").Key] = []abi.Mismatch{{What: "-trimpath", Host: "true", Artifact: "false", Rule: "HG0091"}}
			h := openHost(t, Options{}, f)
			price := Bind(h, "pricing", "Price", times(1))
			mustLoad(t, h, f.version("pricing", "good", prices(2)))
			id := h.journal.Last()

			e := mustFail(t, h, f.versionInit(c.manifest, c.init), c.code)
			if e.Rule != c.rule || !strings.Contains(e.Error(), c.text) {
				t.Errorf("error %q with rule %q, want %q and %q", e.Error(), e.Rule, c.text, c.rule)
			}
			if price.Get()(1) != 2 || price.Generation() != 1 {
				t.Error("the old generation does not serve")
			}
			if wasOpened := slices.Contains(f.opened, c.manifest.Key); wasOpened != c.opened && c.name != "open error" && c.name != "key of another" {
				t.Errorf("opened: %v", wasOpened)
			}
			kind := control.KindFailed
			if c.code == control.CodeIncompatible {
				kind = control.KindRestart
			}
			if ev := await(t, h, id, kind); ev.Code == "" || ev.Reason == "" {
				t.Errorf("event %+v", ev)
			}
			if c.opened {
				gens := h.Status().Plugins[0].Generations
				if last := gens[len(gens)-1]; last.State != control.StateFailed || last.Reason == "" {
					t.Errorf("the failed generation is %+v", last)
				}
			}
			mustLoad(t, h, f.version("pricing", "next", prices(3)))
			if price.Get()(1) != 3 {
				t.Error("the next load does not serve")
			}
		})
	}
}

func TestFilesThatAreNoArtifactsAreRefused(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{MaxArtifactBytes: 10}, f)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mustFail(t, h, write("text", "hello"), control.CodeNotArtifact)
	mustFail(t, h, write("empty", ""), control.CodeNotArtifact)
	mustFail(t, h, write("large", "12345678901"), control.CodeTooLarge)
	mustFail(t, h, dir, control.CodeBadRequest)
	mustFail(t, h, filepath.Join(dir, "nothing"), control.CodeNotFound)
}

func TestFailedInitialiserIsNotTriedAgainAndFailedHookIs(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	crash := f.versionInit(manifest("pricing", "a"), func() (map[string]any, error) { panic("boom") })
	mustFail(t, h, crash, control.CodeRefused)
	if e := mustFail(t, h, crash, control.CodeRefused); !strings.Contains(e.Message, "generation 1") {
		t.Errorf("second try: %v", e)
	}
	sick := true
	s := prices(4)
	s["HotHealth"] = func(context.Context) error {
		if sick {
			return errors.New("sick")
		}
		return nil
	}
	path := f.version("pricing", "b", s)
	mustFail(t, h, path, control.CodeUnhealthy)
	sick = false
	if ev := mustLoad(t, h, path); ev.Generation != 2 {
		t.Errorf("event %+v", ev)
	}
}

func TestLedgerHearsHowEachLoadEnded(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	mustLoad(t, h, f.version("pricing", "a", prices(1)))
	mustFail(t, h, f.versionInit(manifest("pricing", "b"), func() (map[string]any, error) { panic("boom") }), control.CodeRefused)
	mustFail(t, h, f.versionInit(manifest("pricing", "c"), func() (map[string]any, error) { return nil, errors.New("no") }), control.CodeRefused)
	want := []string{
		fmt.Sprintf("pricing generation 1 %d", opened),
		fmt.Sprintf("pricing generation 2 %d", initFailed),
		fmt.Sprintf("pricing generation 3 %d", refused),
	}
	if got := f.recorded(); !slices.Equal(got, want) {
		t.Errorf("ledger %q, want %q", got, want)
	}
	// What dlopen refused is not mapped and takes no number.
	if ev := mustLoad(t, h, f.version("pricing", "d", prices(1))); ev.Generation != 3 {
		t.Errorf("generation %d, want 3", ev.Generation)
	}
}

func TestBindThatDoesNotFitTheLiveGenerationKeepsItsBuiltin(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	id := h.journal.Last()
	wrong := Bind(h, "pricing", "Price", func(string) string { return "built-in" })
	if wrong.Get()("") != "built-in" {
		t.Error("the built-in does not serve")
	}
	if ev := await(t, h, id, control.KindNote); !strings.Contains(ev.Reason, "Price") {
		t.Errorf("note %+v", ev)
	}
	mustFail(t, h, f.version("pricing", "b", prices(3)), control.CodeRefused)
}

func TestDryRunChangesNothing(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	path := f.version("pricing", "a", prices(2))
	ev, err := h.load(context.Background(), loadRequest{dryRun: true, receive: func() (*copied, error) { return h.receiveFile(context.Background(), path) }})
	if err != nil || ev.Event != control.KindVerified {
		t.Fatalf("dry run: %+v, %v", ev, err)
	}
	if len(f.opened) != 0 || len(h.Status().Plugins) != 0 {
		t.Error("a dry run left something behind")
	}
	mustLoad(t, h, path)
}

func TestVariablesBindByValueAndByAddress(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	rate := 5
	value := Bind(h, "pricing", "Rate", 1)
	address := Bind[*int](h, "pricing", "Rate", nil)
	boxed := Bind[any](h, "pricing", "Rate", nil)
	m := manifest("pricing", "a", artifact.Symbol{Name: "Rate", Kind: "var", Type: "int"})
	mustLoad(t, h, f.versionInit(m, func() (map[string]any, error) { return map[string]any{"Rate": &rate}, nil }))
	if value.Get() != 5 || address.Get() != &rate || boxed.Get() != 5 {
		t.Errorf("value %d, address %p, boxed %v", value.Get(), address.Get(), boxed.Get())
	}
}

func TestManifestWithoutTypesIsJudgedAfterOpening(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	good, bad := manifest("pricing", "a"), manifest("pricing", "b")
	for _, m := range []*artifact.Manifest{&good, &bad} {
		m.Symbols, m.Untyped = nil, true
	}
	mustLoad(t, h, f.versionInit(good, func() (map[string]any, error) { return map[string]any{"Price": times(2)}, nil }))
	path := f.versionInit(bad, func() (map[string]any, error) { return map[string]any{"Price": "3"}, nil })
	if _, err := h.Load(t.Context(), path); err == nil {
		t.Error("a string was taken for a function")
	}
	if got := price.Get()(10); got != 20 {
		t.Errorf("the price is %d, want 20", got)
	}
}

func TestManifestsTypesAreJudgedAsAssignmentWould(t *testing.T) {
	type rate []int
	type pricer func(int) int
	v := func(typ string) artifact.Symbol { return artifact.Symbol{Kind: "var", Type: typ} }
	fn := func(typ string) artifact.Symbol { return artifact.Symbol{Kind: "func", Type: typ} }
	for _, c := range []struct {
		t    reflect.Type
		s    artifact.Symbol
		want bool
	}{
		{reflect.TypeFor[func(int) int](), fn("func(int) int"), true},
		{reflect.TypeFor[pricer](), fn("func(int) int"), true},
		{reflect.TypeFor[func(int)](), fn("func(int) int"), false},
		{reflect.TypeFor[int](), fn("func(int) int"), false},
		{reflect.TypeFor[int](), v("int"), true},
		{reflect.TypeFor[int](), v("x.Int"), false},
		{reflect.TypeFor[string](), v("x.String"), false},
		{reflect.TypeFor[*int](), v("int"), true},
		{reflect.TypeFor[*int](), v("*int"), true},
		{reflect.TypeFor[*int](), v("string"), false},
		{reflect.TypeFor[rate](), v("[]int"), true},
		{reflect.TypeFor[[]int](), v("x.Rate"), true},
		{reflect.TypeFor[[]int](), v("[]string"), false},
		{reflect.TypeFor[rate](), v("x.Rate"), false},
		{reflect.TypeFor[func(int) int](), v("func(int) int"), true},
	} {
		if got := fits(c.t, c.s); got != c.want {
			t.Errorf("fits(%v, %s %s) = %v", c.t, c.s.Kind, c.s.Type, got)
		}
	}
}

func TestHostSurvivesTheLossOfItsTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	if err := os.RemoveAll(h.copies.base); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
}

func TestFullDiskIsSaidAsSuch(t *testing.T) {
	err := diskError(fmt.Errorf("write copy: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}))
	var e *control.Error
	if !errors.As(err, &e) || e.HTTPStatus() != 507 || e.Next == "" {
		t.Errorf("error %+v", e)
	}
}

func TestNamedFunctionTypeTakesAnyFunctionOfItsSignature(t *testing.T) {
	type Pricer func(int) int
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind[Pricer](h, "pricing", "Price", nil)
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	if price.Get()(3) != 6 {
		t.Error("the named function type does not follow")
	}
}

func TestBindPanicsOnNamesThatCannotBe(t *testing.T) {
	h := openHost(t, Options{}, newFakeProcess(t))
	for _, c := range [][2]string{{"../x", "Price"}, {"", "Price"}, {"pricing", "price"}, {"pricing", ""}, {"pricing", "A.B"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Bind(%q, %q) did not panic", c[0], c[1])
				}
			}()
			Bind(h, c[0], c[1], 0)
		}()
	}
}

// TestReadersNeverSeeHalfAGeneration hammers two handles of a plugin while
// several goroutines load, roll back and ask for the status. A reader that has
// seen one handle on a generation must not see the other on an earlier switch.
func TestReadersNeverSeeHalfAGeneration(t *testing.T) {
	const loads = 40
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	// Each switch raises both numbers, so they can be compared.
	var switches atomic.Int64
	a := Bind(h, "pricing", "A", func() int64 { return 0 })
	b := Bind(h, "pricing", "B", func() int64 { return 0 })
	sym := func(name string) artifact.Symbol {
		return artifact.Symbol{Name: name, Kind: "func", Type: "func() int64"}
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if x, y := a.Get()(), b.Get()(); y < x {
					t.Errorf("A is at switch %d, then B at %d", x, y)
					return
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range loads / 4 {
				n := new(int64)
				get := func() int64 { return atomic.LoadInt64(n) }
				m := manifest("pricing", fmt.Sprintf("%d-%d", w, i), sym("A"), sym("B"))
				path := f.versionInit(m, func() (map[string]any, error) {
					atomic.StoreInt64(n, switches.Add(1))
					return map[string]any{"A": get, "B": get}, nil
				})
				if _, err := h.Load(context.Background(), path); err != nil {
					t.Errorf("load: %v", err)
				}
				h.Status()
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if got := a.Generation(); got != loads {
		t.Errorf("generation %d is live, want %d", got, loads)
	}
}
