//go:build linux && cgo

package thinlinking_test

import (
	"fmt"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// hostsModule is a host and a plugin with a bit of everything that a link has
// to get right: a private package, a package shared with the host, generic
// code over the host's types, and variables of the host's types that only the
// garbage collector's map of the artifact keeps alive.
//
// The host does what its standard input says, a line each: see main.
const hostsModule = `
-- go.mod --
module example.com/hosts

go 1.26
-- api/api.go --
// Package api is what host and plugin share.
package api

import (
	"errors"
	"fmt"
	"strings"
)

var ErrEmpty = errors.New("empty")

// Calls counts in the host's memory, whoever calls.
var Calls int

type Item struct {
	Name string         ` + "`json:\"name\"`" + `
	Tags map[string]int ` + "`json:\"tags,omitempty\"`" + `
	Next *Item          ` + "`json:\"next,omitempty\"`" + `
}

func (i *Item) String() string { return fmt.Sprintf("<%s %d>", i.Name, len(i.Tags)) }

type Shape interface{ Area() float64 }

// Pair, Wide and Grid are small, mixed and too large for a pointer mask.
type (
	Pair struct{ A, B *Item }
	Wide struct {
		Pad   [5]uint32
		Pairs [3]Pair
		Any   any
		Text  string
	}
	Grid [700]struct {
		N    int
		Item *Item
		Wide Wide
	}
)

// Pool is generic code that host and plugin instantiate.
type Pool[K comparable, V any] struct {
	items map[K][]V
}

func (p *Pool[K, V]) Put(k K, v V) *Pool[K, V] {
	if p.items == nil {
		p.items = map[K][]V{}
	}
	p.items[k] = append(p.items[k], v)
	return p
}

func (p *Pool[K, V]) Get(k K) []V { return p.items[k] }

func Map[A, B any](in []A, f func(A) B) []B {
	var out []B
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

func Join[T fmt.Stringer](items ...T) string {
	return strings.Join(Map(items, func(t T) string { return t.String() }), ",")
}
-- host/main.go --
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"plugin"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/hosts/api"
)

const version = "first"

type run = func(*api.Item) (string, error)

var (
	runs []run
	kept api.Pool[string, *api.Item]
	grid api.Grid
)

func main() {
	// What a plugin uses the host has to have.
	kept.Put("host", &api.Item{Name: "host", Tags: map[string]int{"a": 1}})
	grid[1].Item = kept.Get("host")[0]
	text, err := json.Marshal(kept.Get("host"))
	var back []api.Item
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	fmt.Println(version, string(text), err, api.Join(kept.Get("host")...), len(back))
	fmt.Println("end")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "open":
			open(rest)
		case "call":
			call()
		case "hammer":
			hammer(rest)
		case "memory":
			memory()
		}
		fmt.Println("end")
	}
}

// open loads an artifact and says how many nanoseconds that took.
func open(path string) {
	start := time.Now()
	p, err := plugin.Open(path)
	took := time.Since(start)
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	s, err := p.Lookup("HotgoSymbols")
	if err != nil {
		fmt.Println("lookup:", err)
		return
	}
	s.(func(func(string, any)))(func(name string, v any) {
		if name == "Run" {
			runs = append(runs, v.(run))
		}
	})
	fmt.Println(took.Nanoseconds())
}

// call calls every generation twice, the second time after collections.
func call() {
	for n := range 2 {
		for _, run := range runs {
			said, err := run(grid[1].Item)
			fmt.Println(said, err, api.Calls > n)
		}
		for range 3 {
			runtime.GC()
		}
	}
	for _, run := range runs {
		if _, err := run(nil); err != api.ErrEmpty {
			fmt.Println(err)
		}
	}
}

// hammer calls all generations from 8 goroutines, that many rounds each. Every
// generation has to give the same answer each time.
func hammer(rounds string) {
	n, _ := strconv.Atoi(rounds)
	want := make([]string, len(runs))
	for i, run := range runs {
		want[i], _ = run(grid[1].Item)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for r := range n * len(runs) {
				i := (r*7 + g) % len(runs)
				if said, err := runs[i](grid[1].Item); err != nil || said != want[i] {
					fmt.Println("goroutine", g, "round", r, "generation", i, said, err)
					return
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("hammered", len(runs))
}

// memory says what the process has: resident bytes and mappings.
func memory() {
	runtime.GC()
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Println(strings.Fields(kb)[0])
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	fmt.Println(strings.Count(string(maps), "\n"))
}
-- plugins/work/work.go --
package work

import (
	"encoding/json"
	"fmt"

	"example.com/hosts/api"
	"example.com/hosts/plugins/work/inner"
)

type square struct{ side float64 }

func (s square) Area() float64 { return s.side * s.side }

var (
	table = map[string]*api.Item{}
	pair  api.Pair
	wide  api.Wide
	grid  api.Grid
	own   [900]*inner.Node
	pool  api.Pool[string, *inner.Node]
	first = &api.Item{Name: "first", Tags: inner.Tags(3)}
	shape api.Shape = square{1.5}
)

// Run fills the variables when it is called first, and reads them every time.
func Run(item *api.Item) (string, error) {
	api.Calls++
	if item == nil {
		return "", api.ErrEmpty
	}
	if table["a"] == nil {
		table["a"] = &api.Item{Name: "made", Next: &api.Item{Name: "next", Tags: inner.Tags(2)}}
		pair = api.Pair{A: &api.Item{Name: "pa"}, B: &api.Item{Name: "pb"}}
		wide.Pairs[2].B = &api.Item{Name: "wide"}
		wide.Any = &api.Item{Name: "any"}
		for i := range grid {
			grid[i].Item = &api.Item{Name: fmt.Sprint("grid", i)}
			grid[i].Wide.Pairs[1].A = &api.Item{Name: fmt.Sprint("deep", i)}
		}
		for i := range own {
			own[i] = &inner.Node{ID: i}
		}
		pool.Put("n", own[7]).Put("n", &inner.Node{ID: generation})
	}
	text, err := json.Marshal(table["a"])
	if err != nil {
		return "", err
	}
	sum := 0
	for i := range grid {
		sum += len(grid[i].Item.Name) + len(grid[i].Wide.Pairs[1].A.Name)
	}
	for i, n := range own {
		if n.ID != i {
			return "", fmt.Errorf("own %d is %d", i, n.ID)
		}
	}
	return fmt.Sprintf("%d %s %s %v %v %v %v %d %s %.2f %s %v", generation, inner.Speed, text, pair.A, wide.Pairs[2].B, wide.Any, first,
		sum, api.Join(pool.Get("n")...), shape.Area(), api.Map([]*api.Item{item}, (*api.Item).String), inner.Safely(table)), nil
}
-- plugins/work/generation.go --
package work

const generation = 1
-- plugins/work/inner/inner.go --
package inner

import (
	"fmt"

	"example.com/hosts/api"
)

type Node struct {
	ID   int
	Next *Node
}

func (n *Node) String() string { return fmt.Sprintf("#%d", n.ID) }

func Tags(n int) map[string]int {
	tags := map[string]int{}
	for i := range n {
		tags[fmt.Sprint("t", i)] = i
	}
	return tags
}

// Safely meets a nil pointer.
func Safely(m map[string]*api.Item) (err error) {
	defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
	fmt.Println(m["missing"].Name)
	return nil
}
-- plugins/work/inner/plain.go --
//go:build !fast

package inner

const Speed = "plain"
-- plugins/work/inner/fast.go --
//go:build fast

package inner

const Speed = "fast"
-- plugins/small/small.go --
// Package small is what is loaded many times: it has live data that only its
// own variables hold, and may be called from several goroutines.
package small

import (
	"fmt"
	"strings"
	"sync"

	"example.com/hosts/api"
)

type node struct {
	text string
	next *node
}

var (
	mu   sync.Mutex
	kept = map[int]*api.Item{}
	list *node
	ring [40]*node
	last any
)

func fill() {
	for i := range 20 {
		kept[i] = &api.Item{Name: fmt.Sprint("g", generation, "-", i), Next: kept[i-1]}
		list = &node{text: strings.Repeat("x", i), next: list}
		ring[2*i] = &node{text: kept[i].Name, next: list}
	}
	last = &api.Pair{A: kept[3], B: kept[4]}
}

func Run(item *api.Item) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if item == nil {
		return "", api.ErrEmpty
	}
	api.Calls++
	if list == nil {
		fill()
	}
	garbage := make([]*node, 0, 8)
	n := 0
	for i, node := range ring {
		if node == nil {
			continue
		}
		if want := fmt.Sprint("g", generation, "-", i/2); node.text != want || kept[i/2].Name != want {
			return "", fmt.Errorf("%d holds %q and %q, not %q", i, node.text, kept[i/2].Name, want)
		}
		for l := node.next; l != nil; l = l.next {
			n += len(l.text)
			garbage = append(garbage, &*l)
		}
	}
	return fmt.Sprint(generation, " ", n, " ", len(garbage), " ", last.(*api.Pair).B.Name, " ", item.Name), nil
}
-- plugins/small/generation.go --
package small

const generation = 1
`

// generation edits a plugin of hostsModule.
func generation(f *hosttest.Module, plugin string, n int) {
	f.T.Helper()
	f.Write(filepath.Join("plugins", plugin, "generation.go"), fmt.Sprintf("package %s\n\nconst generation = %d\n", plugin, n))
}
