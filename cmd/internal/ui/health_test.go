package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestHealthIsShownAsItStands(t *testing.T) {
	var out strings.Builder
	p := NewPrinter(Options{Out: &out, Err: &out, Style: plain()})
	window := func(state control.HealthState) *control.Health {
		return &control.Health{Generation: 8, State: state, Since: at(14, 2, 40), Until: at(14, 3, 10), Checks: 29}
	}
	healthy := window(control.HealthHealthy)
	healthy.Failed, healthy.Calls, healthy.Errors, healthy.Panics = 1, 4000, 3, 1
	healthy.Probes = []control.Probed{{Probe: "GET http://localhost/healthz", Runs: 30}, {Probe: "./smoke.sh", Runs: 12, Failed: 2}}
	loaded := control.Event{Time: at(14, 2, 40), Event: control.KindLoaded, Host: "shop", PID: 812, Plugin: "pricing", Verdict: control.Swapped, Generation: 8, Key: key8, TotalMS: 104}
	observed, proved := loaded, loaded
	observed.Health, proved.Health = window(control.HealthObserving), healthy
	undone := control.Event{
		Time: at(14, 2, 51), Event: control.KindRolledBack, Host: "shop", PID: 812, Plugin: "pricing", Verdict: control.Swapped, Generation: 7, Key: key7,
		Undone: 8, Code: control.CodeUnhealthy, Reason: "v8 is unhealthy: HotHealth failed twice in a row: no \x1b[31mstock",
		Evidence: []control.Evidence{{What: "HotHealth", Host: "at most 1 in a row", Artifact: "2 of 4 failed, the last 2 in a row"}},
		Notes:    []control.Finding{{Code: "unhealthy-too", Text: "v7 is unhealthy too, so the cause may be elsewhere: no stock"}}, Health: window(control.HealthUndone),
	}
	same := control.Event{Time: at(14, 2, 45), Event: control.KindUnchanged, Host: "shop", PID: 812, Plugin: "pricing", Verdict: control.Unchanged, Generation: 8, Key: key8, Health: window(control.HealthObserving)}
	ended := control.Event{Time: at(14, 3, 10), Event: control.KindHealthy, Host: "shop", PID: 812, Plugin: "pricing", Generation: 8, Key: key8, Health: window(control.HealthHealthy)}
	for _, ev := range []control.Event{observed, same, proved, ended, undone} {
		if err := p.Event(ev); err != nil {
			t.Fatal(err)
		}
	}
	st := shop()
	st.Plugins[0].Health = window(control.HealthObserving)
	st.Plugins[0].Health.Confirm, st.Plugins[0].Health.Until = true, at(14, 3, 10).Add(time.Hour)
	st.Plugins[1].Health = window(control.HealthUndone)
	if err := Status(&out, []control.Status{st}, false, plain()); err != nil {
		t.Fatal(err)
	}
	golden(t, "health.txt.golden", out.String())
}
