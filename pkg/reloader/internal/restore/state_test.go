package restore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// digest makes one of a name.
func digest(name string) string {
	return "sha256:" + strings.Repeat(fmt.Sprintf("%x", name), 64)[:64]
}

func entry(name string, order int) Entry {
	return Entry{Digest: digest(name), Key: name, Order: order}
}

const build = "build"

// history is a state that goes through what hosts do.
type history struct {
	State
	orders map[string]int
}

func newHistory() *history {
	h := &history{orders: map[string]int{}}
	h.boot("one")
	return h
}

// boot starts a process and gives the names of what it does not take up again.
func (h *history) boot(machine string) (quarantined []string) {
	for _, q := range h.Begin(Run{Boot: machine, PID: 1, Window: "30s"}, time.Time{}) {
		quarantined = append(quarantined, q.Key)
	}
	slices.Sort(quarantined)
	for _, t := range h.Wanted(build) {
		h.Try(t)
		h.Watch(build, t.Plugin, t.Entry.Digest)
	}
	return quarantined
}

func (h *history) entries(names []string) (live []Entry) {
	for _, name := range names {
		if h.orders[name] == 0 {
			h.orders[name] = len(h.orders) + 1
		}
		live = append(live, entry(name, h.orders[name]))
	}
	return live
}

func (h *history) try(plugin string, names ...string) []Entry {
	live := h.entries(names)
	h.Try(Trial{Plugin: plugin, Build: build, Entry: live[len(live)-1], How: HowLoaded})
	return live
}

func (h *history) load(plugin string, names ...string) {
	h.Settle(build, plugin, h.try(plugin, names...), false)
}

func (h *history) back(plugin string, names ...string) {
	h.Settle(build, plugin, h.entries(names), true)
}

func (h *history) prove(plugin string, names ...string) {
	for _, name := range names {
		h.Prove(build, plugin, digest(name))
	}
}

// wants checks what a process of the build would restore, in order.
func (h *history) wants(t *testing.T, names ...string) {
	t.Helper()
	var got []string
	for _, w := range h.Wanted(build) {
		got = append(got, w.Entry.Key)
	}
	if !slices.Equal(got, names) {
		t.Errorf("wanted is %q, want %q", got, names)
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("quarantined %q, want %q", got, want)
	}
}

func TestWhatIsProvenIsWantedInTheOrderOfItsOpening(t *testing.T) {
	h := newHistory()
	h.load("b", "b1")
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("b", "b1", "b1-patch")
	h.load("a", "a2")
	h.prove("a", "a2")
	h.prove("b", "b1", "b1-patch")
	same(t, h.boot("one"))
	h.wants(t, "b1", "b1-patch", "a2")
}

func TestCleanEndIsNoDeath(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.End()
	same(t, h.boot("one"))
	h.wants(t, "a1")
}

func TestDeathWhileOpeningBlamesWhatWasNeverProven(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.try("b", "b1")
	same(t, h.boot("one"), "b1")
	h.wants(t, "a1")

	h = newHistory()
	h.load("a", "a1")
	h.try("b", "b1")
	same(t, h.boot("one"), "a1", "b1")
}

func TestDeathWhileRestoringBlamesThatAlone(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.load("b", "b1")
	h.prove("a", "a1")
	h.prove("b", "b1")
	same(t, h.boot("one"))
	h.Try(h.Wanted(build)[1])
	same(t, h.boot("one"), "b1")
	h.wants(t, "a1")
}

func TestRefusedLoadIsForgotten(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.try("a", "a2")
	h.GiveUp()
	same(t, h.boot("one"))
	h.wants(t, "a1")
}

func TestDeathAfterALoadFallsBackToWhatWasProven(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.load("b", "b1")
	h.prove("a", "a1")
	h.prove("b", "b1")
	h.load("a", "a2")
	same(t, h.boot("one"), "a2")
	h.wants(t, "a1", "b1")
	if _, found := h.Quarantine(digest("a2"), ""); !found {
		t.Error("a2 is not quarantined")
	}
	if _, found := h.Quarantine(digest("rebuilt"), "a2"); !found {
		t.Error("the same build inputs are not quarantined")
	}
	if !h.Release(digest("a2"), "a2") || h.Release(digest("a2"), "a2") {
		t.Error("it is not released once")
	}
}

func TestDeathBlamesPatchBeforeItsBase(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("a", "a1", "patch1")
	h.prove("a", "a1", "patch1")
	h.load("a", "a1", "patch2")
	same(t, h.boot("one"), "patch2")
	h.wants(t, "a1", "patch1")

	h = newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("a", "a1", "patch1")
	same(t, h.boot("one"), "patch1")
	h.wants(t, "a1")
}

func TestCrashLoopEndsAtTheBuiltIns(t *testing.T) {
	h := newHistory()
	for _, version := range []string{"1", "2"} {
		for _, plugin := range []string{"a", "b", "c"} {
			h.load(plugin, plugin+version)
			h.prove(plugin, plugin+version)
		}
	}
	same(t, h.boot("one"))
	h.wants(t, "a2", "b2", "c2")
	same(t, h.boot("one"), "a2", "b2", "c2")
	h.wants(t, "a1", "b1", "c1")
	same(t, h.boot("one"), "a1", "b1", "c1")
	h.wants(t)
	same(t, h.boot("one"))
}

func TestReplacedVersionStaysSuspectForItsWindow(t *testing.T) {
	h := newHistory()
	h.load("a", "good")
	h.prove("a", "good")
	h.load("a", "bad")
	h.back("a", "good")
	same(t, h.boot("one"), "bad")
	h.wants(t, "good")

	h.load("a", "late")
	h.back("a", "good")
	h.prove("a", "late") // its window has passed
	h.prove("a", "good")
	same(t, h.boot("one"))
}

func TestRollbackIsNotFallenBackFrom(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("a", "a2")
	h.prove("a", "a2")
	h.back("a", "a1")
	h.wants(t, "a1")
	same(t, h.boot("one"), "a1")
	h.wants(t) // not a2, which was given up
}

func TestDeathInARollbackBlamesWhatWasNeverProven(t *testing.T) {
	rollBack := func(h *history) {
		h.Try(Trial{Plugin: "a", Build: build, Entry: h.entries([]string{"a1"})[0], How: HowRolledBack})
	}
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("a", "a2")
	rollBack(h)
	same(t, h.boot("one"), "a2")
	h.wants(t, "a1")

	h = newHistory()
	h.load("a", "a1")
	h.load("a", "a2")
	rollBack(h)
	same(t, h.boot("one"), "a1", "a2")

	h = newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.load("a", "a2")
	h.prove("a", "a2")
	rollBack(h)
	same(t, h.boot("one"), "a1")
	h.wants(t, "a2")
}

func TestBuiltInStaysTheBuiltIn(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.back("a")
	same(t, h.boot("one"))
	h.wants(t)
}

func TestOneRebootIsNoReasonTwoAre(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	same(t, h.boot("two"))
	h.wants(t, "a1")
	same(t, h.boot("three"), "a1")

	h = newHistory()
	h.load("a", "a1")
	same(t, h.boot("two"))
	h.prove("a", "a1")
	same(t, h.boot("three"))
	same(t, h.boot("four"))
	h.wants(t, "a1")

	h = newHistory()
	h.Run.Boot = ""
	h.load("a", "a1")
	same(t, h.boot("two"), "a1") // nothing says that it was a reboot
}

// A clock that was set between two processes, or during one, changes nothing.
func TestNoClockDecides(t *testing.T) {
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	for _, clock := range [][2]time.Time{{year(2026), year(1970)}, {year(2026), year(2100)}, {year(2100), year(2026)}, {{}, {}}} {
		h := newHistory()
		h.Run.Began = clock[0]
		for name, loaded := range map[string]time.Time{"good": clock[0], "bad": clock[1]} {
			e := entry(name, 1)
			e.Loaded = loaded
			h.Settle(build, name, []Entry{e}, false)
		}
		h.prove("good", "good")
		var got []string
		for _, q := range h.Begin(Run{Boot: "one", Began: clock[1]}, clock[1]) {
			got = append(got, q.Key)
		}
		same(t, got, "bad")
		h.wants(t, "good")
	}
}

func TestBuildsAreKeptApart(t *testing.T) {
	h := newHistory()
	h.load("a", "a1")
	h.prove("a", "a1")
	h.Settle("other", "a", []Entry{entry("other1", 1)}, false)
	h.Prove("other", "a", digest("other1"))
	h.wants(t, "a1")
	rank := h.Rank(build)
	if rank[digest("a1")] != Needed || rank[digest("other1")] != Held || rank[digest("x")] != Unused {
		t.Errorf("ranks %v", rank)
	}
	for n := range 2 * mostBuilds {
		h.Settle(fmt.Sprint(n), "a", []Entry{entry("x", 1)}, false)
	}
	if len(h.Builds) != mostBuilds {
		t.Errorf("%d builds are remembered", len(h.Builds))
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	h := newHistory()
	for n := range mostQuarantined + 10 {
		h.load("a", fmt.Sprintf("v%d", n))
		h.boot("one")
	}
	if len(h.Quarantined) != mostQuarantined || h.Quarantined[0].Key != "v10" {
		t.Errorf("%d quarantined, the first is %s", len(h.Quarantined), h.Quarantined[0].Key)
	}
}
