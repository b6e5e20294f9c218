package carry

import (
	"container/list"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

// What show cannot see: what the new values do.

func TestFunctionsInValuesAreTheNewOnes(t *testing.T) {
	a := before.Handlers{F: before.Fn, Many: map[string]func(int) int{"f": before.Fn}}
	var boxed any = before.Fn
	var b after.Handlers
	var boxed2 any
	mustCarry(t, state{"h": &a, "b": &boxed}, state{"h": &b, "b": &boxed2})
	if b.F(1) != 101 || b.Many["f"](1) != 101 || boxed2.(func(int) int)(1) != 101 || a.F(1) != 2 {
		t.Error("a function is the old one")
	}
}

func TestFunctionsThatAreGoneKeepTheOldCode(t *testing.T) {
	a := before.Gone
	var b func(int) int
	mustCarry(t, state{"f": &a}, state{"f": &b})
	if b(4) != 4 {
		t.Error("the function does something else")
	}
}

func TestInterfacesCallTheNewMethods(t *testing.T) {
	shapes := []before.Shape{before.Square{Side: 3}, before.Dot{}, before.Word{P: grown(7)}, &before.Square{Side: 2}}
	var err error = *grown(1)
	var str fmt.Stringer = before.NewSame(1, "a", nil)
	var shapes2 []after.Shape
	var err2 error
	var str2 fmt.Stringer
	mustCarry(t, state{"s": &shapes, "e": &err, "f": &str}, state{"s": &shapes2, "e": &err2, "f": &str2})
	for i, want := range []int{9, 0, 7, 4} {
		if got := shapes2[i].Area(); got != want {
			t.Errorf("shape %d has area %d, want %d", i, got, want)
		}
	}
	if _, ok := shapes2[0].(after.Square); !ok || err2.Error() != "after g" || str2.String() != "after 1a" {
		t.Errorf("%T, %v, %v", shapes2[0], err2, str2)
	}
}

func TestConvertedKeysAreFound(t *testing.T) {
	p := grown(1)
	byAny := map[any]int{before.Key{A: 1, B: 2}: 3, before.ID(4): 5, p: 6, [1]any{before.ID(9)}: 7}
	byKey := map[before.Key]string{{A: 1}: "one"}
	var byAny2 map[any]int
	var byKey2 map[after.Key]string
	var p2 *after.Grown
	mustCarry(t, state{"a": &byAny, "k": &byKey, "p": &p}, state{"a": &byAny2, "k": &byKey2, "p": &p2})
	if byAny2[after.Key{A: 1, B: 2}] != 3 || byAny2[after.ID(4)] != 5 || byAny2[p2] != 6 || byAny2[[1]any{after.ID(9)}] != 7 || byKey2[after.Key{A: 1}] != "one" {
		t.Errorf("%v %v", byAny2, byKey2)
	}
}

func TestTheStandardLibrarysTypesGoOnWorking(t *testing.T) {
	var (
		atoms    before.Atoms
		many     sync.Map
		builder  strings.Builder
		cond     = sync.NewCond(&sync.Mutex{})
		once     sync.Once
		shared   = before.Listed(1, 2)
		own      = before.Listed(before.Base{ID: 1}, before.Base{ID: 2})
		single   atomic.Pointer[before.Same]
		weakly   before.Weak
		pool     sync.Pool
		atoms2   after.Atoms
		many2    sync.Map
		builder2 strings.Builder
		cond2    *sync.Cond
		once2    sync.Once
		shared2  *list.List
		own2     *list.List
		single2  atomic.Pointer[after.Same]
		weakly2  after.Weak
		pool2    = sync.Pool{New: func() any { return "new" }}
	)
	atoms.I.Store(-1)
	atoms.P.Store(grown(1))
	atoms.S.Store(before.NewSame(2, "s", nil))
	atoms.V.Store(before.Base{ID: 3})
	many.Store(before.Key{A: 1}, before.Base{ID: 4})
	builder.WriteString("a")
	once.Do(func() {})
	single.Store(atoms.S.Load())
	weakly.S = weak.Make(atoms.S.Load())
	mustCarry(t,
		state{"a": &atoms, "m": &many, "b": &builder, "c": &cond, "o": &once, "l": &shared, "k": &own, "s": &single, "w": &weakly, "p": &pool},
		state{"a": &atoms2, "m": &many2, "b": &builder2, "c": &cond2, "o": &once2, "l": &shared2, "k": &own2, "s": &single2, "w": &weakly2, "p": &pool2})
	if atoms2.I.Load() != -1 || atoms2.P.Load().ID != 1 || atoms2.S.Load().N != 2 || atoms2.V.Load() != any(after.Base{ID: 3}) {
		t.Error("atomics")
	}
	if v, ok := many2.Load(after.Key{A: 1}); !ok || v != any(after.Base{ID: 4}) {
		t.Errorf("sync.Map: %v", v)
	}
	if builder2.WriteString("b"); builder2.String() != "ab" || builder.String() != "a" {
		t.Error("strings.Builder")
	}
	if cond2 != cond {
		t.Error("a pointer to a sync.Cond is another")
	}
	once2.Do(func() { t.Error("once more") })
	if shared2 != shared {
		t.Error("a list without anything of the plugin's is copied")
	}
	if own2.PushBack(after.Base{ID: 3}); own2.Len() != 3 || own.Len() != 2 || own2.Front().Value != any(after.Base{ID: 1}) || own2.Front().Next().Next().Value != any(after.Base{ID: 3}) {
		t.Error("container/list")
	}
	if single2.Load() != atoms2.S.Load() || weakly2.S.Value() != single2.Load() {
		t.Error("pointers to a shared struct")
	}
	if pool2.Get() != "new" {
		t.Error("sync.Pool")
	}
	runtime.KeepAlive(&atoms)
}

func TestABusyLockSaysSo(t *testing.T) {
	var a, b sync.Mutex
	a.Lock()
	if why := mustRefuse(t, state{"m": &a}, state{"m": &b}); !why.Busy {
		t.Errorf("got %#v", why)
	}
}

func TestApartSharesNothingOfThePlugins(t *testing.T) {
	var (
		m     = map[string]int{"a": 1}
		s     = []int{1, 2}
		p     = before.NewSame(1, "a", before.NewSame(2, "b", nil))
		h     = map[string]any{"k": []int{1}, "p": p}
		e     = before.ErrFull
		b     before.Box[int]
		r     = &b.V
		m2    map[string]int
		s2    []int
		p2    *after.Same
		h2    map[string]any
		e2    error
		b2    after.Box[int]
		r2    *int
		was   = state{"m": &m, "s": &s, "p": &p, "h": &h, "e": &e, "b": &b, "r": &r}
		now   = state{"m": &m2, "s": &s2, "p": &p2, "h": &h2, "e": &e2, "b": &b2, "r": &r2}
		shown = shownAll(was)
	)
	plan := Compare(oldGeneration(was), newGeneration(now))
	x, err := plan.Prepare(Options{Apart: true})
	if err != nil {
		t.Fatal(err)
	}
	x.Commit()
	if shownAll(now) != shown {
		t.Errorf("got %s\nwant %s", shownAll(now), shown)
	}
	if h2["p"] != any(p2) || r2 != &b2.V || e2 != e {
		t.Error("aliases, or the identity of what is another package's, are lost")
	}
	m2["b"], s2[0], p2.Next().N, h2["x"], h2["k"].([]int)[0] = 9, 9, 9, 9, 9
	if shownAll(was) != shown {
		t.Errorf("the old state has changed: %s", shownAll(was))
	}
	if x, err := plan.Prepare(Options{}); err != nil || x.Report.Copied != 1 { // h, in which p says of which type it is
		t.Errorf("%v, %+v", err, x)
	}
}

// Goroutines of both generations may wait at it: there can be no second one.
func TestAChannelIsSharedAlsoWhereTheRestIsCopied(t *testing.T) {
	first := before.NewSame(1, "a", nil)
	jobs, latest := make(chan *before.Same, 2), first
	jobs <- first
	var jobs2 chan *after.Same
	var latest2 *after.Same
	x, err := prepare(oldGeneration(state{"jobs": &jobs, "latest": &latest}), newGeneration(state{"jobs": &jobs2, "latest": &latest2}), Options{Apart: true})
	if err != nil {
		t.Fatal(err)
	}
	x.Commit()
	jobs <- before.NewSame(2, "b", nil)
	if got := <-jobs2; got.N != 1 || show(got) != show(first) || len(jobs) != 1 {
		t.Errorf("got %s, and %d are left", show(got), len(jobs))
	}
	if got := <-jobs2; got.N != 2 {
		t.Errorf("got %s", show(got))
	}
	if show(latest2) != show(first) {
		t.Errorf("the latest is %s", show(latest2))
	}
}

func TestALockInAVariableIsNoticed(t *testing.T) {
	l, p := before.Locks{}, &before.Locks{}
	l2, p2 := after.Locks{}, &after.Locks{}
	if !Compare(oldGeneration(state{"l": &l}), newGeneration(state{"l": &l2})).Guarded() {
		t.Error("the variable's lock")
	}
	if Compare(oldGeneration(state{"l": &l, "p": &p}), newGeneration(state{"l fresh": &l2, "p": &p2})).Guarded() {
		t.Error("one that is shared with what it guards")
	}
}

func TestBackAgainGivesWhatWas(t *testing.T) {
	a, mid, b := before.Tree{Value: before.Base{ID: 1}}, after.Tree{}, before.Tree{}
	a.Kids = []*before.Tree{{Up: &a}}
	was := show(&a)
	mustCarry(t, state{"t": &a}, state{"t": &mid})
	back, err := prepare(newGeneration(state{"t": &mid}), oldGeneration(state{"t": &b}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if back.Commit(); show(&b) != was || b.Kids[0].Up != &b {
		t.Errorf("got %s\nwant %s", show(&b), was)
	}
}

// A recursive walk would need a gigabyte of stack for each of these, and end the
// process.
func TestLongListsAreCarried(t *testing.T) {
	const n = 1_000_000
	var head *before.Grown
	var same *before.Same
	var nested any
	for i := range n {
		head = before.NewGrown(i, "", head)
		same = before.NewSame(i, "", same)
		nested = before.Box[any]{V: nested}
	}
	boxes := struct {
		V any
		T *before.Box[any]
	}{V: nested}
	var head2 *after.Grown
	var same2 *after.Same
	var boxes2 struct {
		V any
		T *after.Box[any]
	}
	x, err := Compare(oldGeneration(state{"h": &head, "s": &same, "b": &boxes}),
		newGeneration(state{"h": &head2, "s": &same2, "b": &boxes2})).Prepare(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x.Commit()
	count := 0
	for g := head2; g != nil; g = g.Next {
		count++
	}
	depth := 0
	for v := boxes2.V; v != nil; v = v.(after.Box[any]).V {
		depth++
	}
	if count != n || depth != n || same2.Next().N != n-2 {
		t.Errorf("%d in the list, %d in the boxes", count, depth)
	}
	if want := 2*n - 1; x.Report.Copied != want { // the innermost box holds nothing
		t.Errorf("%d copies, want %d", x.Report.Copied, want)
	}
}

func TestManySlicesOfOneArrayAreVisitedOnce(t *testing.T) {
	array := make([]any, 20_000)
	array[0] = before.Base{ID: 1}
	var all [][]any
	for i := range array {
		all = append(all, array[i:])
	}
	var all2 [][]any
	x, err := Compare(oldGeneration(state{"a": &all}), newGeneration(state{"a": &all2})).Prepare(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x.Commit()
	if all2[5][0] = 7; all2[0][5] != 7 || all[0][5] != nil || all2[0][0] != any(after.Base{ID: 1}) {
		t.Error("the slices no longer share one array")
	}
	if x.Report.Copied != 3 { // both arrays, and a box
		t.Errorf("%d copies", x.Report.Copied)
	}
}

func TestRefusalsShowTheWay(t *testing.T) {
	type root struct{ M map[string][]any }
	a := root{map[string][]any{"k": {0, &before.Embeds{Same: nil, Grown: before.Grown{Any: before.Vanished{N: 1}}}}}}
	var b root
	why := mustRefuse(t, state{"a": &a}, state{"a": &b})
	if want := "example.com/shop.a.M[…][1].Grown.Any"; why.Variable+why.Path != want {
		t.Errorf("got %s, want %s", why.Variable+why.Path, want)
	}
}

func BenchmarkCarry(b *testing.B) {
	const n = 1_000_000
	ints, same, changed := map[int]int{}, map[int]*before.Same{}, map[int]before.Base{}
	pointers := map[int]*before.Grown{}
	for i := range n {
		ints[i], same[i], changed[i] = i, before.NewSame(i, "", nil), before.Base{ID: i}
		pointers[i] = grown(i)
	}
	var ints2 map[int]int
	var same2 map[int]*after.Same
	var changed2 map[int]after.Base
	var pointers2 map[int]*after.Grown
	for _, c := range []struct {
		name     string
		from, to any
	}{
		{"map of a million, same type", &ints, &ints2},
		{"map of a million pointers to a struct as it was", &same, &same2},
		{"map of a million structs that grow", &changed, &changed2},
		{"map of a million pointers to structs that grow", &pointers, &pointers2},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x, err := Compare(oldGeneration(state{"v": c.from}), newGeneration(state{"v": c.to})).Prepare(Options{})
				if err != nil {
					b.Fatal(err)
				}
				x.Commit()
			}
		})
	}
}
