//go:build linux && amd64 && cgo

package builder

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// TestPatchesFitEveryHost takes a part of the corpus through hosts that are built
// in other ways. What it was built from nobody wrote down.
func TestPatchesFitEveryHost(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a host for each row")
	}
	some := []string{"main", "generics", "panics", "newthings", "switches", "layout"}
	type row struct {
		name      string
		flags     []string
		env       []string
		functions bool // the same ones differ as in a plain host: the same are inlined
	}
	rows := []row{
		{name: "trimpath, stripped, tags", flags: []string{"-trimpath", "-ldflags=-s -w", "-tags=special"}, functions: true},
	}
	if hosttest.Everything() {
		rows = append(rows,
			row{name: "race", flags: []string{"-race"}},
			row{name: "pie", flags: []string{"-buildmode=pie"}, functions: true})
		for _, other := range hosttest.Toolchains(t) {
			rows = append(rows, row{name: other, env: []string{"GOTOOLCHAIN=" + other}})
		}
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := newCorpus(t, func(c *patchCase) bool { return slices.Contains(some, c.name) })
			x.Env = append(x.Env, row.env...)
			x.Host = x.GoBuild("./host", row.flags...)
			x.b = x.builder(Options{Resident: true})
			t.Cleanup(func() { x.b.Close() })
			if _, err := x.b.PlanPatch(t.Context(), Host{Binary: x.Host}, nil); err != nil {
				t.Fatal(planError(err))
			}
			for _, c := range x.cases {
				c.verdictsOnly = !row.functions
				x.walk(t, c)
			}
		})
	}
}

// driftModule is a small program that can be patched.
const driftModule = `
-- go.mod --
module example.com/drift

go 1.26
-- main.go --
package main

import (
	"fmt"
	"plugin"

	"example.com/drift/part"
)

var open = plugin.Open

func main() { fmt.Println(part.Exported(1), part.Large(2), len(part.All), part.All[0](1)) }
-- part/part.go --
package part

import "fmt"

const Factor = 1

func Exported(n int) int { return n * Factor }

func Large(n int) string {
	out := ""
	for i := range n {
		out += fmt.Sprint(i)
	}
	return out + hidden(n)
}

func hidden(n int) string {
	defer fmt.Print()
	return fmt.Sprint("hidden", n)
}

func secret(n int) string {
	defer fmt.Print()
	return fmt.Sprint("secret", n)
}

var All = []func(int) string{hidden, secret}
`

// TestDriftIsRefused edits the sources after the host was built and before hotgo
// saw it for the first time. What the host was built from is then taken to be
// the edited text, and the next edit has to tell.
func TestDriftIsRefused(t *testing.T) {
	for _, row := range []struct{ name, file, old, text string }{
		{"a body that is not exported", "part/part.go", `"hidden"`, `"HIDDEN"`},
		{"another function of the same code", "part/part.go", "+ hidden(n)", "+ secret(n)"},
		{"an inlined body", "part/part.go", "return n * Factor", "return n * Factor * 3"},
		{"a constant", "part/part.go", "Factor = 1", "Factor = 2"},
		{"a line more", "part/part.go", "func Exported", "\n\nfunc Exported"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, driftModule)
			f.Host = f.GoBuild(".")
			f.Edit(row.file, row.old, row.text)
			b := f.builder(Options{})
			defer b.Close()
			p, err := b.PlanPatch(t.Context(), Host{Binary: f.Host}, nil)
			if err != nil {
				t.Fatal(planError(err))
			}
			if !p.Assumed {
				t.Error("nobody wrote down what the host was built from, and it is not called assumed")
			}
			f.Edit("part/part.go", "out += fmt.Sprint(i)", `out += fmt.Sprint(i, "-")`)
			_, err = b.PlanPatch(t.Context(), Host{Binary: f.Host}, nil)
			var c *ConflictError
			if !errors.As(err, &c) || len(c.Evidence) == 0 || c.Evidence[0].Rule != "HG0094" {
				t.Fatalf("%v", err)
			}
			t.Log(c, c.Evidence)
		})
	}
}

// TestBaselineBelongsToOneBuild starts from a host that hotgo built, builds
// another from other sources behind its back, and patches both.
func TestBaselineBelongsToOneBuild(t *testing.T) {
	f := newFixture(t, driftModule)
	b := f.builder(Options{})
	defer b.Close()
	first := filepath.Join(t.TempDir(), "first")
	if _, err := b.BuildHost(t.Context(), ".", first); err != nil {
		t.Fatal(err)
	}
	f.Edit("part/part.go", `"hidden"`, `"edited"`)
	f.Host = f.GoBuild(".")
	for _, row := range []struct {
		host    string
		verdict PatchVerdict
	}{{first, CanPatch}, {f.Host, NoDifference}} {
		p, err := b.PlanPatch(t.Context(), Host{Binary: row.host}, nil)
		if err != nil {
			t.Fatal(planError(err))
		}
		if p.Verdict != row.verdict {
			t.Errorf("%s: %s", row.host, planned(p))
		}
	}
}

// TestOtherVersionOfAModuleIsRefused: what a dependency is compiled from is part
// of the host's build.
func TestOtherVersionOfAModuleIsRefused(t *testing.T) {
	f := newFixture(t, `
-- go.mod --
module example.com/drift

go 1.26

require example.com/lib v1.0.0
-- main.go --
package main

import (
	"fmt"
	"plugin"

	"example.com/lib"
)

var open = plugin.Open

func main() { fmt.Println(lib.V()) }
`)
	f.Env = append(f.Env, hosttest.ServeLib(t)...)
	f.Host = f.GoBuild(".")
	b := f.builder(Options{})
	defer b.Close()
	if p, err := b.PlanPatch(t.Context(), Host{Binary: f.Host}, nil); err != nil || p.Verdict != NoDifference {
		t.Fatal(p, err)
	}
	f.Edit("go.mod", "v1.0.0", "v1.1.0")
	f.Edit("main.go", "lib.V()", `lib.V(), "more"`)
	p, err := b.PlanPatch(t.Context(), Host{Binary: f.Host}, nil)
	if err != nil {
		t.Fatal(planError(err))
	}
	if p.Verdict != MustRestart || p.Findings[0].Code != "HG0091" || !strings.Contains(p.Findings[0].Text, "v1.0.0") || !strings.Contains(p.Findings[0].Text, "v1.1.0") {
		t.Error(planned(p))
	}
	if a, err := b.BuildPatch(t.Context(), p); err == nil {
		t.Errorf("there is an artifact: %v", a)
	}
}

// What the compiler is asked to say besides is no part of an error.
func TestRemarksAreNoErrors(t *testing.T) {
	const output = `./a.go:3:6: can inline f with cost 4 as: func() { return }
./a.go:4:10: inlining call to fmt.Sprint
./a.go:5:7: leaking param: p to result ~r0 level=0
./a.go:5:7: mutates param: p derefs=0
./a.go:6:2: moved to heap: x
./a.go:7:5: "a" + b escapes to heap
./a.go:8:5: ... argument does not escape
./a.go:9:3: stack frame too large (>1GB): 1025 MB locals + 0 MB args
./a.go:10:12: pattern *.txt: cannot embed: no matching files found
`
	const want = `./a.go:9:3: stack frame too large (>1GB): 1025 MB locals + 0 MB args
./a.go:10:12: pattern *.txt: cannot embed: no matching files found
`
	if got := withoutRemarks(output); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestPatchFollowsTheHostsTags: files that the host was built without are none of
// its code.
func TestPatchFollowsTheHostsTags(t *testing.T) {
	f := newFixture(t, driftModule+`
-- part/special.go --
//go:build special

package part

import "fmt"

//go:noinline
func init() { fmt.Print(special()) }

//go:noinline
func special() string { return "special" }
-- part/plain.go --
//go:build !special

package part

import "fmt"

func init() { fmt.Print(special()) }

//go:noinline
func special() string { return "plain" }
`)
	f.Host = f.GoBuild(".", "-tags=special")
	b := f.builder(Options{})
	defer b.Close()
	for _, row := range []struct {
		file, old, text string
		verdict         PatchVerdict
	}{
		{"part/plain.go", "", "", NoDifference},
		{"part/plain.go", `"plain"`, `"PLAIN"`, NoDifference},
		{"part/special.go", `"special"`, `"SPECIAL"`, CanPatch},
	} {
		if row.old != "" {
			f.Edit(row.file, row.old, row.text)
		}
		p, err := b.PlanPatch(t.Context(), Host{Binary: f.Host}, nil)
		if err != nil {
			t.Fatal(planError(err))
		}
		if p.Verdict != row.verdict {
			t.Errorf("%s -> %s: %s", row.old, row.text, planned(p))
		}
	}
}
