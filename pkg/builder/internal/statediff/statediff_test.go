package statediff

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// edits are edits of a package, and what is foretold of all its variables.
var edits = []struct {
	name          string
	before, after string
	want          []string // as told spells them
}{
	{
		name:   "nothing",
		before: `var n = 1; var m = map[string]*T{}; type T struct{ N int; next *T }`,
		after:  `var n = 2; var m = map[string]*T{}; type T struct{ N int; next *T }`,
		want:   []string{"carried m", "carried n"},
	},
	{
		name:   "fields added and dropped",
		before: `var m = map[string]*T{}; type T struct{ N, Gone int }`,
		after:  `var m = map[string]*T{}; type T struct{ N int; More string }`,
		want:   []string{"converted m: example.com/shop.T adds More, drops Gone (HG0002)"},
	},
	{
		name:   "added and gone",
		before: `var a, b int`,
		after:  `var b, c int`,
		want:   []string{"lost a: the new code has no such variable (HG0002)", "carried b", "added c"},
	},
	{
		name:   "another kind, below a pointer",
		before: `var a *T; type T struct{ S string }`,
		after:  `var a *T; type T struct{ S []byte }`,
		want:   []string{"refused a: what is string cannot become slice without loss, in example.com/shop.a (string before, []uint8 now) (HG0032)"},
	},
	{
		name:   "another kind, left to HotMigrate",
		before: `var a string; var n int64`,
		after:  `var a int; var n int8; func HotMigrate(map[string]any) error { return nil }`,
		want: []string{
			"reset a: left to HotMigrate: what is string cannot become int without loss, in example.com/shop.a (string before, int now) (HG0032)",
			"converted n: int64 becomes int8 (HG0032) if every int64 fits into int8 [otherwise it is left to HotMigrate]",
		},
	},
	{
		name:   "marked to start anew",
		before: `var a, b, c int`,
		after:  "var a = 1 //hotgo:fresh\n\n//hotgo:fresh\nvar (\n\tb string\n)\nvar c int",
		want:   []string{"reset a: it is marked to start anew", "reset b: it is marked to start anew", "carried c"},
	},
	{
		name:   "embedded",
		before: "import _ \"embed\"\n//go:embed a.txt\nvar text string",
		after:  "import _ \"embed\"\n//go:embed a.txt\nvar text string",
		want:   []string{"reset text: what is embedded is the new file's"},
	},
	{
		name:   "numbers that fit",
		before: `var a int8; var b uint32; var c float32; var d uint8`,
		after:  `var a int; var b float64; var c float64; var d int16`,
		want: []string{
			"converted a: int8 becomes int (HG0032)", "converted b: uint32 becomes float64 (HG0032)",
			"converted c: float32 becomes float64 (HG0032)", "converted d: uint8 becomes int16 (HG0032)",
		},
	},
	{
		name:   "numbers that may not",
		before: `var a int; var b uint64; var c float64; var d []T; type T struct{ N int64 }`,
		after:  `var a uint; var b float64; var c float32; var d []T; type T struct{ N int16 }`,
		want: []string{
			"converted a: int becomes uint (HG0032) if every int fits into uint",
			"converted b: uint64 becomes float64 (HG0032) if every uint64 fits into float64",
			"converted c: float64 becomes float32 (HG0032) if every float64 fits into float32",
			"converted d: int64 becomes int16 (HG0032) if every int64 fits into int16",
		},
	},
	{
		name:   "a lock in a variable, and one behind a pointer",
		before: `import "sync"; var mu sync.Mutex; var n int`,
		after:  `import "sync"; var mu sync.Mutex; var n int`,
		want:   []string{"carried mu if the lock is free", "carried n"},
	},
	{
		name:   "a lock behind a pointer is shared",
		before: `import "sync"; var s = &T{}; type T struct{ sync.Mutex; m map[string]int }`,
		after:  `import "sync"; var s = &T{}; type T struct{ sync.Mutex; m map[string]int }`,
		want:   []string{"carried s"},
	},
	{
		name:   "a lock behind a pointer that has to be copied",
		before: `import "sync"; var s = &T{}; type T struct{ sync.Mutex; n int32 }`,
		after:  `import "sync"; var s = &T{}; type T struct{ sync.Mutex; n int64 }`,
		want:   []string{"converted s: int32 becomes int64 (HG0032) if the lock is free"},
	},
	{
		name:   "a lock behind a pointer beside one in a variable",
		before: `import "sync"; var mu sync.Mutex; var s = &T{}; type T struct{ w sync.WaitGroup }`,
		after:  `import "sync"; var mu sync.Mutex; var s = &T{}; type T struct{ w sync.WaitGroup }`,
		want:   []string{"carried mu if the lock is free", "carried s if the wait group is at zero"},
	},
	{
		name:   "a lock behind a pointer beside one that starts anew",
		before: `var mu sync.Mutex; var s = &T{}; type T struct{ w sync.WaitGroup }`,
		after:  "var mu sync.Mutex //hotgo:fresh\nvar s = &T{}; type T struct{ w sync.WaitGroup }",
		want:   []string{"reset mu: it is marked to start anew", "carried s"},
	},
	{
		name:   "a lock beside an interface, which may hold what is copied",
		before: `var s = &T{}; type T struct { sync.Mutex; e error }`,
		after:  `var s = &T{}; type T struct { sync.Mutex; e error }`,
		want:   []string{"carried s if the lock is free"},
	},
	{
		name:   "a lock beside a pointer into what may be copied",
		before: `var q = &V{}; var t = &T{}; type T struct { e error; in U }; type U struct{ n int }; type V struct { sync.Mutex; u *U }`,
		after:  `var q = &V{}; var t = &T{}; type T struct { e error; in U }; type U struct{ n int }; type V struct { sync.Mutex; u *U }`,
		want:   []string{"carried q if the lock is free", "carried t"},
	},
	{
		name:   "a channel of pointers beside a lock",
		before: `var mu sync.Mutex; var c chan *T; var d chan *U; type T struct{ n int }; type U struct{ n int }`,
		after:  `var mu sync.Mutex; var c chan *T; var d chan *U; type T struct{ n int }; type U struct{ n, m int }`,
		want: []string{
			"carried c", "converted d: example.com/shop.U adds m (HG0001) if every chan *example.com/shop.U is nil", "carried mu if the lock is free",
		},
	},
	{
		name:   "a pool",
		before: `var p = sync.Pool{New: func() any { return 1 }}`,
		after:  `var p = sync.Pool{New: func() any { return 2 }}`,
		want:   []string{"carried p [the pool begins empty where it is copied]"},
	},
	{
		name:   "arrays",
		before: `var a [2]int; var b [4]int`,
		after:  `var a [4]int; var b [2]int`,
		want:   []string{"converted a: [2] becomes [4] (HG0001)", "converted b: [4] becomes [2] (HG0001) if the last 2 elements of every [4]int are zero"},
	},
	{
		name:   "keys that can become one",
		before: `var m map[K]int; type K struct{ A, B int }`,
		after:  `var m map[K]int; type K struct{ A int }`,
		want:   []string{"converted m: example.com/shop.K drops B (HG0002) if no two keys of a map[example.com/shop.K]int become one"},
	},
	{
		name:   "what an error can be",
		before: `var e error; type E struct{ N int }; func (E) Error() string { return "" }; type F struct{ N string }; func (*F) Error() string { return "" }; type G struct{ N string }`,
		after:  `var e error; type F struct{ N int }; func (*F) Error() string { return "" }; type G struct{ N int }`,
		want:   []string{"carried e if no error holds a value of example.com/shop.E (which is gone), example.com/shop.F (what is string cannot become int without loss)"},
	},
	{
		name:   "what has no methods any more",
		before: `var s fmt.Stringer; type E struct{ N int8 }; func (E) String() string { return "" }; type F struct{ N int64 }; func (F) String() string { return "" }`,
		after:  `var s fmt.Stringer; type E struct{ N int8 }; type F struct{ N int8 }; func (F) String() string { return "" }`,
		want:   []string{"carried s if no fmt.Stringer holds a value of example.com/shop.E (which no longer has the methods of fmt.Stringer), every int64 fits into int8"},
	},
	{
		name:   "what only a type that an interface holds leads to",
		before: `var a any; type E struct{ in fmt.Stringer }; type F struct{}; func (F) String() string { return "" }`,
		after:  `var a any; type E struct{ in fmt.Stringer }`,
		want: []string{
			"carried a if no interface{} holds a value of example.com/shop.F (which is gone), no fmt.Stringer holds a value of example.com/shop.F (which is gone)",
		},
	},
	{
		name:   "a type that is declared inside a function",
		before: `var a any; var e error; func f() { type L struct{} }`,
		after:  `var a any; var e error; func f() { type L struct{} }`,
		want:   []string{"carried a if no interface{} holds a value of shop.L (declared inside a function)", "carried e"},
	},
	{
		name:   "a pointer that may lead to a field of another type",
		before: `var p *int32; var t = &T{}; type T struct{ A int32; B int32 }`,
		after:  `var p *int32; var t = &T{}; type T struct{ A int64; B int32 }`,
		want:   []string{"carried p if no *int32 leads to what has another type now", "converted t: example.com/shop.T has its fields elsewhere; int32 becomes int64 (HG0001)"},
	},
	{
		name:   "what an interface holds may be a pointer to such a field",
		before: `var a any; var e error; type T struct{ A, B int32 }`,
		after:  `var a any; var e error; type T struct{ A int64; B int32 }`,
		want:   []string{"carried a if no interface{} holds a pointer to what has another type now", "carried e"},
	},
	{
		name:   "keys that can be none, or become one, in interfaces",
		before: `var m map[any]int; var s sync.Map; var a any; type K struct{ A int }; type L struct{ A, B int }`,
		after:  `var m map[any]int; var s sync.Map; var a any; type K struct{ A []int }; type L struct{ A int }`,
		want: []string{
			"carried a if no interface{} holds a value of example.com/shop.K (what is int cannot become slice without loss), no interface{} holds a pointer to what has another type now " +
				"[example.com/shop.L, which an interface can lead to, drops B]",
			"carried m if no interface{} holds a value of example.com/shop.K (what is int cannot become slice without loss), example.com/shop.L (of which two may become one key), " +
				"no interface{} holds a pointer to what has another type now",
			"carried s if no interface{} holds a value of example.com/shop.K (what is int cannot become slice without loss), example.com/shop.L (of which two may become one key), " +
				"no interface{} holds a pointer to what has another type now",
		},
	},
	{
		name:   "a key that can be none any more",
		before: `var m map[any]int; type K struct{ A int }`,
		after:  `var m map[any]int; type K struct{ A int; B []int }`,
		want:   []string{"carried m if no interface{} holds a value of example.com/shop.K (which can be no key any more)"},
	},
	{
		name:   "lists and pointers to other packages",
		before: `import ("container/list"; "net/http"); var l *list.List; var c *http.Client; var own = &T{}; type T struct{ N int }`,
		after:  `import ("container/list"; "net/http"); var l *list.List; var c *http.Client; var own = &T{}; type T struct{ N string }`,
		want: []string{
			"carried c",
			"carried l if no interface{} holds a value of example.com/shop.T (what is int cannot become string without loss), no interface{} holds a pointer to what has another type now",
			"refused own: what is int cannot become string without loss, in example.com/shop.own (int before, string now) (HG0032)",
		},
	},
	{
		name:   "channels",
		before: `var a chan int; var b chan *T; type T struct{ N int }`,
		after:  `var a chan int; var b chan *T; type T struct{ N, M int }`,
		want:   []string{"carried a", "converted b: example.com/shop.T adds M (HG0001) if every chan *example.com/shop.T is nil"},
	},
	{
		name:   "functions",
		before: `var a = f; var b = func() {}; var c func(); var d = sync.OnceFunc(f); var e = fmt.Sprint; func f() {}`,
		after:  `var a = f; var b = func() {}; var c func(); var d = sync.OnceFunc(f); var e = fmt.Sprint; func f() {}`,
		want: []string{
			"carried a [function literals and method values keep the old code and what they captured]",
			"reset b: " + startsAsCode + " (HG0070)",
			"carried c [function literals and method values keep the old code and what they captured]",
			"reset d: " + startsAsCode + " (HG0070)",
			"carried e [function literals and method values keep the old code and what they captured]",
		},
	},
	{
		name:   "generic types that lead to themselves",
		before: `var n Node[int]; type Node[T any] struct{ v T; next *Node[T]; kids []Node[T] }`,
		after:  `var n Node[int]; type Node[T any] struct{ v T; next *Node[T]; more int }`,
		want:   []string{"converted n: example.com/shop.Node[int] adds more, drops kids (HG0002)"},
	},
	{
		name:   "a slice of itself, and an alias",
		before: `var s S; var a A; type S []S; type A = []int8`,
		after:  `var s S; var a A; type S []S; type A = []int`,
		want:   []string{"converted a: int8 becomes int (HG0032)", "carried s"},
	},
	{
		name:   "a timer that is no pointer",
		before: `import "time"; var t time.Timer; var p *time.Timer`,
		after:  `import "time"; var t time.Timer; var p *time.Timer`,
		want:   []string{"carried p", "carried t if the time.Timer was never started: one that is no pointer cannot be copied"},
	},
}

// told spells what is foretold.
func (v Variable) told() string {
	s := fmt.Sprintf("%s %s", v.Outcome, v.Name)
	if v.Text != "" {
		s += ": " + v.Text
	}
	if v.Code != "" {
		s += " (" + v.Code + ")"
	}
	if len(v.If) > 0 {
		s += " if " + strings.Join(v.If, ", ")
	}
	if len(v.Notes) > 0 {
		s += " [" + strings.Join(v.Notes, ", ") + "]"
	}
	return s
}

// pkg makes a package of declarations; fmt and sync are imported where they are used.
func pkg(path, text string) Package {
	name := path[strings.LastIndexByte(path, '/')+1:]
	imports := ""
	for _, p := range []string{"fmt", "sync"} {
		if strings.Contains(text, p+".") && !strings.Contains(text, `"`+p+`"`) {
			imports += fmt.Sprintf("import %q\n", p)
		}
	}
	return Package{ImportPath: path, Files: []File{{Name: name + ".go", Data: []byte("package " + name + "\n" + imports + text)}}}
}

func TestEveryEditIsForetold(t *testing.T) {
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			list, err := Compare(config([]Package{pkg(shop, e.before)}, []Package{pkg(shop, e.after)}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range list {
				got = append(got, v.told())
			}
			if d := cmp.Diff(e.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestPackagesOfOneVersionAreComparedTogether(t *testing.T) {
	list, err := Compare(config(
		[]Package{pkg(shop, `import "example.com/shop/cart"; var c cart.Cart`), pkg(shop+"/cart", `type Cart struct{ N int }; var Unused, n int`)},
		[]Package{pkg(shop+"/cart", `type Cart struct{ N string }; var Unused, n int`), pkg(shop, `import "example.com/shop/cart"; var c cart.Cart`)},
	))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Name != "c" || list[0].Outcome != Refused || list[1].Package != shop+"/cart" {
		t.Errorf("got %+v", list)
	}
	if n := Count(list); n[Refused] != 1 || n[Carried] != 2 {
		t.Errorf("counted %v", n)
	}
}

func TestCommandsAreToldByTheirPath(t *testing.T) {
	list, err := Compare(config(
		[]Package{pkg(shop+"/main", `func main() {}; type T struct{ n int }; var t *T`)},
		[]Package{pkg(shop+"/main", `func main() {}; type T struct{ n int; m []int }; var t *T`)},
	))
	if err != nil {
		t.Fatal(err)
	}
	if want := "converted t: example.com/shop/main.T adds m (HG0001)"; len(list) != 1 || list[0].told() != want {
		t.Errorf("got %+v, want %s", list, want)
	}
}

func TestVariablesThatTheProgramLacksAreAdded(t *testing.T) {
	was := pkg(shop, `var a, b int`)
	was.Unused = func(name string) bool { return name == "b" }
	list, err := Compare(config([]Package{was}, []Package{pkg(shop, `var a, b int`)}))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Outcome != Carried || list[1].told() != "added b: the program was linked without it" {
		t.Errorf("got %+v", list)
	}
}

func TestSourcesThatCannotBeCheckedAreAnError(t *testing.T) {
	for name, c := range map[string]struct{ before, after, version, text string }{
		"syntax":   {"var a int", "var a int = (", "new", "shop.go:2"},
		"types":    {"var a Gone", "var a int", "old", "undefined: Gone"},
		"cgo":      {"import \"C\"\nvar a int", "var a int", "old", "uses cgo"},
		"imports":  {"import \"example.com/nowhere\"\nvar a nowhere.T", "var a int", "old", "nowhere"},
		"a cycle":  {"import \"example.com/shop\"\nvar a int", "var a int", "old", "import cycle"},
		"language": {"var a int", "var a int; var a int", "new", "redeclared"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compare(config([]Package{pkg(shop, c.before)}, []Package{pkg(shop, c.after)}))
			var bad *VersionError
			if !errors.As(err, &bad) || bad.Version != c.version || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}
