//go:build cgo

package livepatch

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// This file reaches into the runtime, by addresses that a program which can
// load plugins lists in its dynamic symbol table. A go:linkname would do it with
// less, but the linker refuses those into the runtime unless the host is linked
// with a flag for it.

// releases are the releases of Go of which everything here is known to be so:
// the signatures below, and what the story of this package says.
var releases = []string{"go1.26", "go1.27"}

// worldStop is what stopTheWorld gives and startTheWorld takes
// (runtime/proc.go, worldStop, Go 1.26 and 1.27).
type worldStop struct {
	Reason                                             uint8
	StartedStopping, FinishedStopping, StoppingCPUTime int64 // as runtime.nanotime has it
}

// world is the runtime of this process.
type world struct {
	stop  func(reason uint8) worldStop // runtime.stopTheWorld
	start func(worldStop)              // runtime.startTheWorld
	bias  uintptr                      // address here minus address in the file
	cores bool                         // syncCores works

	allgs *[]unsafe.Pointer // runtime.allgs: never shrinks
	// Offsets in a runtime.g.
	asyncSafePoint, stackLow, stackHigh, savedSP, savedPC, savedBP, startPC uintptr
	// The code of runtime.asyncPreempt2, and how much of a goroutine's stack is
	// used at most between there and the instruction that was interrupted.
	asyncFrom, asyncTo, asyncStack uintptr
}

// findWorld reads what it needs of the executable.
func findWorld() (*world, error) {
	if !knownRelease(runtime.Version()) {
		return nil, fail(Unsupported, "", "this program was built with %s; the runtime of %s is known here", runtime.Version(), strings.Join(releases, " and "))
	}
	wanted := map[string]abi.DynamicSymbol{}
	for _, name := range []string{
		"runtime.stopTheWorld", "runtime.startTheWorld", "runtime.allgs",
		"runtime.asyncPreempt2", "runtime.asyncPreemptStack", "type:runtime.g",
	} {
		wanted[name] = abi.DynamicSymbol{}
	}
	// One function of which the address is known here as well.
	anchor := reflect.ValueOf(findWorld).Pointer()
	anchorName := FunctionAt(anchor)
	wanted[anchorName] = abi.DynamicSymbol{}
	if err := readSymbols("/proc/self/exe", wanted); err != nil {
		return nil, &Error{Reason: Unsupported, Detail: "the symbols of this program cannot be read", Err: err}
	}
	for name, s := range wanted {
		if !s.Defined {
			return nil, fail(Unsupported, "", "this program has no dynamic symbol %s: it was not linked to load plugins, or stripped of them", name)
		}
	}
	w := &world{bias: anchor - uintptr(wanted[anchorName].Value), cores: enrolCores()}
	address := func(name string) uintptr { return w.bias + uintptr(wanted[name].Value) }
	for _, name := range []string{"runtime.stopTheWorld", "runtime.startTheWorld", "runtime.asyncPreempt2"} {
		if got := FunctionAt(address(name)); got != name {
			return nil, fail(Unsupported, "", "the symbol %s leads to %q", name, got)
		}
	}
	w.stop = function[func(uint8) worldStop](address("runtime.stopTheWorld"))
	w.start = function[func(worldStop)](address("runtime.startTheWorld"))
	w.allgs = at[[]unsafe.Pointer](address("runtime.allgs"))
	w.asyncFrom = address("runtime.asyncPreempt2")
	w.asyncTo = w.asyncFrom + uintptr(wanted["runtime.asyncPreempt2"].Size)
	w.asyncStack = *at[uintptr](address("runtime.asyncPreemptStack"))
	if err := w.layOut(typeAt(address("type:runtime.g"))); err != nil {
		return nil, err
	}
	return w, nil
}

// layOut finds the fields of a goroutine in the type's own description.
func (w *world) layOut(g reflect.Type) (err error) {
	defer func() {
		if p := recover(); p != nil { // of reflect, were it no type after all
			err = fail(Unsupported, "", "the description of goroutines cannot be read: %v", p)
		}
	}()
	offset := func(kind reflect.Kind, path ...string) uintptr {
		t, sum := g, uintptr(0)
		for _, name := range path {
			f, ok := t.FieldByName(name)
			if !ok {
				panic(fmt.Sprintf("%v has no field %s", t, name))
			}
			t, sum = f.Type, sum+f.Offset
		}
		if t.Kind() != kind {
			panic(fmt.Sprintf("%s is a %v", strings.Join(path, "."), t))
		}
		return sum
	}
	if g.String() != "runtime.g" {
		panic(g.String())
	}
	w.asyncSafePoint = offset(reflect.Bool, "asyncSafePoint")
	w.stackLow = offset(reflect.Uintptr, "stack", "lo")
	w.stackHigh = offset(reflect.Uintptr, "stack", "hi")
	w.savedSP = offset(reflect.Uintptr, "sched", "sp")
	w.savedPC = offset(reflect.Uintptr, "sched", "pc")
	w.savedBP = offset(reflect.Uintptr, "sched", "bp")
	w.startPC = offset(reflect.Uintptr, "startpc")
	return nil
}

// knownRelease reports whether version, as runtime.Version gives it, is one of
// the releases. What was built from a branch is none.
func knownRelease(version string) bool {
	version, _, _ = strings.Cut(version, " ") // experiments
	return slices.ContainsFunc(releases, func(r string) bool {
		rest, ok := strings.CutPrefix(version, r)
		return ok && (rest == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "rc") || strings.HasPrefix(rest, "-"))
	})
}

// readSymbols fills in those symbols of the file that are keys of wanted.
func readSymbols(path string, wanted map[string]abi.DynamicSymbol) error {
	return abi.EachDynamicSymbolOf(path, func(s abi.DynamicSymbol) {
		if _, ok := wanted[string(s.Name)]; ok && s.Defined {
			wanted[string(s.Name)] = s
		}
	})
}

// function makes a function of its address. F has to be its type.
func function[F any](addr uintptr) F {
	code := &addr // a func value is a pointer to where the address is
	return *(*F)(unsafe.Pointer(&code))
}

// typeAt makes a type of the address of its description.
func typeAt(addr uintptr) reflect.Type {
	// An interface's first word is the type of what is in it; only that is read.
	words := [2]unsafe.Pointer{unsafe.Pointer(at[byte](addr)), unsafe.Pointer(new(uintptr))}
	return reflect.TypeOf(*(*any)(unsafe.Pointer(&words)))
}

// span is a range of code addresses, without its end.
type span struct{ from, to uintptr }

// watch is where no goroutine may go on.
type watch struct {
	interrupted []span // for those that a signal interrupted
	any         []span // for whatever is on any stack; rarely needed

	inlined []string // packages, for those that a signal interrupted in what is inlined from them; allocates
}

func (w *watch) empty() bool { return len(w.interrupted)+len(w.any)+len(w.inlined) == 0 }

// change is what is stored while the world is stopped.
type change struct {
	code     []store // at entries, whose pages are writable
	pointers []store // in slots
	watch    watch
}

type store struct {
	at    uintptr
	value uint64
}

// do stops the world, makes the change, and starts it again; or changes nothing
// where a goroutine is in the way. Between the two nothing may allocate, block,
// or be redirected itself.
//
// No race: nothing else runs, but the race detector cannot know.
//
//go:norace
func (w *world) do(c *change) (pause time.Duration, inTheWay uintptr) {
	stop := w.stop(0) // 0: "unknown", of no other meaning
	began := time.Now()
	if !c.watch.empty() {
		inTheWay = w.find(&c.watch)
	}
	if inTheWay == 0 {
		for i := range c.pointers {
			*at[uint64](c.pointers[i].at) = c.pointers[i].value
		}
		for i := range c.code {
			*at[uint64](c.code[i].at) = c.code[i].value
		}
		if w.cores {
			syncCores()
		}
	}
	w.start(stop)
	return time.Duration(stop.FinishedStopping-stop.StartedStopping) + time.Since(began), inTheWay
}

// find looks at every goroutine for an address that is watched, and gives it.
// The world is stopped, so that nothing moves.
//
//go:norace
func (w *world) find(watch *watch) uintptr {
	here := uintptr(unsafe.Pointer(&watch))
	for _, gp := range *w.allgs {
		g := uintptr(gp)
		async := *at[bool](g + w.asyncSafePoint)
		if !async && len(watch.any) == 0 {
			continue
		}
		low, high := *at[uintptr](g + w.stackLow), *at[uintptr](g + w.stackHigh)
		if low == 0 {
			continue // it has ended
		}
		sp, pc := *at[uintptr](g + w.savedSP), *at[uintptr](g + w.savedPC)
		switch {
		case low <= here && here < high:
			sp = here // this one runs; what it saved last means nothing
		case sp < low || sp >= high:
			sp = low
		}
		if hit := scan(sp, high, watch.any); hit != 0 {
			return hit
		}
		if !async {
			continue
		}
		if w.asyncFrom <= pc && pc < w.asyncTo { // else a debugger made it call something
			high = min(high, sp+w.asyncStack)
		}
		if hit := scan(sp, high, watch.interrupted); hit != 0 {
			return hit
		}
		for addr := (sp + 7) &^ 7; len(watch.inlined) > 0 && addr+8 <= high; addr += 8 {
			if pc := *at[uintptr](addr); FunctionOf(pc) != 0 && inlinedFrom(pc, watch.inlined) {
				return pc
			}
		}
	}
	return 0
}

// scan gives the first word of a stack that is within one of the spans.
//
//go:norace
func scan(from, to uintptr, spans []span) uintptr {
	if len(spans) == 0 {
		return 0
	}
	low, high := spans[0].from, spans[len(spans)-1].to // they are sorted
	for addr := (from + 7) &^ 7; addr+8 <= to; addr += 8 {
		word := *at[uintptr](addr)
		if word < low || word >= high {
			continue
		}
		for i := range spans {
			if spans[i].from <= word && word < spans[i].to {
				return word
			}
		}
	}
	return 0
}
