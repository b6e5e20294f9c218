package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

func TestRestartHasWhatWasLive(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	mustLoad(t, h, b.version("tax", "b", map[string]any{"Price": times(5)}))
	mustLoad(t, h, b.version("pricing", "c", prices(3)))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	h = b.start()
	if got := price(h); got != 3 {
		t.Errorf("a handle gives %d at once, want 3", got)
	}
	if got := b.openedKeys(); !slices.Equal(got, []string{"62", "63"}) { // b, c
		t.Errorf("opened %q", got)
	}
	ev := tells(t, h, control.KindRestored, 2)
	if ev.Plugin != "pricing" || ev.Generation != 1 || ev.Verdict != control.Swapped || ev.Digest == "" {
		t.Errorf("event %+v", ev)
	}
	s := h.Status()
	if g := s.Plugins[0].Generations[0]; !g.Restored || g.State != control.StateLive || g.Proven {
		t.Errorf("generation %+v", g)
	}
	if s.Restore == nil || s.Restore.Artifacts != 3 || s.Restore.Bytes == 0 || s.Restore.Off != "" || s.Restore.NotRestored != nil {
		t.Errorf("restore %+v", s.Restore)
	}
	if _, err := h.Rollback(context.Background(), "pricing", 0); err != nil || price(h) != 1 {
		t.Errorf("back to the built-in: %v, %d", err, price(h))
	}
	mustLoad(t, h, b.version("pricing", "d", prices(4)))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if h = b.start(); price(h) != 4 {
		t.Errorf("after another restart: %d", price(h))
	}
}

func TestPatchesAreRestoredOnTheirBase(t *testing.T) {
	b := newBoots(t)
	b.code = map[uintptr]string{hostBias + 0x100: nameTotal, hostBias + 0x200: nameAdd, hostBias + 0x300: "main.loop"}
	h := b.start()
	base := manifest("pricing", "a")
	mustLoad(t, h, b.versionInit(base, func() (map[string]any, error) {
		b.fakeProcess.code.has(0x9000, "fake.rate", 1)
		return prices(2), nil
	}))
	first, second := patch("a"), patch("b")
	replaces(&first, nameTotal, 0x100, 0x2000, 1)
	replaces(&second, nameAdd, 0x200, 0x2100, 1)
	mustLoad(t, h, b.patchFile(first, 7))
	proven(h)
	mustLoad(t, h, b.patchFile(second, 8))
	on := pricingPatch("on", base)
	replaces(&on, "fake.rate", 0x9000, 0x4000, 1)
	mustLoad(t, h, b.patchFile(on, 9))
	proven(h)
	crash(h)

	h = b.start()
	if got := fmt.Sprint(b.fakeProcess.code.calls(), " ", b.fakeProcess.code.call(0x9000)); got != "1 8 1 9" {
		t.Errorf("functions run %s", got)
	}
	tells(t, h, control.KindRestored, 3)
	if p := h.Status().Plugins[0]; p.Live != 2 || p.Generations[1].Base != 1 {
		t.Errorf("status %+v", p)
	}
	if _, err := h.Rollback(context.Background(), "pricing", Previous); err != nil || b.fakeProcess.code.call(0x9000) != 1 {
		t.Errorf("back to the code of the base: %v", err)
	}
	crash(h)
	h = b.start()
	tells(t, h, control.KindQuarantined, 2) // of what served; the patch of pricing did not
	if got := b.fakeProcess.code.calls(); got != "7 1 1" {
		t.Errorf("the patch before takes its place: functions run %s", got)
	}
}

func TestProcessThatDiesOfALoadDoesNotGetItAgain(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "good", prices(2)))
	proven(h)
	bad := b.version("pricing", "bad", prices(3))
	mustLoad(t, h, bad)
	crash(h)

	h = b.start()
	if got := price(h); got != 2 {
		t.Errorf("the one before serves: %d", got)
	}
	ev := tells(t, h, control.KindQuarantined, 1)
	if !strings.Contains(ev.Reason, "before it had been live for 30s") || !strings.Contains(ev.Next, "hotgo push --release "+h.opts.Dir) {
		t.Errorf("event %+v", ev)
	}
	q := h.Status().Restore.Quarantined
	if len(q) != 1 || q[0].Plugin != "pricing" || q[0].Digest != ev.Digest || q[0].Since.IsZero() {
		t.Fatalf("quarantined %+v", q)
	}
	if _, err := os.Stat(q[0].Path); err != nil {
		t.Error(err)
	}
	e := mustFail(t, h, bad, control.CodeRefused)
	if e.Rule != control.RuleQuarantined || !strings.Contains(e.Next, q[0].Path) {
		t.Errorf("%+v", e)
	}
	if _, err := h.load(context.Background(), loadRequest{dryRun: true, receive: func() (*copied, error) { return h.receiveFile(context.Background(), bad) }}); err == nil {
		t.Error("a dry run says that it would be loaded")
	}

	// By hand, from where it is kept; and it counts afresh.
	release := loadRequest{release: true, receive: func() (*copied, error) { return h.receiveFile(context.Background(), q[0].Path) }}
	if _, err := h.load(context.Background(), release); err != nil || price(h) != 3 {
		t.Errorf("released: %v, %d", err, price(h))
	}
	tells(t, h, control.KindReleased, 1)
	if q := h.Status().Restore.Quarantined; q != nil {
		t.Errorf("still quarantined: %+v", q)
	}
	crash(h)
	h = b.start()
	tells(t, h, control.KindQuarantined, 1)
}

func TestProcessThatDiesWhileItOpensOrRestoresDoesNotGetItAgain(t *testing.T) {
	b := newBoots(t)
	var h *Host
	fatal := manifest("pricing", "fatal")
	deadly := true
	path := b.versionInit(fatal, func() (map[string]any, error) {
		if deadly {
			crash(h)
			return nil, errors.New("killed")
		}
		return prices(3), nil
	})
	h = b.start()
	mustFail(t, h, path, control.CodeRefused) // nobody is there to see it
	h = b.start()
	if ev := tells(t, h, control.KindQuarantined, 1); !strings.Contains(ev.Reason, "while it was being loaded") {
		t.Errorf("event %+v", ev)
	}
	deadly = false
	req := loadRequest{release: true, receive: func() (*copied, error) { return h.receiveFile(context.Background(), path) }}
	if _, err := h.load(context.Background(), req); err != nil {
		t.Fatal(err)
	}
	proven(h)
	crash(h)

	deadly = true
	dying := make(chan struct{})
	b.init[fatal.Key] = func() (map[string]any, error) {
		for h == nil {
			<-dying
		}
		crash(h)
		return nil, errors.New("killed")
	}
	h, b.opts.Restore = nil, RestoreLater
	h = b.start()
	close(dying)
	_ = h.Restore(context.Background())
	h = b.start()
	if ev := tells(t, h, control.KindQuarantined, 1); !strings.Contains(ev.Reason, "while it was being restored") {
		t.Errorf("event %+v", ev)
	}
	if err := h.Restore(context.Background()); err != nil || price(h) != 1 {
		t.Errorf("the built-in serves: %v, %d", err, price(h))
	}
}

func TestArtifactsOfAnotherBuildAreKeptAndNotLoaded(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	h.Close()
	b.build = "upgraded"
	h = b.start()
	ev := tells(t, h, control.KindNotRestored, 1)
	if price(h) != 1 || ev.Code != control.CodeOtherBuild || len(ev.Evidence) != 1 || ev.Evidence[0].Host != "upgraded" || ev.Evidence[0].Artifact != "fake" {
		t.Errorf("price %d, %+v", price(h), ev)
	}
	n := h.Status().Restore.NotRestored
	if len(n) != 1 || n[0].Code != control.CodeOtherBuild || n[0].Path == "" {
		t.Errorf("status %+v", n)
	}
	mustLoad(t, h, b.version("pricing", "b", prices(3)))
	if n := h.Status().Restore.NotRestored; len(n) > 0 {
		t.Errorf("status after another load: %+v", n)
	}
	h.Close()
	b.build = "fake" // the deployment is taken back
	if h = b.start(); price(h) != 2 {
		t.Errorf("the first build again: %d", price(h))
	}
	h.Close()
	b.build = ""
	if h = b.start(); !strings.Contains(h.Status().Restore.Off, "build ID") {
		t.Errorf("without a build ID: %+v", h.Status().Restore)
	}
}

func TestWhatCannotBeRestoredIsToldAndTriedAgain(t *testing.T) {
	b := newBoots(t)
	ill := false
	symbols := prices(2)
	symbols[hookHealth] = func(context.Context) error {
		if ill {
			return errors.New("no database yet")
		}
		return nil
	}
	h := b.start()
	path := b.version("pricing", "a", symbols)
	mustLoad(t, h, path)
	h.Close()
	ill = true
	h = b.start()
	ev := tells(t, h, control.KindNotRestored, 1)
	if price(h) != 1 || ev.Code != control.CodeUnhealthy || !strings.Contains(ev.Reason, "no database yet") {
		t.Errorf("price %d, %+v", price(h), ev)
	}
	if n := h.Status().Restore.NotRestored; len(n) != 1 || n[0].Code != control.CodeUnhealthy {
		t.Errorf("status %+v", n)
	}
	crash(h) // nothing of it was live
	ill = false
	if h = b.start(); price(h) != 2 {
		t.Errorf("the next time: %d", price(h))
	}
	crash(h)
	h = b.start()
	tells(t, h, control.KindQuarantined, 1)

	// Going to the built-in, which serves already, drops the wish.
	b = newBoots(t)
	h = b.start()
	mustLoad(t, h, b.version("pricing", "a", symbols))
	h.Close()
	ill = true
	h = b.start()
	price(h)
	if ev, err := h.Rollback(context.Background(), "pricing", 0); err != nil || ev.Verdict != control.Unchanged {
		t.Errorf("rollback: %+v, %v", ev, err)
	}
	h.Close()
	ill = false
	h = b.start()
	tells(t, h, control.KindRestored, 0)
}

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

func TestRestoreLaterWaitsForTheCallAndLeavesNewerAlone(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	mustLoad(t, h, b.version("tax", "b", map[string]any{"Price": times(5)}))
	h.Close()
	b.opts.Restore = RestoreLater
	h = b.start()
	if price(h) != 1 {
		t.Errorf("before the call: %d", price(h))
	}
	mustLoad(t, h, b.version("pricing", "c", prices(3)))
	for range 2 {
		if err := h.Restore(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if ev := tells(t, h, control.KindRestored, 1); ev.Plugin != "tax" {
		t.Errorf("restored %+v", ev)
	}
	if ev := tells(t, h, control.KindNotRestored, 1); ev.Plugin != "pricing" || price(h) != 3 {
		t.Errorf("%+v, price %d", ev, price(h))
	}
	h.Close()
	b.opts.Restore = RestoreAtStart
	if h = b.start(); price(h) != 3 {
		t.Errorf("after a restart: %d", price(h))
	}
	h.Close()
	b.opts.Restore = RestoreOff
	if h = b.start(); price(h) != 1 || h.Status().Restore != nil {
		t.Errorf("off: %d", price(h))
	}
	b.opts.Restore = "sometimes"
	if _, err := b.tryStart(); err == nil {
		t.Error("a mistyped option starts")
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

func TestGenerationIsProvenAfterItsWindowWhateverTheClockSays(t *testing.T) {
	b := newBoots(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.opts.ConfirmAfter = time.Minute
		h := b.start()
		mustLoad(t, h, b.version("pricing", "a", prices(2)))
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if h.Status().Plugins[0].Generations[0].Proven {
			t.Error("proven too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !h.Status().Plugins[0].Generations[0].Proven {
			t.Error("not proven")
		}
		crash(h)
		h.Close()
	})
	b.t = t
	h := b.start()
	tells(t, h, control.KindRestored, 1)
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

func TestSignaturesAreCheckedAgain(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	b := newBoots(t)
	b.opts.TrustedKeys, b.opts.NoDowngrade = s.trust(), true
	h := b.start()
	mustLoad(t, h, s.sign(b.version("pricing", "a", prices(2)), at(5)))
	mustLoad(t, h, s.sign(b.version("pricing", "b", prices(3)), at(6)))
	if _, err := h.Rollback(context.Background(), "pricing", 1); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if h = b.start(); price(h) != 2 { // older than what was taken, and gone back to
		t.Errorf("after a restart: %d", price(h))
	}
	h.Close()
	b.opts.TrustedKeys = other.trust()
	h = b.start()
	if ev := tells(t, h, control.KindNotRestored, 1); price(h) != 1 || ev.Code != ruleOtherKey {
		t.Errorf("another key: price %d, %+v", price(h), ev)
	}
	h.Close()
	b.opts.TrustedKeys = s.trust()
	path := h.keeper.files.Path(h.keeper.log.State().Wanted("fake")[0].Entry.Digest)
	if err := os.Remove(path + ".minisig"); err != nil {
		t.Fatal(err)
	}
	h = b.start()
	if ev := tells(t, h, control.KindNotRestored, 1); ev.Code != ruleUnsigned {
		t.Errorf("without its signature: %+v", ev)
	}
}

func TestForeignPluginIsRestoredUnderItsName(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	price(h)
	if _, err := h.LoadAs(context.Background(), "pricing", b.foreignVersion("example.com/elsewhere", "a", prices(2))); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h = b.start()
	if ev := tells(t, h, control.KindRestored, 1); !ev.Foreign || price(h) != 2 {
		t.Errorf("%+v, price %d", ev, price(h))
	}
}

// A patch without its base is nothing.
func TestPatchIsNotRestoredWithoutItsBase(t *testing.T) {
	b := newBoots(t)
	h := b.start()
	base := manifest("pricing", "a")
	ev := mustLoad(t, h, b.versionInit(base, func() (map[string]any, error) {
		b.fakeProcess.code.has(0x9000, "fake.rate", 1)
		return prices(2), nil
	}))
	on := pricingPatch("on", base)
	replaces(&on, "fake.rate", 0x9000, 0x4000, 1)
	mustLoad(t, h, b.patchFile(on, 9))
	h.Close()
	if err := os.Remove(h.keeper.files.Path(ev.Digest)); err != nil {
		t.Fatal(err)
	}
	h = b.start()
	if ev := tells(t, h, control.KindNotRestored, 2); !strings.Contains(ev.Reason, "what it was made for was not restored") || price(h) != 1 {
		t.Errorf("%+v, price %d", ev, price(h))
	}
}
