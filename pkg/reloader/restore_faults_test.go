package reloader

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

func TestDamagedAndMissingArtifactsAreNotLoaded(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"damaged": func(path string) error { return os.WriteFile(path, []byte(`{"v":1}`), 0o600) },
		"missing": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoots(t)
			h := b.start()
			path := b.version("pricing", "a", prices(2))
			ev := mustLoad(t, h, path)
			h.Close()
			if err := spoil(h.keeper.files.Path(ev.Digest)); err != nil {
				t.Fatal(err)
			}
			h = b.start()
			if ev := tells(t, h, control.KindNotRestored, 1); price(h) != 1 || ev.Reason == "" {
				t.Errorf("price %d, %+v", price(h), ev)
			}
			if ev := mustLoad(t, h, path); name != "replaced" && len(ev.Notes) > 0 {
				t.Errorf("pushed again: %+v", ev)
			}
			h.Close()
			if h = b.start(); name != "replaced" && price(h) != 2 {
				t.Errorf("pushed again and restarted: %d", price(h))
			}
		})
	}
}

func TestDamagedStateStopsNobody(t *testing.T) {
	for name, content := range map[string]string{"noise": "\x00\x01\n\x7f", "empty": "", "foreign": "{}\n"} {
		b := newBoots(t)
		h := b.start()
		mustLoad(t, h, b.version("pricing", "a", prices(2)))
		h.Close()
		path := filepath.Join(b.opts.Dir, "state-shop", "restore.log")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		h = b.start()
		if price(h) != 1 || len(told(h, control.KindNote)) != min(len(content), 1) {
			t.Errorf("%s: price %d, %+v", name, price(h), told(h, control.KindNote))
		}
		mustLoad(t, h, b.version("pricing", "b", prices(3)))
		h.Close()
		if h = b.start(); price(h) != 3 {
			t.Errorf("%s: after that %d", name, price(h))
		}
	}
	b := newBoots(t)
	if err := os.WriteFile(filepath.Join(b.opts.Dir, "state-shop"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := b.start()
	if off := h.Status().Restore.Off; !strings.Contains(off, "state-shop") {
		t.Errorf("a file in place of the directory: %q", off)
	}
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	b.opts.Restore = RestoreStrict
	if _, err := b.tryStart(); err == nil {
		t.Error("strict, and it starts")
	}
}

func TestStateBelongsToOneProcess(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	proven(h)
	second := b.start()
	if off := second.Status().Restore.Off; price(second) != 1 || !strings.Contains(off, "another process uses") {
		t.Errorf("price %d, %q", price(second), off)
	}
	if ev := tells(t, second, control.KindNote, 1); !strings.Contains(ev.Reason, "HOTGO_DIR") {
		t.Errorf("event %+v", ev)
	}
	mustLoad(t, second, b.version("pricing", "b", prices(3)))
	b.opts.Restore = RestoreStrict
	if _, err := b.tryStart(); !errors.As(err, &errStateTaken{}) {
		t.Errorf("strict: %v", err)
	}
	b.opts.Restore, b.opts.Name = RestoreAtStart, "other"
	if other := b.start(); other.Status().Restore.Off != "" || price(other) != 1 {
		t.Errorf("another name: %+v", other.Status().Restore)
	}
	second.Close()
	crash(h)
	b.opts.Name = "shop"
	if h = b.start(); price(h) != 2 {
		t.Errorf("afterwards: %d", price(h))
	}
}

func TestNewDoesNotWaitForEver(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	m := manifest("pricing", "slow")
	mustLoad(t, h, b.versionInit(m, func() (map[string]any, error) { return prices(2), nil }))
	h.Close()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		b.init[m.Key] = func() (map[string]any, error) { <-goOn; return prices(2), nil }
		b.opts.RestoreTimeout, b.opts.OpenTimeout = 5*time.Second, time.Minute
		began := time.Now()
		b.t = t
		h := b.start()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("New took %v", took)
		}
		if ev := tells(t, h, control.KindNote, 1); !strings.Contains(ev.Reason, "in the background") || price(h) != 1 {
			t.Errorf("event %+v, price %d", ev, price(h))
		}
		close(goOn)
		if err := h.Restore(context.Background()); err != nil || price(h) != 2 {
			t.Errorf("later: %v, %d", err, price(h))
		}
		h.Close()
	})
}

func TestFullDiskRefusesNoLoadAndSaysSo(t *testing.T) {
	full := fullDisk(t)
	b := newBoots(t)
	h := b.start()
	path := b.version("pricing", "a", prices(2))
	mustLoad(t, h, b.version("pricing", "before", prices(7)))
	proven(h)
	full.Store(true)
	ev := mustLoad(t, h, path)
	if price(h) != 2 || len(ev.Notes) == 0 || ev.Notes[0].Code != codeNotKept {
		t.Errorf("price %d, %+v", price(h), ev)
	}
	if s := h.Status().Restore; !strings.Contains(s.Error, "no space left") || s.Artifacts != 1 {
		t.Errorf("status %+v", s)
	}
	crash(h)
	full.Store(false)
	if h = b.start(); price(h) != 7 { // all that could be written
		t.Errorf("after a crash: %d", price(h))
	}
	full.Store(true)
	mustLoad(t, h, path)
	full.Store(false)
	if ev := mustLoad(t, h, path); ev.Verdict != control.Unchanged || ev.Notes != nil || h.Status().Restore.Error != "" {
		t.Errorf("pushed again once there is room: %+v, %+v", ev, h.Status().Restore)
	}
	proven(h)
	crash(h)
	if h = b.start(); price(h) != 2 {
		t.Errorf("then: %d", price(h))
	}
	crash(h)

	// Without a record of what is tried, a crash would go unnoticed.
	full.Store(true)
	if h = b.start(); price(h) != 1 || !strings.Contains(h.Status().Restore.Off, "no space left") {
		t.Errorf("full at the start: %d, %+v", price(h), h.Status().Restore)
	}
}

func TestReadOnlyDirectoryStopsNobody(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	h.Close()
	before := restore.System
	t.Cleanup(func() { restore.System = before })
	restore.System.Create = func(path string) (*os.File, error) {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EROFS}
	}
	h = b.start()
	if off := h.Status().Restore.Off; price(h) != 1 || !strings.Contains(off, "read-only file system") {
		t.Errorf("price %d, %q", price(h), off)
	}
	mustLoad(t, h, b.version("pricing", "b", prices(3)))
	if price(h) != 3 {
		t.Errorf("a load gives %d", price(h))
	}
	h.Close()
	restore.System = before
	if h = b.start(); price(h) != 2 {
		t.Errorf("once it can be written: %d", price(h))
	}
}

func TestBudgetRemovesWhatNothingNeeds(t *testing.T) {
	b := newBoots(t)
	size := int64(len(readAll(t, b.version("pricing", "a", prices(2)))))
	b.opts.DirBudget = 4 * size
	h := b.start()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mustLoad(t, h, b.version("pricing", name, prices(int(name[0]))))
		proven(h)
	}
	s := h.Status().Restore
	if s.Bytes > s.BudgetBytes || s.Artifacts < 2 {
		t.Errorf("%+v", s)
	}
	for _, g := range h.plugins["pricing"].gens[3:] {
		if !h.keeper.files.Has(g.digest) {
			t.Errorf("generation %d is not kept", g.number)
		}
	}
	if _, err := os.Stat(h.plugins["pricing"].gens[4].path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.plugins["pricing"].gens[0].path); err == nil {
		t.Error("the copy of a generation that is not live is still there")
	}
	ev, err := h.Rollback(context.Background(), "pricing", 1)
	if err != nil || price(h) != 'a' || len(ev.Notes) != 1 || ev.Notes[0].Code != codeNotKept {
		t.Errorf("back to what is not kept: %+v, %v", ev, err)
	}
	b.opts.DirBudget = 1
	h.Close()
	h = b.start()
	mustLoad(t, h, b.version("pricing", "f", prices('f')))
	if !h.keeper.files.Has(h.plugins["pricing"].gens[0].digest) {
		t.Error("what is live has been removed")
	}
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
