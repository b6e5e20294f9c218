//go:build linux && amd64 && cgo

package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// generationModule is a host with two plugins, one of them a package main. What
// they do differs with their texts: see the edits of the tests.
const generationModule = `
-- go.mod --
module example.com/gen

go 1.26

require github.com/hotgo/hotgo v0.0.0

replace github.com/hotgo/hotgo => ./hotgo
-- api/api.go --
// Package api is what host and plugins share.
package api

type Pricer interface{ Price(int) int }

type Order struct {
	Pricer Pricer
	Again  func(int) int
}
-- plugins/pricing/pricing.go --
package pricing

import (
	"fmt"
	"sync/atomic"

	"example.com/gen/api"
	"example.com/gen/plugins/pricing/rules"
)

var (
	calls int
	seen  = map[string]int{}
	total atomic.Int64
)

type flat struct{ base int }

func (f *flat) Price(n int) int { return f.base + n }

var kept api.Pricer = &flat{base: 100}

// pair consists of types of the host and of the plugin.
type pair struct {
	n     int
	order api.Order
	own   *flat
	text  string
}

var pairs = []any{pair{}}

// Quote says what everything gives.
func Quote(s string) string {
	calls++
	seen[s]++
	total.Add(int64(net(calls)))
	return fmt.Sprint("calls ", calls, " seen ", seen[s], " total ", total.Load(), " net ", net(1),
		" pairs ", len(pairs), " rule ", rules.Rule(2), " same ", kept == api.Pricer(kept.(*flat)), describe(kept))
}

//go:noinline
func net(n int) int { return n * 10 }

func describe(v any) string {
	if p, ok := v.(api.Pricer); ok {
		return fmt.Sprintf(" %T %d", p, p.Price(1))
	}
	return ""
}

// Open gives the host what it keeps.
func Open() api.Order {
	captured := 7
	return api.Order{Pricer: kept, Again: func(n int) int { return net(n) + captured }}
}
-- plugins/pricing/rules/rules.go --
package rules

import (
	"example.com/gen/plugins/pricing/rules/deep"
	"example.com/gen/plugins/pricing/rules/fast"
)

var used int

// Rule is inlined into the plugin's own package.
func Rule(n int) int { return fast.Same(step(n)) + deep.Depth }

func step(n int) int {
	used++
	return n + used
}
-- plugins/pricing/unused/unused.go --
package unused
-- plugins/pricing/rules/deep/deep.go --
package deep

const Depth = 1000
-- plugins/pricing/rules/fast/fast.go --
// Package fast is in part in assembly, so that the go command alone compiles it.
package fast

// Same gives its argument.
func Same(n int) int { return same(n) }

func same(n int) int
-- plugins/pricing/rules/fast/fast_amd64.s --
#include "textflag.h"

TEXT ·same(SB), NOSPLIT, $0-16
	MOVQ n+0(FP), AX
	MOVQ AX, ret+8(FP)
	RET
-- plugins/command/command.go --
package main

import "fmt"

var runs int

// Run counts.
func Run() string {
	runs++
	return text(runs)
}

//go:noinline
func text(n int) string { return fmt.Sprint("run ", n) }

func main() {}
-- host/main.go --
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"example.com/gen/api"
	"example.com/gen/plugins/pricing"
	"github.com/hotgo/hotgo/pkg/reloader"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

var asked int

func main() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	quote := reloader.Bind(h, "pricing", "Quote", pricing.Quote)
	open := reloader.Bind(h, "pricing", "Open", pricing.Open)
	run := reloader.Bind[func() string](h, "command", "Run", nil)
	var order api.Order
	fmt.Println("end")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "quote":
			fmt.Println(quote.Get()(rest))
		case "open":
			order = open.Get()()
		case "order": // what the host has kept since
			fmt.Println(order.Pricer.Price(5), order.Again(1))
		case "run":
			fmt.Println(run.Get()())
		case "ask":
			asked++
			fmt.Println(greet(asked))
		case "load":
			said(h.Load(context.Background(), rest))
		case "rollback":
			name, n, _ := strings.Cut(rest, " ")
			to, _ := strconv.Atoi(n)
			said(h.Rollback(context.Background(), name, to))
		}
		fmt.Println("end")
	}
}

//go:noinline
func greet(n int) string { return fmt.Sprint("hello ", n) }

func said(ev control.Event, err error) {
	if err != nil {
		fmt.Println("failed", ev.Code, err)
		return
	}
	fmt.Println(ev.Event, ev.Verdict)
}
`

// liveGenerations is a host of generationModule that runs, with the builder of what
// it loads.
type liveGenerations struct {
	*fixture
	b       *Builder
	plugins []Plugin
	h       *hosttest.Process
}

func newGenerations(t *testing.T) *liveGenerations {
	g := &liveGenerations{fixture: newFixture(t, generationModule)}
	g.AddReloader()
	g.Host = filepath.Join(t.TempDir(), "host")
	g.b = g.builder(Options{Resident: true, Keep: -1})
	t.Cleanup(func() { g.b.Close() })
	if _, err := g.b.BuildHost(t.Context(), "./host", g.Host); err != nil {
		if e := (*BuildError)(nil); errors.As(err, &e) {
			t.Fatal(e.Output)
		}
		t.Fatal(err)
	}
	var err error
	if g.plugins, err = g.b.Find(t.Context(), "./plugins/pricing", "./plugins/command"); err != nil {
		t.Fatal(err)
	}
	g.h = g.Start(g.Host)
	return g
}

// in is for a subtest.
func (g *liveGenerations) in(t *testing.T) *liveGenerations {
	own := *g
	own.fixture = &fixture{g.In(t)}
	was := g.h.T
	g.h.T = t
	t.Cleanup(func() { g.h.T = was })
	return &own
}

func (g *liveGenerations) plugin(name string) Plugin {
	return g.plugins[slices.IndexFunc(g.plugins, func(p Plugin) bool { return p.Name == name })]
}

// swap builds a plugin as it is and loads it. It gives its key.
func (g *liveGenerations) swap(b *Builder, name string) string {
	g.T.Helper()
	snap, err := b.Snapshot(g.T.Context(), Host{Binary: g.Host}, g.plugins)
	if err != nil {
		g.T.Fatal(err)
	}
	i := slices.IndexFunc(g.plugins, func(p Plugin) bool { return p.Name == name })
	if err := snap.Errors[name]; err != nil {
		g.T.Fatal(err)
	}
	a, err := b.Build(g.T.Context(), snap.Plans[i])
	if err != nil {
		g.T.Fatal(err)
	}
	g.expect("loaded swapped", "load", a.Path)
	return snap.Plans[i].Key
}

func (g *liveGenerations) planPatch(b *Builder, name, key string) *PatchPlan {
	g.T.Helper()
	p, err := b.PlanGenerationPatch(g.T.Context(), Host{Binary: g.Host}, g.plugin(name), g.plugins, key)
	if err != nil {
		g.T.Fatalf("%v %s", err, planError(err))
	}
	return p
}

// patch patches a generation with the plugin as it is.
func (g *liveGenerations) patch(b *Builder, name, key string) *PatchPlan {
	g.T.Helper()
	p := g.planPatch(b, name, key)
	a, err := b.BuildPatch(context.Background(), p)
	if err != nil {
		g.T.Fatalf("%s%s", planError(err), planned(p))
	}
	if m := a.Manifest; p.Base != key || p.Name != name || m.Plugin != name || m.Patch == nil || m.Patch.Base != key {
		g.T.Errorf("plan %+v, manifest %+v", p, m)
	}
	g.expect("loaded patched", "load", a.Path)
	return p
}

// original writes the plugins as they were in the beginning.
func (g *liveGenerations) original() {
	g.T.Helper()
	for _, f := range txtar.Parse([]byte(generationModule)).Files {
		if strings.HasPrefix(f.Name, "plugins/") {
			g.Write(f.Name, string(f.Data))
		}
	}
}

// expect says something to the host and compares its answer.
func (g *liveGenerations) expect(want string, words ...any) {
	g.T.Helper()
	if got := strings.Join(g.h.Say(words...), "\n"); got != want {
		g.T.Fatalf("%v: the host says\n\t%s\nwant\n\t%s", words, got, want)
	}
}

const pricingFile, rulesFile = "plugins/pricing/pricing.go", "plugins/pricing/rules/rules.go"

func TestPatchedGenerationKeepsItsVariables(t *testing.T) {
	g := newGenerations(t)
	key := g.swap(g.b, "pricing")
	g.h.Say("open")
	g.expect("calls 1 seen 1 total 10 net 10 pairs 1 rule 1003 same true *pricing.flat 101", "quote", "a")
	g.expect("105 17", "order")

	// A function, a method behind an interface, one inlined into another package,
	// a constant.
	g.Edit(pricingFile, "return n * 10", "return n * 20")
	g.Edit(pricingFile, "return f.base + n", "return f.base - n")
	g.Edit(rulesFile, "return n + used", "return n + 10*used")
	g.Edit("plugins/pricing/rules/deep/deep.go", "1000", "2000")
	p := g.patch(g.b, "pricing", key)
	want := []string{
		"changed pricing.(*flat).Price", "changed pricing.Quote (inlines rules.step, which changed)", "changed pricing.net",
	}
	if got := planned(p); !containsAll(got, want) {
		t.Errorf("planned\n%swant %q", got, want)
	}
	g.expect("calls 2 seen 2 total 50 net 20 pairs 1 rule 2022 same true *pricing.flat 99", "quote", "a")
	g.expect("95 27", "order")

	// What is new stays; what was edited before is edited still.
	g.Edit(pricingFile, "func net(n int)", "var fresh = 5\n\nvar grid [700]pair\n\ntype added struct{ n int }\n\nfunc (a added) String() string { return fmt.Sprint(\"added \", a.n) }\n\nfunc net(n int)")
	g.Edit(pricingFile, "//go:noinline\n", "")
	g.Edit(pricingFile, "calls++\n", "calls++\n\tfresh++\n\tdefer func() { fresh++ }()\n")
	g.Edit(pricingFile, `describe(kept))`, `describe(kept), " ", added{fresh}, filled())`)
	g.Edit(pricingFile, "func describe(", `func filled() bool {
	if grid[699].own == nil {
		grid[699] = pair{own: &flat{base: 3}, text: fmt.Sprint("te", "xt"), order: api.Order{Pricer: &flat{base: 4}}}
	}
	for range 3 {
		runtime.GC()
		_ = make([]flat, 1000)
	}
	return grid[699].own.base == 3 && grid[699].text == "text" && grid[699].order.Pricer.(*flat).base == 4
}

func describe(`)
	g.Edit(pricingFile, "\t\"sync/atomic\"", "\t\"runtime\"\n\t\"sync/atomic\"")
	if got := planned(g.patch(g.b, "pricing", key)); strings.Contains(got, "otgoState") {
		t.Errorf("what hotgo adds is shown:\n%s", got)
	}
	g.expect("calls 3 seen 3 total 110 net 20 pairs 1 rule 2032 same true *pricing.flat 99 added 6 true", "quote", "a")
	g.Edit(pricingFile, `"added "`, `"ADDED "`)
	g.patch(g.b, "pricing", key)
	g.expect("calls 4 seen 4 total 190 net 20 pairs 1 rule 2042 same true *pricing.flat 99 ADDED 8 true", "quote", "a")

	t.Run("refused", func(t *testing.T) { g.in(t).refusals(key) })
	t.Run("shared", func(t *testing.T) { g.in(t).ofShared(key) })

	// The host is patched as well, and knows its own variables.
	g.expect("hello 1", "ask")
	g.original()
	g.Edit("host/main.go", `"hello "`, `"HELLO "`)
	hp, err := g.b.PlanPatch(t.Context(), Host{Binary: g.Host}, g.plugins)
	if err != nil {
		t.Fatal(err, planError(err))
	}
	ha, err := g.b.BuildPatch(t.Context(), hp)
	if err != nil {
		t.Fatal(err, planned(hp))
	}
	g.expect("loaded patched", "load", ha.Path)
	g.expect("HELLO 2", "ask")
	g.Edit("host/main.go", `"HELLO "`, `"hello "`)

	if p := g.planPatch(g.b, "pricing", key); p.Verdict != NoDifference || len(p.Packages)+len(p.Functions) > 0 {
		t.Errorf("back at the generation's own text: %s", planned(p))
	}
	g.expect("rolled-back patched", "rollback", "pricing", 1)
	g.expect("calls 5 seen 5 total 240 net 10 pairs 1 rule 1007 same true *pricing.flat 101", "quote", "a")

	// A new generation, which takes over what the one before has, and patches of
	// that one.
	g.Edit(pricingFile, "calls int", "calls int64")
	g.Edit(pricingFile, "net(calls)", "net(int(calls))")
	key = g.swap(g.b, "pricing")
	g.expect("calls 6 seen 6 total 300 net 10 pairs 1 rule 1008 same true *pricing.flat 101", "quote", "a")
	g.Edit(pricingFile, "return n * 10", "return n * 30")
	p = g.patch(g.b, "pricing", key)
	g.expect("calls 7 seen 7 total 510 net 30 pairs 1 rule 1009 same true *pricing.flat 101", "quote", "a")
	g.expect("HELLO 3", "ask")
	if a, err := g.b.BuildPatch(t.Context(), p); err != nil || !a.Cached {
		t.Errorf("the same patch is built again: %+v, %v", a, err)
	}
	t.Run("full", func(t *testing.T) { g.in(t).ofFull() })
	t.Run("command", func(t *testing.T) { g.in(t).ofCommand() })
	t.Run("unknown", func(t *testing.T) { g.in(t).ofUnknown(key) })
}

// ofFull patches a generation whose artifact has a copy of all that it uses, by
// a builder that has to find everything out.
func (g *liveGenerations) ofFull() {
	t := g.T
	g.original()
	full := g.builder(Options{Link: "full", Dir: g.b.opts.Dir})
	key := g.swap(full, "pricing")
	g.expect("calls 8 seen 8 total 590 net 10 pairs 1 rule 1010 same true *pricing.flat 101", "quote", "a")
	g.Edit(pricingFile, "return n * 10", "return n * 40")
	g.Edit(pricingFile, "return f.base + n", "return f.base - n")
	p := g.patch(g.builder(Options{Dir: g.b.opts.Dir}), "pricing", key)
	if len(p.Functions) != 2 {
		t.Error(planned(p))
	}
	g.expect("calls 9 seen 9 total 950 net 40 pairs 1 rule 1011 same true *pricing.flat 99", "quote", "a")
}

// ofCommand patches a plugin that is a main package.
func (g *liveGenerations) ofCommand() {
	key := g.swap(g.b, "command")
	g.expect("run 1", "run")
	for n, text := range []string{"run", "walk", "fly"} {
		if n > 0 {
			g.Edit("plugins/command/command.go", []string{"run ", "walk "}[n-1], text+" ")
			g.patch(g.b, "command", key)
		}
		g.expect(fmt.Sprint(text, " ", n+2), "run")
	}
}

// ofUnknown plans patches of what the builder does not know.
func (g *liveGenerations) ofUnknown(key string) {
	t := g.T
	unknown := func(b *Builder, key string) {
		t.Helper()
		_, err := b.PlanGenerationPatch(t.Context(), Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
		if c, ok := errors.AsType[*ConflictError](err); !ok || c.Evidence[0].Rule != ruleDrift || !strings.Contains(c.Next, "swap") {
			t.Errorf("%v", err)
		}
	}
	unknown(g.builder(Options{}), key) // built elsewhere
	unknown(g.b, strings.Repeat("0", 64))
	a, err := g.b.stored("pricing", key)
	if err != nil || a == nil {
		t.Fatal(a, err)
	}
	if err := os.Remove(a.Path); err != nil {
		t.Fatal(err)
	}
	g.Edit(pricingFile, "return n * 40", "return n * 50")
	unknown(g.b, key)
}

func containsAll(text string, lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool { return !strings.Contains(text, l+"\n") })
}

// refusals makes edits that no patch of a generation can carry, each alone.
func (g *liveGenerations) refusals(key string) {
	t := g.T
	for name, edit := range map[string]struct {
		file, old, text string
		want            string
	}{
		"exported function added":   {pricingFile, "func net(", "func Extra() {}\n\nfunc net(", "refused HG0011 pricing.Extra: Extra is new, and hosts find it in a new generation only"},
		"exported function removed": {pricingFile, "func Open(", "func open(", "refused HG0011 pricing.Open: Open is gone or renamed, and hosts can have bound it"},
		"layout":                    {pricingFile, "struct{ base int }", "struct{ base, more int }", "refused HG0001 pricing.flat:"},
		"variable's type":           {pricingFile, "map[string]int{}", "map[string]int32{}", "refused HG0032 pricing.seen:"},
		"init":                      {rulesFile, "func step(", "func init() { used = 1 }\n\nfunc step(", "refused HG0040 rules.init:"},
		"package with assembly":     {"plugins/pricing/rules/fast/fast.go", "return same(n)", "return same(n) + 1", "refused HG0063"},
		"assembly":                  {"plugins/pricing/rules/fast/fast_amd64.s", "MOVQ AX, ret", "INCQ AX\n\tMOVQ AX, ret", "refused HG0063"},
		"package added":             {rulesFile, "example.com/gen/plugins/pricing/rules/deep\"", "example.com/gen/plugins/pricing/rules/deep\"\n\t_ \"example.com/gen/plugins/pricing/unused\"", "refused HG0099 example.com/gen/plugins/pricing/unused:"},
		"language version":          {"go.mod", "go 1.26", "go 1.26.1", "refused HG0091 example.com/gen/plugins/pricing:"},
		"signature":                 {pricingFile, "Price(n int) int", "Price(n int, _ ...int) int", ""},
	} {
		t.(*testing.T).Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(g.Root, edit.file))
			if err != nil {
				t.Fatal(err)
			}
			defer g.Write(edit.file, string(data))
			g.Edit(edit.file, edit.old, edit.text)
			p, err := g.b.PlanGenerationPatch(t.Context(), Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
			if edit.want == "" {
				if be, ok := errors.AsType[*BuildError](err); !ok || len(be.Diagnostics) == 0 || be.Diagnostics[0].File != filepath.Join(g.Root, edit.file) {
					t.Errorf("%v, %+v", p, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err, planError(err))
			}
			if got := planned(p); p.Verdict != MustRestart || !strings.Contains(got, edit.want) {
				t.Errorf("planned\n%swant %s", got, edit.want)
			}
			if e := p.Err(); !strings.Contains(e.(*ConflictError).Next, "swap") {
				t.Errorf("%+v", e)
			}
			if a, err := g.b.BuildPatch(t.Context(), p); a != nil || err == nil {
				t.Errorf("built: %v, %v", a, err)
			}
		})
	}
}

// ofShared edits a package that the plugin shares with the host.
func (g *liveGenerations) ofShared(key string) {
	g.Edit("api/api.go", "type Order", "var More int\n\ntype Order")
	defer g.Edit("api/api.go", "var More int\n\n", "")
	_, err := g.b.PlanGenerationPatch(g.T.Context(), Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
	if c, ok := errors.AsType[*ConflictError](err); !ok || c.Evidence[0].Rule != ruleShared {
		g.T.Errorf("%v", err)
	}
}
