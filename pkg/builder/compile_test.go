package builder

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const compileTree = `
-- plugins/pricing/pricing.go --
package pricing

import (
	_ "embed"
	"fmt"

	"example.com/shop/api"
	"example.com/shop/plugins/pricing/left"
	"example.com/shop/plugins/pricing/right"
)

//go:embed text.txt
var text string

func Run() string { return fmt.Sprint(api.Name(), left.Text(), right.Text(), text) }
-- plugins/pricing/text.txt --
text
-- plugins/pricing/left/left.go --
package left

import "example.com/shop/plugins/pricing/base"

func Text() string { return "left " + base.Text() }
-- plugins/pricing/right/right.go --
package right

import "example.com/shop/plugins/pricing/base"

func Text() string { return "right " + base.Text() }
-- plugins/pricing/base/base.go --
package base

func Text() string {
	s := "base"
	for range 3 {
		s += long(s)
	}
	return s
}

//go:noinline
func long(s string) string { return s[:1] }
-- api/api.go --
package api

func Name() string { return "api " }
-- server/uses/uses.go --
package uses

import _ "example.com/shop/api"
` + hostMain

// TestResidentBuildsEqualColdOnes makes edits and has each built by a builder
// that stays and by one that is new. The artifacts must be equal to the last
// byte, whoever compiled what.
func TestResidentBuildsEqualColdOnes(t *testing.T) {
	f := newFixture(t, compileTree)
	f.Env = append(f.Env, "SOURCE_DATE_EPOCH=1")
	f.Host = filepath.Join(t.TempDir(), "host")
	stays := f.builder(Options{Dir: filepath.Join(t.TempDir(), "resident"), Link: "thin", Resident: true})
	t.Cleanup(func() { stays.Close() })
	ctx := context.Background()
	if _, err := stays.BuildHost(ctx, "./server", f.Host); err != nil {
		t.Fatal(err)
	}
	plugins, err := stays.Find(ctx, "./plugins/pricing")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	stays.tool.OnRun = func([]string) { asked.Add(1) }

	const base, left, pricing = "plugins/pricing/base/base.go", "plugins/pricing/left/left.go", "plugins/pricing/pricing.go"
	steps := []struct {
		name     string
		edit     func()
		compiled []string // by the builder that stays, on its own; nil: the go command did it
		fails    string   // in the compiler's words
	}{
		{name: "first build", edit: func() {}},
		{
			name: "a body nobody inlines", compiled: []string{"base"},
			edit: func() { f.Edit(base, "s[:1] }", "s[1:2] }") },
		},
		{
			name: "a body that importers inline", compiled: []string{"base", "left", "pricing"},
			edit: func() { f.Edit(left, `"left "`, `"LEFT "`); f.Edit(base, "s[1:2] }", "s[2:3] }") },
		},
		{
			name: "a new exported function", compiled: []string{"base", "left", "pricing", "right"},
			edit: func() { f.Edit(base, "//go:noinline", "func Other() int { return 1 }\n\n//go:noinline") },
		},
		{
			name: "a mistake", compiled: []string{}, fails: "undefined: bose",
			edit: func() { f.Edit(left, "base.Text()", "bose.Text()") },
		},
		{
			name: "mistakes in two packages", compiled: []string{}, fails: "undefined: bise",
			edit: func() { f.Edit("plugins/pricing/right/right.go", "base.Text()", "bise.Text()") },
		},
		{
			name: "a mistake that does not parse", compiled: []string{}, fails: "base.go:",
			edit: func() { f.Edit(base, "func Other() int {", "func Other( int {") },
		},
		{
			name: "all repaired", compiled: []string{"base", "left", "right"},
			edit: func() {
				f.Edit(base, "func Other( int { return 1 }", "func Other() int { return 2 }")
				f.Edit(left, "bose", "base")
				f.Edit("plugins/pricing/right/right.go", "bise", "base")
			},
		},
		{name: "another import", edit: func() {
			f.Edit(left, `import "example`, "import \"strings\"\n\nimport \"example")
			f.Edit(left, `"LEFT "`, `strings.ToUpper("x")`)
		}},
		{
			name: "an edit after the go command was asked", compiled: []string{"left"},
			edit: func() { f.Edit(left, `strings.ToUpper("x")`, `strings.ToUpper("yy")`) },
		},
		{name: "an embedded file", edit: func() { f.Write("plugins/pricing/text.txt", "other text") }},
		{
			name: "an edit beside an embedded file", compiled: []string{"pricing"},
			edit: func() { f.Edit(pricing, "right.Text(), text", "text, right.Text()") },
		},
		{name: "a new file", edit: func() { f.Write("plugins/pricing/base/more.go", "package base\n\nfunc More() int { return 1 }\n") }},
		{
			name: "an exported function of the plugin", compiled: []string{"pricing"},
			edit: func() {
				f.Edit(pricing, "func Run()", "func More() []*int { return nil }\n\nvar V = map[string]api.T{}\n\nfunc Run()")
			},
			fails: "undefined: api.T",
		},
		{
			name: "which is repaired", compiled: []string{"pricing"},
			edit: func() { f.Edit(pricing, "map[string]api.T{}", "map[string]error{}") },
		},
		{name: "an assembly file", edit: func() {
			f.Write("plugins/pricing/base/add_amd64.s", "TEXT ·add(SB), 4, $0-24\n\tMOVQ a+0(FP), AX\n\tADDQ b+8(FP), AX\n\tMOVQ AX, ret+16(FP)\n\tRET\n")
			f.Write("plugins/pricing/base/more.go", "package base\n\nfunc add(a, b int) int\n\nfunc More() int { return add(1, 2) }\n")
		}},
		{name: "an edit beside assembly", edit: func() { f.Edit(base, "return 2", "return add(1, 1)") }},
		{
			name: "an edit of an importer of assembly", compiled: []string{"left"},
			edit: func() { f.Edit(left, `"yy"`, `"zz"`) },
		},
	}
	for _, step := range steps {
		step.edit()
		before := asked.Load()
		snap, err := stays.Snapshot(ctx, Host{Binary: f.Host}, plugins)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		forGraph := asked.Load()
		was := archives(stays)
		got, err := stays.Build(ctx, snap.Plans[0])
		if step.compiled != nil && asked.Load() != before {
			t.Errorf("%s: the go command was run %d times for the packages and %d times to build", step.name, forGraph-before, asked.Load()-forGraph)
		}
		if step.fails != "" {
			e, ok := errors.AsType[*BuildError](err)
			if !ok || !strings.Contains(e.Output, step.fails) {
				t.Errorf("%s: %v, want %q", step.name, err, step.fails)
			}
			fresh := f.builder(Options{Dir: filepath.Join(t.TempDir(), "cold"), Link: "thin"})
			snap, err := fresh.Snapshot(ctx, Host{Binary: f.Host}, plugins)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fresh.Build(ctx, snap.Plans[0])
			if c, ok := errors.AsType[*BuildError](err); !ok || !slices.EqualFunc(sorted(e.Diagnostics), sorted(c.Diagnostics), func(a, b Diagnostic) bool { return a == b }) {
				t.Errorf("%s: the resident builder says\n%+v\na new one\n%v", step.name, e, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %#v", step.name, err)
		}
		if step.compiled != nil {
			var compiled []string
			for path, file := range archives(stays) {
				if was[path] != file {
					compiled = append(compiled, filepath.Base(strings.TrimSuffix(path, "/"+thinElement)))
				}
			}
			slices.Sort(compiled)
			if !slices.Equal(compiled, step.compiled) {
				t.Errorf("%s: compiled %v, want %v", step.name, compiled, step.compiled)
			}
		}
		fresh := f.builder(Options{Dir: filepath.Join(t.TempDir(), "cold"), Link: "thin"})
		cold, err := fresh.Snapshot(ctx, Host{Binary: f.Host}, plugins)
		if err != nil {
			t.Fatal(err)
		}
		want, err := fresh.Build(ctx, cold.Plans[0])
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if a, b := read(t, got.Path), read(t, want.Path); !bytes.Equal(a, b) {
			t.Errorf("%s: the artifacts differ (%d and %d bytes)", step.name, len(a), len(b))
		}
	}
}

// TestFirstEditOfAPrimedPluginNeedsNoGoCommand holds that priming leaves
// nothing to ask.
func TestFirstEditOfAPrimedPluginNeedsNoGoCommand(t *testing.T) {
	f := newFixture(t, compileTree)
	f.Host = filepath.Join(t.TempDir(), "host")
	b := f.builder(Options{Link: "thin", Resident: true})
	t.Cleanup(func() { b.Close() })
	ctx := context.Background()
	if _, err := b.BuildHost(ctx, "./server", f.Host); err != nil {
		t.Fatal(err)
	}
	plugins, err := b.Find(ctx, "./plugins/pricing")
	if err != nil {
		t.Fatal(err)
	}
	snapshot := func() *Plan {
		t.Helper()
		snap, err := b.Snapshot(ctx, Host{Binary: f.Host}, plugins)
		if err != nil {
			t.Fatal(err)
		}
		return snap.Plans[0]
	}
	if err := b.Prime(ctx, snapshot()); err != nil {
		t.Fatal(err)
	}
	f.Edit("plugins/pricing/base/base.go", "s[:1] }", "s[1:2] }")
	plan := snapshot()
	b.tool.OnRun = func(args []string) { t.Errorf("the go command was run: %q", args) }
	if err := b.Prime(ctx, plan); err != nil {
		t.Error(err)
	}
	if _, err := b.Build(ctx, plan); err != nil {
		t.Error(err)
	}
}

// archives gives the compiled packages that a resident builder has.
func archives(b *Builder) map[string]string {
	m := map[string]string{}
	for c := range maps.Values(b.residentCompilers) {
		for _, p := range c.packages {
			m[p.path] = p.archive
		}
	}
	return m
}

func sorted(ds []Diagnostic) []Diagnostic {
	return slices.SortedFunc(slices.Values(ds), func(a, b Diagnostic) int {
		return strings.Compare(a.File+a.Message, b.File+b.Message)
	})
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
