package carry

import (
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

// The two generations of the tests are two packages, compiled into the test
// binary under paths of their own as generations are.
const shop = "example.com/shop"

func pathOf(v any) string { return reflect.TypeOf(v).PkgPath() }

// state is the variables of one generation: their names without the package, and
// pointers to them.
type state map[string]any

func generation(own string, types map[string]reflect.Type, functions map[string]any, vars state) *Generation {
	g := &Generation{Packages: map[string]string{own: shop}, Types: types, Functions: map[string]reflect.Value{}}
	for name, f := range functions {
		g.Functions[shop+"."+name] = reflect.ValueOf(f)
	}
	for name, p := range vars {
		g.Variables = append(g.Variables, Variable{
			Name: shop + "." + strings.TrimSuffix(name, " fresh"), Pointer: reflect.ValueOf(p), Fresh: strings.HasSuffix(name, " fresh"),
		})
	}
	return g
}

func oldGeneration(vars state) *Generation {
	return generation(pathOf(before.Same{}), before.Types(), before.Functions(), vars)
}

func newGeneration(vars state) *Generation {
	return generation(pathOf(after.Same{}), after.Types(), after.Functions(), vars)
}

// prepare plans and prepares, with a collection between all steps.
func prepare(from, to *Generation, opts Options) (*Transfer, error) {
	opts.step = runtime.GC
	plan := Compare(from, to)
	runtime.GC()
	t, err := plan.Prepare(opts)
	runtime.GC()
	return t, err
}

// mustCarry carries everything, and checks what always has to hold.
func mustCarry(t *testing.T, from, to state) Report {
	t.Helper()
	a, b := oldGeneration(from), newGeneration(to)
	was := shownAll(from)
	x, err := prepare(a, b, Options{})
	if err != nil {
		t.Fatalf("%v\n%v", err, Compare(a, b))
	}
	x.Commit()
	runtime.GC()
	if now := shownAll(from); now != was {
		t.Errorf("the old state has changed:\n%s\n%s", was, now)
	}
	for _, s := range strays(a, b, x.Report) {
		t.Errorf("left of the old generation: %s", s)
	}
	return x.Report
}

// mustRefuse checks that nothing changes.
func mustRefuse(t *testing.T, from, to state) *Refusal {
	t.Helper()
	was, now := shownAll(from), shownAll(to)
	_, err := prepare(oldGeneration(from), newGeneration(to), Options{})
	var why *Refusal
	if !errors.As(err, &why) {
		t.Fatalf("got %v, and now %s; want a refusal", err, shownAll(to))
	}
	if shownAll(from) != was || shownAll(to) != now {
		t.Error("a refused carry has changed something")
	}
	if why.Code == "" || why.Variable == "" || why.Reason == "" {
		t.Errorf("%#v lacks something", why)
	}
	return why
}

func TestPointersMapsAndChannelsKeepTheirIdentity(t *testing.T) {
	var (
		m  = map[string]*before.Same{"a": before.NewSame(1, "a", nil)}
		c  = make(chan int, 1)
		p  = before.NewSame(2, "b", nil)
		s  = make([]before.Same, 2, 5)
		h  = map[string]any{"k": []int{1}}
		m2 map[string]*after.Same
		c2 chan int
		p2 *after.Same
		s2 []after.Same
		h2 map[string]any
	)
	report := mustCarry(t, state{"m": &m, "c": &c, "p": &p, "s": &s, "h": &h}, state{"m": &m2, "c": &c2, "p": &p2, "s": &s2, "h": &h2})
	m2["b"] = p2
	if len(m) != 2 || reflect.ValueOf(m["b"]).Pointer() != reflect.ValueOf(p).Pointer() {
		t.Error("the map is a copy")
	}
	s2[1].N = 7
	if s[1].N != 7 || cap(s2) != 5 || c != c2 {
		t.Error("the slice or the channel is a copy")
	}
	if h["l"] = 1; len(h2) != 2 {
		t.Error("a map of interfaces that hold nothing of the plugin is a copy")
	}
	if report.Copied != 0 {
		t.Errorf("%d objects were copied", report.Copied)
	}
	if m2["a"].String() != "after 1a" {
		t.Errorf("the method is not the new one: %s", m2["a"])
	}
}

func TestAliasesOfAConvertedValueStayAliases(t *testing.T) {
	g := before.NewGrown(1, "one", nil).CountMine()
	g.Next = g
	all, byName, count := []*before.Grown{g, g}, map[string]*before.Grown{"one": g}, &g.ID
	values := []before.Grown{*before.NewGrown(5, "five", nil), *before.NewGrown(6, "six", nil)}
	second, tail := &values[1], values[1:]
	var (
		all2    []*after.Grown
		byName2 map[string]*after.Grown
		count2  *int
		values2 []after.Grown
		second2 *after.Grown
		tail2   []after.Grown
	)
	mustCarry(t,
		state{"all": &all, "byName": &byName, "count": &count, "values": &values, "second": &second, "tail": &tail},
		state{"all": &all2, "byName": &byName2, "count": &count2, "values": &values2, "second": &second2, "tail": &tail2})
	x := all2[0]
	if x != all2[1] || x != byName2["one"] || x.Next != x || x.Count != &x.ID || count2 != &x.ID {
		t.Error("references to one struct lead to several")
	}
	if second2 != &values2[1] || &tail2[0] != second2 || second2.ID != 6 {
		t.Error("references into one array lead to several")
	}
}

func TestAPointerIsTranslatedThatWasMetBeforeWhatItLeadsInto(t *testing.T) {
	x := &before.Reordered{A: 1}
	var boxed any = x
	z := &x.A // visited first, when nothing tells yet that an int8 may be copied
	var boxed2 any
	var z2 *int8
	mustCarry(t, state{"b": &boxed, "z": &z}, state{"b": &boxed2, "z": &z2})
	if z2 != &boxed2.(*after.Reordered).A {
		t.Error("the pointer leads elsewhere")
	}
}

func TestSlicesThatOverlapShareOneArray(t *testing.T) {
	array := []before.Base{{ID: 0}, {ID: 1}, {ID: 2}, {ID: 3}}
	head, tail, mid := array[0:2:2], array[1:4], (*[2]before.Base)(array[2:])
	var head2, tail2 []after.Base
	var mid2 *[2]after.Base
	mustCarry(t, state{"h": &head, "t": &tail, "m": &mid}, state{"h": &head2, "t": &tail2, "m": &mid2})
	if &head2[1] != &tail2[0] || &mid2[1] != &tail2[2] || tail2[2].ID != 3 || cap(head2) != 2 || cap(tail2) != 3 {
		t.Errorf("%v %v %v", head2, tail2, mid2)
	}
}

func TestOwnInterfacesHoldOthersTypesAsTheNewOnesDo(t *testing.T) {
	a := []before.Failure{before.ErrFull}
	var b []after.Failure
	mustCarry(t, state{"f": &a}, state{"f": &b})
	if b[0] != after.Failure(before.ErrFull) {
		t.Error("it differs from one that the new code makes")
	}
}

func TestPointersToVariablesLeadToTheNewVariables(t *testing.T) {
	counter, root := 7, before.Tree{}
	array := [4]int{1, 2, 3, 4}
	p, q, mid := &counter, map[string]*int{"c": &counter}, array[1:3]
	root.Kids = []*before.Tree{{Up: &root}}
	head := before.NewSame(1, "head", nil)
	self := *before.NewSame(2, "self", nil)
	loop := before.NewSame(3, "loop", &self)
	var boxed any = &counter
	var (
		counter2 int
		root2    after.Tree
		array2   [4]int
		p2       *int
		q2       map[string]*int
		mid2     []int
		head2    *after.Same
		self2    after.Same
		loop2    *after.Same
		boxed2   any
	)
	mustCarry(t,
		state{"counter": &counter, "root": &root, "p": &p, "q": &q, "array": &array, "mid": &mid, "head": &head, "self": &self, "loop": &loop, "boxed": &boxed},
		state{"counter": &counter2, "root": &root2, "p": &p2, "q": &q2, "array": &array2, "mid": &mid2, "head": &head2, "self": &self2, "loop": &loop2, "boxed": &boxed2})
	if p2 != &counter2 || q2["c"] != &counter2 || boxed2 != any(&counter2) || counter2 != 7 {
		t.Error("a pointer leads to the old variable")
	}
	if root2.Kids[0].Up != &root2 {
		t.Error("a converted variable is not the one that is pointed to")
	}
	if &mid2[0] != &array2[1] || len(mid2) != 2 || cap(mid2) != 3 {
		t.Error("a slice of a variable leads to the old one")
	}
	if loop2.Next() != &self2 {
		t.Error("a twin in a variable is not the one that is pointed to")
	}
}

func TestFreshVariablesKeepTheirInitialiserAndArePointedTo(t *testing.T) {
	cache, cache2 := 5, 9
	p, p2 := &cache, new(int)
	report := mustCarry(t, state{"cache": &cache, "p": &p}, state{"cache fresh": &cache2, "p": &p2})
	if cache2 != 9 || p2 != &cache2 || report.Fresh != 1 || report.Carried != 1 {
		t.Errorf("cache %d, p leads there: %v, %+v", cache2, p2 == &cache2, report)
	}
}

func TestNewFieldsOfAVariableAreAsInitialised(t *testing.T) {
	g := *before.NewGrown(3, "x", nil)
	now := after.Grown{ID: 1, Extra: 42}
	mustCarry(t, state{"g": &g}, state{"g": &now})
	if now.Extra != 42 || now.ID != 3 {
		t.Errorf("got %+v", now)
	}
}

func TestOneRefusedVariableLeavesAllAsTheyWere(t *testing.T) {
	a, b := 1, before.Narrower{N: 1000}
	a2, b2 := 0, after.Narrower{}
	why := mustRefuse(t, state{"a": &a, "b": &b}, state{"a": &a2, "b": &b2})
	if why.Variable != shop+".b" || why.Path != ".N" || !strings.Contains(why.Error(), "1000 does not fit") {
		t.Errorf("got %v", why)
	}
}

func TestHotMigrateGetsWhatCannotBeCarried(t *testing.T) {
	a, b, c := 1, before.Narrower{N: 1000}, "seven"
	a2, b2, c2 := 0, after.Narrower{N: 3}, 4
	x, err := prepare(oldGeneration(state{"a": &a, "b": &b, "c": &c}), newGeneration(state{"a": &a2, "b": &b2, "c": &c2}), Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	x.Commit()
	if a2 != 1 || b2.N != 3 || c2 != 4 || x.Report.Fresh != 2 || x.Report.Carried != 1 || len(x.Report.Findings) != 2 {
		t.Errorf("a %d, b %v, c %d, %+v", a2, b2, c2, x.Report)
	}
}

func TestPlanIsPrintable(t *testing.T) {
	var (
		g  *before.Grown
		s  before.Shrunk
		n  int32
		o  before.Odd
		k  string
		v  before.Vanished
		f  int
		g2 *after.Grown
		s2 after.Shrunk
		n2 int64
		o2 after.Odd
		k2 string
		f2 int
		w2 float64
	)
	got := Compare(oldGeneration(state{"g": &g, "s": &s, "n": &n, "o": &o, "k": &k, "v": &v, "f": &f}),
		newGeneration(state{"g": &g2, "s": &s2, "n": &n2, "o": &o2, "k": &k2, "f fresh": &f2, "w": &w2})).String()
	want := `fresh      example.com/shop.f  it is marked to start anew
converted  example.com/shop.g  example.com/shop.Grown adds Extra (HG0001)
carried    example.com/shop.k
converted  example.com/shop.n  int32 becomes int64 (HG0032)
refused    example.com/shop.o  what is string cannot become int without loss, in example.com/shop.o (string before, int now) (HG0032)
converted  example.com/shop.s  example.com/shop.Shrunk drops Gone; struct{B int} drops A (HG0002)
lost       example.com/shop.v  the new code has no such variable (HG0002)
new        example.com/shop.w
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
