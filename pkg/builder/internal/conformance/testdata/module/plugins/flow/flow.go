// Package flow has panics, defers, errors, iterators and jumps.
package flow

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/bits"
	"runtime"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "defer and recover", Run: deferring},
		{Name: "panics across host code", Run: across},
		{Name: "runtime errors", Run: runtimeErrors},
		{Name: "errors through wrapping", Run: wrapping},
		{Name: "range over functions", Run: iterators},
		{Name: "jump tables", Run: jumps},
		{Name: "string switch", Run: stringSwitch},
		{Name: "labels", Run: labels},
		{Name: "closures", Run: closures},
		{Name: "intrinsics", Run: intrinsics},
		{Name: "conversions", Run: conversions},
		{Name: "goexit", Run: goexit},
	}
}

type failure struct{ step int }

func (f failure) Error() string { return fmt.Sprintf("step %d of generation %d", f.step, generation) }

func deferring(w io.Writer) {
	func() {
		for i := range 5 {
			defer func() { fmt.Fprint(w, i, " ") }()
		}
	}()
	named := func() (n int, err error) {
		defer func() {
			if r := recover(); r != nil {
				n, err = n*2, fmt.Errorf("recovered %v", r)
			}
		}()
		n = 21
		panic(failure{1})
	}
	fmt.Fprintln(w, fmt.Sprint(named()))
	func() {
		defer func() { fmt.Fprintln(w, "outer", recover()) }()
		defer func() {
			defer func() { fmt.Fprintln(w, "inner", recover()) }()
			panic("second")
		}()
		panic("first")
	}()
	func() {
		defer func() { fmt.Fprintln(w, recover()) }()
		defer panic(fmt.Sprint("replaced ", recover()))
		panic("original")
	}()
	func() {
		defer func() { fmt.Fprintf(w, "%T\n", recover()) }()
		panic(nil)
	}()
	if generation > 0 {
		defer fmt.Fprintln(w, "open coded", generation)
	}
}

func across(w io.Writer) {
	fmt.Fprintln(w, api.Call(func(f failure) error { panic(f) }, failure{2}))
	fmt.Fprintln(w, api.Call(func(m map[string]int) error { m["x"]++; return nil }, nil))
	fmt.Fprintln(w, api.Call(func(i *api.Item) error { i.Rename("x"); return nil }, nil))
	fmt.Fprintln(w, api.Call(func(i int) error { return failure{i} }, 3))
}

type node struct {
	pad  [300]int
	next *node
}

//go:noinline
func zero[T any]() (v T) { return v }

func runtimeErrors(w io.Writer) {
	list, n, m := []int{1, 2, 3}, 5, map[string]int(nil)
	array := [4]int{}
	var none *node
	var fn func()
	var shape api.Shape
	for _, f := range []func(){
		func() { _ = list[n] },
		func() { _ = list[-n+zero[int]()] },
		func() { _ = array[n] },
		func() { _ = list[n:] },
		func() { _ = list[:n] },
		func() { _ = list[n : n-3 : n-2] },
		func() { _ = list[2 : n-4] },
		func() { _ = "text"[n] },
		func() { _ = "text"[n:] },
		func() { _ = [4]int(list) },
		func() { m["x"] = 1 },
		func() { _ = none.next },
		func() { none.pad[299] = 1 },
		func() { _ = *zero[*int]() },
		func() { fn() },
		func() { _ = shape.Name() },
		func() { _ = n / zero[int]() },
		func() { _ = uint8(n) % zero[uint8]() },
		func() { _ = make([]int, n-10) },
		func() { _ = make(chan int, n-10) },
		func() { close(zero[chan int]()) },
		func() { c := make(chan int); close(c); close(c) },
		func() { c := make(chan int, 1); close(c); c <- 1 },
		func() { _ = 1 << (zero[int]() - 1) },
		func() { _ = any(failure{}).(fmt.Stringer) },
		func() { _ = any(failure{}).(*failure) },
		func() { var e error; _ = e.Error() },
		func() { panic(fmt.Errorf("wrapped: %w", failure{9})) },
	} {
		func() {
			defer func() {
				r := recover()
				re, is := r.(runtime.Error)
				var bounds interface{ Error() string }
				if is {
					bounds = re
				}
				fmt.Fprintf(w, "%v | %t %t\n", r, is, bounds != nil)
			}()
			f()
		}()
	}
}

func wrapping(w io.Writer) {
	for _, name := range []string{"gone", "busy", "", "fine"} {
		_, err := api.Find(name)
		var he *api.Error
		var he2 api.Temporary
		var mine failure
		fmt.Fprintln(w, errors.Is(err, api.ErrGone), errors.As(err, &he), errors.As(err, &he2), errors.As(err, &mine), errors.Is(err, &api.Error{Code: 1}))
		err = errors.Join(failure{4}, fmt.Errorf("outer: %w", err))
		fmt.Fprintln(w, errors.As(err, &mine), mine.step, errors.Is(err, api.ErrGone), strings.ReplaceAll(err.Error(), "\n", " / "))
		e, ok := errors.AsType[*api.Error](err)
		fmt.Fprintln(w, e, ok)
	}
}

func count(n int, w io.Writer) iter.Seq[int] {
	return func(yield func(int) bool) {
		defer fmt.Fprint(w, "end ")
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func iterators(w io.Writer) {
	find := func(want int) string {
		defer fmt.Fprint(w, "deferred ")
		for i := range count(10, w) {
			defer fmt.Fprint(w, "d", i, " ")
			if i == want {
				return fmt.Sprint("found ", i)
			}
		}
		return "nothing"
	}
	fmt.Fprintln(w, find(3))
outer:
	for i := range count(3, w) {
		for j := range count(3, w) {
			if j == 1 {
				continue outer
			}
			if i == 2 {
				break outer
			}
			fmt.Fprint(w, i, j, " ")
		}
	}
	next, stop := iter.Pull(count(3, w))
	a, _ := next()
	b, ok := next()
	stop()
	fmt.Fprintln(w, a, b, ok)
	func() {
		defer func() { fmt.Fprintln(w, recover()) }()
		for range count(3, w) {
			panic("in the loop")
		}
	}()
	func() {
		var keep func(int) bool
		defer func() { fmt.Fprintln(w, recover()) }()
		for range func(yield func(int) bool) { keep = yield; yield(1) } {
		}
		keep(2)
	}()
}

//go:noinline
func jump(n int) string {
	switch n {
	case 0:
		return "zero"
	case 1:
		return "one"
	case 2:
		return fmt.Sprint("two of ", generation)
	case 3:
		return "three"
	case 4:
		fallthrough
	case 5:
		return "four or five"
	case 6:
		return "six"
	case 7:
		return "seven"
	case 8:
		return "eight"
	case 9:
		return "nine"
	case 10:
		return "ten"
	case 11:
		return "eleven"
	}
	return "many"
}

func jumps(w io.Writer) {
	for n := -1; n < 13; n++ {
		fmt.Fprint(w, jump(n), ", ")
	}
	fmt.Fprintln(w)
}

//go:noinline
func weekday(s string) int {
	switch s {
	case "monday":
		return 1
	case "tuesday":
		return 2
	case "wednesday":
		return 3
	case "thursday":
		return 4
	case "friday":
		return 5
	case "saturday":
		return 6
	case "sunday":
		return 7
	case "mon", "m":
		return 10 + generation
	case "a rather long name", "another rather long name":
		return len(s)
	}
	return -1
}

func stringSwitch(w io.Writer) {
	for _, s := range []string{"monday", "sunday", "friday", "someday", "m", "", "another rather long name"} {
		fmt.Fprint(w, weekday(s), " ")
	}
	fmt.Fprintln(w)
}

func labels(w io.Writer) {
	i := 0
loop:
	if i < 3 {
		i++
		goto loop
	}
	for {
		switch {
		case i > 5:
			fmt.Fprintln(w, i)
			return
		default:
			i++
		}
	}
}

var registered []func(int) int

func closures(w io.Writer) {
	registered = nil
	total := generation
	for i := range 3 {
		registered = append(registered, func(n int) int { total += i * n; return total })
	}
	for _, f := range registered {
		fmt.Fprint(w, f(2), " ")
	}
	var fib func(int) int
	fib = func(n int) int {
		if n < 2 {
			return n
		}
		return fib(n-1) + fib(n-2)
	}
	adder := func(a int) func(int) func() int {
		return func(b int) func() int { return func() int { return a + b + total } }
	}
	fmt.Fprintln(w, fib(15), adder(1)(2)())
}

func intrinsics(w io.Writer) {
	for _, f := range []float64{2, -1.5, 0.1, math.Inf(1), math.NaN()} {
		fmt.Fprintln(w, math.Sqrt(f), math.Floor(f), math.Trunc(f), math.RoundToEven(f), math.FMA(f, f, 1), math.Abs(f), math.Copysign(1, f), math.Sin(f), math.Exp(f), math.Float64bits(f)>>52)
	}
	for _, u := range []uint64{0, 1, 0xf0f0, math.MaxUint64} {
		hi, lo := bits.Mul64(u, u)
		sum, carry := bits.Add64(u, u, 1)
		fmt.Fprintln(w, bits.LeadingZeros64(u), bits.TrailingZeros64(u), bits.OnesCount64(u), bits.Reverse64(u), bits.ReverseBytes64(u), bits.RotateLeft64(u, 7), hi, lo, sum, carry)
	}
}

func conversions(w io.Writer) {
	f, big, s := 1e20, uint64(math.MaxUint64), "héllo, 世界\xff"
	fmt.Fprintln(w, float64(big), uint64(float64(1<<63)), int32(int64(big>>1)), float32(f), complex64(complex(f, 1)))
	fmt.Fprintln(w, []rune(s), []byte(s), string([]rune(s)), string(rune(generation+64)), []byte(s)[1])
	for i, r := range s {
		fmt.Fprint(w, i, ":", string(r), " ")
	}
	fmt.Fprintln(w)
}

func goexit(w io.Writer) {
	done := make(chan string)
	go func() {
		defer close(done)
		defer func() { done <- fmt.Sprint("recover gives ", recover()) }()
		runtime.Goexit()
	}()
	for s := range done {
		fmt.Fprintln(w, s)
	}
}
