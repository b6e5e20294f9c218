package reloader

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// total is how a host calls what may panic.
func total(price *Handle[func(int) int], x int) (n int, err error) {
	call := price.Begin()
	defer call.Contain(&err)
	n = call.F(x)
	call.Observe(nil)
	return n, nil
}

func panics(with any) map[string]any {
	return map[string]any{"Price": func(int) int { panic(with) }}
}

func TestContainedPanicIsAnErrorOfTheGenerationThatWasCalled(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	mustLoad(t, h, f.version("pricing", "a", panics(errFake)))
	n, err := total(price, 1)
	e, ok := errors.AsType[*PanicError](err)
	if !ok || n != 0 || e.Plugin != "pricing" || e.Generation != 1 || !errors.Is(err, errFake) || !strings.Contains(string(e.Stack), "contain_test.go") {
		t.Fatalf("it gave %d, %+v", n, err)
	}
	for range 3 {
		total(price, 1)
	}
	mustLoad(t, h, f.version("pricing", "b", prices(2)))
	if n, err := total(price, 1); n != 2 || err != nil {
		t.Errorf("the next generation gives %d, %v", n, err)
	}
	p := h.Status().Plugins[0]
	if g := p.Generations; g[0].Panics != 4 || g[0].Calls != 0 || g[1].Panics != 0 || g[1].Calls != 1 || p.Panics != 0 {
		t.Errorf("status %+v", p)
	}
	told := 0
	for _, ev := range h.History() {
		if ev.Code == codePanic && ev.Generation == 1 && strings.Contains(ev.Reason, errFake.Error()) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the journal tells of %d panics, want the first one", told)
	}
	var b strings.Builder
	if err := writeFamilies(&b, h.families()); err != nil || !strings.Contains(b.String(), "hotgo_plugin_panics_total{plugin=\"pricing\"} 4\n") || !strings.Contains(b.String(), "hotgo_plugin_calls_total{plugin=\"pricing\"} 1\n") {
		t.Errorf("metrics: %v\n%s", err, b.String())
	}
}

func TestContainEndsNothingElse(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(1))
	mustLoad(t, h, f.version("pricing", "a", panics(http.ErrAbortHandler)))
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("it came out as %v", v)
			}
		}()
		total(price, 1)
	}()
	mustLoad(t, h, f.version("pricing", "b", map[string]any{"Price": func(int) int { runtime.Goexit(); return 0 }}))
	done := make(chan bool)
	go func() {
		defer close(done)
		total(price, 1)
		done <- true
	}()
	if <-done {
		t.Error("Contain has stopped runtime.Goexit")
	}
	for _, g := range h.Status().Plugins[0].Generations {
		if g.Panics != 0 {
			t.Errorf("generation %d has panicked %d times", g.Generation, g.Panics)
		}
	}
	// What is no panic of the call's own comes through, and a nil err is allowed.
	mustLoad(t, h, f.version("pricing", "c", panics("boom")))
	func() {
		call := price.Begin()
		defer call.Contain(nil)
		call.F(1)
	}()
	if got := h.Status().Plugins[0].Generations[2].Panics; got != 1 {
		t.Errorf("%d panics", got)
	}
}

func TestPanicInAWindowTakesTheGenerationBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		old := price.Begin() // before the switch
		began := time.Now()
		ev := loadObserved(t, h, f.version("pricing", "b", panics("index out of range")), Window{Length: time.Hour})
		func() {
			defer old.Contain(nil)
			panic("of the version before")
		}()
		synctest.Wait()
		if h.Status().Plugins[0].Live != 2 {
			t.Error("a call that began before the switch was counted to what came after it")
		}
		if _, err := total(price, 1); err == nil {
			t.Error("it does not panic")
		}
		end := ended(t, h, ev)
		if end.Event != control.KindRolledBack || !strings.Contains(end.Reason, "index out of range") || end.Health.Panics != 1 || time.Since(began) != 0 {
			t.Errorf("it ended with %+v", end)
		}
		if n, err := total(price, 1); n != 2 || err != nil {
			t.Errorf("now %d, %v", n, err)
		}
	})
}

func TestErrorsInAWindowTakeTheGenerationBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		ev := loadObserved(t, h, f.version("pricing", "b", prices(3)), Window{Length: time.Minute, MaxErrors: "10%"})
		for i := range 40 {
			call := price.Begin()
			var err error
			if i%8 == 0 {
				err = errFake
			}
			call.Observe(err)
		}
		end := ended(t, h, ev)
		if end.Event != control.KindRolledBack || !strings.Contains(end.Reason, "12.5%, 5 of 40 calls") || end.Evidence[0].Host != "at most 10%" {
			t.Errorf("it ended with %+v", end)
		}
	})
}

func TestPanicLimitHoldsWithoutAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{PanicLimit: 3}, f)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		bad := f.version("pricing", "b", panics("boom"))
		mustLoad(t, h, bad)
		for round := range 2 { // the count begins anew when it is live again
			for i := range 3 {
				synctest.Wait()
				if got := h.Status().Plugins[0].Live; got != 2 {
					t.Fatalf("round %d: after %d panics generation %d serves", round, i, got)
				}
				total(price, 1)
			}
			synctest.Wait()
			if n, err := total(price, 1); n != 2 || err != nil {
				t.Errorf("round %d: %d, %v", round, n, err)
			}
			var last control.Event
			for _, ev := range h.History() {
				if ev.Event == control.KindRolledBack {
					last = ev
				}
			}
			if last.Undone != 2 || last.Generation != 1 || !strings.Contains(last.Evidence[0].Host, "PanicLimit is 3") {
				t.Errorf("the journal ends with %+v", last)
			}
			mustLoad(t, h, bad)
		}
	})
}

func TestPanicOfAPatchedFunctionIsThePatchs(t *testing.T) {
	f, h := shopHost(t)
	m := patch("a")
	replaces(&m, nameTotal, 0x100, 0x2000, 1)
	mustLoad(t, h, f.patchFile(m, 2))
	h.mu.Lock()
	g := h.plugins["shop"].serving()
	h.mu.Unlock()
	pcs := make([]uintptr, 8)
	pcs = pcs[:runtime.Callers(0, pcs)]
	if g.isOn(pcs) {
		t.Error("it is on a stack that it is not on")
	}
	g.manifest.Patch.Functions[0].New = uint64(reflect.ValueOf(TestPanicOfAPatchedFunctionIsThePatchs).Pointer())
	if !g.isOn(pcs) {
		t.Error("it is not found on the stack that it is on")
	}
}

func TestCountersUnderLoad(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{Window: Window{Length: time.Hour, MaxPanics: -1}}, f)
	price := Bind(h, "pricing", "Price", times(1))
	good, bad := f.version("pricing", "a", prices(2)), f.version("pricing", "b", panics("boom"))
	mustLoad(t, h, good)
	if _, err := h.Rollback(t.Context(), "pricing", 0); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, h, bad)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	const callers, each = 4, 500
	for range callers {
		wg.Go(func() {
			for range each {
				total(price, 1)
			}
		})
	}
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := h.Rollback(ctx, "pricing", n%3); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			h.Status()
		}
	})
	wg.Go(func() {
		defer cancel()
		for sum := int64(0); sum < callers*each; {
			p := h.Status().Plugins[0]
			sum = p.Calls + p.Panics
			for _, g := range p.Generations {
				sum += g.Calls + g.Panics
			}
		}
	})
	wg.Wait()
}

// BenchmarkContain compares a call through a handle with one whose panics are
// contained, and with what a wrapper made by reflection would cost.
func BenchmarkContain(b *testing.B) {
	h, err := newHost(Options{NoSocket: true}, (&fakeProcess{}).platform())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	handle := Bind(h, "pricing", "Price", addOne)
	plain := func(x int) int { return handle.Get()(x) }
	contained := func(x int) (n int, err error) {
		call := handle.Begin()
		defer call.Contain(&err)
		return call.F(x), nil
	}
	observed := func(x int) (n int, err error) {
		call := handle.Begin()
		defer call.Contain(&err)
		n = call.F(x)
		call.Observe(nil)
		return n, nil
	}
	made := reflect.MakeFunc(reflect.TypeFor[func(int) int](), func(args []reflect.Value) (out []reflect.Value) {
		defer func() {
			if recover() != nil {
				out = []reflect.Value{reflect.Zero(reflect.TypeFor[int]())}
			}
		}()
		return reflect.ValueOf(handle.Get()).Call(args)
	}).Interface().(func(int) int)
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			sink = plain(sink)
		}
	})
	b.Run("contain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink, _ = contained(sink)
		}
	})
	b.Run("contain-observe", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink, _ = observed(sink)
		}
	})
	b.Run("contain-observe-parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			x := 0
			for pb.Next() {
				x, _ = observed(x)
			}
		})
	})
	b.Run("reflect-makefunc", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = made(sink)
		}
	})
	b.Run("panic", func(b *testing.B) {
		bad := Bind(h, "tax", "Price", func(int) int { panic("boom") })
		for b.Loop() {
			func() {
				call := bad.Begin()
				defer call.Contain(nil)
				call.F(1)
			}()
		}
	})
}
