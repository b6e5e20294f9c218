package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
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

func TestGenerationIsProvenAfterItsWindow(t *testing.T) {
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

func TestGenerationProvesNothingWhileItIsObserved(t *testing.T) {
	b := newBoots(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.opts.ConfirmAfter = 10 * time.Second
		h := b.start()
		ev := loadObserved(t, h, b.version("pricing", "a", prices(2)), Window{Length: time.Minute})
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if h.Status().Plugins[0].Generations[0].Proven {
			t.Error("proven in its window")
		}
		ended(t, h, ev)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if !h.Status().Plugins[0].Generations[0].Proven {
			t.Error("not proven after it")
		}
		h.Close()
	})
}

// The process dies right after a window, longer than ConfirmAfter, has undone something.
func TestWhatAWindowHasUndoneIsSuspectedFirst(t *testing.T) {
	b := newBoots(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.opts.ConfirmAfter = 10 * time.Second
		h := b.start()
		mustLoad(t, h, b.version("pricing", "a", prices(2)))
		time.Sleep(time.Minute)
		symbols, _ := sickAfter(30, 3)
		ev := loadObserved(t, h, b.version("pricing", "b", symbols), Window{Length: time.Minute})
		if end := ended(t, h, ev); end.Undone != 2 || price(h) != 2 {
			t.Errorf("the window ended with %+v, price %d", end, price(h))
		}
		synctest.Wait()
		crash(h)
		h.Close()
	})
	b.t = t
	h := b.start()
	if tells(t, h, control.KindRestored, 1); price(h) != 2 {
		t.Errorf("after a restart: %d", price(h))
	}
	if ev := tells(t, h, control.KindQuarantined, 1); ev.Key != manifest("pricing", "b").Key {
		t.Errorf("quarantined %+v", ev)
	}
}

func TestRestoredGenerationsHaveNoWindow(t *testing.T) {
	b := newBoots(t)
	b.opts.Window = Window{Length: time.Hour}
	h := b.start()
	mustLoad(t, h, b.version("pricing", "a", prices(2)))
	proven(h)
	h.Close()
	if h = b.start(); price(h) != 2 || h.Status().Plugins[0].Health != nil {
		t.Errorf("price %d, %+v", price(h), h.Status().Plugins[0].Health)
	}
	mustLoad(t, h, b.version("pricing", "b", prices(3))) // no window to wait for
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
