//go:build cgo

package livepatch

import (
	"cmp"
	"fmt"
	"os"
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
//     on some goroutine's stack is its, or it is asking for stack itself. Frames are
//     found by frame pointers: words that a stack merely contains may be left from
//     calls that have returned, and stay for as long as their goroutine waits.
//   - between the two words of an interface, or in the middle of a struct. Only a
//     signal preempts there; goroutines that one stopped may not be in the code
//     that is asked about.
//   - between two changes that belong together. Who has called into the code that
//     is asked about, and has not returned, may be. Whether it is all right to wait
//     until there is nobody, which may be for ever, is the caller's to say.

// stillness is what it takes.
type stillness struct {
	*world
	stop  func(reason uint8) worldStop // runtime.stopTheWorldGC
	start func(worldStop)              // runtime.startTheWorldGC
	maps  []span
	more  []uintptr // runtime.morestack and its like
}

var findStillness = sync.OnceValues(func() (*stillness, error) {
	w, err := findWorld()
	if err != nil {
		return nil, err
	}
	const stop, start = "runtime.stopTheWorldGC", "runtime.startTheWorldGC"
	at := map[string]uintptr{}
	s := &stillness{world: w}
	err = abi.EachDynamicSymbolOf("/proc/self/exe", func(d abi.DynamicSymbol) {
		switch name := string(d.Name); {
		case !d.Defined:
		case name == stop, name == start:
			at[name] = w.bias + uintptr(d.Value)
		case strings.HasPrefix(name, "runtime.morestack"):
			s.more = append(s.more, w.bias+uintptr(d.Value))
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
	if len(s.maps) == 0 || len(s.more) == 0 {
		return nil, fail(Unsupported, "", "this program has no code of maps, or none that asks for stack")
	}
	slices.SortFunc(s.maps, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	s.stop, s.start = function[func(uint8) worldStop](at[stop]), function[func(worldStop)](at[start])
	return s, nil
})

// Still runs f at such a moment, while nothing else of this program's Go code runs.
// f must not block: who holds the lock that it waits for does not run either. It
// must not panic, even to recover: the runtime ends the process (runtime/panic.go,
// gopanic, Go 1.26 and 1.27: "panic during preemptoff"). It may allocate.
//
// Errors: *[Error] with Unsupported, or with Busy where it could not be had, and the
// function that was in the way; then f did not run.
func (p *Patcher) Still(m Moment, f func()) (pause time.Duration, err error) {
	s, err := findStillness()
	if err != nil {
		return 0, err
	}
	watch, calls := watch{}, []span(nil)
	for _, pc := range m.Code {
		code, image, err := mappingOf(pc)
		if err != nil {
			return 0, err
		}
		watch.interrupted = append(watch.interrupted, code)
		if m.NoCalls {
			calls = append(calls, image)
		}
	}
	apart, err := s.functions(m)
	if err != nil {
		return 0, err
	}
	watch.interrupted, watch.inlined = append(watch.interrupted, apart...), m.Packages
	if m.NoCalls {
		calls = append(calls, apart...)
	}
	for _, spans := range [][]span{watch.interrupted, calls} {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	}
	began := time.Now()
	for tries := 1; ; tries++ {
		pause, inTheWay := s.do(&watch, calls, f)
		if inTheWay == 0 {
			return pause, nil
		}
		if tries == mostTries || time.Since(began) > longest {
			return 0, fail(Busy, FunctionAt(FunctionOf(inTheWay)), "a goroutine was in it each of the %d times that the world was stopped", tries)
		}
		runtime.Gosched()
		time.Sleep(time.Duration(tries) * 10 * time.Microsecond)
	}
}

// do runs f, or nothing where a goroutine is in the way.
func (s *stillness) do(watch *watch, calls []span, f func()) (pause time.Duration, inTheWay uintptr) {
	stop := s.stop(0)
	began := time.Now()
	inTheWay = s.onStacks(calls)
	if inTheWay == 0 && !watch.empty() {
		inTheWay = s.find(watch)
	}
	if inTheWay == 0 {
		f()
	}
	s.start(stop)
	return time.Duration(stop.FinishedStopping-stop.StartedStopping) + time.Since(began), inTheWay
}

// mostTop is what of a stack, beyond what an interruption takes, may be about the
// function that was interrupted and its caller: where it returns to, as long as it
// has no frame, is found nowhere else.
const mostTop = 64

// onStacks gives an address in the code of calls that a goroutine returns to, or else
// one in the code of maps: who asks knows the calls. The goroutines that code of calls
// was started as do not count for it.
//
//go:norace
func (s *stillness) onStacks(calls []span) uintptr {
	here, inMaps := 0, uintptr(0)
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
		calls := calls
		if within(*at[uintptr](g + s.startPC), calls) {
			calls = nil
		}
		// The registers of one that was interrupted are on its stack: what it was
		// about to call is among them.
		if len(calls) > 0 && *at[bool](g + s.asyncSafePoint) {
			if hit := scan(sp, min(high, sp+s.asyncStack+mostTop), calls); hit != 0 {
				return hit
			}
		}
		switch pc := *at[uintptr](g + s.savedPC); {
		// Where a function asked for more stack, it has done nothing and has no
		// frame yet: its caller is found on top.
		case s.asksForStack(pc):
			switch caller := *at[uintptr](sp); {
			case within(caller, calls):
				return caller
			case s.isMaps(pc) || s.isMaps(caller):
				inMaps = caller
			}
		// What was interrupted may be what code of maps calls, a comparison of keys,
		// and have no frame yet. Its stack begins above runtime.asyncPreempt's frame.
		case s.asyncFrom <= pc && pc < s.asyncTo && sp <= bp && bp+16 <= high:
			if own := *at[uintptr](bp); sp <= own && own+32 <= high {
				for _, caller := range [...]uintptr{*at[uintptr](own + 16), *at[uintptr](own + 24)} {
					if s.isMaps(caller) {
						inMaps = caller
					}
				}
			}
		}
		for sp <= bp && bp+16 <= high {
			switch pc := *at[uintptr](bp + 8); {
			case within(pc, calls):
				return pc
			case s.isMaps(pc):
				inMaps = pc
			}
			sp, bp = bp+16, *at[uintptr](bp)
		}
	}
	return inMaps
}

// asksForStack reports whether who goes on at pc had called for more stack. Calls out
// of plugins lead through stubs that are nobody's code.
//
//go:norace
func (s *stillness) asksForStack(pc uintptr) bool {
	const call, length = 0xe8, 5 // call rel32
	if FunctionOf(pc-length) == 0 || *at[byte](pc - length) != call {
		return false
	}
	to := pc + uintptr(*at[int32](pc - 4))
	return slices.Contains(s.more, to) || FunctionOf(to) == 0
}

// within reports whether pc is in one of the spans, which are sorted.
func within(pc uintptr, spans []span) bool {
	if len(spans) == 0 || pc < spans[0].from || pc >= spans[len(spans)-1].to {
		return false
	}
	i, ok := slices.BinarySearchFunc(spans, pc, func(s span, pc uintptr) int { return cmp.Compare(s.from, pc) })
	if !ok {
		i--
	}
	return pc < spans[i].to
}

// isMaps reports whether pc is in the code of maps.
func (s *stillness) isMaps(pc uintptr) bool { return within(pc, s.maps) }

// mappingOf gives the range of memory with code that an address is in, and the one
// in which all of that file is mapped: the dynamic loader keeps it together.
func mappingOf(pc uintptr) (code, image span, err error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return code, image, &Error{Reason: Unsupported, Detail: "the memory of this program cannot be listed", Err: err}
	}
	file := "" // offsets and the like aside: device, inode and name
	for _, wanted := range []bool{true, false} {
		for line := range strings.Lines(string(maps)) {
			fields := strings.Fields(line)
			var s span
			if len(fields) < 5 {
				continue
			}
			if _, err := fmt.Sscanf(fields[0], "%x-%x", &s.from, &s.to); err != nil {
				continue
			}
			id := strings.Join(fields[3:], " ")
			switch {
			case wanted && s.from <= pc && pc < s.to:
				code, image, file = s, s, id
			case !wanted && id == file && fields[4] != "0":
				image = span{min(image.from, s.from), max(image.to, s.to)}
			}
		}
	}
	if code.to == 0 {
		return code, image, fail(Unsupported, "", "no code is mapped at %#x", pc)
	}
	return code, image, nil
}
