package reloader

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// codeAt is where the code of a generation of pricing lies in a fake process.
func codeAt(generation int) uintptr { return 0x100000 * uintptr(generation) }

// oldCode lays out the code of a generation: functions of 32 bytes.
func (f *fakeProcess) oldCode(generation int, functions ...string) {
	for i, name := range functions {
		f.code.has(codeAt(generation)+uintptr(i)*32, name, 1)
	}
}

func generationOf(t *testing.T, s control.Status, number int) control.Generation {
	t.Helper()
	for _, g := range s.Plugins[0].Generations {
		if g.Generation == number {
			return g
		}
	}
	t.Fatalf("no generation %d in %+v", number, s.Plugins)
	return control.Generation{}
}

// identified gives a function the name that it has in a version of pricing.
func identified(version, function string) string {
	return "example.com/shop/pricing/hotgo_" + manifest("pricing", version).Key[:12] + function
}

func TestStatusListsGoroutinesOfOldGenerationsAlone(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	loop := identified("a", "/rules.(*Watcher).loop")
	f.oldCode(1, loop, "example.com/lib.wait")
	f.oldCode(2, identified("b", "/rules.(*Watcher).loop"))
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	inLoop, inLib, inLive := codeAt(1)+0x11, codeAt(1)+0x25, codeAt(2)+0x10
	f.code.run("", []uintptr{0x77, inLoop}, []uintptr{inLoop, inLoop}, []uintptr{inLive}, []uintptr{inLib, inLoop}, []uintptr{0x78}, nil)
	old := generationOf(t, h.Status(), 1)
	want := []control.Goroutine{
		{Goroutines: 3, Function: "rules.(*Watcher).loop", File: "/shop/rules.go", Line: 0x11},
	}
	if old.Goroutines != 3 || !reflect.DeepEqual(old.Inside, want) {
		t.Errorf("without text: %d goroutines in %+v", old.Goroutines, old.Inside)
	}

	// With the text: two of them have just ended, and one more was started by the old
	// generation but runs a function of the host.
	text := "goroutine 7 [chan receive, 12 minutes]:\nruntime.gopark(0x1)\n\t/go/proc.go:4 +0x1\n" + loop + "(0xc000, {0x1, 0x2})\n\t/shop/rules.go:41 +0x1d\n" +
		"created by " + identified("a", ".New") + " in goroutine 1\n\t/shop/new.go:9 +0x1\n\n" +
		"goroutine 8 [select, locked to thread]:\nexample.com/lib.wait(...)\n\t/lib/wait.go:3\nmain.main()\n\t/shop/main.go:2 +0x1\n\n" +
		"goroutine 9 [IO wait]:\nnet.read(0x1)\n\t/go/net.go:4 +0x1\nmain.serve(0x1)\n\t/shop/main.go:30 +0x1\ncreated by " + identified("a", ".New") + " in goroutine 1\n\t/shop/new.go:9 +0x1\n\n" +
		"goroutine 10 [IO wait]:\n" + identified("b", ".Serve") + "(0x1)\n\t/shop/rules.go:7 +0x1\n"
	f.code.run(text, []uintptr{0x77, inLoop}, []uintptr{inLive})
	old = generationOf(t, h.Status(), 1)
	want = []control.Goroutine{
		{Goroutines: 1, Function: "main.serve", File: "/shop/main.go", Line: 30, State: "IO wait", CreatedBy: "pricing.New"},
		{Goroutines: 1, Function: "rules.(*Watcher).loop", File: "/shop/rules.go", Line: 41, State: "chan receive", BlockedS: 720, CreatedBy: "pricing.New"},
	}
	if old.Goroutines != 2 || !reflect.DeepEqual(old.Inside, want) {
		t.Errorf("with text: %d goroutines in %+v", old.Goroutines, old.Inside)
	}
	if live := generationOf(t, h.Status(), 2); live.Goroutines != 0 || live.OldS != 0 {
		t.Errorf("the live generation: %+v", live)
	}

	// Live again, it is nobody's concern; and its successor is old now.
	if _, err := h.Rollback(t.Context(), "pricing", 1); err != nil {
		t.Fatal(err)
	}
	if s := h.Status(); generationOf(t, s, 1).Goroutines != 0 || generationOf(t, s, 2).Goroutines != 1 {
		t.Errorf("after the rollback: %+v", s.Plugins[0].Generations)
	}
}

// The first artifact that brings a dependency defines it for all of them.
func TestDependencyThatAnOldGenerationBroughtIsNotOld(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	f.oldCode(1, "example.com/lib.wait")
	f.oldCode(2, identified("b", ".Serve"))
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	text := "goroutine 7 [select]:\nexample.com/lib.wait()\n\t/lib/wait.go:3 +0x1\ncreated by " + identified("b", ".Serve") + " in goroutine 1\n\t/shop/x.go:1 +0x1\n"
	f.code.run(text, []uintptr{codeAt(1) + 1}, []uintptr{codeAt(1) + 1, codeAt(2) + 1})
	if s := h.Status(); s.OldGenerations != 0 || generationOf(t, s, 1).Goroutines != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestPlacesInOldCodeAreBounded(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	f.oldCode(1, identified("a", "/rules.loop"))
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	var running [][]uintptr
	for i := range 200 {
		running = append(running, []uintptr{codeAt(1) + 1 + uintptr(i%30)})
	}
	f.code.run("", running...)
	if old := generationOf(t, h.Status(), 1); old.Goroutines != 200 || len(old.Inside) != mostPlaces || old.Inside[0].Goroutines != 7 {
		t.Errorf("%d goroutines in %d places", old.Goroutines, len(old.Inside))
	}
	f.code.mu.Lock()
	f.code.running = nil // too many
	f.code.mu.Unlock()
	if s := h.Status(); !s.TooManyGoroutines || generationOf(t, s, 1).Goroutines != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestGenerationThatWasRefusedIsLookedAtAsWell(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	f.oldCode(1, identified("a", "/rules.loop"))
	f.code.run("", []uintptr{codeAt(1) + 5})
	s := prices(2)
	s["HotStart"] = func(context.Context) error {
		if n := h.Status().OldGenerations; n != 0 {
			t.Error("a generation that starts is called old")
		}
		return errFake
	}
	mustFail(t, h, f.version("pricing", "a", s), control.CodeRefused)
	if g := generationOf(t, h.Status(), 1); g.State != control.StateFailed || g.Goroutines != 1 {
		t.Errorf("generation %+v", g)
	}
}

func TestRetirementTellsWhoIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		f.oldCode(1, identified("a", "/rules.loop"))
		gate := make(chan struct{})
		a := prices(2)
		a["HotStop"] = func(context.Context) error { <-gate; return nil }
		f.code.run("", []uintptr{codeAt(1) + 5}, []uintptr{codeAt(1) + 5})
		mustLoad(t, h, f.version("pricing", "a", a))
		id := h.journal.Last()
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		ev := await(t, h, id, control.KindRetired)
		if ev.Goroutines != 2 || ev.Code != control.CodeRefused || len(ev.Notes) != 1 || ev.Notes[0].Code != noteStillInside ||
			ev.Notes[0].Text != "2 goroutines are still in rules.loop (rules.go:5)" {
			t.Errorf("HotStop hangs: %+v", ev)
		}
		close(gate)
	})
}

func TestGoroutinesThatJustEndAreNotToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		f.oldCode(1, identified("a", "/rules.loop"))
		f.code.run("", []uintptr{codeAt(1) + 5})
		looks := 0
		look := h.platform.old.stacks
		h.platform.old.stacks = func(visit func([]uintptr)) bool {
			if looks++; looks == 2 {
				f.code.run("")
			}
			return look(visit)
		}
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		id := h.journal.Last()
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		if ev := await(t, h, id, control.KindRetired); ev.Goroutines != 0 || len(ev.Notes) != 0 || looks != 2 {
			t.Errorf("%d looks: %+v", looks, ev)
		}
	})
}

func TestStatusDuringLoadsIsWhole(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{MaxOldGenerations: 100, MemoryBudget: 1 << 30}, f)
	var running [][]uintptr
	for n := 1; n <= 30; n++ {
		f.oldCode(n, identified(fmt.Sprintf("v%d", n-1), "/rules.loop"))
		running = append(running, []uintptr{codeAt(n) + 5})
	}
	f.code.run("goroutine 7 [select]:\nrules.loop1()\n\t/lib/wait.go:3 +0x1\n", running...)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				s := h.Status()
				for _, p := range s.Plugins {
					for _, g := range p.Generations {
						if g.Generation == p.Live && g.Goroutines != 0 {
							t.Errorf("a live generation is called old: %+v", g)
						}
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range 30 {
		mustLoad(t, h, f.version("pricing", fmt.Sprintf("v%d", n), prices(n)))
		if n > 0 && n%5 == 0 {
			if _, err := h.Rollback(t.Context(), "pricing", Previous); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	readers.Wait()
	if s := h.Status(); s.OldGenerations != 29 {
		t.Errorf("%d old generations, want 29", s.OldGenerations)
	}
}

func TestTextOfGoroutinesIsAskedForOnlyWhereItTells(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	f.oldCode(1, identified("a", "/rules.loop"))
	asked := 0
	h.platform.old.text = func() string { asked++; return "" }
	for range 2 { // nothing is old
		h.Status()
	}
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	id := h.journal.Last()
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	await(t, h, id, control.KindRetired)
	if asked != 0 {
		t.Errorf("asked %d times where nobody is left", asked)
	}
	for _, c := range []struct {
		goroutines int
		inOld      bool
		asked      int
	}{{fewTexts, false, 1}, {fewTexts + 1, false, 0}, {fewTexts + 1, true, 1}} {
		running := make([][]uintptr, c.goroutines)
		if c.inOld {
			running[7] = []uintptr{codeAt(1) + 5}
		}
		f.code.run("", running...)
		asked = 0
		h.Status()
		writeFamilies(io.Discard, h.families())
		if asked != c.asked {
			t.Errorf("asked %d times, %+v", asked, c)
		}
	}
}

// BenchmarkOldGoroutines prints what a look at this many goroutines costs: the
// profile, and the text, while which the process stands still.
func BenchmarkOldGoroutines(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			gate := make(chan struct{})
			var all sync.WaitGroup
			for runtime.NumGoroutine() < n-n/100 {
				all.Go(func() { deep(8, gate) })
			}
			defer all.Wait()
			defer close(gate)
			old := &generation{manifest: manifest("pricing", "a")}
			b.Run("profile", func(b *testing.B) {
				for b.Loop() {
					if s := newSearch(newLookout(), []*generation{old}); !stacks(s.visit) {
						b.Fatal("too many")
					}
				}
			})
			if n <= mostTexts {
				b.Run("text", func(b *testing.B) {
					for b.Loop() {
						parseStacks(stackTexts())
					}
				})
			}
		})
	}
}

// deep blocks below so many frames.
func deep(n int, gate chan struct{}) int {
	if n == 0 {
		<-gate
		return 0
	}
	return 1 + deep(n-1, gate)
}
