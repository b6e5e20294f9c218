package hosttest

// Builtin is a module with a host that was built with its plugin, shop.v1. What the
// plugin keeps is of every kind, in variables and types that are not exported, of a
// package below as well; Run looks whether it fits together and counts.
//
// The host needs [Module.AddReloader]. It does what its standard input says, a line
// each, as [Process.Say] wants it: see main.
const Builtin = `
-- go.mod --
module example.com/built

go 1.26

require github.com/hotgo/hotgo v0.0.0

replace github.com/hotgo/hotgo => ./hotgo
-- plugins/shop.v1/shop.go --
package shop

import (
	"fmt"
	"sync"
	"sync/atomic"

	"example.com/built/plugins/shop.v1/below"
)

const version = "built-in"

type session struct {
	n    int
	name string
}

// Unused is a method that the host was linked without, with what it uses.
func (s *session) Unused() string { return fmt.Sprint(table, s.n) }

var table = func() map[string]int { return map[string]int{"a": 1} }()

type box[T any] struct {
	v    T
	prev *box[T]
}

type namer interface{ Name() string }

type key struct{ a, b string }

func (k key) Name() string { return k.a + k.b }

var (
	sessions = map[string]*session{"k": {n: 100, name: "k"}}
	current  = sessions["k"]
	field    = &current.n
	held any = current
	boxed    = box[session]{v: session{n: 7}, prev: &box[session]{v: session{n: 8}}}
	recent   atomic.Pointer[session]
	once     sync.Once
	names    = []namer{key{"a", "b"}}
	keyed    = map[key][]session{{"x", "y"}: {{n: 5}, {n: 6}}}
	apply    = double
	guarded  = &struct {
		sync.Mutex
		m map[string]int
	}{m: map[string]int{}}
	dropped = 1
	unused  int
	large   [1000]struct {
		pad  [3]byte
		s    *session
	}
)

func double(n int) int { return 2 * n }

// Run counts, and says what is there.
func Run() string {
	once.Do(func() { recent.Store(current); large[999].s = current })
	guarded.Lock()
	defer guarded.Unlock()
	guarded.m["runs"]++
	*field++
	same := held == any(current) && sessions["k"] == current && recent.Load() == current && field == &current.n && large[999].s == current
	boxed.v.n++
	boxed.prev.v.n++
	s := keyed[key{"x", "y"}]
	s[1].n++
	return fmt.Sprint(version, " runs ", guarded.m["runs"], " n ", current.n, " same ", same, " boxes ", boxed.v.n, " ", boxed.prev.v.n,
		" keyed ", s[1].n, " ", names[0].Name(), " below ", below.Count(), " apply ", apply(2))
}

type pair struct {
	a, b int
	s    string
	v    any
}

var (
	churned pair
	counts  = map[int]pair{}
)

// Churn changes variables for as long as go says.
func Churn(ctx interface{ Err() error }) {
	for n := 0; ctx.Err() == nil; n++ {
		p := pair{n, n, fmt.Sprint(n), n}
		churned = p
		counts[n%64] = p
		if n%100 == 0 {
			clear(counts)
		}
		quiets = append(quiets[:0], &quiet{n: n})
		still.p[n%9] = &quiets[0].n
		if n%2 == 0 {
			held2 = p
		} else {
			held2 = fmt.Sprint(n)
		}
	}
}

var held2 any

type quiet struct{ n int; p [99]*int }

var (
	quiets []*quiet
	still struct{ p [9]*int }
)

// Whole says whether what Churn changed is whole.
func Whole() string {
	whole := func(p pair) bool { return p.a == p.b && p.s == fmt.Sprint(p.a) && p.v == any(p.a) }
	if !whole(churned) && churned != (pair{}) {
		return fmt.Sprintf("%+v", churned)
	}
	for _, p := range counts {
		if !whole(p) {
			return fmt.Sprintf("%+v", p)
		}
	}
	if p, ok := held2.(pair); ok && !whole(p) {
		return fmt.Sprintf("%+v", p)
	}
	return fmt.Sprint(version, " whole ", churned.a > 0)
}
-- plugins/shop.v1/below/below.go --
package below

type node struct {
	next *node
	n    int
}

var (
	first = &node{n: 10}
	ring  = func() *node { n := &node{}; n.next = n; return n }()
)

// Count counts.
func Count() int {
	if ring.next != ring {
		panic("the ring is broken")
	}
	first.n++
	return first.n
}
-- host/main.go --
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	shop "example.com/built/plugins/shop.v1"
	"github.com/hotgo/hotgo/pkg/reloader"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func main() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	run := reloader.Bind(h, "shop.v1", "Run", shop.Run)
	whole := reloader.Bind(h, "shop.v1", "Whole", shop.Whole)
	churning, stop := context.WithCancel(context.Background())
	var churn, hammering sync.WaitGroup
	var quiet atomic.Bool
	var calls atomic.Int64
	fmt.Println("end")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "run":
			fmt.Println(run.Get()())
		case "churn":
			churn.Go(func() { shop.Churn(churning) })
		case "calm":
			stop()
			churn.Wait()
		case "hammer":
			for range 4 {
				hammering.Go(func() {
					for !quiet.Load() {
						run.Get()()
						calls.Add(1)
						runtime.Gosched()
					}
				})
			}
		case "settle":
			quiet.Store(true)
			hammering.Wait()
			fmt.Println(calls.Load())
		case "whole":
			fmt.Println(whole.Get()())
		case "collect":
			for range 3 {
				runtime.GC()
			}
		case "load":
			said(h.Load(context.Background(), rest))
		case "rollback":
			to, _ := strconv.Atoi(rest)
			said(h.Rollback(context.Background(), "shop.v1", to))
		}
		fmt.Println("end")
	}
}

func said(ev control.Event, err error) {
	if err != nil {
		fmt.Println("failed", ev.Code, err)
		return
	}
	fmt.Println(ev.Event, ev.Verdict)
	for _, n := range ev.Notes {
		fmt.Println("note", n.Code, n.Text)
	}
}
`
