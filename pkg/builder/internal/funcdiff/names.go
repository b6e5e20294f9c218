package funcdiff

import (
	"regexp"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// # What is shared by name
//
// The code of a patch uses the variables, functions and types of the program it
// patches: they are the same by name. What the compiler names by counter is not:
// closures (F.func1), static temporaries (..stmp_1), caches of type switches,
// dictionaries of generic functions. The program has objects of these names too,
// with other contents; each build has to use its own.

// Shared reports whether a symbol means the same in two builds of a package by
// its name. declared tells the functions that the sources declare, by the
// linker's names.
func Shared(s *goobj.Symbol, declared func(name string) bool) bool {
	if s.Name == "" || s.ABI == goobj.ABIStatic || !s.IsText() && (s.Flag&goobj.FlagLocal != 0 || JumpTable(s.Name)) {
		return false
	}
	return sharedName(s.Name, declared)
}

func sharedName(name string, declared func(name string) bool) bool {
	for _, prefix := range []string{"type:", "go:itab.", "runtime.", "go:link.", "go:main."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch {
	case strings.HasPrefix(name, "go:"), strings.HasPrefix(name, "gclocals·"):
		return false // by content
	case strings.HasSuffix(name, "..inittask"):
		return true
	case strings.Contains(outside(name), ".."):
		return false // in brackets it is func(...int)
	}
	name = strings.TrimSuffix(name, "·f")
	return !Closure(name) || declared != nil && declared(name)
}

// JumpTable reports whether a symbol is a table of addresses within a function:
// F.jump3 (cmd/compile/internal/ssagen/ssa.go, Go 1.26 and 1.27: emitJumpTable).
// A package may declare a variable jump3; what is before the dot tells.
func JumpTable(name string) bool {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return false
	}
	n, ok := strings.CutPrefix(name[i+1:], "jump")
	return ok && digits(n) && strings.Contains(name[strings.LastIndexByte(name[:i], '/')+1:i], ".")
}

// Closure reports whether a function's name is one that the compiler gives to a
// function literal or to a wrapper of a go or defer statement
// (cmd/compile/internal/ir/func.go, Go 1.26 and 1.27: closureName). A package
// may declare a function func1, so the sources have the last word.
func Closure(name string) bool {
	last := name
	if i := lastOutside(name, '.'); i >= 0 {
		last = name[i+1:]
	}
	if i := strings.LastIndex(last, "-range"); i >= 0 && digits(last[i+len("-range"):]) {
		return true
	}
	for _, p := range []string{"func", "gowrap", "deferwrap"} {
		if rest, ok := strings.CutPrefix(last, p); ok && digits(rest) {
			return true
		}
	}
	return digits(last)
}

// lastOutside is strings.LastIndexByte for what is not in brackets: the type
// arguments of an instantiated function contain dots.
func lastOutside(s string, c byte) int {
	depth := 0
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case ']':
			depth++
		case '[':
			depth--
		case c:
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// outside gives what of a name is not in brackets.
func outside(s string) string {
	i, j := strings.IndexByte(s, '['), strings.LastIndexByte(s, ']')
	if i < 0 || j < i {
		return s
	}
	return s[:i] + s[j+1:]
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// generic gives the name of the function that an instance is of, without type
// arguments, and whether it is one.
func generic(name string) (base string, ok bool) {
	base = outside(name)
	return base, base != name
}

// initialiser reports whether a function runs when the package is initialised:
// init, init.0, map.init.0, and function literals in them.
func initialiser(prefix, name string) bool {
	rest, ok := strings.CutPrefix(name, prefix+".")
	if !ok {
		return false
	}
	for _, p := range []string{"init", "map.init", "glob."} {
		if r, ok := strings.CutPrefix(rest, p); ok && (r == "" || r[0] == '.') {
			return true
		}
	}
	return false
}

// ranOnce reports whether an initialiser is none of the function literals in one:
// the program has run it, and nothing calls it again.
func ranOnce(prefix, name string) bool {
	rest := strings.TrimPrefix(name, prefix+".")
	if rest == "init" {
		return true
	}
	for _, p := range []string{"init.", "map.init."} {
		if n, ok := strings.CutPrefix(rest, p); ok && digits(n) {
			return true
		}
	}
	return false
}

// Short gives a symbol's name as a reader of the sources knows it: without the
// directories of the import path, and without the path element by which a
// generation of a plugin differs from others.
func Short(name string) string {
	name = fresh.ReplaceAllString(name, "$1")
	head := name
	if i := strings.IndexAny(head, "[("); i >= 0 {
		head = head[:i]
	}
	if i := strings.LastIndexByte(head, '/'); i >= 0 {
		name = name[i+1:]
	}
	return strings.ReplaceAll(name, "%2e", ".")
}

// fresh is the last element of the import paths of a generation's own packages.
var fresh = regexp.MustCompile(`/hotgo_[0-9a-f]{12}([./]|$)`)
