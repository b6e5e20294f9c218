// Command host is a program that keeps what a plugin gave it. It does what the lines on
// standard input say:
//
//	KIND      ask the plugin for one of that kind, and keep it; answer "kept"
//	drop      keep nothing any more, and collect what was kept; answer "dropped"
//	types     have encoding/json and reflect see a type of the plugin; answer "seen"
//	look N    look N times for what is kept of the plugin paths that follow, while
//	          goroutines allocate, free and collect; answer in how many looks there was
//	          something, and what a last look says
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime"
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

var (
	registry  = &shop{name: "shop", handlers: map[string]any{}}
	callbacks []func() int
	orders    = map[int]*struct{ order totaler }{}
	front     any
	texts     []any
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
			registry.handlers, callbacks, front, texts = map[string]any{}, nil, nil, nil
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
			reflect.PointerTo(reflect.SliceOf(reflect.TypeOf(handle.Get()("boxed")))) // it remembers both
			fmt.Println("seen")
		case "look":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return err
			}
			if err := look(n, words[2:]); err != nil {
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
	default:
		if kind == "boxed" {
			front = &desk{v}
			return
		}
		registry.handlers[kind] = v
	}
}

func look(n int, paths []string) error {
	stop := make(chan struct{})
	var hammers sync.WaitGroup
	for range 3 {
		hammers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var list [][]byte
				tree := map[int]*[]any{}
				for j := range 200 {
					list = append(list, make([]byte, (i*j)%40000))
					tree[j] = &[]any{list, j, tree}
				}
				if i%20 == 0 {
					runtime.GC()
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
	fmt.Println(seen, last.Part)
	return nil
}
