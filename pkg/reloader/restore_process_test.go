//go:build linux && cgo

package reloader_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// stateOf gives a directory for the state of several processes.
func stateOf(t *testing.T) string { return "TEST_DIR=" + filepath.Join(t.TempDir(), "state") }

// ends closes the host as a program does that is asked to end.
func (h *host) ends() {
	h.t.Helper()
	h.stdin.Close()
	if err := h.wait(); err != nil {
		h.t.Fatalf("host: %v\n%s", err, h.stderr)
	}
}

func (h *host) status() *control.Status {
	h.t.Helper()
	s, err := h.Status(h.t.Context())
	if err != nil {
		h.t.Fatalf("status: %v\n%s", err, h.stderr)
	}
	return s
}

// proves waits until what is live has proved itself.
func (h *host) proves() {
	h.t.Helper()
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		for _, p := range h.status().Plugins {
			if p.Live > 0 && p.Generations[p.Live-1].Proven {
				tick.Stop()
				return
			}
		}
	}
}

func TestKilledHostComesBackWithWhatItHad(t *testing.T) {
	dir := stateOf(t)
	first := startHost(t, dir, "TEST_CONFIRM=10ms")
	first.load(pack(t, "one", nil))
	first.load(pack(t, "two", nil))
	first.proves()
	first.kill()
	second := startHost(t, dir)
	second.serves(3, 1)
	if r := second.status().Restore; r == nil || r.NotRestored != nil || r.Quarantined != nil {
		t.Errorf("%+v", r)
	}
	// Whoever watches it already knows which version it runs.
	if ev := second.load(pack(t, "two", nil)); ev.Verdict != control.Unchanged {
		t.Errorf("pushed again: %+v", ev)
	}
	if _, err := second.Rollback(t.Context(), "pricing", new(int)); err != nil {
		t.Error(err)
	}
	second.serves(1, 0)
	second.ends()
	startHost(t, dir).serves(1, 0)
}

func TestSecondProcessLeavesTheStateAlone(t *testing.T) {
	dir := stateOf(t)
	first := startHost(t, dir, "TEST_CONFIRM=10ms")
	first.load(pack(t, "one", nil))
	first.proves()
	second := startHost(t, dir)
	second.serves(1, 0)
	if r := second.status().Restore; !strings.Contains(r.Off, "another process uses") {
		t.Errorf("%+v", r)
	}
	second.load(pack(t, "two", nil))
	second.ends()
	first.kill()
	startHost(t, dir).serves(2, 1)
}

// TestHostThatAnArtifactKillsIsStartedWithoutIt loads what ends the process, at
// every place where an artifact's code runs.
func TestHostThatAnArtifactKillsIsStartedWithoutIt(t *testing.T) {
	for _, where := range []string{"init", "start", "health"} {
		t.Run(where, func(t *testing.T) {
			dir := stateOf(t)
			h := startHost(t, dir)
			h.load(pack(t, "one", nil))
			h.ends()
			h = startHost(t, dir)
			h.dies = true
			bad := variant(t, where+"-crash", nil)
			if _, err := h.LoadFile(t.Context(), bad, control.LoadOptions{}); err == nil {
				t.Fatal("it survived")
			}
			if err := h.wait(); err == nil {
				t.Fatal("the host ended well")
			}
			for range 2 {
				h = startHost(t, dir)
				h.serves(2, 1)
				r := h.status().Restore
				if len(r.Quarantined) != 1 || !strings.Contains(r.Quarantined[0].Reason, "while it was being loaded") {
					t.Errorf("%+v", r)
				}
				if e := h.refuses(bad, control.CodeRefused); e.Rule != "HG0110" {
					t.Errorf("%+v", e)
				}
				h.ends()
			}
		})
	}
}

// session loads one and two, and goes back to one, as far as the host lives. It
// gives what was answered.
func session(t *testing.T, env ...string) (answered int, died bool) {
	t.Helper()
	one, two := pack(t, "one", nil), pack(t, "two", nil)
	socket := socketIn(t)
	cmd := exec.Command(fixture(t, "host"), socket)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := control.NewClient(socket)
	defer c.Close()
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err == nil {
		previous := func() error { _, err := c.Rollback(t.Context(), "pricing", nil); return err }
		load := func(path string) func() error {
			return func() error { _, err := c.LoadFile(t.Context(), path, control.LoadOptions{}); return err }
		}
		for _, step := range []func() error{load(one), load(two), previous} {
			if err := step(); err != nil {
				var refused *control.Error
				if errors.As(err, &refused) {
					t.Errorf("refused: %v", err)
				}
				break
			}
			answered++
		}
	}
	stdin.Close()
	return answered, cmd.Wait() != nil
}

// TestHostKilledAtEveryStepComesUpWithoutSuspects kills a host before each change
// that it makes to its files, and in the middle of each write: at its start, while
// it restores, during loads, a rollback, and at its end.
func TestHostKilledAtEveryStepComesUpWithoutSuspects(t *testing.T) {
	base := t.TempDir()
	prepared := filepath.Join(base, "prepared")
	h := startHost(t, "TEST_DIR="+prepared)
	h.load(pack(t, "one", nil))
	h.ends()
	served := map[string]bool{}
	for _, from := range []string{"empty", "prepared"} {
		for step := 1; ; step++ {
			dir := filepath.Join(base, fmt.Sprint(from, step))
			if from == "prepared" {
				if err := os.CopyFS(dir, os.DirFS(prepared)); err != nil {
					t.Fatal(err)
				}
				private(t, dir)
			}
			answered, died := session(t, "TEST_DIR="+dir, fmt.Sprint("TEST_KILL=", step))
			h := startHost(t, "TEST_DIR="+dir)
			p, r := h.status().Plugins[0], h.status().Restore
			what := fmt.Sprintf("%s, killed at step %d (%v) after %d answers: generation %d, %+v", from, step, died, answered, p.Live, r)
			if r.Off != "" || r.Error != "" || len(r.NotRestored) > 0 {
				t.Error(what)
			}
			serving := "built-in"
			if p.Live > 0 {
				serving = p.Generations[p.Live-1].Digest
			}
			if slices.ContainsFunc(r.Quarantined, func(q control.Quarantined) bool { return q.Digest == serving }) {
				t.Error(what + ": it serves what is quarantined")
			}
			// Killed at its very end, it has said that it is one.
			if died && answered > 0 && answered < 3 && from == "empty" && len(r.Quarantined) == 0 {
				t.Error(what + ": nothing is suspect")
			}
			served[from+" "+serving] = true
			h.ends()
			again := startHost(t, "TEST_DIR="+dir)
			if n := len(again.status().Restore.Quarantined); n != len(r.Quarantined) || again.status().Plugins[0].Live != p.Live {
				t.Errorf("%s; the start after that has %d quarantined", what, n)
			}
			again.ends()
			if !died {
				if step < 15 || answered != 3 {
					t.Errorf("only %d steps, %d answers", step, answered)
				}
				break
			}
		}
	}
	// From nothing: the built-in after each death, one after the end. From one: that,
	// or, where it alone was suspect, the built-in. Never two.
	if len(served) != 4 {
		t.Errorf("served %v", served)
	}
}

// private makes directories what CopyFS does not: closed to others.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
