package main

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// What is replaced, and by what.

//go:noinline
func plain(n int) string { return fmt.Sprint("old ", n) }

//go:noinline
func plain2(n int) string { return fmt.Sprint("new ", n) }

//go:noinline
func plain3(n int) string { return fmt.Sprint("newer ", n) }

var plainKept = plain

// nothing is one byte of code.
//
//go:noinline
func nothing() {}

//go:noinline
func nothing2() { called.Add(1) }

var called atomic.Int64

//go:noinline
func one() int { return 1 }

//go:noinline
func one2() int { return 2 }

//go:noinline
func one3() int { return 3 }

//go:noinline
func identity(n int) int { return n }

//go:noinline
func identity2(n int) int { return n * 10 }

// add has its second instruction within the first five bytes.
//
//go:noinline
func add(a, b int) int { return a + b }

//go:noinline
func add2(a, b int) int { return a + b + 1 }

// sum is a loop in a leaf.
//
//go:noinline
func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}

//go:noinline
func sum2(list []int) (n int) {
	for _, v := range list {
		n += 10 * v
	}
	return n
}

type stringer interface{ String() string }

type counter struct{ n int }

//go:noinline
func (c *counter) String() string { return fmt.Sprint(c.n) }

//go:noinline
func (c *counter) string2() string { return fmt.Sprint("counter ", c.n) }

//go:noinline
func factorial(n int) int {
	if n == 0 {
		return 1
	}
	return n * factorial(n-1)
}

// factorial2 is entered by the recursion of factorial, once for each call.
//
//go:noinline
func factorial2(n int) int {
	product := 1
	for n := n; n > 0; n-- {
		product *= n
	}
	return product + 1
}

// large has the second form of the check for stack space, huge the third.
//
//go:noinline
func large(n int) int {
	var buf [1000]byte
	return fill(buf[:], n) + n - n
}

//go:noinline
func large2(n int) int { return 100 + n }

//go:noinline
func huge(n int) int {
	var buf [9000]byte
	return fill(buf[:], n)
}

//go:noinline
func huge2(n int) int { return 101 + n }

//go:noinline
func fill(buf []byte, n int) int {
	for i := range buf {
		buf[i] = byte(n)
	}
	return int(buf[len(buf)-1])
}

//go:noinline
func floats(f float64, s string, n int, b []byte) string { return fmt.Sprint(f, s, n, string(b)) }

//go:noinline
func floats2(f float64, s string, n int, b []byte) string {
	return fmt.Sprintln(f+2, strings.ToUpper(s), n+1, strings.ToUpper(string(b)))[:9]
}

// guarded recovers from a panic.
//
//go:noinline
func guarded() (s string) {
	defer func() { s = fmt.Sprint("recovered ", recover()) }()
	panic("old")
}

//go:noinline
func guarded2() (s string) {
	defer func() { s = fmt.Sprint("recovered ", recover()) }()
	panic("new")
}

// countdown is a loop whose head is within the first five bytes.
//
//go:noinline
func countdown(n int) int {
	for n > 0 {
		n--
	}
	return n
}

//go:noinline
func countdown2(n int) int { return -1 }

// polling calls something in such a loop, without a check for stack space.
//
//go:nosplit
//go:noinline
func polling() {
	for poll() {
	}
}

//go:nosplit
//go:noinline
func polling2() { called.Store(-1) }

var polled, pollAgain = make(chan bool), make(chan bool)

//go:noinline
func poll() bool {
	polled <- true
	return <-pollAgain
}
