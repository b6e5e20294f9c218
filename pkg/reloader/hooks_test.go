package reloader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// diary notes what hooks saw, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// hooked is a version that notes every hook, and the end of HotStart's context.
func (d *diary) hooked(name string, n int) map[string]any {
	s := prices(n)
	s["HotStart"] = func(ctx context.Context) error {
		d.note("start " + name)
		context.AfterFunc(ctx, func() { d.note("end " + name) })
		return nil
	}
	s["HotHealth"] = func(context.Context) error { d.note("health " + name); return nil }
	s["HotStop"] = func(ctx context.Context) error {
		if ctx.Err() != nil {
			d.note("late")
		}
		d.note("stop " + name)
		return nil
	}
	return s
}

func TestHooksRunAroundTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, f.version("pricing", "a", d.hooked("a", 2)))
		b := d.hooked("b", 3)
		b["HotHealth"] = func(context.Context) error {
			if price.Get()(1) != 2 {
				t.Error("the switch came before HotHealth")
			}
			d.note("health b")
			return nil
		}
		mustLoad(t, h, f.version("pricing", "b", b))
		synctest.Wait()
		got := d.read()
		want := []string{"start a", "health a", "start b", "health b", "end a", "stop a"}
		slices.Sort(got[4:])
		if !slices.Equal(got, want) {
			t.Errorf("hooks ran as %q, want %q", got, want)
		}
		h.Close()
		synctest.Wait()
		got = d.read()[6:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"end b", "stop b"}) {
			t.Errorf("Close ran %q", got)
		}
		if price.Get()(1) != 3 {
			t.Error("the handle does not work after Close")
		}
	})
}

func TestUnhealthyGenerationIsStoppedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		a := d.hooked("a", 2)
		a["HotHealth"] = func(context.Context) error { return errors.New("sick") }
		mustFail(t, h, f.version("pricing", "a", a), control.CodeUnhealthy)
		synctest.Wait()
		got := d.read()
		slices.Sort(got)
		if !slices.Equal(got, []string{"end a", "start a", "stop a"}) {
			t.Errorf("hooks ran as %q", got)
		}
	})
}

func TestHungCodeIsGivenUpCountedAndForgivenWhenItReturns(t *testing.T) {
	for _, where := range []string{"init", "HotStart", "HotHealth"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeProcess(t)
				h := openHost(t, Options{}, f)
				price := Bind(h, "pricing", "Price", times(1))
				gate := make(chan struct{})
				s := prices(2)
				hang := func() (map[string]any, error) { return s, nil }
				code := control.CodeRefused
				switch where {
				case "init":
					hang = func() (map[string]any, error) { <-gate; return s, nil }
				case "HotHealth":
					code = control.CodeUnhealthy
					fallthrough
				default:
					s[where] = func(context.Context) error { <-gate; return nil }
				}
				e := mustFail(t, h, f.versionInit(manifest("pricing", "a"), hang), code)
				if !strings.Contains(e.Error(), "did not return within") {
					t.Errorf("error %v", e)
				}
				if got := h.Status().Stuck; got != 1 {
					t.Errorf("%d goroutines are stuck, want 1", got)
				}
				mustLoad(t, h, f.version("pricing", "b", prices(3)))
				if price.Get()(1) != 3 {
					t.Error("the next load does not serve")
				}
				close(gate)
				synctest.Wait()
				if got := h.Status().Stuck; got != 0 {
					t.Errorf("%d goroutines are stuck after they returned", got)
				}
				if where == "init" && !slices.Contains(f.recorded(), "pricing generation 1 4") {
					t.Errorf("the ledger was not told that init returned: %q", f.recorded())
				}
			})
		})
	}
}

func TestGenerationStartsAgainOnlyAfterItsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		a := d.hooked("a", 2)
		a["HotStop"] = func(context.Context) error {
			<-time.After(5 * time.Second)
			d.note("stop a")
			return nil
		}
		mustLoad(t, h, f.version("pricing", "a", a))
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		if ev, err := h.Rollback(t.Context(), "pricing", Previous); err != nil || ev.Generation != 1 {
			t.Fatalf("rollback: %+v, %v", ev, err)
		}
		var order []string
		for _, line := range d.read() {
			if !strings.HasPrefix(line, "end") {
				order = append(order, line)
			}
		}
		if want := []string{"start a", "health a", "stop a", "start a", "health a"}; !slices.Equal(order, want) {
			t.Errorf("hooks ran as %q, want %q", order, want)
		}
	})
}

func TestRetirementIsToldAfterWhatCausedIt(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	version := func(n int) map[string]any {
		symbols := prices(n)
		symbols["HotStop"] = func(context.Context) error { return nil }
		return symbols
	}
	mustLoad(t, h, f.version("pricing", "a", version(2)))
	mustLoad(t, h, f.version("pricing", "b", version(3)))
	for i := range 200 {
		if _, err := h.Rollback(t.Context(), "pricing", 1+i%2); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, ev := range h.History() {
		switch ev.Event {
		case control.KindLoaded, control.KindRolledBack:
			live = ev.Generation
		case control.KindRetired:
			if ev.Generation == live {
				t.Fatalf("generation %d retires before anything took its place: %+v", live, ev)
			}
		}
	}
}

func TestGenerationWhoseStopHangsDoesNotStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		gate := make(chan struct{})
		a := prices(2)
		a["HotStart"] = func(context.Context) error { return nil }
		a["HotStop"] = func(context.Context) error { <-gate; return nil }
		mustLoad(t, h, f.version("pricing", "a", a))
		id := h.journal.Last()
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		if ev := await(t, h, id, control.KindRetired); ev.Code == "" || ev.Generation != 1 {
			t.Errorf("retired event %+v", ev)
		}
		var e *control.Error
		if _, err := h.Rollback(t.Context(), "pricing", 1); !errors.As(err, &e) || e.Code != control.CodeRefused {
			t.Errorf("rollback: %v", err)
		}
		close(gate)
	})
}

func TestQueueHonoursContextAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		gate := make(chan struct{})
		path := f.versionInit(manifest("pricing", "a"), func() (map[string]any, error) { <-gate; return prices(2), nil })
		go h.Load(context.Background(), path)
		synctest.Wait()

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := h.Load(ctx, f.version("pricing", "b", prices(3)))
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.CodeTimeout {
			t.Errorf("a load whose caller gave up: %v", err)
		}
		var wg sync.WaitGroup
		for _, name := range []string{"c", "d", "e"} {
			path := f.version("pricing", name, prices(4))
			wg.Go(func() { h.Load(context.Background(), path) })
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		var want []string
		for _, name := range []string{"a", "c", "d", "e"} {
			want = append(want, manifest("pricing", name).Key)
		}
		if !slices.Equal(f.opened, want) {
			t.Errorf("loads ran as %q", f.opened)
		}
	})
}

func TestCloseEndsWaitingLoadsAndRefusesLaterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		gate := make(chan struct{})
		slow := f.versionInit(manifest("pricing", "a"), func() (map[string]any, error) { <-gate; return prices(2), nil })
		waiting := f.version("pricing", "b", prices(3))
		errs, closed := make(chan error, 2), make(chan error, 1) // a load may end after Close has
		go func() { _, err := h.Load(context.Background(), slow); errs <- err }()
		synctest.Wait()
		go func() { _, err := h.Load(context.Background(), waiting); errs <- err }()
		synctest.Wait()
		go func() { closed <- h.Close() }()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		for range 2 {
			var e *control.Error
			if err := <-errs; !errors.As(err, &e) || e.Code != control.CodeClosed {
				t.Errorf("a load met by Close: %v", err)
			}
		}
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
		mustFail(t, h, waiting, control.CodeClosed)
	})
}

func TestRollback(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	for i, name := range []string{"a", "b"} {
		mustLoad(t, h, f.version("pricing", name, prices(i+2)))
	}
	mustFail(t, h, f.versionInit(manifest("pricing", "c"), func() (map[string]any, error) { panic("boom") }), control.CodeRefused)
	mustLoad(t, h, f.version("pricing", "d", prices(5)))
	for _, c := range []struct{ to, generation, price int }{
		{Previous, 2, 3}, {Previous, 1, 2}, {Previous, 0, 1}, {4, 4, 5}, {0, 0, 1}, {1, 1, 2},
	} {
		ev, err := h.Rollback(t.Context(), "pricing", c.to)
		if err != nil || ev.Event != control.KindRolledBack || ev.Generation != c.generation || price.Get()(1) != c.price {
			t.Errorf("rollback to %d: %+v, %v; price %d", c.to, ev, err, price.Get()(1))
		}
	}
	if ev, err := h.Rollback(t.Context(), "pricing", 1); err != nil || ev.Verdict != control.Unchanged {
		t.Errorf("rollback to the live generation: %+v, %v", ev, err)
	}
	Bind[func(int) int](h, "pricing", "Price", nil)
	for _, c := range []struct {
		plugin string
		to     int
		code   string
	}{
		{"pricing", 3, control.CodeRefused},  // never ran
		{"pricing", 0, control.CodeRefused},  // one handle has no built-in
		{"pricing", 9, control.CodeNotFound}, // never was
		{"tax", 1, control.CodeNotFound},
	} {
		var e *control.Error
		if _, err := h.Rollback(t.Context(), c.plugin, c.to); !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("rollback of %s to %d: %v, want code %s", c.plugin, c.to, err, c.code)
		}
	}
	if price.Get()(1) != 2 {
		t.Error("a refused rollback moved the handles")
	}
}
