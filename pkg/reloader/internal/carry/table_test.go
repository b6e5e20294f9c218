package carry

import (
	"container/list"
	"container/ring"
	"context"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"
	"unsafe"
	"weak"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

// change is one change of a variable's type. was and now are pointers to the
// variable as it is in the old generation, and as the new one initialised it.
type change struct {
	name     string
	was, now any
	want     string // the new value as show spells it; "" wants it spelled as the old
	refused  string // what the refusal says
	notes    string // codes of what is found, each with a space behind it
}

func ptr[T any](v T) *T { return &v }

func grown(n int) *before.Grown { return before.NewGrown(n, "g", nil) }

var changes = []change{
	// Scalars.
	{name: "bool", was: ptr(true), now: new(bool)},
	{name: "string", was: ptr("s"), now: new(string)},
	{name: "complex", was: ptr(1 + 2i), now: new(complex128)},
	{name: "uintptr", was: ptr(uintptr(7)), now: new(uintptr)},
	{name: "int32 to int64", was: ptr(int32(-5)), now: new(int64)},
	{name: "int64 to int32 that fits", was: ptr(int64(-5)), now: new(int32)},
	{name: "int64 to int32 that does not", was: ptr(int64(1 << 40)), now: new(int32), refused: "1099511627776 does not fit"},
	{name: "int to uint", was: ptr(5), now: new(uint)},
	{name: "negative int to uint", was: ptr(-5), now: new(uint), refused: "-5 does not fit"},
	{name: "uint64 to int64 that does not fit", was: ptr(uint64(math.MaxUint64)), now: new(int64), refused: "does not fit"},
	{name: "uint8 to int16", was: ptr(uint8(200)), now: new(int16)},
	{name: "uint8 to int8 that does not fit", was: ptr(uint8(200)), now: new(int8), refused: "200 does not fit"},
	{name: "int to float64", was: ptr(1 << 53), now: new(float64), want: "9.007199254740992e+15"},
	{name: "int to float64 with loss", was: ptr(1<<53 + 1), now: new(float64), refused: "does not fit"},
	{name: "greatest int to float64", was: ptr(math.MaxInt64), now: new(float64), refused: "does not fit"},
	{name: "uint64 to float32 with loss", was: ptr(uint64(1<<24 + 1)), now: new(float32), refused: "does not fit"},
	{name: "float32 to float64", was: ptr(float32(0.5)), now: new(float64)},
	{name: "float64 to float32 that fits", was: ptr(0.5), now: new(float32)},
	{name: "float64 to float32 with loss", was: ptr(0.1), now: new(float32), refused: "0.1 does not fit"},
	{name: "NaN to float32", was: ptr(math.NaN()), now: new(float32)},
	{name: "complex64 to complex128", was: ptr(complex64(1 + 2i)), now: new(complex128)},
	{name: "float to int", was: ptr(1.0), now: new(int), refused: "float64 cannot become int"},
	{name: "float to complex", was: ptr(1.0), now: new(complex128), refused: "float64 cannot become complex128"},
	{name: "string to int", was: ptr("1"), now: new(int), refused: "string cannot become int"},
	{name: "int to string", was: ptr(65), now: new(string), refused: "int cannot become string"},
	{name: "int to bool", was: ptr(1), now: new(bool), refused: "int cannot become bool"},
	{name: "string to bytes", was: ptr("a"), now: new([]byte), refused: "string cannot become slice"},
	{name: "own integer widens", was: ptr(before.ID(3)), now: new(after.ID)},
	{name: "own integer stays", was: ptr(before.Level(3)), now: new(after.Level)},
	{name: "own integer becomes plain", was: ptr(before.Level(3)), now: new(int)},
	{name: "unsafe pointer", was: ptr(unsafe.Pointer(nil)), now: new(unsafe.Pointer)},

	// Structs.
	{name: "same struct", was: before.NewSame(1, "a", nil), now: new(after.Same)},
	{name: "field added", was: grown(1), now: &after.Grown{}, want: `{Extra:0 ID:1 label:"g" Next:nil Count:nil Any:nil}`},
	{name: "field dropped", was: &before.Shrunk{Keep: 1, Gone: 2}, now: &after.Shrunk{}, want: "{Keep:1 Inner:{B:0}}", notes: "HG0002 "},
	{name: "field dropped that is zero", was: &before.Shrunk{Keep: 1}, now: &after.Shrunk{}, want: "{Keep:1 Inner:{B:0}}"},
	{name: "field of an unnamed struct dropped", was: &before.Shrunk{Inner: struct{ A, B int }{1, 2}}, now: &after.Shrunk{}, want: "{Keep:0 Inner:{B:2}}", notes: "HG0002 "},
	{name: "fields reordered", was: &before.Reordered{A: -1, B: "b", C: 3, D: true}, now: &after.Reordered{}, want: `{D:true C:3 B:"b" A:-1}`},
	{name: "field renamed", was: &before.Renamed{Was: 1}, now: &after.Renamed{Is: 5}, want: "{Is:5}", notes: "HG0002 "},
	{name: "tag changed", was: &before.Tagged{A: 1}, now: &after.Tagged{}},
	{name: "fields widened", was: &before.Wider{I: -1, U: 200, F: 0.5, C: 1i}, now: &after.Wider{}},
	{name: "field narrowed", was: &before.Narrower{N: 127}, now: &after.Narrower{}},
	{name: "field narrowed with loss", was: &before.Narrower{N: 128}, now: &after.Narrower{}, refused: ".N: 128 does not fit"},
	{name: "field of another kind", was: &before.Odd{}, now: &after.Odd{}, refused: "string cannot become int"},
	{name: "embedded fields", was: &before.Embeds{Grown: *grown(2), Same: before.NewSame(1, "s", nil), X: 3}, now: &after.Embeds{}, want: `{Grown:{Extra:0 ID:2 label:"g" Next:nil Count:nil Any:nil} Same:#1{N:1 name:"s" next:nil} X:3}`},
	{name: "embedded struct grows", was: &before.Derived{Base: before.Base{ID: 4}, Name: "n"}, now: &after.Derived{}, want: `{Base:{ID:4 More:0} Name:"n"}`},
	{name: "blank fields", was: &before.Blank{A: 1}, now: &after.Blank{}, want: "{A:1}"},
	{name: "unnamed struct", was: &struct{ A, B int }{1, 2}, now: &struct{ B, A int }{}, want: "{B:2 A:1}"},
	{name: "empty struct", was: &struct{}{}, now: &struct{}{}},
	{name: "pointer to an empty struct", was: ptr(&struct{}{}), now: new(*struct{})},
	{name: "pointer to a struct that was empty", was: ptr(&before.Dot{}), now: new(*after.Dot)},

	// Arrays and slices.
	{name: "array", was: &[2]int{1, 2}, now: &[2]int{}},
	{name: "array of a struct that grows", was: &[2]before.Base{{ID: 1}, {ID: 2}}, now: &[2]after.Base{}, want: "[{ID:1 More:0} {ID:2 More:0}]"},
	{name: "array grows", was: &[2]int{1, 2}, now: &[3]int{7, 8, 9}, want: "[1 2 9]"},
	{name: "array shrinks without loss", was: &[3]int{1, 2, 0}, now: &[2]int{}, want: "[1 2]"},
	{name: "array shrinks with loss", was: &[3]int{1, 2, 3}, now: &[2]int{}, refused: "[2]: the array is shorter now"},
	{name: "arrays of other lengths in a struct", was: &before.Sized{More: [2]int{1, 2}, Less: [4]int{3, 4}}, now: &after.Sized{}, want: "{More:[1 2 0 0] Less:[3 4]}"},
	{name: "array to slice", was: &[2]int{1, 2}, now: &[]int{}, refused: "array cannot become slice"},
	{name: "slice", was: &[]int{1, 2, 3}, now: &[]int{}},
	{name: "nil slice", was: new([]before.Base), now: &[]after.Base{{ID: 1}}, want: "nil"},
	{name: "empty slice", was: &[]before.Base{}, now: new([]after.Base), want: "0/0[]"},
	{name: "slice with room", was: ptr(make([]before.Base, 1, 4)), now: new([]after.Base), want: "1/4[{ID:0 More:0}]"},
	{name: "elements widen", was: &[]int8{1, -1}, now: new([]int)},
	{name: "slice of slices", was: &[][]before.Base{{{ID: 1}}, nil}, now: new([][]after.Base), want: "2/2[1/1[{ID:1 More:0}] nil]"},
	{name: "slice of empty structs", was: &[]struct{}{{}, {}}, now: new([]struct{})},
	{name: "named slice", was: &before.Names{"a"}, now: new(after.Names)},
	{name: "slice of pointers to one", was: ptr(func() []*before.Base { p := &before.Base{ID: 1}; return []*before.Base{p, p} }()), now: new([]*after.Base), want: "2/2[#1{ID:1 More:0} #1]"},

	// Pointers.
	{name: "nil pointer", was: new(*before.Grown), now: ptr(&after.Grown{}), want: "nil"},
	{name: "pointer to pointer", was: ptr(ptr(&before.Base{ID: 1})), now: new(**after.Base), want: "#1#2{ID:1 More:0}"},
	{name: "pointer to value", was: ptr(&before.Base{}), now: new(after.Base), refused: "ptr cannot become struct"},
	{name: "value to pointer", was: &before.Base{}, now: new(*after.Base), refused: "struct cannot become ptr"},
	{name: "ring", was: ptr(func() *before.Ring { r := &before.Ring{N: 1}; r.Next = &before.Ring{N: 2, Next: r}; return r }()), now: new(*after.Ring)},
	{name: "tree", was: ptr(func() *before.Tree {
		x := &before.Tree{Named: map[string]before.Tree{"a": {}}}
		x.Kids = []*before.Tree{{Up: x, Value: x}}
		x.Value = before.Tree{Up: x}
		return x
	}()), now: new(*after.Tree), want: "#1{Kids:1/1[#2{Kids:nil Named:nil Up:#1 Depth:0 Value:(*Tree)#1}] Named:#3map[\"a\":{Kids:nil Named:nil Up:nil Depth:0 Value:nil}] Up:nil Depth:0 Value:(Tree){Kids:nil Named:nil Up:#1 Depth:0 Value:nil}}"},
	{name: "field of which the type changes", was: ptr(func() []any { x := &before.Twisted{N: 1}; return []any{x, &x.N} }()), now: new([]any), refused: "a pointer leads into"},
	{name: "pointer to a field that is dropped", was: ptr(func() []any { x := &before.Shrunk{Gone: 1}; return []any{x, &x.Gone, &x.Gone} }()), now: new([]any), want: "3/3[(*Shrunk)#1{Keep:0 Inner:{B:0}} (*int)#21 (*int)#2]", notes: "HG0002 "},

	// Maps.
	{name: "map", was: &map[string]int{"a": 1}, now: new(map[string]int)},
	{name: "nil map", was: new(map[string]before.Base), now: &map[string]after.Base{}, want: "nil"},
	{name: "map of a struct that grows", was: &map[string]before.Base{"a": {ID: 1}}, now: new(map[string]after.Base), want: `#1map["a":{ID:1 More:0}]`},
	{name: "map of pointers", was: &map[int]*before.Base{1: {ID: 1}}, now: new(map[int]*after.Base), want: `#1map[1:#1{ID:1 More:0}]`},
	{name: "keys grow", was: &map[before.Key]int{{A: 1, B: 2}: 3}, now: new(map[after.Key]int), want: "#1map[{A:1 B:2 C:0}:3]"},
	{name: "keys become one", was: &map[before.KeyPart]int{{A: 1, B: 2}: 3, {A: 1, B: 3}: 4}, now: new(map[after.KeyPart]int), refused: "two keys of a map become one"},
	{name: "keys are interfaces", was: &map[any]int{before.Key{A: 1}: 3, "s": 4, before.KeyPart{A: 1}: 5}, now: new(map[any]int), want: `#1map[(Key){A:1 B:0 C:0}:3 (KeyPart){A:1}:5 (string)"s":4]`},
	{name: "key that can be none", was: &map[any]int{before.Hashed{A: 1}: 3}, now: new(map[any]int), refused: "a key of a map can be none any more"},
	{name: "key of a sync.Map that can be none", was: func() any { var m sync.Map; m.Store(before.Hashed{A: 1}, 1); return &m }(), now: &sync.Map{}, refused: "a key of a map can be none any more"},
	{name: "keys are NaN", was: &map[float32]before.Base{float32(math.NaN()): {ID: 1}, -float32(math.NaN()): {ID: 1}}, now: new(map[float64]after.Base), want: "#1map[NaN:{ID:1 More:0} NaN:{ID:1 More:0}]"},
	{name: "values are own integers", was: &map[string]before.ID{"a": 1}, now: new(map[string]after.ID)},
	{name: "named map", was: &before.Index{"a": grown(1)}, now: new(after.Index), want: `#1map["a":#1{Extra:0 ID:1 label:"g" Next:nil Count:nil Any:nil}]`},
	{name: "map of maps", was: &map[string]map[string]before.Base{"a": {"b": {ID: 1}}}, now: new(map[string]map[string]after.Base), want: `#1map["a":#1map["b":{ID:1 More:0}]]`},
	{name: "map to slice", was: &map[int]int{}, now: new([]int), refused: "map cannot become slice"},

	// Interfaces.
	{name: "nil interface", was: new(any), now: ptr[any](1), want: "nil"},
	{name: "host's value", was: ptr[any](time.Second), now: new(any)},
	{name: "own value", was: ptr[any](before.Base{ID: 1}), now: new(any), want: "(Base){ID:1 More:0}"},
	{name: "own twin", was: ptr[any](*before.NewSame(1, "a", nil)), now: new(any)},
	{name: "own pointer", was: ptr[any](&before.Base{ID: 1}), now: new(any), want: "(*Base)#1{ID:1 More:0}"},
	{name: "own struct of one pointer", was: ptr[before.Shape](before.Word{P: grown(1)}), now: new(after.Shape), want: `(Word){P:#1{Extra:0 ID:1 label:"g" Next:nil Count:nil Any:nil}}`},
	{name: "own interface", was: ptr[before.Shape](before.Square{Side: 2}), now: new(after.Shape), want: "(Square){Scale:0 Side:2}"},
	{name: "own empty struct", was: ptr[before.Shape](before.Dot{}), now: new(after.Shape)},
	{name: "error", was: ptr[error](*grown(1)), now: new(error), want: `(Grown){Extra:0 ID:1 label:"g" Next:nil Count:nil Any:nil}`},
	{name: "host's error", was: &before.ErrFull, now: new(error)},
	{name: "own slice", was: ptr[any]([]before.Base{{ID: 1}}), now: new(any), want: "([]Base)1/1[{ID:1 More:0}]"},
	{name: "own map", was: ptr[any](map[string]*before.Base{}), now: new(any), want: "(map[string]*Base)#1map[]"},
	{name: "own array", was: ptr[any]([1]before.Base{{ID: 1}}), now: new(any), want: "([1]Base)[{ID:1 More:0}]"},
	{name: "own function type that is nil", was: ptr[any]((func(before.ID) before.ID)(nil)), now: new(any), want: "(func(ID) ID)nil"},
	{name: "interface in interfaces", was: ptr[any]([]any{[]any{before.Base{ID: 1}}, 1}), now: new(any), want: "([]interface {})2/2[([]interface {})1/1[(Base){ID:1 More:0}] (int)1]"},
	{name: "type without the methods", was: ptr[before.Shape](before.Formless{}), now: new(after.Shape), refused: "no longer has the methods of example.com/shop.Shape"},
	{name: "type that is gone", was: ptr[any](before.Vanished{N: 1}), now: new(any), refused: "there is no type example.com/shop.Vanished any more"},
	{name: "type of a function", was: ptr(before.Local()), now: new(any), refused: "declared inside a function"},
	{name: "interface to concrete", was: ptr[any](1), now: new(int), refused: "interface cannot become int"},

	// Generic types.
	{name: "instance", was: &before.Box[before.Base]{V: before.Base{ID: 1}, L: []before.Base{{ID: 2}}}, now: new(after.Box[after.Base]), want: "{V:{ID:1 More:0} L:1/1[{ID:2 More:0}]}"},
	{name: "instance of a basic type", was: &before.Box[int]{V: 1}, now: new(after.Box[int])},
	{name: "instance of an instance", was: &before.Box[before.Box[before.ID]]{L: []before.Box[before.ID]{{V: 1}}}, now: new(after.Box[after.Box[after.ID]])},
	{name: "instance reordered", was: &before.Pair[before.Key, *before.Base]{Value: &before.Base{ID: 1}}, now: new(after.Pair[after.Key, *after.Base]), want: "{Value:#1{ID:1 More:0} Key:{A:0 B:0 C:0}}"},
	{name: "instance in an interface", was: &struct {
		A any
		B *before.Box[before.Base]
	}{A: before.Box[before.Base]{V: before.Base{ID: 1}}}, now: &struct {
		A any
		B *after.Box[after.Base]
	}{}, want: "{A:(Box[github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/Base]){V:{ID:1 More:0} L:nil} B:nil}"},
	{name: "instance that the new code does not name", was: ptr[any](before.Box[before.Base]{}), now: new(any), refused: "there is no type example.com/shop.Box[example.com/shop.Base]"},

	// Functions.
	{name: "function", was: ptr(before.Fn), now: new(func(int) int)},
	{name: "function in a map", was: &before.Handlers{Many: map[string]func(int) int{"f": before.Fn}}, now: new(after.Handlers), want: `{Extra:0 F:nil Many:#1map["f":func]}`},
	{name: "function in an interface", was: ptr[any](before.Fn), now: new(any)},
	{name: "host's function", was: ptr(strings.ToUpper), now: new(func(string) string)},
	{name: "function that is gone", was: ptr(before.Gone), now: new(func(int) int), notes: "HG0070 "},
	{name: "closure", was: ptr(before.Closure(1)), now: new(func() int), notes: "HG0070 "},
	{name: "closure where the new code has one", was: ptr(before.Closure(1)), now: ptr(after.Closure(2)), notes: "HG0070 "},
	{name: "closure where the new code has a function", was: ptr(before.Closure(1)), now: ptr(after.Nothing), notes: "HG0070 "},
	{name: "function where the new code has a closure", was: ptr(before.Fn), now: ptr(after.Plus(2))},
	{name: "function that is gone where the new code has another", was: ptr(before.Gone), now: ptr(after.Plus(2)), notes: "HG0070 "},
	{name: "nil where the new code has a function", was: new(func() int), now: ptr(after.Closure(2)), want: "nil"},
	{name: "closure of a type that changes where the new code has one", was: ptr(before.GrownClosure(1)), now: ptr(after.GrownClosure(2)), notes: "HG0070 "},
	{name: "closure of a twin", was: ptr(before.SameClosure(1)), now: new(func(*after.Same) int), notes: "HG0070 "},
	{name: "closure of a type that changes", was: ptr(before.GrownClosure(1)), now: new(func(*after.Grown) int), refused: "takes types that have changed"},
	{name: "function of a type that changes", was: ptr(before.OfGrown), now: new(func(*after.Grown) int)},
	{name: "method value", was: ptr(before.NewSame(1, "a", nil).String), now: new(func() string), notes: "HG0070 "},

	// Channels.
	{name: "channel", was: ptr(make(chan int, 1)), now: new(chan int)},
	{name: "channel of a twin", was: ptr(make(chan *before.Same)), now: new(chan *after.Same)},
	{name: "channel of a type that changes", was: ptr(make(chan before.Base)), now: new(chan after.Base), refused: "goroutines may wait at it"},
	{name: "nil channel of a type that changes", was: new(chan before.Base), now: new(chan after.Base)},
	{name: "channel with another direction", was: ptr(make(chan int)), now: new(<-chan int), refused: "goroutines may wait at it"},
	{name: "channels in a struct", was: &before.Pipe{Ints: make(chan int)}, now: new(after.Pipe)},

	// The standard library's.
	{name: "mutex", was: &sync.Mutex{}, now: &sync.Mutex{}},
	{name: "mutex that is held", was: func() any { var m sync.Mutex; m.Lock(); return &m }(), now: &sync.Mutex{}, refused: "the lock is held"},
	{name: "pointer to a mutex that is held", was: func() any { m := &sync.Mutex{}; m.Lock(); return &m }(), now: new(*sync.Mutex)},
	{name: "held lock in a twin that is shared", was: ptr(new(before.Locks).Lock()), now: new(*after.Locks)},
	{name: "held lock in a twin that is copied", was: new(before.Locks).Lock(), now: new(after.Locks), refused: "the lock is held"},
	{name: "read lock that is held", was: func() any { var m sync.RWMutex; m.RLock(); return &m }(), now: &sync.RWMutex{}, refused: "the lock is held"},
	{name: "wait group", was: func() any { var g sync.WaitGroup; g.Add(1); return &g }(), now: &sync.WaitGroup{}, refused: "the wait group is not at zero"},
	{name: "once", was: func() any { var o sync.Once; o.Do(func() {}); return &o }(), now: &sync.Once{}},
	{name: "condition", was: sync.NewCond(&sync.Mutex{}), now: &sync.Cond{}},
	{name: "pool", was: &sync.Pool{New: func() any { return 1 }}, now: &sync.Pool{}},
	{name: "locks in a struct that changes", was: &before.Guarded{N: 1}, now: &after.Guarded{}},
	{name: "atomics", was: func() any {
		a := &before.Atoms{}
		a.I.Store(-1)
		a.B.Store(true)
		a.P.Store(grown(1))
		a.S.Store(before.NewSame(2, "s", nil))
		a.V.Store(before.Base{ID: 3})
		return a
	}(), now: &after.Atoms{}, want: "-"},
	{name: "atomic pointer", was: func() any { var p atomic.Pointer[before.Same]; p.Store(before.NewSame(1, "", nil)); return &p }(), now: &atomic.Pointer[after.Same]{}, want: "-"},
	{name: "map for many goroutines", was: func() any {
		m := &sync.Map{}
		m.Store("a", before.Base{ID: 1})
		m.Store(before.Key{A: 1}, 2)
		return m
	}(), now: &sync.Map{}, want: "-"},
	{name: "list", was: ptr(before.Listed(before.Base{ID: 1}, 2)), now: new(*list.List), want: "-"},
	{name: "list of nothing own", was: ptr(before.Listed(1, 2)), now: new(*list.List), want: "-"},
	{name: "ring of the library", was: ptr(&ring.Ring{Value: before.Base{ID: 1}}), now: new(*ring.Ring), want: "-"},
	{name: "string builder", was: func() any { b := &strings.Builder{}; b.WriteString("a"); return b }(), now: &strings.Builder{}, want: "-"},
	{name: "timer", was: ptr(time.NewTimer(time.Hour)), now: new(*time.Timer)},
	{name: "timer by value", was: time.NewTimer(time.Hour), now: &time.Timer{}, refused: "a timer cannot be copied"},
	{name: "time", was: ptr(time.Unix(1, 2)), now: new(time.Time), want: "-"},
	{name: "context", was: ptr(context.WithoutCancel(context.Background())), now: new(context.Context)},
	{name: "client", was: ptr(http.DefaultClient), now: new(*http.Client)},
	{name: "header", was: &http.Header{"A": {"b"}}, now: new(http.Header)},
	{name: "weak pointer to a twin", was: &before.Weak{S: weak.Make(before.NewSame(1, "", nil))}, now: &after.Weak{}, want: "-"},
	{name: "weak pointer to what is copied", was: &before.Weak{G: weak.Make(grown(1))}, now: &after.Weak{}, refused: "cannot be translated"},
	{name: "unique handle", was: ptr(unique.Make("a")), now: new(unique.Handle[string]), want: "-"},
	{name: "own unique handle of a twin", was: ptr(unique.Make(before.Level(1))), now: new(unique.Handle[after.Level]), refused: "cannot be translated"},
	{name: "own unique handle", was: ptr(unique.Make(before.Key{A: 1})), now: new(unique.Handle[after.Key]), refused: "cannot be translated"},
	{name: "reflect's values", was: &before.Kept{V: reflect.ValueOf(before.Base{}), T: reflect.TypeFor[before.Base]()}, now: &after.Kept{}, want: "-", notes: "HG0099 HG0099 "},
}

func TestEveryChangeIsCarriedOrRefused(t *testing.T) {
	if len(changes) < 100 {
		t.Errorf("%d changes", len(changes))
	}
	var all []told
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			x := planned(c)
			defer func() { all = append(all, x) }()
			if c.refused != "" {
				why := mustRefuse(t, state{"v": c.was}, state{"v": c.now})
				if !strings.Contains(why.Error(), c.refused) {
					t.Errorf("got %q", why)
				}
				x.Refused = why.Reason
				return
			}
			report := mustCarry(t, state{"v": c.was}, state{"v": c.now})
			want := c.want
			if want == "" {
				want = show(c.was)
			}
			if got := show(c.now); want != "-" && got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			for _, f := range report.Findings {
				x.Found += f.Code + " "
			}
			if x.Found != c.notes {
				t.Errorf("found %+v", report.Findings)
			}
		})
	}
	if len(all) == len(changes) { // and not some of them, by -run
		checkCorpus(t, all)
	}
}
