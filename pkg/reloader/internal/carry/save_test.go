package carry

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

// file writes the state of the old generation.
func file(t *testing.T, from state) ([]byte, *Saved) {
	t.Helper()
	s := NewSave(oldGeneration(from))
	for {
		w, err := s.Take(Options{Still: true})
		var why *Refusal
		if errors.As(err, &why) && why.Unknown {
			s.Learn()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return w.Bytes("shop"), w
	}
}

// recallAll writes and reads, with a collection between.
func recallAll(t *testing.T, from, to state) (*Saved, Report) {
	t.Helper()
	was := shownAll(from)
	data, w := file(t, from)
	if now := shownAll(from); now != was {
		t.Errorf("the old state has changed:\n%s\n%s", was, now)
	}
	runtime.GC()
	x, err := Recall(data, newGeneration(to))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	x.Commit()
	runtime.GC()
	return w, x.Report
}

func TestAliasesAndCyclesOfAWrittenStateAreKept(t *testing.T) {
	g := before.NewGrown(1, "one", nil).CountMine()
	g.Next = g
	counter, array := 7, [4]int{1, 2, 3, 4}
	all, byName, count := []*before.Grown{g, g}, map[string]*before.Grown{"one": g}, &g.ID
	p, mid, tail := &counter, array[1:3], all[1:]
	var boxed any = map[string]any{"g": g, "n": []any{1, "x", uint8(3)}}
	var (
		all2     []*after.Grown
		byName2  map[string]*after.Grown
		count2   *int
		counter2 int
		array2   [4]int
		p2       *int
		mid2     []int
		tail2    []*after.Grown
		boxed2   any
	)
	w, report := recallAll(t,
		state{"all": &all, "byName": &byName, "count": &count, "counter": &counter, "array": &array, "p": &p, "mid": &mid, "tail": &tail, "boxed": &boxed},
		state{"all": &all2, "byName": &byName2, "count": &count2, "counter": &counter2, "array": &array2, "p": &p2, "mid": &mid2, "tail": &tail2, "boxed": &boxed2})
	if len(w.Lost) > 0 || w.Variables != 9 || report.Carried != 9 {
		t.Fatalf("%v, %+v", w.Lost, report)
	}
	x := all2[0]
	if x != all2[1] || x != byName2["one"] || x.Next != x || x.Count != &x.ID || count2 != &x.ID || x.ID != 1 {
		t.Error("references to one struct lead to several")
	}
	if p2 != &counter2 || counter2 != 7 || &mid2[0] != &array2[1] || cap(mid2) != 3 || &tail2[0] != &all2[1] {
		t.Error("a pointer or slice leads elsewhere")
	}
	if m := boxed2.(map[string]any); m["g"] != x || !reflect.DeepEqual(m["n"], []any{1, "x", uint8(3)}) {
		t.Errorf("an interface holds %v", boxed2)
	}
}

func TestAVariableThatCannotBeWrittenIsNamedAndStartsAnew(t *testing.T) {
	conns, c := map[string]*struct{ C chan int }{"a": {make(chan int)}}, make(chan int)
	f, n := os.Stdin, 5
	shared, literal := []any{c}, func() {}
	other := &shared
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("here", 3600))
	var mu, held sync.Mutex
	held.Lock()
	var (
		conns2   map[string]*struct{ C chan int }
		c2       = make(chan int, 3)
		f2       *os.File
		n2       int64
		shared2  []any
		literal2 func()
		other2   *[]any
		at2      time.Time
		mu2      sync.Mutex
		held2    sync.Mutex
	)
	w, _ := recallAll(t,
		state{"conns": &conns, "c": &c, "f": &f, "n": &n, "shared": &shared, "literal": &literal, "other": &other, "at": &at, "mu": &mu, "held": &held},
		state{"conns": &conns2, "c": &c2, "f": &f2, "n": &n2, "shared": &shared2, "literal": &literal2, "other": &other2, "at": &at2, "mu": &mu2, "held": &held2})
	var lost []string
	for _, l := range w.Lost {
		lost = append(lost, l.String())
	}
	want := `example.com/shop.c (chan int): a channel cannot leave its process
example.com/shop.conns[…].C (chan int): a channel cannot leave its process
example.com/shop.f (*os.File): it leads to what is another package's
example.com/shop.held (sync.Mutex): the lock is held
example.com/shop.literal (func()): it is code of this process, and what that captured
example.com/shop.shared (chan int): a channel cannot leave its process`
	if got := strings.Join(lost, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n2 != 5 || conns2 != nil || cap(c2) != 3 || shared2 != nil || other2 != &shared2 || !at2.Equal(at) || at2.Format(time.RFC3339) != at.Format(time.RFC3339) {
		t.Errorf("%v %v %v %v %v", n2, conns2, shared2, other2 == &shared2, at2)
	}
}

func TestAnAtomicPointerIsOneOfThePointers(t *testing.T) {
	g := before.NewGrown(1, "one", nil)
	var (
		current, none atomic.Pointer[before.Grown]
		counted       atomic.Int64
		boxed         atomic.Value
		behind        = &current
		becomes       = g
		current2      atomic.Pointer[after.Grown]
		none2         atomic.Pointer[after.Grown]
		counted2      atomic.Int64
		boxed2        atomic.Value
		behind2       *atomic.Pointer[after.Grown]
		becomes2      atomic.Pointer[after.Grown]
	)
	current.Store(g)
	none2.Store(new(after.Grown))
	counted.Store(7)
	boxed.Store(1)
	w, report := recallAll(t,
		state{"current": &current, "none": &none, "counted": &counted, "boxed": &boxed, "behind": &behind, "becomes": &becomes},
		state{"current": &current2, "none": &none2, "counted": &counted2, "boxed": &boxed2, "behind": &behind2, "becomes": &becomes2})
	if len(w.Lost) != 1 || w.Lost[0].Variable != "example.com/shop.boxed" || len(report.Findings) > 0 {
		t.Fatalf("%v, %+v", w.Lost, report)
	}
	x := current2.Load()
	if x == nil || x.ID != 1 || behind2 != &current2 || becomes2.Load() != x || none2.Load() != nil || counted2.Load() != 7 {
		t.Errorf("%v, %v, %v", x, none2.Load(), counted2.Load())
	}
}

func TestWhatNoLongerFitsStartsAnewAndTheRestDoesNot(t *testing.T) {
	a, b, s, k := 1, before.Narrower{N: 1000}, before.Shrunk{Keep: 1, Gone: 2}, "seven"
	a2, b2, s2, k2 := 0, after.Narrower{N: 3}, after.Shrunk{}, 4
	_, report := recallAll(t, state{"a": &a, "b": &b, "s": &s, "k": &k}, state{"a": &a2, "b": &b2, "s": &s2, "k": &k2})
	if a2 != 1 || b2.N != 3 || k2 != 4 || s2.Keep != 1 || report.Fresh != 2 || report.Carried != 2 || len(report.Findings) != 3 {
		t.Errorf("a %d, b %v, s %v, k %d, %+v", a2, b2, s2, k2, report)
	}
}

// writeRandom writes a random value, and reads it as the same type.
func writeRandom(t *testing.T, data []byte) []byte {
	g := &graph{dice: dice{data}, edits: map[reflect.Type]reflect.Type{}, places: map[reflect.Type][]address{}, slices: map[reflect.Type][]reflect.Value{}}
	a := g.typ(3)
	from, to := [2]reflect.Value{}, [2]reflect.Value{}
	for i := range from {
		from[i], to[i] = reflect.New(a), reflect.New(a)
		g.fill(addressOf(from[i]), a, true)
	}
	both := func(vs [2]reflect.Value) string {
		s := shower{seen: map[seen]int{}, places: true}
		for _, v := range vs {
			s.value(addressOf(v), a, a, 0)
			s.b.WriteString("\n")
		}
		return s.b.String()
	}
	want := both(from)
	written, w := file(t, state{"a": from[0].Interface(), "b": from[1].Interface()})
	x, err := Recall(written, newGeneration(state{"a": to[0].Interface(), "b": to[1].Interface()}))
	if err != nil || len(w.Lost) > 0 || len(x.Report.Findings) > 0 {
		t.Fatalf("%v: %v, lost %v, %v\n%s", a, err, w.Lost, x, want)
	}
	x.Commit()
	if got := both(to); got != want {
		t.Fatalf("%v:\ngot\n%s\nwant\n%s", a, got, want)
	}
	return written
}

func TestRandomStateIsReadAsItWasWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		data := make([]byte, 200)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		writeRandom(t, data)
	}
}

func TestWritingEndsWhenItsTimeIsUp(t *testing.T) {
	numbers := make([]int, 10*ticks)
	_, err := NewSave(oldGeneration(state{"numbers": &numbers})).Take(Options{Expired: func() bool { return true }})
	var why *Refusal
	if !errors.As(err, &why) || !why.Large || why.Visited > 2*ticks {
		t.Errorf("got %v", err)
	}
}

func TestAStateMakesNoMoreOfItThanItMay(t *testing.T) {
	small, large := make([][1]int8, 1<<16), make([][1 << 20]int8, 0)
	_, report := recallAll(t, state{"v": &small}, state{"v": &large})
	if large == nil || len(large) > 0 || report.Fresh != 1 {
		t.Errorf("%d elements, %+v", len(large), report)
	}
}

// victim is a generation to read anything into.
func victim() *Generation {
	var (
		all   []*after.Grown
		byID  map[int]any
		any1  any
		array [4]int
		at    time.Time
		tree  after.Tree
		bytes []byte
		empty []struct{}
		f     func(int) int
		mu    sync.Mutex
		once  sync.Once
		last  atomic.Pointer[after.Grown]
	)
	return newGeneration(state{"once": &once, "last": &last, "all": &all, "byID": &byID, "any": &any1, "array": &array, "at": &at, "tree": &tree, "bytes": &bytes, "empty": &empty, "f": &f, "mu": &mu})
}

// seed is a file for it.
func seed(t testing.TB) []byte {
	g := before.NewGrown(1, "one", nil).CountMine()
	g.Next = g
	all, byID, array := []*before.Grown{g, g}, map[int]any{1: "x", 2: g, 3: []any{1.5, nil}}, [4]int{1, 2}
	any1, at, tree := any(&array), time.Unix(1, 2).UTC(), before.Tree{}
	tree.Kids = []*before.Tree{{Up: &tree}}
	bytes, empty := []byte("bytes"), make([]struct{}, 3)
	var once sync.Once
	var last atomic.Pointer[before.Grown]
	once.Do(func() { last.Store(g) })
	w, err := NewSave(oldGeneration(state{"once": &once, "last": &last, "all": &all, "byID": &byID, "any": &any1, "array": &array, "at": &at, "tree": &tree, "bytes": &bytes, "empty": &empty})).Take(Options{})
	if err != nil || len(w.Lost) > 0 {
		t.Fatal(err, w.Lost)
	}
	return w.Bytes("shop")
}

func TestAStateThatIsCutOffOrChangedIsRefused(t *testing.T) {
	data := seed(t)
	if _, err := Recall(data, victim()); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if _, err := Recall(data[:i], victim()); err == nil {
			t.Errorf("%d bytes of %d are taken for the whole", i, len(data))
		}
		changed := append([]byte{}, data...)
		changed[i] ^= 0x20
		if _, err := Recall(changed, victim()); err == nil {
			t.Errorf("a change of byte %d is not seen", i)
		}
	}
}

// FuzzRecall gives any bytes a checksum that is right.
func FuzzRecall(f *testing.F) {
	data := seed(f)
	f.Add(data[len(wireMagic) : len(data)-wireSum])
	f.Add([]byte{wireVersion, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		data := append([]byte(wireMagic), body...)
		sum := sha256.Sum256(data)
		g := victim()
		x, err := Recall(append(data, sum[:wireSum]...), g)
		if err != nil {
			return
		}
		x.Commit()
		again, err := NewSave(g).Take(Options{})
		if err != nil || again.Variables+len(again.Lost) != len(g.Variables) {
			t.Fatalf("what was read cannot be written: %v, %v", err, again)
		}
	})
}

// The process stands still for Take; Recall runs while the next one starts.
func BenchmarkSave(b *testing.B) {
	const n = 1_000_000
	ints, pointers := map[int]int{}, map[int]*before.Same{}
	for i := range n {
		ints[i], pointers[i] = i, before.NewSame(i, "", nil)
	}
	var ints2 map[int]int
	var pointers2 map[int]*after.Same
	for _, c := range []struct {
		name     string
		from, to any
	}{
		{"map of a million", &ints, &ints2},
		{"map of a million pointers", &pointers, &pointers2},
	} {
		s := NewSave(oldGeneration(state{"v": c.from}))
		var data []byte
		b.Run(c.name+", taken", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, err := s.Take(Options{})
				if err != nil {
					b.Fatal(err)
				}
				data = w.Bytes("shop")
			}
			b.ReportMetric(float64(len(data)), "file-bytes")
		})
		b.Run(c.name+", recalled", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x, err := Recall(data, newGeneration(state{"v": c.to}))
				if err != nil {
					b.Fatal(err)
				}
				x.Commit()
			}
		})
	}
}
