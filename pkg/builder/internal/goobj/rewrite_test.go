package goobj

import (
	"errors"
	"strings"
	"testing"
)

const (
	oldPath = "example.com/hotgo_000000000000"
	newPath = "example.com/hotgo_0123456789ab"
)

// library refers to other packages in every way: calls, inlined functions,
// variables, types, interface tables, generic code, assembly.
const library = `package library

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"sync"
)

type Shape interface{ Area() float64 }

type Square struct{ Side float64 }

func (s Square) Area() float64 { return s.Side * s.Side }
func (s *Square) String() string { return fmt.Sprintf("square of %g", s.Side) }

type Set[K comparable] struct{ m map[K]struct{}; mu sync.Mutex }

func (s *Set[K]) Add(k K) { s.mu.Lock(); defer s.mu.Unlock(); if s.m == nil { s.m = map[K]struct{}{} }; s.m[k] = struct{}{} }

var Errors = []error{io.EOF, os.ErrNotExist, errors.New("own")}

var Out io.Writer = os.Stdout

//go:noinline
func fail(p *Square) float64 { return p.Area() }

func Run() {
	var b strings.Builder
	b.WriteByte('x')
	b.WriteString(strings.Repeat("y", 3))
	var set Set[string]
	set.Add(b.String())
	words := strings.Fields("c b a")
	sort.Slice(words, func(i, j int) bool { return words[i] < words[j] })
	fmt.Fprintln(Out, b.String(), words, len(set.m), math.Floor(2.5), math.Sqrt(2))
	var shape Shape = &Square{3}
	if s, ok := shape.(fmt.Stringer); ok {
		fmt.Fprintln(Out, s, shape.Area(), reflect.TypeOf(Square{}).PkgPath(), reflect.TypeOf(shape))
	}
	fmt.Fprintln(Out, Errors, errors.Is(Errors[0], io.EOF))
	defer func() {
		fmt.Fprintln(Out, recover())
		var pcs [20]uintptr
		frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			fmt.Fprintln(Out, f.Function)
		}
	}()
	var once sync.Once // inlined: the fast path and its mutex
	once.Do(func() { fail(nil) })
}
`

const libraryMain = `package main

import library "` + oldPath + `"

func main() { library.Run() }
`

func TestRewrittenProgramDoesTheSame(t *testing.T) {
	for version, gocmd := range releases(t) {
		t.Run(version, func(t *testing.T) {
			p := newProgram(t, gocmd, "fmt", "sort", "os", "reflect", "sync", "math", "strings")
			p.compile(oldPath, library, "-linkshared")
			p.compile("main", libraryMain, "-linkshared")
			want := strings.ReplaceAll(p.run(), oldPath, newPath)

			if len(indexed(t, p.object(oldPath))) == 0 {
				t.Fatal("the compiler made no reference by position; the test tests nothing")
			}
			w := &Rewriter{Indexed: p.indexed, Old: oldPath, New: newPath}
			p.rewrite("main", w)
			p.rewrite(oldPath, w)
			if got := p.run(); got != want || !strings.Contains(got, newPath+".Run.func") {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestNamesComeWithTheABIOfTheDefinition(t *testing.T) {
	p := newProgram(t, "go", "fmt")
	p.compile("lib", `package lib
import ("fmt"; "io")
func F(w io.Writer) { fmt.Fprint(w, io.EOF, 1) }
`, "-linkshared")
	o := p.object("lib")
	if err := (&Rewriter{Indexed: p.indexed}).Rewrite(o); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint16{"fmt.Fprint": ABIInternal, "io.EOF": ABI0}
	for _, s := range o.NonPkgRefs {
		if abi, ok := want[s.Name]; ok && abi == s.ABI {
			delete(want, s.Name)
		}
	}
	if len(want) != 0 {
		t.Errorf("no reference to %v", want)
	}
}

func TestBuiltinReferencesAreRefused(t *testing.T) {
	p := newProgram(t, "go")
	src := `package lib
func F(m map[int]int) { m[1]++ }
`
	p.compile("lib", src)
	if err := (&Rewriter{Indexed: p.indexed}).Rewrite(p.object("lib")); !errors.Is(err, ErrBuiltin) {
		t.Errorf("got %v, want ErrBuiltin", err)
	}
	p.compile("lib", src, "-linkshared")
	if err := (&Rewriter{Indexed: p.indexed}).Rewrite(p.object("lib")); err != nil {
		t.Error(err)
	}
}

func TestReferenceThatCannotBeNamedIsRefused(t *testing.T) {
	ref := Ref{Pkg: 1, Sym: 2}
	for _, c := range []struct {
		name    string
		indexed func(string, uint32) (Definition, error)
		want    string
	}{
		{"no source", nil, "no definitions"},
		{"unknown", func(string, uint32) (Definition, error) { return Definition{}, errors.New("no such archive") }, "no such archive"},
		{"unnamed", func(string, uint32) (Definition, error) { return Definition{}, nil }, "cannot be referred to"},
		{"static", func(string, uint32) (Definition, error) {
			return Definition{Name: "dep.x", ABI: ABIStatic}, nil
		}, "cannot be referred to"},
		{"another archive", func(string, uint32) (Definition, error) { return Definition{Name: "dep.Y"}, nil }, "in the package's archive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &Object{
				Packages: []string{"", "dep"},
				Defs:     []Symbol{{Name: "p.F", Relocs: []Reloc{{Sym: ref}}}},
				RefNames: []RefName{{Sym: ref, Name: "dep.X"}},
			}
			err := (&Rewriter{Indexed: c.indexed}).Rewrite(o)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dep") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestExternalDefinitionIsSomebodyElses links a program in which two packages
// define the same function, which the linker refuses unless one is left out.
func TestExternalDefinitionIsSomebodyElses(t *testing.T) {
	const (
		one = `package one
import _ "unsafe"
//go:linkname hello two.Hello
//go:nosplit
//go:noinline
func hello() int { return 1 }
//go:linkname Value two.Value
var Value = 10
func Keep() { hello() }
`
		two = `package two
var Value = 20
//go:nosplit
//go:noinline
func Hello() int { return 2 }
//go:nosplit
//go:noinline
func Run() int { return Hello() + Value }
`
		main = `package main
import ("one"; "two")
func main() { one.Keep(); print2(two.Run()) }
func print2(n int) { if n != 11 { panic(n) } }
`
	)
	for version, gocmd := range releases(t) {
		// Without -linkshared the definitions are in Defs, with it in NonPkgDefs.
		for _, flags := range [][]string{nil, {"-linkshared"}} {
			t.Run(strings.Join(append([]string{version}, flags...), ""), func(t *testing.T) {
				p := newProgram(t, gocmd)
				p.compile("one", one, flags...)
				p.compile("two", two, flags...)
				p.compile("main", main, "-linkshared")
				asked := map[string]bool{}
				before := p.object("two")
				external := &Rewriter{Indexed: p.indexed, External: func(s *Symbol) bool {
					asked[s.Name] = true
					return s.Name == "two.Hello" || s.Name == "two.Value"
				}}
				p.rewrite("main", &Rewriter{Indexed: p.indexed})
				p.rewrite("two", external)
				p.run()

				o := p.object("two")
				checkExternal(t, before, o)
				if asked[""] || !asked["two.Run"] {
					t.Errorf("asked for %v", asked)
				}
			})
		}
	}
}

// checkExternal checks that two.Hello and two.Value are no longer defined, that
// references to them are by name, and that nothing moved.
func checkExternal(t *testing.T, before, o *Object) {
	t.Helper()
	if len(o.Defs) != len(before.Defs) || len(o.NonPkgDefs) != len(before.NonPkgDefs) {
		t.Fatal("definitions moved")
	}
	for i, tables := 0, before.definitions(); i < len(tables); i++ {
		for k := range tables[i] {
			was, s := &tables[i][k], &o.definitions()[i][k]
			switch was.Name {
			case "two.Hello", "two.Value":
				if s.Name == was.Name || s.ABI != ABIStatic {
					t.Errorf("%q is still defined, with ABI %d", s.Name, s.ABI)
				}
			default:
				if s.Name != was.Name {
					t.Errorf("%q became %q", was.Name, s.Name)
				}
			}
			if was.Name != "two.Run" {
				continue
			}
			targets := map[string]uint16{}
			for _, r := range s.Relocs {
				if to := o.Symbol(r.Sym); to != nil {
					targets[to.Name] = to.ABI
				}
			}
			if abi, ok := targets["two.Hello"]; !ok || abi != ABIInternal {
				t.Errorf("Run refers to %v", targets)
			}
			if abi, ok := targets["two.Value"]; !ok || abi != ABI0 {
				t.Errorf("Run refers to %v", targets)
			}
		}
	}
}
