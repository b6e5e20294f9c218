package reloader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// loadObserved loads with a window and gives the event of the load.
func loadObserved(t *testing.T, h *Host, path string, rules Window) control.Event {
	t.Helper()
	rules, err := rules.Complete()
	if err != nil {
		t.Fatal(err)
	}
	ev, err := h.load(t.Context(), loadRequest{window: &rules, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// ended waits for the end of a window.
func ended(t *testing.T, h *Host, ev control.Event) control.Event {
	t.Helper()
	end, err := h.AwaitWindow(t.Context(), ev.Plugin, ev.Generation)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// sickAfter is a version whose HotHealth passes n times: the first time before the
// switch.
func sickAfter(n int64, price int) (map[string]any, *atomic.Int64) {
	s, calls := prices(price), &atomic.Int64{}
	s["HotHealth"] = func(context.Context) error {
		if calls.Add(1) > n {
			return errors.New("no stock")
		}
		return nil
	}
	return s, calls
}

func TestUnhealthyGenerationIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, f.version("pricing", "a", d.hooked("a", 2)))
		b, calls := sickAfter(3, 3)
		b["HotStop"] = func(context.Context) error { d.note("stop b"); return nil }
		path := f.version("pricing", "b", b)
		began := time.Now()
		ev := loadObserved(t, h, path, Window{Length: time.Minute})
		if ev.Health == nil || ev.Health.State != control.HealthObserving || !ev.Health.Until.Equal(began.Add(time.Minute)) || ev.Health.Generation != 2 {
			t.Errorf("the load says %+v", ev.Health)
		}
		if price.Get()(1) != 3 {
			t.Error("the new generation does not serve while it is observed")
		}
		end := ended(t, h, ev)
		if end.Event != control.KindRolledBack || end.Undone != 2 || end.Generation != 1 || end.Code != control.CodeUnhealthy ||
			!strings.Contains(end.Reason, "no stock") || len(end.Evidence) == 0 || end.Health.State != control.HealthUndone || end.Health.Failed != 2 {
			t.Errorf("it ended with %+v, %+v", end, end.Health)
		}
		if price.Get()(1) != 2 || calls.Load() != 5 {
			t.Errorf("price %d after %d checks", price.Get()(1), calls.Load())
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took) // of a fake clock
		}
		synctest.Wait()
		if got := d.read(); !slices.Contains(got, "stop b") || slices.Index(got, "stop b") < slices.Index(got, "stop a") {
			t.Errorf("hooks ran as %q", got)
		}
		st := h.Status().Plugins[0]
		if st.Live != 1 || st.Generations[1].State != control.StateFailed || st.Health.State != control.HealthUndone || !strings.Contains(st.Generations[1].Reason, "no stock") {
			t.Errorf("status %+v", st)
		}
		if n := h.metrics.rollbacks[loadLabels{"pricing", control.Swapped}]; n != 1 {
			t.Errorf("%d rollbacks are counted", n)
		}
		if last := h.History()[len(h.History())-2:]; !slices.ContainsFunc(last, func(e control.Event) bool { return e.Event == control.KindRolledBack && e.Health != nil }) {
			t.Errorf("the journal ends with %+v", last)
		}
		// What was undone is no target of a rollback, and may be tried again.
		if ev, err := h.Rollback(t.Context(), "pricing", Previous); err != nil || ev.Generation != 0 {
			t.Errorf("rollback: %+v, %v", ev, err)
		}
		calls.Store(-100)
		if ev := mustLoad(t, h, path); ev.Verdict != control.Swapped || ev.Generation != 2 {
			t.Errorf("once more: %+v", ev)
		}
	})
}

func TestHealthyGenerationStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{Window: Window{Length: 10 * time.Second}}, f)
		s, calls := sickAfter(100, 2)
		ev := mustLoad(t, h, f.version("pricing", "a", s))
		end := ended(t, h, ev)
		if end.Event != control.KindHealthy || end.Generation != 1 || end.Health.State != control.HealthHealthy || end.Health.Checks < 9 || len(end.Notes) != 0 {
			t.Errorf("it ended with %+v, %+v", end, end.Health)
		}
		n := calls.Load()
		time.Sleep(time.Minute)
		if calls.Load() != n {
			t.Error("HotHealth is called after the window")
		}
		// Nothing to look at is said.
		end = ended(t, h, mustLoad(t, h, f.version("pricing", "b", prices(2))))
		if end.Event != control.KindHealthy || len(end.Notes) != 1 || end.Notes[0].Code != codeUnobserved {
			t.Errorf("it ended with %+v", end)
		}
	})
}

func TestCheckThatHangsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{HookTimeout: 2 * time.Second}, f)
		gate := make(chan struct{})
		var calls atomic.Int64
		s := prices(2)
		s["HotHealth"] = func(context.Context) error {
			if calls.Add(1) > 1 {
				<-gate
			}
			return nil
		}
		mustLoad(t, h, f.version("pricing", "a", prices(5)))
		end := ended(t, h, loadObserved(t, h, f.version("pricing", "b", s), Window{Length: time.Second}))
		if end.Event != control.KindRolledBack || !strings.Contains(end.Reason, "did not return") || calls.Load() != 3 {
			t.Errorf("after %d calls: %+v", calls.Load(), end)
		}
		close(gate)
	})
}

func TestGenerationStaysWhereNothingCanTakeItsPlace(t *testing.T) {
	for _, c := range []struct {
		name    string
		builtin func(int) int
		first   map[string]any
		says    string
	}{
		{"no built-in", nil, nil, "the built-in cannot take its place"},
		{"the one before does not start again", times(1), map[string]any{"HotStart": func() Hook {
			started := false
			return func(context.Context) error {
				if started {
					return errors.New("the port is taken")
				}
				started = true
				return nil
			}
		}()}, "v1 cannot take its place: HotStart failed: the port is taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeProcess(t)
				h := openHost(t, Options{}, f)
				price := Bind(h, "pricing", "Price", c.builtin)
				if c.first != nil {
					c.first["Price"] = times(2)
					mustLoad(t, h, f.version("pricing", "a", c.first))
				}
				s, _ := sickAfter(1, 3)
				end := ended(t, h, loadObserved(t, h, f.version("pricing", "b", s), Window{Length: time.Minute}))
				if end.Event != control.KindFailed || end.Health.State != control.HealthStuck || !strings.Contains(end.Reason, c.says) || !strings.Contains(end.Reason, "no stock") || end.Next == "" {
					t.Errorf("it ended with %+v", end)
				}
				if price.Get()(1) != 3 {
					t.Error("nothing serves")
				}
			})
		})
	}
}

func TestConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		rules := Window{Length: 10 * time.Second, Confirm: true}

		began := time.Now()
		ev := loadObserved(t, h, f.version("pricing", "b", prices(3)), rules)
		end := ended(t, h, ev)
		if end.Event != control.KindRolledBack || !strings.Contains(end.Reason, "nobody has confirmed") || time.Since(began) != rules.Length+control.ConfirmGrace {
			t.Errorf("without, after %s: %+v", time.Since(began), end)
		}

		began = time.Now()
		ev = loadObserved(t, h, f.version("pricing", "c", prices(3)), rules)
		health, err := h.confirm(t.Context(), control.ConfirmRequest{Plugin: "pricing", Generation: ev.Generation, Healthy: true})
		if err != nil || !health.Confirmed || health.State != control.HealthObserving {
			t.Errorf("confirm: %+v, %v", health, err)
		}
		if end = ended(t, h, ev); end.Event != control.KindHealthy || time.Since(began) != rules.Length {
			t.Errorf("with it, after %s: %+v", time.Since(began), end)
		}
		// Too late is no error, and changes nothing.
		health, err = h.confirm(t.Context(), control.ConfirmRequest{Plugin: "pricing", Generation: ev.Generation})
		if err != nil || health.State != control.HealthHealthy || h.Status().Plugins[0].Live != ev.Generation {
			t.Errorf("late: %+v, %v", health, err)
		}

		began = time.Now()
		ev = loadObserved(t, h, f.version("pricing", "d", prices(3)), Window{Length: time.Hour})
		proof := []control.Evidence{{What: "GET /healthz", Artifact: "503"}}
		if _, err := h.confirm(t.Context(), control.ConfirmRequest{Plugin: "pricing", Generation: ev.Generation, Reason: "it answers 503", Evidence: proof}); err != nil {
			t.Error(err)
		}
		if end = ended(t, h, ev); end.Event != control.KindRolledBack || !strings.Contains(end.Reason, "it answers 503") || !slices.Equal(end.Evidence, proof) || time.Since(began) != 0 {
			t.Errorf("refused: %+v", end)
		}
		if _, err := h.confirm(t.Context(), control.ConfirmRequest{Plugin: "pricing", Generation: 1, Healthy: true}); asControlError(err).Code != control.CodeNotFound {
			t.Errorf("of what is not observed: %v", err)
		}
	})
}

func TestLoadsWaitForAWindowAndAreToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		rules, _ := Window{Length: 10 * time.Second}.Complete()
		path := f.version("pricing", "b", prices(3))
		began := time.Now()
		me := &control.Caller{UID: 7, PID: 812}
		first, err := h.load(t.Context(), loadRequest{window: &rules, caller: me, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
		if err != nil {
			t.Fatal(err)
		}
		// The same version again: no load, and its window is told of.
		if ev := mustLoad(t, h, path); ev.Event != control.KindUnchanged || ev.Health == nil || ev.Health.State != control.HealthObserving {
			t.Errorf("the same again: %+v", ev)
		}
		// A dry run does not wait either.
		other := f.version("tax", "c", prices(4))
		ask := func(dry bool, told func(control.Waiting)) (control.Event, error) {
			return h.load(t.Context(), loadRequest{dryRun: dry, waits: told, receive: func() (*copied, error) { return h.receiveFile(t.Context(), other) }})
		}
		if _, err := ask(true, nil); err != nil || time.Since(began) != 0 {
			t.Errorf("a dry run took %s: %v", time.Since(began), err)
		}
		// Another plugin does: one change at a time is observed.
		var told []control.Waiting
		ev, err := ask(false, func(w control.Waiting) { told = append(told, w) })
		if err != nil || ev.Generation != 1 || time.Since(began) != rules.Length {
			t.Errorf("the load of another came after %s: %+v, %v", time.Since(began), ev, err)
		}
		if len(told) != 1 || told[0].Plugin != "pricing" || told[0].Generation != first.Generation || told[0].Caller != me || !told[0].Until.Equal(began.Add(rules.Length)) {
			t.Errorf("it was told %+v", told)
		}
		if !slices.ContainsFunc(h.History(), func(e control.Event) bool { return e.Event == control.KindWaiting && e.Generation == first.Generation }) {
			t.Error("the journal does not know who waited")
		}
	})
}

func TestLoadsThatWaitKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{Window: Window{Length: 5 * time.Second}}, f)
		names := []string{"a", "b", "c", "d"}
		for _, name := range names {
			path := f.version("pricing", name, prices(2))
			go func() {
				if _, err := h.Load(context.Background(), path); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Load(ctx, f.version("pricing", "e", prices(2))); asControlError(err).Code != control.CodeTimeout {
			t.Errorf("one that did not want to wait: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var want []string
		for _, name := range names {
			want = append(want, manifest("pricing", name).Key)
		}
		if !slices.Equal(f.opened, want) {
			t.Errorf("loads ran as %q", f.opened)
		}
	})
}

func TestRollbackByHandEndsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		s, calls := sickAfter(100, 3)
		ev := loadObserved(t, h, f.version("pricing", "b", s), Window{Length: time.Hour})
		began := time.Now()
		if _, err := h.Rollback(t.Context(), "pricing", 1); err != nil {
			t.Fatal(err)
		}
		end := ended(t, h, ev)
		if end.Event != control.KindFailed || end.Health.State != control.HealthEnded || time.Since(began) != 0 {
			t.Errorf("it ended with %+v", end)
		}
		n := calls.Load()
		mustLoad(t, h, f.version("pricing", "c", prices(4))) // nobody has to wait any more
		time.Sleep(2 * time.Hour)
		if time.Since(began) != 2*time.Hour || calls.Load() != n || h.Status().Plugins[0].Live != 3 {
			t.Error("the window went on")
		}
	})
}

func TestCloseEndsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		ev := loadObserved(t, h, f.version("pricing", "b", prices(3)), Window{Length: time.Hour, Confirm: true})
		ends := make(chan control.Event, 1)
		go func() { ends <- ended(t, h, ev) }()
		synctest.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if end := <-ends; end.Code != control.CodeClosed {
			t.Errorf("it ended with %+v", end)
		}
		if h.Status().Plugins[0].Live != 2 {
			t.Error("Close rolled back")
		}
	})
}

func TestUnhealthyPatchIsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h := shopHost(t)
		const private = "example.com/shop/pricing/hotgo_1.rate"
		base := manifest("pricing", "one")
		symbols, calls := sickAfter(1, 2)
		mustLoad(t, h, f.versionInit(base, func() (map[string]any, error) {
			f.code.has(0x600, private, 1)
			return symbols, nil
		}))
		calls.Store(0)
		m := pricingPatch("a", base)
		replaces(&m, private, 0x600, 0x2000, 1)
		ev := loadObserved(t, h, f.patchFile(m, 2), Window{Length: time.Minute})
		if ev.Verdict != control.Patched || f.code.call(0x600) != 2 {
			t.Fatalf("it is no patch: %+v", ev)
		}
		end := ended(t, h, ev)
		if end.Event != control.KindRolledBack || end.Verdict != control.Patched || end.Undone != 2 || end.Generation != 1 || f.code.call(0x600) != 1 {
			t.Errorf("it ended with %+v", end)
		}
		// HotHealth is the base's, and fails without the patch as well.
		if len(end.Notes) != 1 || end.Notes[0].Code != codeDoubt {
			t.Errorf("notes %+v", end.Notes)
		}
	})
}

func TestUnhealthyPatchOfTheHostIsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h := shopHost(t)
		m := patch("a")
		replaces(&m, nameTotal, 0x100, 0x2000, 1)
		ev := loadObserved(t, h, f.patchFile(m, 2), Window{Length: time.Minute, Confirm: true})
		wantCalls(t, f, "2 1 1")
		if end := ended(t, h, ev); end.Event != control.KindRolledBack || end.Undone != 1 || end.Generation != 0 {
			t.Errorf("it ended with %+v", end)
		}
		wantCalls(t, f, "1 1 1")
	})
}

func TestOnlySoManyLoadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		loadObserved(t, h, f.version("pricing", "a", prices(2)), Window{Length: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		path := f.version("pricing", "b", prices(3))
		for range mostWaiting {
			go h.Load(ctx, path)
		}
		synctest.Wait()
		mustFail(t, h, path, control.CodeBusy)
		if _, err := h.Rollback(t.Context(), "pricing", 0); err != nil {
			t.Errorf("rollback: %v", err)
		}
		cancel()
		synctest.Wait()
		mustLoad(t, h, path) // there is room again
	})
}
