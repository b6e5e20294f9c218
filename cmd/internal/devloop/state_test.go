package devloop

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// estate is the state of the processes of a world.
type estate struct {
	dir     string
	lists   []string // binaries in the order in which lists of them were asked for
	saves   []string // "pid file", "pid" without one
	recalls []string // of each start, the file
	lost    []control.LostVariable
	listErr error
	foreign string // a binary that has no list
	saveErr error
	anew    []string
	settled []string // binaries
	deaf    bool     // hosts do not say what became of state
}

func (w *world) stateEffects() StateEffects {
	e := w.estate
	return StateEffects{
		StateDir: e.dir,
		Settled:  func(binary string) { e.settled = append(e.settled, binary) },
		BuildList: func(_ context.Context, h builder.Host, p builder.Plugin, _ []builder.Plugin) (*builder.Artifact, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			e.lists = append(e.lists, h.Binary)
			if h.Binary == e.foreign {
				return nil, errors.New("it cannot be linked against")
			}
			return &builder.Artifact{Path: h.Binary + "-" + p.Name + ".so"}, e.listErr
		},
		Reinitialised: func(context.Context, builder.Host, builder.Host, builder.Plugin, []builder.Plugin) ([]string, error) {
			return e.anew, nil
		},
		SaveState: func(_ context.Context, h Host, req control.StateRequest) (*control.SavedState, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.ContainsFunc(w.hosts, func(x Host) bool { return x.PID == h.PID }) {
				return nil, errors.New("it does not live any more")
			}
			e.saves = append(e.saves, strings.TrimSpace(filepath.Base(h.Binary)+" "+filepath.Base(req.File)))
			if e.saveErr != nil {
				return nil, e.saveErr
			}
			return &control.SavedState{Plugin: req.Plugin, File: req.File, Variables: 2, Lost: e.lost}, nil
		},
		Recalled: func(ctx context.Context, h Host, n int) ([]control.Event, error) {
			if e.deaf {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []control.Event{{Event: control.KindRecalled, Plugin: "pricing", Reason: "2 variables"}}, nil
		},
	}
}

// recall reads what the process that was started last was given.
func (w *world) recall() (r control.Recall) {
	w.t.Helper()
	data, err := os.ReadFile(w.estate.recalls[len(w.estate.recalls)-1])
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// inherits runs f in a world whose one process has state.
func inherits(t *testing.T, opt Options, f func(w *world)) {
	dir := t.TempDir()
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.estate = &estate{dir: dir}
		w.start(opt)
		w.forget()
		f(w)
		w.stop()
	})
}

func TestRestartHandsStateOver(t *testing.T) {
	inherits(t, Options{Restart: RestartAlways}, func(w *world) {
		w.estate.anew = []string{"m/pricing.limit"}
		w.serverEdit()
		if want := []string{"exe 1-pricing.state"}; !slices.Equal(w.estate.saves, want) {
			t.Errorf("saved %q, want %q", w.estate.saves, want)
		}
		want := control.Recall{V: 1, Plugins: []control.RecalledPlugin{{
			Plugin: "pricing", List: "/bin/host-2-pricing.so", File: filepath.Join(w.estate.dir, "1-pricing.state"), Anew: []string{"m/pricing.limit"},
		}}}
		if got := w.recall(); got.V != 1 || len(got.Plugins) != 1 || got.Plugins[0].List != want.Plugins[0].List || got.Plugins[0].File != want.Plugins[0].File || !slices.Equal(got.Plugins[0].Anew, want.Plugins[0].Anew) {
			t.Errorf("the next process is told %+v, want %+v", got, want)
		}
		w.none(control.KindNote)
		if ev := w.only(control.KindRecalled); ev.PID != 102 {
			t.Errorf("got %+v", ev)
		}
	})
}

func TestLossesAreToldBeforeTheQuestion(t *testing.T) {
	inherits(t, Options{Restart: RestartAsk}, func(w *world) {
		w.estate.lost = []control.LostVariable{{Symbol: "m/pricing.conns", Type: "chan int", Reason: "a channel cannot leave its process"}}
		w.serverEdit()
		ev := w.only(control.KindNote)
		if w.asked != 1 || len(w.procs) != 1 || len(ev.Notes) != 1 || ev.Notes[0].Text != "m/pricing.conns (chan int) starts anew: a channel cannot leave its process" {
			t.Errorf("asked %d times, with %+v", w.asked, ev)
		}
		if want := []string{"exe ."}; !slices.Equal(w.estate.saves, want) {
			t.Errorf("saved %q, want %q", w.estate.saves, want)
		}
		w.press(Yes)
		w.pass(2 * time.Second)
		if len(w.procs) != 2 || len(w.estate.saves) != 2 {
			t.Errorf("%d starts, saved %q", len(w.procs), w.estate.saves)
		}
	})
}

func TestRestartGoesOnWithoutState(t *testing.T) {
	for name, spoil := range map[string]func(e *estate){
		"no list": func(e *estate) { e.listErr = errors.New("no list today") },
		"no file": func(e *estate) { e.saveErr = errors.New("no file today") },
		"no room": func(e *estate) { os.RemoveAll(e.dir) },
	} {
		t.Run(name, func(t *testing.T) {
			inherits(t, Options{Restart: RestartAlways}, func(w *world) {
				spoil(w.estate)
				w.serverEdit()
				if l := w.living(); !slices.Equal(l, []int{102}) {
					t.Errorf("living processes are %v", l)
				}
				if last := w.estate.recalls[len(w.estate.recalls)-1]; last != "" {
					t.Errorf("the next process is given %s", last)
				}
				if ev := w.only(control.KindNote); !strings.HasPrefix(ev.Reason, "state starts anew: ") {
					t.Errorf("got %+v", ev)
				}
			})
		})
	}
}

// A process that ends before it has gone on with state leaves it to the one after it.
func TestStateWaitsForAProcessThatTakesIt(t *testing.T) {
	inherits(t, Options{Restart: RestartAlways}, func(w *world) {
		w.estate.deaf = true
		w.serverEdit()
		w.die(w.procs[1], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(2 * time.Second)
		if want := []string{"/bin/host-1"}; !slices.Equal(w.estate.settled, want) {
			t.Errorf("settled are %q, want %q: what the next process needs is given up", w.estate.settled, want)
		}
		w.estate.deaf = false
		w.serverEdit()
		if len(w.procs) != 3 || len(w.estate.saves) != 1 {
			t.Fatalf("%d starts, saved %q", len(w.procs), w.estate.saves)
		}
		if r := w.recall(); r.Plugins[0].List != "/bin/host-3-pricing.so" || r.Plugins[0].File != filepath.Join(w.estate.dir, "1-pricing.state") {
			t.Errorf("the process after it is told %+v", r)
		}
		w.pass(2 * time.Second)
		if want := []string{"/bin/host-1", "/bin/host-3"}; !slices.Equal(w.estate.settled, want) {
			t.Errorf("settled are %q, want %q", w.estate.settled, want)
		}
		w.die(w.procs[2], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(2 * time.Second)
		w.serverEdit()
		if last := w.estate.recalls[len(w.estate.recalls)-1]; last != "" || len(w.procs) != 4 {
			t.Errorf("state that a process went on with is given to the next as well: %s", last)
		}
	})
}

func TestWhyStateStartsAnewIsToldInFull(t *testing.T) {
	compared := []builder.Mismatch{{What: "go version", Host: "go1.26.8", Artifact: "go1.27.1", Rule: ruleFlags}}
	for _, test := range []struct {
		name   string
		err    error
		code   string
		reason string
		host   string // of the evidence
		next   string
	}{
		{
			"no room", &control.Error{Code: control.CodeInternal, Message: "cannot write the state", Next: "free space where /t/1 is to be"},
			control.CodeInternal, "cannot write the state", "", "free space where /t/1 is to be",
		},
		{"died", &control.UnreachableError{Target: "/s", Err: io.EOF}, "", "the process ended before it had written it (no host answers at /s: EOF)", "", ""},
		{
			"no room for the list", &fs.PathError{Op: "write", Path: "/cache/x", Err: syscall.ENOSPC},
			"", "write /cache/x: no space left on device", "", "free space; --dir and TMPDIR choose where files go",
		},
		{"compared", &builder.ConflictError{Message: "another Go release", Evidence: compared, Next: "hotgo build"}, ruleFlags, "another Go release", "go1.26.8", ""},
		{
			"no list", &builder.ConflictError{Message: "cannot be listed", Evidence: []builder.Mismatch{{What: "m", Artifact: "it was built with -race", Rule: ruleThin}}},
			ruleThin, "it was built with -race", "", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inherits(t, Options{Restart: RestartAlways}, func(w *world) {
				w.estate.saveErr = test.err
				w.serverEdit()
				ev := w.only(control.KindNote)
				var host string
				for _, e := range ev.Evidence {
					host = e.Host
				}
				if ev.Code != test.code || ev.Reason != "state starts anew: "+test.reason || host != test.host || ev.Next != test.next {
					t.Errorf("got %+v", ev)
				}
			})
		})
	}
}

// What was lost is told once, whatever becomes of the process after it.
func TestLostStateIsToldOnce(t *testing.T) {
	inherits(t, Options{Restart: RestartAlways}, func(w *world) {
		w.estate.saveErr = errors.New("no file today")
		w.serverEdit()
		w.die(w.procs[1], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(2 * time.Second)
		w.only(control.KindNote)
		w.serverEdit()
		if len(w.procs) != 3 {
			t.Fatalf("%d starts", len(w.procs))
		}
		if strings.Contains(w.story(), "anew") {
			t.Errorf("once more: %s", w.story())
		}
	})
}

// What one binary cannot take waits for the next, as what a process does not live to take.
func TestStateThatABinaryCannotTakeWaitsForTheNext(t *testing.T) {
	inherits(t, Options{Restart: RestartAlways}, func(w *world) {
		w.estate.foreign = "/bin/host-2"
		w.serverEdit()
		if ev := w.only(control.KindNote); ev.Reason != "state starts anew: it cannot be linked against" {
			t.Errorf("got %+v", ev)
		}
		w.die(w.procs[1], Exit{Code: 2, Reason: "exit status 2"})
		w.pass(2 * time.Second)
		w.serverEdit()
		if r := w.recall(); len(w.procs) != 3 || r.Plugins[0].File != filepath.Join(w.estate.dir, "1-pricing.state") {
			t.Errorf("the process after it is told %+v", r)
		}
	})
}

// An edit of go.mod may come before the first look has ended, and have it fail.
func TestProcessOfWhichNoLookCameToAnEndHandsStateOver(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(w *world) {
		w.owned, w.sources["pricing"] = true, "k1"
		w.estate = &estate{dir: dir}
		w.noPlan = &builder.ConflictError{Message: "another Go release"}
		w.snapped = func() { <-time.After(3 * time.Second) }
		w.start(Options{Restart: RestartAlways})
		w.change(func() { w.snapped = nil })
		w.touch("/src/go.mod")
		w.pass(10 * time.Second)
		if want := []string{"exe 1-pricing.state"}; len(w.procs) != 2 || !slices.Equal(w.estate.saves, want) {
			t.Errorf("%d starts, saved %q, want %q: %s", len(w.procs), w.estate.saves, want, w.story())
		}
		w.stop()
	})
}
