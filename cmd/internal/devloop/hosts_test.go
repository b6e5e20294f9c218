package devloop

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestHostGetsItsPluginsOnStart(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"], w.sources["greet"], w.sources["other"] = "p1", "g1", "o1"
		w.up("shop", "A", 1, "pricing", "greet")
		w.start(Options{})
		w.wantLive(1, "pricing", "p1")
		w.wantLive(1, "greet", "g1")
		if len(w.loads) != 2 {
			t.Errorf("loads are %q, want those of the two plugins that the host binds", w.loads)
		}
		if w.peak != 1 {
			t.Errorf("%d builds ran at once, want 1", w.peak)
		}
		if n := w.of(control.KindNote); len(n) != 1 || n[0].Plugin != "other" {
			t.Errorf("notes are %v, want one on the plugin that no host binds", n)
		}
		w.stop()
	})
}

func TestHostsWithDifferentBinariesGetTheirOwnBuild(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("a", "A", 1, "pricing")
		w.up("b", "B", 2, "pricing")
		w.up("b2", "B", 3, "pricing")
		w.start(Options{})
		for pid := 1; pid <= 3; pid++ {
			w.wantLive(pid, "pricing", "k1")
		}
		if len(w.builds) != 2 {
			t.Errorf("builds are %q, want one for each binary", w.builds)
		}
		w.forget()
		w.change(func() { w.badKeys["k2"] = errSyntax })
		open := w.gate("k2")
		w.edit("pricing", "k2")
		w.change(func() { w.badKeys["k2"] = errSyntax })
		open()
		w.stop()
	})
}

func TestOneMistakeIsToldOnceForTwoBinaries(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("a", "A", 1, "pricing")
		w.up("b", "B", 2, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() { w.broken["pricing"] = errSyntax })
		w.touch("/src/shared/shared.go")
		w.only(control.KindFailed)
		w.stop()
	})
}

func TestTwoHostsOneDies(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("a", "A", 1, "pricing")
		w.up("b", "A", 2, "pricing")
		w.start(Options{})
		w.forget()
		w.down(1)
		w.change(func() { w.loadErr["a"] = &control.UnreachableError{Target: "/run/a.sock"} })
		w.edit("pricing", "k2")
		w.wantLive(2, "pricing", "k2")
		if ev := w.only(control.KindHostGone); ev.Host != "a" || ev.PID != 1 {
			t.Errorf("gone is %s (pid %d), want a (pid 1)", ev.Host, ev.PID)
		}

		w.change(func() { delete(w.loadErr, "a") })
		w.up("a", "A", 3, "pricing")
		w.pass(time.Second)
		w.wantLive(3, "pricing", "k2")
		w.stop()
	})
}

func TestHostThatIsNotUpIsWaitedForWithOneNote(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.start(Options{})
		w.pass(time.Hour)
		if n := len(w.of(control.KindNote)); n != 1 {
			t.Errorf("%d notes in an hour, want 1", n)
		}
		w.up("shop", "A", 1, "pricing")
		w.pass(time.Second)
		w.wantLive(1, "pricing", "k1")
		w.stop()
	})
}

func TestHeartbeatBeatsWhileWaitingOnly(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.start(Options{Heartbeat: 15 * time.Second})
		w.pass(time.Minute)
		if n := len(w.of(control.KindNote)); n != 1+4 {
			t.Errorf("%d notes in a minute, want the first and 4 heartbeats", n)
		}
		w.up("shop", "A", 1, "pricing")
		w.pass(time.Second)
		w.forget()
		w.pass(time.Minute)
		w.none(control.KindNote)
		w.stop()
	})
}

func TestHostThatComesBackWithTheVersionIsLeftAlone(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.down(1)
		w.pass(5 * time.Second)
		w.only(control.KindHostGone)
		w.up("shop", "A", 2, "pricing")
		w.change(func() { w.put(2, "pricing", "k1") }) // restored by itself
		w.pass(5 * time.Second)
		w.only(control.KindStarted)
		if len(w.loads) != 1 {
			t.Errorf("loads are %q, want the first alone", w.loads)
		}
		w.stop()
	})
}

func TestHostThatComesBackGetsNoOldVersion(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.down(1)
		w.pass(5 * time.Second)
		w.edit("pricing", "k2")
		w.up("shop", "A", 2, "pricing")
		w.pass(5 * time.Second)
		if want := []string{"k1 into 1", "k2 into 2"}; !slices.Equal(w.loads, want) {
			t.Errorf("loads are %q, want %q", w.loads, want)
		}
		w.stop()
	})
}

func TestOneMissedLookIsNoDeparture(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{Poll: time.Second})
		w.mu.Lock()
		hosts := w.hosts
		w.hosts = nil
		w.mu.Unlock()
		w.pass(time.Second)
		w.mu.Lock()
		w.hosts = hosts
		w.mu.Unlock()
		w.pass(time.Minute)
		w.none(control.KindHostGone)
		w.stop()
	})
}

func TestHostThatDiesOfAVersionIsNotKilledForEver(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() { w.loadErr["shop"] = &control.UnreachableError{Target: "/run/a.sock"} })
		w.edit("pricing", "k2")
		for pid := 2; pid < 10; pid++ { // a supervisor starts it again and again
			w.down(pid - 1)
			w.up("shop", "A", pid, "pricing")
			w.pass(5 * time.Second)
		}
		if n := len(w.loads); n != 1+deathLimit {
			t.Errorf("%d loads, want the first and %d that ended the host", n, deathLimit)
		}
		if ev := w.only(control.KindFailed); !strings.Contains(ev.Reason, "left alone") {
			t.Errorf("reason is %q", ev.Reason)
		}
		w.change(func() { delete(w.loadErr, "shop") })
		w.edit("pricing", "k3")
		w.wantLive(9, "pricing", "k3")
		w.stop()
	})
}

func TestPluginsOfALaterHostAreFound(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"], w.sources["greet"] = "p1", "g1"
		w.up("a", "A", 1, "pricing")
		w.start(Options{})
		w.up("b", "A", 2, "greet")
		w.pass(time.Second)
		w.wantLive(2, "greet", "g1")
		w.wantLive(1, "pricing", "p1")
		w.stop()
	})
}

func TestHungHostHoldsUpNoOther(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("a", "A", 1, "pricing")
		w.up("b", "A", 2, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() { w.loadErr["a"] = context.DeadlineExceeded })
		w.edit("pricing", "k2")
		w.wantLive(2, "pricing", "k2")
		if ev := w.only(control.KindFailed); ev.Code != control.CodeTimeout {
			t.Errorf("code is %q, want %q", ev.Code, control.CodeTimeout)
		}
		w.stop()
	})
}

func TestWhatAHostTakesBackByItselfIsTold(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "v1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.edit("pricing", "v2")
		w.wantLive(1, "pricing", "v2")
		w.forget()
		w.change(func() {
			p := w.pluginOf(1, "pricing")
			p.Generations = slices.Clone(p.Generations)
			g := &p.Generations[p.Live-1]
			g.State, g.Reason = control.StateFailed, "v1 is unhealthy: no stock"
			p.Live = 0
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		ev := w.only(control.KindRolledBack)
		if ev.Plugin != "pricing" || ev.PID != 1 || ev.Undone != 2 || ev.Generation != 0 || ev.Reason != "v1 is unhealthy: no stock" || ev.Code != control.CodeUnhealthy {
			t.Errorf("%+v", ev)
		}
		if w.live(1, "pricing") != "" {
			t.Error("it was loaded again")
		}
	})
}

// A host that answers before its handles are bound looks like one without plugins.
func TestAHostThatComesUpIsWaitedFor(t *testing.T) {
	for name, early := range map[string]func(h *Host){
		"it starts":         func(h *Host) { h.Starting = true },
		"it is young":       func(h *Host) { h.Plugins = nil },
		"one after another": func(h *Host) { h.Starting, h.Plugins = true, nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.sources["pricing"] = "k1"
				w.up("shop", "b", 7, "pricing")
				w.hosts[0].Started = time.Now()
				ready := w.hosts[0]
				early(&w.hosts[0])
				w.start(Options{Poll: 100 * time.Millisecond})
				if name == "it is young" {
					w.only(control.KindStarted) // by now it will bind none
					w.stop()
					return
				}
				w.none(control.KindStarted)
				w.none(control.KindNote)
				w.change(func() { w.hosts[0] = ready })
				w.pass(time.Second)
				w.wantLive(7, "pricing", "k1")
				w.stop()
			})
		})
	}
}
