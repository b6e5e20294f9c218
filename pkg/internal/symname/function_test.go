package symname

import "testing"

func TestFunctionsThatRunUnseenAreKnown(t *testing.T) {
	for function, want := range map[string]bool{
		"runtime.gcStart":                        true,
		"runtime.(*mheap).alloc":                 true,
		"internal/runtime/maps.(*Map).Put":       true,
		"syscall.RawSyscall6":                    true,
		"internal/syscall/unix.GetRandom":        true,
		"internal/bytealg.Index[go.shape.int]":   true,
		"runtime/debug.Stack":                    false,
		"runtime/pprof.Do":                       false,
		"sync.(*Mutex).Lock":                     false,
		"main.main":                              false,
		"main.F[runtime.g]":                      false,
		"example.com/runtime.F":                  false,
		"example.com/x.(*T[go.shape.int]).M":     false,
		"slices.SortFunc[go.shape.[]runtime.x]":  false,
		"example.com/v%2e2.F[example.com/a/b.T]": false,
	} {
		if got := RunsUnseen(function); got != want {
			t.Errorf("%s: %v", function, got)
		}
	}
}

func TestPackageOfAFunction(t *testing.T) {
	for function, want := range map[string]string{
		"main.main": "main", "a.b/c.F": "a.b/c", "a.b/c.(*T).M": "a.b/c", "a.b/c.F[x/y.T]": "a.b/c",
		"a.b/c%2ed.T.M.func1": "a.b/c%2ed", "odd": "odd",
	} {
		if got := Package(function); got != want {
			t.Errorf("%s: %q, want %q", function, got, want)
		}
	}
}
