package devloop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// serverEdit changes the host's own sources, as a snapshot of the running
// binary sees it until the host is built again.
func (w *world) serverEdit() {
	w.change(func() {
		w.changes = []builder.HostChange{{ImportPath: "m/server", Files: []string{"/src/server/main.go"}}}
	})
	w.touch("/src/server/main.go")
	w.pass(2 * time.Second)
}

func TestRunBuildsStartsAndReloads(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAlways})
		w.wantLive(101, "pricing", "k1")
		w.edit("pricing", "k2")
		w.wantLive(101, "pricing", "k2")
		w.stop()
		if l := w.living(); len(l) > 0 {
			t.Errorf("processes %v outlive the loop", l)
		}
	})
}

func TestRestartBuildsFirst(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAlways})
		w.forget()
		w.change(func() { w.hostErr = &builder.BuildError{Plugin: "server", Output: "main.go:3: oops"} })
		w.serverEdit()
		if l := w.living(); !slices.Equal(l, []int{101}) {
			t.Fatalf("living processes are %v, want the old one while the new one does not build", l)
		}
		w.only(control.KindFailed)
		w.change(func() { w.hostErr = nil })
		w.serverEdit()
		if l := w.living(); !slices.Equal(l, []int{102}) {
			t.Fatalf("living processes are %v, want the new one alone", l)
		}
		w.only(control.KindRestarted)
		w.wantLive(102, "pricing", "k1")
		w.none(control.KindHostGone)
		w.stop()
	})
}

func TestRestartPolicies(t *testing.T) {
	for _, test := range []struct {
		name    string
		policy  RestartPolicy
		answers []Command
		edits   int
		asked   int
		starts  int
	}{
		{"never", RestartNever, nil, 1, 0, 1},
		{"always", RestartAlways, nil, 1, 0, 2},
		{"ask without answer", RestartAsk, nil, 1, 1, 1},
		{"yes", RestartAsk, []Command{Yes}, 1, 1, 2},
		{"no", RestartAsk, []Command{No}, 1, 1, 1},
		{"yes, once", RestartAsk, []Command{Yes, 0}, 2, 2, 2},
		{"no, then yes", RestartAsk, []Command{No, Yes}, 2, 2, 2},
		{"always, asked once", RestartAsk, []Command{Always, 0}, 2, 1, 3},
		{"a late yes to nothing", RestartAsk, []Command{No, 0}, 1, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.owned, w.sources["pricing"] = true, "k1"
				w.start(Options{Restart: test.policy})
				for i := range test.edits {
					w.serverEdit()
					if i < len(test.answers) && test.answers[i] != 0 {
						w.press(test.answers[i])
						w.pass(2 * time.Second)
					}
				}
				if len(w.procs) != test.starts || w.asked != test.asked {
					t.Errorf("%d starts and %d questions, want %d and %d; %s", len(w.procs), w.asked, test.starts, test.asked, w.story())
				}
				w.stop()
			})
		})
	}
}

func TestYesToNoQuestionDoesNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAsk})
		w.press(Yes)
		w.pass(time.Second)
		if len(w.procs) != 1 {
			t.Errorf("%d starts, want 1", len(w.procs))
		}
		w.stop()
	})
}

func TestRestartSaysHowLongTheEditTook(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy RestartPolicy
		want   float64
	}{
		{"at once", RestartAlways, 3000},
		{"after a question", RestartAsk, 0}, // most of it was the user's
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.owned, w.sources["pricing"], w.lingers = true, "k1", 3*time.Second
				w.start(Options{Restart: test.policy})
				w.forget()
				w.serverEdit()
				w.press(Yes)
				w.pass(10 * time.Second)
				ev := w.only(control.KindRestarted)
				if ev.TotalMS < test.want || ev.TotalMS > test.want+1000 {
					t.Errorf("total is %v ms, want %v and what a look for it takes", ev.TotalMS, test.want)
				}
				w.stop()
			})
		})
	}
}

// A socket that a process has closed because it is being stopped is no news, however
// long that takes it.
func TestProcessThatTakesLongToEndIsNotPointedOut(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"], w.lingers = true, "k1", 8*time.Second
		w.start(Options{Restart: RestartAlways})
		w.pass(time.Minute)
		w.forget()
		w.serverEdit()
		w.pass(time.Minute)
		w.none(control.KindNote)
		w.only(control.KindRestarted)
		w.stop()
	})
}

// What a restart did not mend, another restart without an edit does not mend
// either.
func TestRestartLoopIsNotEndless(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.loadErr["shop"] = &control.Error{Code: control.CodeIncompatible, Message: "does not fit"}
		w.start(Options{Restart: RestartAlways})
		w.pass(time.Minute)
		if len(w.procs) != 1 {
			t.Errorf("%d starts, want 1: nothing was edited", len(w.procs))
		}
		w.edit("pricing", "k2")
		w.pass(time.Minute)
		if len(w.procs) != 2 {
			t.Errorf("%d starts, want 2: one edit", len(w.procs))
		}
		w.stop()
	})
}

func TestCrashWaitsForAnEdit(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAlways})
		w.forget()
		w.die(w.procs[0], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(time.Minute)
		if ev := w.only(control.KindHostGone); !strings.Contains(ev.Reason, "exit status 2") || ev.PID != 101 {
			t.Errorf("event is %+v, want pid and exit status", ev)
		}
		if len(w.procs) != 1 {
			t.Fatal("a host that crashed was started again without an edit")
		}
		w.edit("pricing", "k2")
		w.pass(2 * time.Second)
		w.wantLive(102, "pricing", "k2")
		w.only(control.KindRestarted)
		w.stop()
	})
}

func TestHostThatDoesNotBuildIsBuiltAfterAnEdit(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.hostErr = errSyntax
		w.start(Options{Restart: RestartAlways, Root: "/src"})
		w.only(control.KindFailed)
		if len(w.watched) == 0 || !slices.Equal(w.watched[0].Trees, []string{"/src"}) {
			t.Fatal("nothing is watched, so no edit can mend it")
		}
		w.change(func() { w.hostErr = nil })
		w.touch("/src/server/main.go")
		w.pass(2 * time.Second)
		w.wantLive(101, "pricing", "k1")
		w.stop()
	})
}

func TestEditDuringFailingHostBuildIsNotLost(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.hostErr, w.hostGate = errSyntax, make(chan struct{})
		w.start(Options{Restart: RestartAlways})
		w.touch("/src/server/main.go") // mends it while the build hangs
		gate := w.hostGate
		w.change(func() { w.hostErr, w.hostGate = nil, nil })
		close(gate)
		synctest.Wait()
		w.pass(2 * time.Second)
		w.none(control.KindFailed)
		w.wantLive(101, "pricing", "k1")
		w.stop()
	})
}

func TestQuitDuringHostBuildStartsNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.hostGate = true, make(chan struct{})
		w.start(Options{})
		w.stop()
		if len(w.procs) > 0 {
			t.Errorf("%d processes were started after the end", len(w.procs))
		}
	})
}

func TestHostWithoutReloaderIsPointedOut(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{})
		w.forget()
		w.down(101) // its process lives, its socket does not answer
		w.pass(time.Minute)
		if ev := w.only(control.KindNote); !strings.Contains(ev.Next, "reloader/auto") {
			t.Errorf("next step is %q", ev.Next)
		}
		w.stop()
	})
}

func TestRestartDropsTheBuildForTheOldHost(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAlways})
		w.gate("k2")
		w.edit("pricing", "k2")
		w.change(func() { w.gates = nil })
		w.serverEdit()
		w.wantLive(102, "pricing", "k2")
		if want := []string{"k2"}; !slices.Equal(w.cancelled, want) {
			t.Errorf("cancelled builds are %q, want %q", w.cancelled, want)
		}
		if slices.Contains(w.loads, fmt.Sprintf("k2 into %d", 101)) {
			t.Error("a host that was about to be stopped got a load")
		}
		w.stop()
	})
}

// An edit that the process did not live to see is the one after which it is started
// again: there may be no other.
func TestEditThatTheHostDoesNotLiveToSeeStartsItAgain(t *testing.T) {
	die := func(w *world) { w.die(w.procs[0], Exit{Code: 2, Reason: "exit status 2"}) }
	for name, edit := range map[string]func(w *world){
		"while it is looked at": func(w *world) {
			w.change(func() {
				w.snapped = func() {
					w.change(func() { w.snapped = nil })
					die(w)
					<-time.After(time.Second)
				}
			})
			w.edit("pricing", "k2")
		},
		"while it is built": func(w *world) {
			open := w.gate("k2")
			w.edit("pricing", "k2")
			die(w)
			w.pass(time.Second)
			open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.owned, w.sources["pricing"] = true, "k1"
				w.start(Options{Restart: RestartAlways})
				w.forget()
				edit(w)
				w.pass(time.Minute)
				if n := len(w.of(control.KindHostGone)); n != 1 || len(w.procs) != 2 {
					t.Fatalf("%d starts, want 2: %s", len(w.procs), w.story())
				}
				w.wantLive(102, "pricing", "k2")
				w.die(w.procs[1], Exit{Code: 2, Reason: "exit status 2"}) // with the same edit
				w.pass(time.Minute)
				if len(w.procs) != 2 {
					t.Errorf("%d starts after one edit, want 2", len(w.procs))
				}
				w.stop()
			})
		})
	}
}

// What a host is given may be what ends it, and what it writes beside its sources is no
// edit.
func TestCrashWithWhatIsNoLaterEditStartsNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.start(Options{Restart: RestartAlways})
		held := make(chan struct{})
		w.change(func() { w.held = held })
		w.edit("pricing", "k2")
		w.pass(time.Second)
		w.touch("/src/pricing/server.log")
		w.die(w.procs[0], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(time.Second)
		close(held)
		w.pass(time.Minute)
		if len(w.procs) != 1 {
			t.Errorf("%d starts, want 1: %s", len(w.procs), w.story())
		}
		w.stop()
	})
}
