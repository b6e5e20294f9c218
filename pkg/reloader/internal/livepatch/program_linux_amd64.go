//go:build cgo

package livepatch

import (
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # Packages of the program
//
// All of the program's code is as good as always in somebody's way: there is nothing
// else that runs. So of the program packages count, by the functions that it has of
// them. Those that are inlined elsewhere the runtime tells, address by address.

var programs struct {
	sync.Mutex
	code map[string][]span
}

// functions gives where the functions are that a moment is about, apart from Code.
func (s *stillness) functions(m Moment) ([]span, error) {
	var code []span
	for _, entry := range m.Functions {
		code = append(code, span{entry, endOf(entry)})
	}
	if len(m.Packages) == 0 {
		return code, nil
	}
	of, err := s.codeOf(m.Packages)
	return append(code, of...), err
}

// codeOf gives where the program has code of packages, sorted.
func (s *stillness) codeOf(packages []string) ([]span, error) {
	programs.Lock()
	defer programs.Unlock()
	key := strings.Join(packages, " ")
	if code, ok := programs.code[key]; ok {
		return code, nil
	}
	of := func(function uintptr) bool {
		return function != 0 && slices.Contains(packages, symname.Package(FunctionAt(function)))
	}
	var entries []uintptr
	err := abi.EachDynamicSymbolOf("/proc/self/exe", func(d abi.DynamicSymbol) {
		if d.Defined && slices.Contains(packages, symname.Package(string(d.Name))) {
			if entry := s.bias + uintptr(d.Value); FunctionOf(entry) == entry {
				entries = append(entries, entry)
			}
		}
	})
	if err != nil {
		return nil, &Error{Reason: Unsupported, Detail: "the symbols of this program cannot be read", Err: err}
	}
	slices.Sort(entries)
	var code []span
	for _, entry := range entries {
		if within(entry, code) {
			continue
		}
		// Function literals lie among the functions of their package, and from Go
		// 1.27 on the program has no symbols of them.
		x := span{entry, endOf(entry)}
		for of(FunctionOf(x.from - 1)) {
			x.from = FunctionOf(x.from - 1)
		}
		for of(FunctionOf(x.to)) {
			x.to = endOf(x.to)
		}
		code = append(code, x)
	}
	if programs.code == nil {
		programs.code = map[string][]span{}
	}
	programs.code[key] = code
	return code, nil
}

// endOf gives where the code of the function at entry ends, or what follows it and is
// no other's.
func endOf(entry uintptr) uintptr {
	end := entry
	for entry != 0 && FunctionOf(end) == entry {
		end += 8
	}
	return end
}

// inlinedFrom reports whether the instruction at pc is inlined from a package. It does
// not lock (runtime/symtab.go, Go 1.26 and 1.27: Frames.Next).
func inlinedFrom(pc uintptr, packages []string) bool {
	frame, _ := runtime.CallersFrames([]uintptr{pc + 1}).Next() // it wants return addresses
	return slices.Contains(packages, symname.Package(frame.Function))
}
