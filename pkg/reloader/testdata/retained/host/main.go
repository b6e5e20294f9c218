// Command host is a program that keeps what a plugin gave it. It does what the lines on
// standard input say:
//
//	KIND      ask the plugin for one of that kind, and keep it; answer "kept"
//	drop      keep nothing any more, and collect what was kept; answer "dropped"
//	types     have encoding/json and reflect see types of the plugin; answer "seen"
//	look N P  look N times for what is kept of the plugin with the path P, while
//	          goroutines allocate, free, collect, make types and grow their stacks; answer
//	          in how many looks there was something, and whether the last saw a part only
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/reloader"
	"github.com/hotgo/hotgo/pkg/reloader/internal/retained"
)

type totaler interface{ Total() int }

type shop struct {
	name     string
	counter  *int
	handlers map[string]any
}

type desk struct{ current any }

// ticket has a number that may look like an address.
type ticket struct {
	number uintptr
	of     *shop
}

var (
	registry  = &shop{name: "shop", handlers: map[string]any{}}
	callbacks []func() int
	orders    = map[int]*struct{ order totaler }{}
	front     any
	texts     []any
	tickets   []ticket
	values    []reflect.Value
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run() error {
	h, err := reloader.New(reloader.Options{Name: "test", Socket: os.Args[1]})
	if err != nil {
		return err
	}
	handle := reloader.Bind(h, "faults", "Make", func(string) any { return nil })
	stop := make(chan os.Signal, 1) // who waits at it is no way to anything
	signal.Notify(stop, os.Interrupt)
	go func() { <-stop; os.Exit(1) }()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch words := strings.Fields(lines.Text()); words[0] {
		case "drop":
			registry.handlers, callbacks, front, texts, values = map[string]any{}, nil, nil, nil, nil
			registry.counter = nil
			clear(orders)
			runtime.GC()
			runtime.GC()
			fmt.Println("dropped")
		case "types":
			b, err := json.Marshal(handle.Get()("pointer"))
			if err != nil || string(b) != "{}" {
				return fmt.Errorf("%s, %w", b, err)
			}
			point := reflect.TypeOf(handle.Get()("boxed"))
			reflect.PointerTo(reflect.SliceOf(point)) // it remembers both
			made := reflect.MapOf(reflect.TypeFor[string](), point)
			if b, err := json.Marshal(reflect.MakeMap(made).Interface()); err != nil || string(b) != "{}" {
				return fmt.Errorf("%s, %w", b, err)
			}
			fmt.Println("seen")
		case "look":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return err
			}
			if err := look(n, reflect.TypeOf(handle.Get()("boxed")), words[2:]); err != nil {
				return err
			}
		default:
			keep(words[0], handle.Get())
			fmt.Println("kept")
		}
	}
	return h.Close()
}

// keep puts things where programs put them.
//
//go:noinline
func keep(kind string, get func(string) any) {
	switch v := get(kind).(type) {
	case totaler:
		orders[7] = &struct{ order totaler }{v}
	case func() int:
		callbacks = append(callbacks, v)
	case *int:
		registry.counter = v
	case string, []int:
		texts = append(texts, v)
	case uintptr:
		tickets = append(tickets, ticket{v, registry})
	case nil:
	default:
		switch kind {
		case "boxed":
			front = &desk{v}
		case "reflected":
			values = append(values, reflect.ValueOf(v))
		default:
			registry.handlers[kind] = v
		}
	}
}

// hammer does what moves memory and makes types.
func hammer(i int, of reflect.Type) {
	var list [][]byte
	tree := map[int]*[]any{}
	for j := range 200 {
		list = append(list, make([]byte, (i*j)%40000))
		tree[j] = &[]any{list, j, tree, func() int { return i + j }}
	}
	array := reflect.ArrayOf(i%100, of)
	made := reflect.StructOf([]reflect.StructField{{Name: "A", Type: array}, {Name: "P", Type: reflect.PointerTo(array)}})
	signature := reflect.FuncOf([]reflect.Type{made}, []reflect.Type{array}, false)
	function := reflect.MakeFunc(signature, func(args []reflect.Value) []reflect.Value { return []reflect.Value{args[0].Field(0)} })
	table := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[int](), made))
	table.SetMapIndex(reflect.ValueOf(i), reflect.New(made).Elem())
	tree[-1] = &[]any{table.Interface(), function.Interface(), function.Call([]reflect.Value{table.MapIndex(reflect.ValueOf(i))})[0].Interface()}
	deep(i % 3000)
	switch {
	case i%50 == 0:
		debug.FreeOSMemory()
	case i%20 == 0:
		runtime.GC()
	}
	runtime.KeepAlive(tree)
}

// deep has the stack grow.
//
//go:noinline
func deep(n int) byte {
	var room [100]byte
	if n > 0 {
		room[n%len(room)] = deep(n - 1)
	}
	return room[0]
}

func look(n int, types reflect.Type, paths []string) error {
	stop := make(chan struct{})
	var hammers sync.WaitGroup
	for range 3 {
		hammers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					hammer(i, types)
				}
			}
		})
	}
	defer hammers.Wait()
	defer close(stop)
	seen := 0
	var last *retained.Look
	for range n {
		l, err := retained.Find([]retained.Generation{{
			Paths: paths, Own: func(path string) bool { return path == paths[0] },
		}}, retained.Options{Hidden: func(path string) bool { return strings.HasPrefix(path, "github.com/hotgo/") }})
		if err != nil {
			return err
		}
		if len(l.Found) > 0 {
			seen++
		}
		last = l
	}
	for _, f := range last.Found {
		fmt.Fprintln(os.Stderr, "found:", f.Path, f.Name, f.Count)
	}
	fmt.Println(seen, last.Part)
	return nil
}
