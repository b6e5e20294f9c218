package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// pair is two words that are the same but in the middle of a write.
type pair struct{ a, b any }

var words = []any{1, "one", 2.0, [2]int{3}}

// inMaps gives an address in the code of maps that a call returns to.
func inMaps() (pc uintptr) {
	defer func() {
		_ = recover() // the key cannot be hashed
		callers := make([]uintptr, 20)
		frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
		for frame, more := frames.Next(); more && pc == 0; frame, more = frames.Next() {
			if strings.HasPrefix(frame.Function, "internal/runtime/maps.") || strings.HasPrefix(frame.Function, "runtime.map") {
				pc = frame.PC + 1
			}
		}
	}()
	map[any]int{0: 1}[[]int{}]++
	return pc
}

// waits gives ways to wait for ever.
func waits() []func() {
	var (
		never chan int
		mutex sync.Mutex
		cond  = sync.NewCond(new(sync.Mutex))
		group sync.WaitGroup
		pipe  [2]int
	)
	mutex.Lock()
	group.Add(1)
	r, w, err := os.Pipe()
	if err := errors.Join(err, syscall.Pipe(pipe[:])); err != nil {
		panic(err)
	}
	return []func(){
		func() { <-never },
		func() { never <- 0 },
		func() {
			select {
			case <-never:
			case <-context.Background().Done():
			}
		},
		func() { time.Sleep(time.Hour) },
		mutex.Lock,
		group.Wait,
		func() { cond.L.Lock(); cond.Wait() },
		func() { _, _ = r.Read(make([]byte, 1)); _ = w.Close() },
		func() { _, _ = syscall.Read(pipe[0], make([]byte, 1)) },
	}
}

// litter leaves an address all over the stack.
//
//go:noinline
func litter(pc uintptr, depth int) uintptr {
	var words [256]uintptr
	for i := range words {
		words[i] = pc
	}
	if depth == 0 {
		return words[pc%256]
	}
	return litter(pc, depth-1)
}

// still reads maps that goroutines write to all the time, without a lock. Any
// iteration that meets a writer ends the process. It allocates more than starts a
// collection meanwhile.
func still(p *livepatch.Patcher) error {
	var (
		stop  atomic.Bool
		group sync.WaitGroup
		maps  [4]map[int]*pair
		twins [4]pair
		works [4]atomic.Int64
	)
	for i := range maps {
		maps[i] = map[int]*pair{}
		group.Go(func() {
			for n := 0; !stop.Load(); n++ {
				maps[i][n%5000] = &pair{n, n}
				delete(maps[i], (n+2500)%5000)
				twins[i] = pair{words[n%4], words[n%4]}
				works[i].Add(1)
			}
		})
	}
	// What calls that are over left on the stack of who waits now is in nobody's way.
	pc := inMaps()
	for _, wait := range waits() {
		for depth := range 8 {
			go func() {
				litter(pc, depth)
				wait()
			}()
		}
	}

	var kept [][]byte
	stood := [2]int{}
	for try := range 30 {
		// All of the program, or its packages by name.
		moment := livepatch.Moment{Code: []uintptr{reflect.ValueOf(still).Pointer()}}
		if try%2 == 1 {
			moment = livepatch.Moment{Packages: []string{"main"}}
		}
		torn, entries, moved := 0, 0, int64(0)
		_, err := p.Still(moment, func() {
			for i := range maps {
				moved -= works[i].Load()
				if twins[i].a != twins[i].b {
					torn++
				}
				for _, v := range maps[i] {
					entries++
					if v.a != v.b {
						torn++
					}
				}
				moved += works[i].Load()
			}
			for range 20 {
				kept = append(kept, make([]byte, 1<<16))
			}
		})
		var e *livepatch.Error
		switch {
		case errors.As(err, &e) && e.Reason == livepatch.Busy: // these goroutines hardly do anything else
		case err != nil:
			return err
		default:
			stood[try%2]++
		}
		if torn > 0 || moved > 0 {
			return fmt.Errorf("try %d: %d half-written pairs, %d writes during it", try, torn, moved)
		}
		if len(kept) > 200 {
			kept = nil
		}
		runtime.Gosched()
	}
	// The goroutines are in calls of main, and in none of another package.
	var e *livepatch.Error
	if _, err := p.Still(livepatch.Moment{Packages: []string{"main"}, NoCalls: true}, func() {}); !errors.As(err, &e) || e.Reason != livepatch.Busy {
		return fmt.Errorf("nobody is in a call of main: %v", err)
	}
	if _, err := p.Still(livepatch.Moment{Packages: []string{"os/exec"}, NoCalls: true}, func() {}); err != nil {
		return err
	}
	stop.Store(true)
	runtime.GC() // the world goes on
	if stood[0] == 0 || stood[1] == 0 {
		return fmt.Errorf("the world stood still %v times", stood)
	}
	return nil
}
