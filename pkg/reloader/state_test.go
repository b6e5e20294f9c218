package reloader

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// keeps adds state to a version's symbols: variables by name, given as pointers.
func keeps(symbols map[string]any, vars map[string]any) map[string]any {
	symbols[stateEntry] = func(visit func(string) bool, add func(kind, path, name string, value any)) {
		if !visit("shop") {
			return
		}
		for name, p := range vars {
			add("var", "shop", name, p)
		}
	}
	return symbols
}

func TestStateIsThereBeforeHotStart(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	old, now, seen := 5, 1, 0
	first := f.version("pricing", "1", keeps(prices(1), map[string]any{"n": &old}))
	symbols := keeps(prices(2), map[string]any{"n": &now})
	symbols[hookStart] = func(context.Context) error { seen = now; return nil }
	mustLoad(t, h, first)
	mustLoad(t, h, f.version("pricing", "2", symbols))
	if seen != 5 || old != 5 {
		t.Errorf("HotStart sees %d, and the old variable is %d", seen, old)
	}
	now = 6
	if _, err := h.Rollback(t.Context(), "pricing", 1); err != nil || old != 6 {
		t.Errorf("back again it is %d, %v", old, err)
	}
}

func TestRefusedStateKeepsOldGeneration(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(0))
	text, n, number := "five", 1, 7
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"a": &n, "v": &text})))
	started := false
	symbols := keeps(prices(2), map[string]any{"a": new(int), "v": &number})
	symbols[hookStart] = func(context.Context) error { started = true; return nil }
	e := mustFail(t, h, f.version("pricing", "2", symbols), control.CodeIncompatible)
	if e.Rule != "HG0032" || !strings.Contains(e.Message, "shop.v") || e.Next == "" || started || number != 7 {
		t.Errorf("%+v, started: %v, the new variable is %d", e, started, number)
	}
	if got := price.Get()(3); got != 3 {
		t.Errorf("the price is %d", got)
	}
}

func TestALockThatStaysHeldRefusesForNow(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	var old, now sync.Mutex
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"mu": &old})))
	second := f.version("pricing", "2", keeps(prices(2), map[string]any{"mu": &now}))
	old.Lock()
	mustFail(t, h, second, control.CodeRefused)
	old.Unlock()
	mustLoad(t, h, second)
	if !now.TryLock() {
		t.Error("the new lock is held")
	}
}

func TestHotMigrateDoesWhatCannotBeCarried(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	text, number, n, n2 := "five", 7, 3, 0
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"v": &text, "n": &n})))
	fails := errors.New("not yet")
	symbols := keeps(prices(2), map[string]any{"v": &number, "n": &n2})
	symbols[hookMigrate] = func(old map[string]any) error {
		number = len(*old["shop.v"].(*string)) + n2
		return fails
	}
	second := f.version("pricing", "2", symbols)
	mustFail(t, h, second, control.CodeRefused)
	fails = nil
	ev := mustLoad(t, h, second)
	if number != 7 || n2 != 3 || text != "five" { // 4 letters and 3
		t.Errorf("v is %d, n is %d", number, n2)
	}
	if len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0032" {
		t.Errorf("notes: %+v", ev.Notes)
	}
}

func TestStateThatIsNeverOutOfTheWayKeepsOldGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		price := Bind(h, "pricing", "Price", times(0))
		old, now := 5, 1
		mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"n": &old})))
		f.busy = func(livepatch.Moment) error {
			return &livepatch.Error{Reason: livepatch.Busy, Function: "shop.Price"}
		}
		mustFail(t, h, f.version("pricing", "2", keeps(prices(2), map[string]any{"n": &now})), control.CodeRefused)
		if now != 1 || price.Get()(1) != 1 {
			t.Errorf("the new variable is %d", now)
		}
		mustNotSave(t, h, control.StateRequest{Plugin: "pricing"}, control.CodeRefused)
	})
}
