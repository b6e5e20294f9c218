// Command plugin is a plugin that gives the host things to keep.
package main

import (
	"reflect"
	"runtime"
	"time"
	"unsafe"
)

// Order is a type of the plugin's own.
type Order struct{ items int }

// Total is what a method of the host's interface does.
func (o *Order) Total() int { return o.items }

type point struct{ x, y, z int }

type pair[A, B any] struct {
	a A
	b B
}

var (
	total = 3
	name  = "a text"
	pairs = []int{1, 2, 3}
)

func plain() int { return total }

func tick() { total++ }

func gone(*int) { total++ }

func tidy(int) { total++ }

var unheld = &Order{}

func (o *Order) done() { total++ }

// Make makes one of what there is.
func Make(kind string) any {
	switch kind {
	case "pointer":
		return &Order{2}
	case "boxed", "reflected":
		return point{1, 2, 3}
	case "local":
		type local struct{ a, b, c int }
		return local{1, 2, 3}
	case "generic":
		return pair[point, int]{}
	case "slice":
		return []Order{{1}}
	case "function":
		return plain
	case "closure":
		more := len(name)
		return func() int { more++; return more }
	case "method":
		return (&Order{2}).Total
	case "timer":
		time.AfterFunc(time.Hour, tick)
	case "stopped":
		time.AfterFunc(time.Hour, tick).Stop()
	case "finalizer":
		list := make([]int, 4)
		runtime.SetFinalizer(&list[0], gone)
		return &list[0]
	case "cleanup":
		list := make([]int, 4)
		runtime.AddCleanup(&list[0], tidy, 1)
		return &list[0]
	case "unheld":
		runtime.SetFinalizer(unheld, (*Order).done)
	case "variable":
		return &total
	case "number":
		return uintptr(unsafe.Pointer(&total))
	case "text":
		return name
	case "numbers":
		return pairs
	}
	return nil
}

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) {
	add("Make", Make)
	add("hotgo:state", func(visit func(path string) bool, add func(kind, path, name string, value any)) {
		path := reflect.TypeFor[Order]().PkgPath()
		if visit(path) {
			add("var", path, "total", &total)
		}
	})
}

func main() {}
