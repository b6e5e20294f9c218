package reloader

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// counter is a plugin that counts its calls.
func counter(n *int, factor int) map[string]any {
	return keeps(map[string]any{"Price": func(x int) int { *n++; return factor * x }}, map[string]any{"n": n})
}

// busyUntil has the process not stand still for a moment without calls before free
// is closed; asked is sent to each time.
func busyUntil(free chan struct{}, asked chan<- struct{}) func(livepatch.Moment) error {
	return func(m livepatch.Moment) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-free:
		default:
			if m.NoCalls {
				return &livepatch.Error{Reason: livepatch.Busy, Function: "example.com/shop/pricing/hotgo_0123456789ab.Price"}
			}
		}
		return nil
	}
}

func TestCallsOfTheOldGenerationEndBeforeItsStateIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{HoldCalls: time.Hour}, f)
		price := Bind(h, "pricing", "Price", times(0))
		var old, now int
		mustLoad(t, h, f.version("pricing", "1", counter(&old, 1)))
		second := f.version("pricing", "2", counter(&now, 2))

		call := price.Get() // is under way, in what follows
		free, asked := make(chan struct{}), make(chan struct{}, 1)
		f.busy = busyUntil(free, asked)
		var group sync.WaitGroup
		var ev control.Event
		group.Go(func() { ev = mustLoad(t, h, second) })
		<-asked
		group.Go(func() { // begins now, and waits
			if got := price.Get()(1); got != 2 {
				t.Errorf("who waited gets %d", got)
			}
		})
		time.Sleep(time.Minute)
		if price.Generation() != 1 {
			t.Error("it is live before the call has ended")
		}
		call(1)
		close(free)
		group.Wait()
		if now != 2 || old != 1 {
			t.Errorf("%d calls of two, the old generation has %d", now, old)
		}
		if len(ev.Notes) != 0 || ev.PhasesMS.Pause != 1 {
			t.Errorf("%+v %+v", ev.Notes, ev.PhasesMS)
		}
	})
}

func TestACallThatDoesNotEndHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(0))
		var old, now int
		mustLoad(t, h, f.version("pricing", "1", counter(&old, 1)))
		asked := make(chan struct{}, 1)
		f.busy = busyUntil(nil, asked)
		var group sync.WaitGroup
		group.Go(func() {
			<-asked
			began := time.Now()
			price.Get()
			if waited := time.Since(began); waited > 250*time.Millisecond {
				t.Errorf("a call waited for %v", waited)
			}
		})
		ev := mustLoad(t, h, f.version("pricing", "2", counter(&now, 2)))
		group.Wait()
		if len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0080" || ev.Notes[0].Symbol != "pricing.Price" || !strings.Contains(ev.Notes[0].Text, "did not return in 250ms") {
			t.Errorf("notes: %+v", ev.Notes)
		}
		if price.Get()(1) != 2 {
			t.Error("the new generation is not live")
		}
	})
}

func TestHandlesWaitWhileHooksHaveTheState(t *testing.T) {
	for name, tc := range map[string]struct {
		takes time.Duration
		fails bool
		note  bool
	}{
		"quick": {takes: time.Millisecond},
		"slow":  {takes: time.Second, note: true},
		"fails": {takes: time.Millisecond, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeProcess(t)
				h := openHost(t, Options{}, f)
				price := Bind(h, "pricing", "Price", times(0))
				var old, now, found int
				mustLoad(t, h, f.version("pricing", "1", counter(&old, 1)))
				price.Get()(1)
				symbols := counter(&now, 2)
				started := make(chan struct{})
				symbols[hookStart] = func(context.Context) error {
					found = now
					close(started)
					time.Sleep(tc.takes)
					if tc.fails {
						return errors.New("no")
					}
					return nil
				}
				var group sync.WaitGroup
				group.Go(func() {
					<-started
					price.Get()(1)
				})
				second := f.version("pricing", "2", symbols)
				if tc.fails {
					mustFail(t, h, second, control.CodeRefused)
				} else if ev := mustLoad(t, h, second); (len(ev.Notes) == 1) != tc.note {
					t.Errorf("notes: %+v", ev.Notes)
				}
				group.Wait()
				want := [2]int{1, 2}
				if tc.fails || tc.note {
					want[0] = 2 // the call went on with the old generation
				}
				if found != 1 || old != want[0] || !tc.fails && !tc.note && now != want[1] {
					t.Errorf("HotStart found %d; old %d, now %d", found, old, now)
				}
			})
		})
	}
}

func TestABindThatComesMeanwhileWaitsAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{HoldCalls: time.Hour}, f)
		var old, now int
		mustLoad(t, h, f.version("pricing", "1", counter(&old, 1)))
		free, asked := make(chan struct{}), make(chan struct{}, 1)
		f.busy = busyUntil(free, asked)
		var group sync.WaitGroup
		second := f.version("pricing", "2", counter(&now, 2))
		group.Go(func() { mustLoad(t, h, second) })
		<-asked
		price := Bind(h, "pricing", "Price", times(0))
		group.Go(func() {
			if got := price.Get()(1); got != 2 {
				t.Errorf("the price is %d", got)
			}
		})
		synctest.Wait()
		close(free)
		group.Wait()
	})
}

func TestStateThatTakesTooLongKeepsOldGeneration(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{MaxPause: 1}, f)
	price := Bind(h, "pricing", "Price", times(0))
	old, now := map[int]any{}, map[int]any{}
	for i := range 5000 {
		old[i] = i
	}
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"m": &old})))
	e := mustFail(t, h, f.version("pricing", "2", keeps(prices(2), map[string]any{"m": &now})), control.CodeIncompatible)
	if !strings.Contains(e.Message, "too large") || !strings.Contains(e.Limit, "MaxPause") || e.Next == "" || len(now) != 0 {
		t.Errorf("%+v", e)
	}
	if price.Get()(3) != 3 {
		t.Error("the old generation does not serve")
	}
}

func TestWhereTheProcessCannotStandStillVariablesStartAnewAndNobodyWaits(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{HoldCalls: time.Hour}, f)
	f.busy = func(livepatch.Moment) error { return &livepatch.Error{Reason: livepatch.Unsupported} }
	price := Bind(h, "pricing", "Price", times(0))
	var old, now int
	mustLoad(t, h, f.version("pricing", "1", counter(&old, 1)))
	price.Get()(1)
	symbols := counter(&now, 2)
	symbols[hookStart] = func(context.Context) error {
		price.Get()(1) // of the old generation, by somebody who is not inside of it
		return nil
	}
	ev := mustLoad(t, h, f.version("pricing", "2", symbols))
	if old != 2 || now != 0 || len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0099" {
		t.Errorf("old %d, now %d, notes %+v", old, now, ev.Notes)
	}
}

func TestHandlesGiveAWholeGenerationWhileStateMoves(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(0))
	var vars [2]int
	var paths []string
	for i := range vars {
		paths = append(paths, f.version("pricing", string(rune('1'+i)), keeps(prices(i+1), map[string]any{"n": &vars[i]})))
	}
	mustLoad(t, h, paths[0])
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got := price.Get()(1); got != 1 && got != 2 {
					t.Errorf("the price is %d", got)
				}
			}
		})
	}
	for i := range 200 {
		mustLoad(t, h, paths[(i+1)%2])
	}
	close(done)
	group.Wait()
}
