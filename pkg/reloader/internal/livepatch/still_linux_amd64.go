//go:build cgo

package livepatch

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # Standing still
//
// Reading memory that others write to takes more than a stopped world. The
// collector may not run, for it would wait for those who are stopped:
// stopTheWorldGC waits for the cycle that is under way, and no other begins while
// the stopping goroutine's thread has preemptoff set (runtime/mgc.go, gcStart, Go
// 1.26 and 1.27), so what allocates may go on allocating. And nobody may have been
// stopped half way through a write:
//
//   - in a map. Its code belongs to the runtime, which no signal preempts, but it
//     may give up the processor where it needs more stack. Then one of the calls
//     on some goroutine's stack is its. Frames are found by frame pointers: words
//     that a stack merely contains may be left from calls that have returned.
//   - between the two words of an interface, or in the middle of a struct. Only a
//     signal preempts there; goroutines that one stopped may not be in the code
//     that is asked about.

// stillness is what it takes.
type stillness struct {
	*world
	stop  func(reason uint8) worldStop // runtime.stopTheWorldGC
	start func(worldStop)              // runtime.startTheWorldGC
	maps  []span
}

var findStillness = sync.OnceValues(func() (*stillness, error) {
	w, err := findWorld()
	if err != nil {
		return nil, err
	}
	const stop, start = "runtime.stopTheWorldGC", "runtime.startTheWorldGC"
	at := map[string]uintptr{}
	s := &stillness{world: w}
	err = eachSymbol("/proc/self/exe", func(d abi.DynamicSymbol) {
		switch name := string(d.Name); {
		case !d.Defined:
		case name == stop, name == start:
			at[name] = w.bias + uintptr(d.Value)
		case strings.HasPrefix(name, "internal/runtime/maps."), strings.HasPrefix(name, "runtime.map"):
			if from := w.bias + uintptr(d.Value); d.Size > 0 && FunctionOf(from) == from {
				s.maps = append(s.maps, span{from, from + uintptr(d.Size)})
			}
		}
	})
	if err != nil {
		return nil, &Error{Reason: Unsupported, Detail: "the symbols of this program cannot be read", Err: err}
	}
	for _, name := range []string{stop, start} {
		if got := FunctionAt(at[name]); got != name {
			return nil, fail(Unsupported, "", "the symbol %s leads to %q", name, got)
		}
	}
	if len(s.maps) == 0 {
		return nil, fail(Unsupported, "", "this program has no code of maps")
	}
	slices.SortFunc(s.maps, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	s.stop, s.start = function[func(uint8) worldStop](at[stop]), function[func(worldStop)](at[start])
	return s, nil
})

func eachSymbol(path string, visit func(abi.DynamicSymbol)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return abi.EachDynamicSymbol(f, info.Size(), visit)
}

// Still runs f while nothing else of this program's Go code runs, nobody is half
// way through a change of a map, and nobody was preempted by a signal inside of
// the code that the functions belong to: all of the artifact or the program. f
// must not block: who holds the lock that it waits for does not run either. It must
// not panic, even to recover: the runtime ends the process (runtime/panic.go,
// gopanic, Go 1.26 and 1.27: "panic during preemptoff"). It may allocate.
//
// Errors: *[Error] with Unsupported, or with Busy where it could not be had; then
// f did not run.
func (p *Patcher) Still(f func(), functions ...any) (pause time.Duration, err error) {
	s, err := findStillness()
	if err != nil {
		return 0, err
	}
	watch := watch{}
	for _, function := range functions {
		code, err := mappingOf(reflect.ValueOf(function).Pointer())
		if err != nil {
			return 0, err
		}
		watch.interrupted = append(watch.interrupted, code)
	}
	slices.SortFunc(watch.interrupted, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	began := time.Now()
	for tries := 1; ; tries++ {
		pause, inTheWay := s.do(&watch, f)
		if inTheWay == 0 {
			return pause, nil
		}
		if tries == mostTries || time.Since(began) > longest {
			return 0, fail(Busy, FunctionAt(FunctionOf(inTheWay)), "a goroutine was in the middle of it each of the %d times that the world was stopped", tries)
		}
		runtime.Gosched()
		time.Sleep(time.Duration(tries) * 10 * time.Microsecond)
	}
}

// do runs f, or nothing where a goroutine is in the way.
func (s *stillness) do(watch *watch, f func()) (pause time.Duration, inTheWay uintptr) {
	stop := s.stop(0)
	began := time.Now()
	if inTheWay = s.inMaps(); inTheWay == 0 && !watch.empty() {
		inTheWay = s.find(watch)
	}
	if inTheWay == 0 {
		f()
	}
	s.start(stop)
	return time.Duration(stop.FinishedStopping-stop.StartedStopping) + time.Since(began), inTheWay
}

// inMaps gives an address in the code of maps that a goroutine returns to.
//
//go:norace
func (s *stillness) inMaps() uintptr {
	here := 0
	self := uintptr(unsafe.Pointer(&here))
	for _, gp := range *s.allgs {
		g := uintptr(gp)
		low, high := *at[uintptr](g + s.stackLow), *at[uintptr](g + s.stackHigh)
		if low == 0 || low <= self && self < high {
			continue
		}
		sp, bp := *at[uintptr](g + s.savedSP), *at[uintptr](g + s.savedBP)
		if sp < low || sp+8 > high {
			continue // it has not begun, or has ended
		}
		// Where a function asked for more stack, it has done nothing and has no
		// frame yet: its caller is found on top.
		if hit := s.isMaps(*at[uintptr](sp)); hit != 0 {
			return hit
		}
		for sp <= bp && bp+16 <= high {
			if hit := s.isMaps(*at[uintptr](bp + 8)); hit != 0 {
				return hit
			}
			sp, bp = bp+16, *at[uintptr](bp)
		}
	}
	return 0
}

// isMaps gives pc if it is in the code of maps, else 0.
func (s *stillness) isMaps(pc uintptr) uintptr {
	if pc < s.maps[0].from || pc >= s.maps[len(s.maps)-1].to {
		return 0
	}
	i, ok := slices.BinarySearchFunc(s.maps, pc, func(m span, pc uintptr) int { return cmp.Compare(m.from, pc) })
	if !ok {
		i--
	}
	if pc < s.maps[i].to {
		return pc
	}
	return 0
}

// mappingOf gives the range of memory with code that an address is in.
func mappingOf(pc uintptr) (span, error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return span{}, &Error{Reason: Unsupported, Detail: "the memory of this program cannot be listed", Err: err}
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var s span
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &s.from, &s.to); err == nil && s.from <= pc && pc < s.to {
			return s, nil
		}
	}
	return span{}, fail(Unsupported, "", "no code is mapped at %#x", pc)
}
