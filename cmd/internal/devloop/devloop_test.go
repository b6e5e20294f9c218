package devloop

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestEditIsLoadedAndMeasured(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		open := w.gate("k2")
		w.edit("pricing", "k2")
		w.pass(104 * time.Millisecond)
		open()
		ev := w.only(control.KindLoaded)
		if ev.Plugin != "pricing" || ev.Host != "shop" || ev.PID != 1 || ev.Generation != 2 || ev.Key != "k2" ||
			ev.Verdict != control.Swapped || ev.Digest != "sha256:k2" || ev.ArtifactBytes != 9 {
			t.Errorf("loaded event is incomplete: %+v", ev)
		}
		if ev.TotalMS != 104 {
			t.Errorf("total is %v ms, want 104 from the last file event to the answer", ev.TotalMS)
		}
		if p := ev.PhasesMS; p == nil || p.Compile != 60 || p.Link != 40 || p.Load != 1 {
			t.Errorf("phases are %+v, want those of build and host together", p)
		}
		w.stop()
	})
}

func TestLastEditWins(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.gate("k2")
		w.gate("k3")
		w.edit("pricing", "k2")
		w.edit("pricing", "k3")
		w.edit("pricing", "k4")
		w.wantLive(1, "pricing", "k4")
		if want := []string{"k2", "k3"}; !slices.Equal(w.cancelled, want) {
			t.Errorf("cancelled builds are %q, want %q", w.cancelled, want)
		}
		if w.peak != 1 {
			t.Errorf("%d builds ran at once, want 1", w.peak)
		}
		w.none(control.KindFailed)
		w.stop()
	})
}

// A log file written into a watched directory must not starve the build.
func TestEditThatKeepsTheKeyLetsTheBuildRun(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		open := w.gate("k2")
		w.edit("pricing", "k2")
		for range 5 {
			w.pass(time.Second)
			w.touch("/src/pricing/requests.log")
		}
		if len(w.cancelled) > 0 {
			t.Errorf("the build was cancelled for a file it does not read")
		}
		open()
		w.wantLive(1, "pricing", "k2")
		if ev := w.only(control.KindLoaded); ev.TotalMS != 5000 {
			t.Errorf("total is %v ms, want 5000 from the edit that made the version", ev.TotalMS)
		}
		w.stop()
	})
}

func TestEditDuringSnapshotIsNotLost(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		gate := make(chan struct{})
		w.change(func() { w.snapped = func() { <-gate } })
		w.edit("pricing", "k2") // its snapshot reads k2, and hangs
		w.edit("pricing", "k3")
		w.change(func() { w.snapped = nil })
		close(gate)
		synctest.Wait()
		w.wantLive(1, "pricing", "k3")
		w.stop()
	})
}

func TestEditBeforeItsDirectoryIsWatchedIsNotLost(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.snapped = func() { // after the files were read, before they are watched
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sources["pricing"] = "k2"
		}
		w.start(Options{})
		w.wantLive(1, "pricing", "k2")
		w.stop()
	})
}

func TestSourceChangedDuringBuildIsBuiltAgain(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.change(func() { w.badKeys["k2"] = &builder.ChangedError{File: "/src/pricing/pricing.go"} })
		w.edit("pricing", "k2")
		w.wantLive(1, "pricing", "k2")
		w.none(control.KindFailed)
		w.stop()
	})
}

func TestFailedBuildKeepsOldGeneration(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() { w.badKeys["k2"] = errSyntax })
		w.edit("pricing", "k2")
		ev := w.only(control.KindFailed)
		if ev.Generation != 1 || ev.Plugin != "pricing" || len(ev.Diagnostics) != 1 || ev.Diagnostics[0].Line != 31 {
			t.Errorf("failed event has not the diagnostics and the running generation: %+v", ev)
		}
		w.wantLive(1, "pricing", "k1")
		w.pass(time.Minute)
		w.none(control.KindFailed)
		if len(w.loads) != 1 {
			t.Errorf("loads are %q, want the first alone", w.loads)
		}
		w.edit("pricing", "k3")
		w.wantLive(1, "pricing", "k3")
		w.stop()
	})
}

func TestSyntaxErrorIsToldOnceAndMendedWithoutAKey(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"], w.sources["greet"] = "p1", "g1"
		w.up("shop", "A", 1, "pricing", "greet")
		w.start(Options{})
		w.forget()
		w.change(func() { w.broken["pricing"] = errSyntax })
		w.touch("/src/pricing/pricing.go")
		if ev := w.only(control.KindFailed); ev.Generation != 1 {
			t.Errorf("generation is %d, want the one that still runs", ev.Generation)
		}
		w.edit("greet", "g2")
		w.none(control.KindFailed)
		w.wantLive(1, "greet", "g2")

		w.change(func() { delete(w.broken, "pricing") })
		w.forget()
		w.touch("/src/pricing/pricing.go")
		if ev := w.only(control.KindUnchanged); ev.Plugin != "pricing" || ev.Key != "p1" {
			t.Errorf("the mended source is %+v, want unchanged", ev)
		}
		w.stop()
	})
}

func TestUnchangedLoadsNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"], w.sources["greet"] = "p1", "g1"
		w.up("shop", "A", 1, "pricing", "greet")
		w.start(Options{})
		w.forget()
		loads := len(w.loads)
		w.touch("/src/pricing/pricing.go")
		if ev := w.only(control.KindUnchanged); ev.Plugin != "pricing" || ev.Generation != 1 {
			t.Errorf("event is %+v, want unchanged pricing at v1", ev)
		}
		w.touch("/src/shared/doc.go")
		if ev := w.only(control.KindUnchanged); ev.Plugin != "" {
			t.Errorf("an edit of no plugin's own directory is put on %s", ev.Plugin)
		}
		if len(w.loads) != loads {
			t.Errorf("unchanged sources were loaded: %q", w.loads)
		}
		w.stop()
	})
}

func TestFallbackToAFullLinkIsLoadedOnceUnderItsOwnKey(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.unfit["k2"] = false
		w.edit("pricing", "k2")
		w.pass(time.Minute)
		reports := append(w.of(control.KindBuilt), w.of(control.KindLoaded)...)
		if len(reports) != 2 {
			t.Errorf("%d events of building and loading, want one of each: %s", len(reports), w.story())
		}
		for _, ev := range reports {
			if ev.Key != "k2-full" || ev.Link != "full" || ev.LinkReason != unfitReason {
				t.Errorf("%s: key %s, linked %s because %q; want k2-full, full and why", ev.Event, ev.Key, ev.Link, ev.LinkReason)
			}
		}
		w.wantLive(1, "pricing", "k2-full")
		w.forget()
		loads, builds := len(w.loads), len(w.builds)
		w.touch("/src/pricing/pricing.go")
		if ev := w.only(control.KindUnchanged); ev.Key != "k2-full" {
			t.Errorf("unchanged is %s, want k2-full", ev.Key)
		}
		if len(w.loads) != loads || len(w.builds) != builds {
			t.Errorf("the same version was built or loaded again: %q, %q", w.builds[builds:], w.loads[loads:])
		}
		w.stop()
	})
}

func TestFallbackWhoseLoadFailsIsNotRetried(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.unfit["k2"] = false
		w.loadErr["shop"] = &control.Error{Code: control.CodeRefused, Message: "HotStart failed"}
		w.edit("pricing", "k2")
		w.pass(time.Minute)
		if ev := w.only(control.KindFailed); ev.Key != "k2-full" || ev.Link != "full" || ev.LinkReason != unfitReason {
			t.Errorf("key %s, linked %s because %q; want k2-full, full and why", ev.Key, ev.Link, ev.LinkReason)
		}
		w.forget()
		w.touch("/src/other/other.go")
		w.pass(time.Minute)
		if n := len(w.loads); n != 2 {
			t.Errorf("%d loads: %q, want one of each version", n, w.loads)
		}
		w.stop()
	})
}

func TestRefusalToLinkInFullNeedsNoRestart(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.badKeys["k2"] = &builder.ConflictError{
			Message:  "plugin pricing cannot be linked thin",
			Evidence: []builder.Mismatch{{What: "link", Host: "thin", Artifact: unfitReason, Rule: "HG0099"}},
			Next:     "hotgo build --link auto",
		}
		w.edit("pricing", "k2")
		w.none(control.KindRestart)
		if ev := w.only(control.KindFailed); ev.Code != "HG0099" || ev.Verdict != control.Failed {
			t.Errorf("event is %+v, want a failure with HG0099", ev)
		}
		w.wantLive(1, "pricing", "k1")
		w.stop()
	})
}

// What the host or hotgo itself writes beside the sources must not be talked
// about: a log of the talk would be the next edit.
func TestFilesThatAreNoSourcesAreSilent(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{Poll: time.Second})
		w.forget()
		snapshots := w.snapshots
		for range 100 {
			w.touch("/src/pricing/watch.log")
			w.pass(100 * time.Millisecond)
		}
		if s := w.story(); s != "" {
			t.Errorf("events for a log file: %s", s)
		}
		if n := w.snapshots - snapshots; n > 20 {
			t.Errorf("%d looks at the sources in ten seconds of logging", n)
		}
		w.change(func() { w.sources["pricing"] = "k2" })
		w.touch("/src/pricing/embedded.txt")
		w.pass(2 * time.Second)
		w.wantLive(1, "pricing", "k2")
		w.only(control.KindDetected)
		w.stop()
	})
}

func TestLogBesideTheSourcesHidesNoFailure(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		lines := 0
		w.change(func() {
			w.broken["pricing"] = errSyntax
			w.snapped = func() { // each look is overtaken by a line of the log
				if lines++; lines < 20 {
					go func() { w.batches <- watch.Batch{Files: []string{"/src/pricing/x.log"}, Last: time.Now()} }()
				}
				time.Sleep(time.Millisecond)
			}
		})
		w.touch("/src/pricing/pricing.go")
		w.pass(2 * time.Millisecond)
		w.only(control.KindFailed)
		w.pass(time.Minute)
		w.none(control.KindFailed)
		w.stop()
	})
}

func TestUndoneEditIsLoadedAgain(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.edit("pricing", "k2")
		w.edit("pricing", "k1")
		w.wantLive(1, "pricing", "k1")
		w.stop()
	})
}

func TestRefusedLoadKeepsOldGenerationAndIsNotRetried(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() {
			w.loadErr["shop"] = &control.Error{Code: control.CodeUnhealthy, Message: "HotHealth: no database", Next: "hotgo status"}
		})
		w.edit("pricing", "k2")
		ev := w.only(control.KindFailed)
		if ev.Code != control.CodeUnhealthy || ev.Generation != 1 || ev.Next == "" {
			t.Errorf("failed event lacks code, running generation or next step: %+v", ev)
		}
		w.pass(time.Minute)
		if len(w.loads) != 2 {
			t.Errorf("loads are %q: a refused version must not be tried again by itself", w.loads)
		}
		w.touch("/src/pricing/pricing.go")
		w.only(control.KindFailed) // the same sources fail as they did
		w.change(func() { delete(w.loadErr, "shop") })
		w.press(Rebuild)
		w.wantLive(1, "pricing", "k2")
		w.stop()
	})
}

func TestIncompatibleLoadIsRestartRequired(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.loadErr["shop"] = &control.Error{
			Code: control.CodeIncompatible, Rule: "HG0091", Message: "greet does not fit",
			Evidence: []control.Evidence{{What: "-trimpath", Host: "true", Artifact: "false"}},
		}
		w.start(Options{})
		ev := w.only(control.KindRestart)
		if ev.Verdict != control.RestartRequired || ev.Code != "HG0091" || len(ev.Evidence) != 1 {
			t.Errorf("verdict without its evidence: %+v", ev)
		}
		w.none(control.KindFailed)
		w.stop()
	})
}

func TestConflictIsRestartRequiredOnce(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.broken["pricing"] = &builder.ConflictError{Message: "the host was built with go1.26.7", Next: "hotgo run"}
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		if ev := w.only(control.KindRestart); ev.Verdict != control.RestartRequired || ev.Next != "hotgo run" {
			t.Errorf("event is %+v", ev)
		}
		w.pass(time.Minute)
		w.none(control.KindRestart)
		w.stop()
	})
}

func TestHostChangeIsReportedOncePerEdit(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() {
			w.changes = []builder.HostChange{{ImportPath: "m/server", Files: []string{"/src/server/main.go"}}}
		})
		w.touch("/src/server/main.go")
		if ev := w.only(control.KindRestart); !strings.Contains(ev.Reason, "server/main.go") {
			t.Errorf("reason is %q, want the file", ev.Reason)
		}
		w.edit("pricing", "k2")
		w.none(control.KindRestart)
		w.wantLive(1, "pricing", "k2")

		w.touch("/src/server/main.go")
		w.only(control.KindRestart) // a new edit has its own answer

		w.change(func() {
			w.changes = append(w.changes, builder.HostChange{ImportPath: "m/types", Files: []string{"/src/types/t.go"}, Shared: true})
		})
		w.touch("/src/types/t.go")
		if ev := w.only(control.KindRestart); ev.Code != "HG0090" {
			t.Errorf("code is %q, want HG0090 for a shared package", ev.Code)
		}
		w.stop()
	})
}

func TestSharedChangeIsOneReportAndStaysARefusalForThePlugin(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.change(func() {
			w.changes = []builder.HostChange{{ImportPath: "m/types", Files: []string{"/src/types/t.go"}, Shared: true}}
			w.broken["pricing"] = &builder.ConflictError{
				Message:  "plugin pricing uses a package that changed in the host",
				Evidence: []builder.Mismatch{{What: "m/types", Rule: "HG0090"}},
			}
		})
		w.touch("/src/types/t.go")
		if ev := w.only(control.KindRestart); ev.Plugin != "" {
			t.Errorf("the plugin's report %+v hides the host's", ev)
		}
		// Whoever stays with the old process and edits the plugin is told why
		// nothing comes of it.
		w.touch("/src/pricing/rules.go")
		if ev := w.only(control.KindRestart); ev.Plugin != "pricing" || ev.Code != "HG0090" {
			t.Errorf("event is %+v, want the plugin's refusal", ev)
		}
		w.wantLive(1, "pricing", "k1")
		w.stop()
	})
}

func TestRolledBackVersionStaysAwayUntilTheNextEdit(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.edit("pricing", "k2")
		w.press(Rollback)
		w.wantLive(1, "pricing", "k1")
		w.only(control.KindRolledBack)
		w.pass(time.Minute)
		w.touch("/src/elsewhere/x.go")
		w.wantLive(1, "pricing", "k1")
		w.edit("pricing", "k3")
		w.wantLive(1, "pricing", "k3")
		w.stop()
	})
}

func TestPausedEditsWait(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.press(Pause)
		w.edit("pricing", "k2")
		w.pass(time.Minute)
		w.wantLive(1, "pricing", "k1")
		w.press(Pause)
		w.wantLive(1, "pricing", "k2")
		w.stop()
	})
}

func TestLastErrorIsToldAgain(t *testing.T) {
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		w.forget()
		w.press(LastError)
		w.only(control.KindNote)
		w.change(func() { w.broken["pricing"] = errSyntax })
		w.touch("/src/pricing/pricing.go")
		w.only(control.KindFailed)
		w.press(LastError)
		w.only(control.KindFailed)
		w.stop()
	})
}

func TestQuitEndsWithoutErrorAndCancelWithItsCause(t *testing.T) {
	bubble(t, func(w *world) {
		w.start(Options{})
		w.press(Quit)
		if err := <-w.result; err != nil {
			t.Errorf("quit gives %v", err)
		}
	})
	bubble(t, func(w *world) {
		w.sources["pricing"] = "k1"
		w.gate("k1")
		w.up("shop", "A", 1, "pricing")
		w.start(Options{})
		if err := w.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("cancel gives %v", err)
		}
		if w.running != 0 {
			t.Error("a build outlives the loop")
		}
	})
}
