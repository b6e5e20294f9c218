// Package native uses private packages with cgo and assembly.
package native

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"

	"example.com/conformance/api"
	"example.com/conformance/plugins/native/asm"
	"example.com/conformance/plugins/native/clang"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "calls into C", Run: calls},
		{Name: "errno", Run: errno},
		{Name: "strings and memory of C", Run: memory},
		{Name: "callbacks from C", Run: callbacks},
		{Name: "C variables and structs", Run: variables},
		{Name: "C symbols of every generation", Run: own},
		{Name: "C on many goroutines", Run: goroutines},
		{Name: "assembly", Run: assembly},
	}
}

func calls(w io.Writer) {
	fmt.Fprintln(w, clang.Add(40, 2), clang.Hypot(3, 4), clang.Version)
}

func errno(w io.Writer) {
	err := clang.Fail(2)
	fmt.Fprintln(w, err, errors.Is(err, syscall.ENOENT))
}

func memory(w io.Writer) { fmt.Fprintln(w, clang.Upper("hello from go"), len(clang.Bytes(1000))) }

func callbacks(w io.Writer) {
	sum := api.Money(0)
	fmt.Fprintln(w, clang.Each(5, func(n int) int { sum += api.Money(n * generation); runtime.GC(); return n * n }), sum)
	func() {
		defer func() { fmt.Fprintln(w, recover()) }()
		clang.Each(3, func(n int) int { panic(fmt.Sprint("in a callback at ", n)) })
	}()
}

func variables(w io.Writer) {
	a, b := clang.Swap(1, 2.5)
	fmt.Fprintln(w, clang.Count(), clang.Count(), a, b)
}

func own(w io.Writer) {
	clang.Own = generation
	c, callback := clang.Mine()
	fmt.Fprintln(w, c, callback)
}

func goroutines(w io.Writer) {
	out := make(chan int)
	for i := range 8 {
		go func() { out <- clang.Each(100, func(n int) int { return n % (i + 1) }) }()
	}
	sum := 0
	for range 8 {
		sum += <-out
	}
	fmt.Fprintln(w, sum)
}

func assembly(w io.Writer) {
	asm.Base = 100 * generation
	fmt.Fprintln(w, asm.Add(1, 2), asm.AddBase(5), asm.Constant(1), asm.CallGo(20), asm.Sum([]int64{1, 2, 3, 4}))
}
