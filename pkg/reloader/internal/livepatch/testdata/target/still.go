package main

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// pair is two words that are the same but in the middle of a write.
type pair struct{ a, b any }

var words = []any{1, "one", 2.0, [2]int{3}}

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
	var kept [][]byte
	stood := [2]int{}
	for try := range 80 {
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
	group.Wait()
	runtime.GC() // the world goes on
	if stood[0] == 0 || stood[1] == 0 {
		return fmt.Errorf("the world stood still %v times", stood)
	}
	return nil
}
