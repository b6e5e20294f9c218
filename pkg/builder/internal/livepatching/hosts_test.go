//go:build linux && amd64 && cgo

package livepatching_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
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
			x.b = buildtest.New(x.Module, builder.Options{Resident: true})
			t.Cleanup(func() { x.b.Close() })
			if _, err := x.b.PlanPatch(t.Context(), builder.Host{Binary: x.Host}, nil); err != nil {
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
			f := hosttest.New(t, driftModule)
			f.Host = f.GoBuild(".")
			f.Edit(row.file, row.old, row.text)
			b := buildtest.New(f, builder.Options{})
			defer b.Close()
			p, err := b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil)
			if err != nil {
				t.Fatal(planError(err))
			}
			if !p.Assumed {
				t.Error("nobody wrote down what the host was built from, and it is not called assumed")
			}
			f.Edit("part/part.go", "out += fmt.Sprint(i)", `out += fmt.Sprint(i, "-")`)
			_, err = b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil)
			var c *builder.ConflictError
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
	f := hosttest.New(t, driftModule)
	b := buildtest.New(f, builder.Options{})
	defer b.Close()
	first := filepath.Join(t.TempDir(), "first")
	if _, err := b.BuildHost(t.Context(), ".", first); err != nil {
		t.Fatal(err)
	}
	f.Edit("part/part.go", `"hidden"`, `"edited"`)
	f.Host = f.GoBuild(".")
	for _, row := range []struct {
		host    string
		verdict builder.PatchVerdict
	}{{first, builder.CanPatch}, {f.Host, builder.NoDifference}} {
		p, err := b.PlanPatch(t.Context(), builder.Host{Binary: row.host}, nil)
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
	f := hosttest.New(t, `
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
	b := buildtest.New(f, builder.Options{})
	defer b.Close()
	if p, err := b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil); err != nil || p.Verdict != builder.NoDifference {
		t.Fatal(p, err)
	}
	f.Edit("go.mod", "v1.0.0", "v1.1.0")
	f.Edit("main.go", "lib.V()", `lib.V(), "more"`)
	p, err := b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil)
	if err != nil {
		t.Fatal(planError(err))
	}
	if p.Verdict != builder.MustRestart || p.Findings[0].Code != "HG0091" || !strings.Contains(p.Findings[0].Text, "v1.0.0") || !strings.Contains(p.Findings[0].Text, "v1.1.0") {
		t.Error(planned(p))
	}
	if a, err := b.BuildPatch(t.Context(), p); err == nil {
		t.Errorf("there is an artifact: %v", a)
	}
}

// TestPatchFollowsTheHostsTags: files that the host was built without are none of
// its code.
func TestPatchFollowsTheHostsTags(t *testing.T) {
	f := hosttest.New(t, driftModule+`
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
	b := buildtest.New(f, builder.Options{})
	defer b.Close()
	for _, row := range []struct {
		file, old, text string
		verdict         builder.PatchVerdict
	}{
		{"part/plain.go", "", "", builder.NoDifference},
		{"part/plain.go", `"plain"`, `"PLAIN"`, builder.NoDifference},
		{"part/special.go", `"special"`, `"SPECIAL"`, builder.CanPatch},
	} {
		if row.old != "" {
			f.Edit(row.file, row.old, row.text)
		}
		p, err := b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil)
		if err != nil {
			t.Fatal(planError(err))
		}
		if p.Verdict != row.verdict {
			t.Errorf("%s -> %s: %s", row.old, row.text, planned(p))
		}
	}
}
