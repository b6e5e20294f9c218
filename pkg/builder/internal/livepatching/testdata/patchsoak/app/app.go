// Package app is what the soak patches: every 4711 in it is a version.
package app

import (
	"fmt"
	"net/http"
	"time"
)

type version interface{ number() int64 }

type numbered struct{ hits int }

func (n *numbered) number() int64 {
	n.hits++
	return 4711
}

var (
	shared           = &numbered{}
	asIface  version = shared
	asValue          = byValue
	requests int
)

//go:noinline
func byValue() int64 { return 4711 }

// Leaf has no stack check.
//
//go:noinline
func Leaf() int64 { return 4711 }

//go:noinline
func called() int64 { return Leaf() + add(0) }

//go:noinline
func add(n int64) int64 { return n }

func inlined() int64 { return 4711 }

// deep makes the stack grow.
//
//go:noinline
func deep(n int, pad [64]int) int64 {
	if n == 0 {
		return called()
	}
	pad[n%64]++
	return deep(n-1, pad)
}

// Wait blocks in a select.
func Wait(d time.Duration) int64 {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	}
	return inlined()
}

// Handler serves versions.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/direct", direct)
	mux.HandleFunc("/iface", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, viaIface()) })
	mux.HandleFunc("/value", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, asValue()) })
	mux.HandleFunc("/deep", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, grow()) })
	return mux
}

func direct(w http.ResponseWriter, r *http.Request) {
	requests++
	fmt.Fprint(w, inlined(), " ", called())
}

//go:noinline
func viaIface() int64 { return asIface.number() }

//go:noinline
func grow() (v int64) {
	done := make(chan bool)
	go func() { // on a new stack
		v = deep(200, [64]int{})
		close(done)
	}()
	<-done
	return v
}
