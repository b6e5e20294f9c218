//go:build linux && amd64 && cgo

package livepatching_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
)

func TestPatchedGenerationKeepsItsVariables(t *testing.T) {
	g := newGenerations(t)
	key := g.swap(g.b, "pricing").Manifest.Key
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
	hp, err := g.b.PlanPatch(t.Context(), builder.Host{Binary: g.Host}, g.plugins)
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

	if p := g.planPatch(g.b, "pricing", key); p.Verdict != builder.NoDifference || len(p.Packages)+len(p.Functions) > 0 {
		t.Errorf("back at the generation's own text: %s", planned(p))
	}
	g.expect("rolled-back patched", "rollback", "pricing", 1)
	g.expect("calls 5 seen 5 total 240 net 10 pairs 1 rule 1007 same true *pricing.flat 101", "quote", "a")

	// A new generation, which takes over what the one before has, and patches of
	// that one.
	g.Edit(pricingFile, "calls int", "calls int64")
	g.Edit(pricingFile, "net(calls)", "net(int(calls))")
	last := g.swap(g.b, "pricing")
	key = last.Manifest.Key
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
	t.Run("unknown", func(t *testing.T) { g.in(t).ofUnknown(last) })
}

// ofFull patches a generation whose artifact has a copy of all that it uses, by
// a builder that has to find everything out.
func (g *liveGenerations) ofFull() {
	t := g.T
	g.original()
	full := buildtest.New(g.Module, builder.Options{Link: "full", Dir: g.store})
	key := g.swap(full, "pricing").Manifest.Key
	g.expect("calls 8 seen 8 total 590 net 10 pairs 1 rule 1010 same true *pricing.flat 101", "quote", "a")
	g.Edit(pricingFile, "return n * 10", "return n * 40")
	g.Edit(pricingFile, "return f.base + n", "return f.base - n")
	p := g.patch(buildtest.New(g.Module, builder.Options{Dir: g.store}), "pricing", key)
	if len(p.Functions) != 2 {
		t.Error(planned(p))
	}
	g.expect("calls 9 seen 9 total 950 net 40 pairs 1 rule 1011 same true *pricing.flat 99", "quote", "a")
}

// ofCommand patches a plugin that is a main package.
func (g *liveGenerations) ofCommand() {
	key := g.swap(g.b, "command").Manifest.Key
	g.expect("run 1", "run")
	for n, text := range []string{"run", "walk", "fly"} {
		if n > 0 {
			g.Edit("plugins/command/command.go", []string{"run ", "walk "}[n-1], text+" ")
			g.patch(g.b, "command", key)
		}
		g.expect(fmt.Sprint(text, " ", n+2), "run")
	}
}

// ofUnknown plans patches of what the builder does not know, or not any more.
func (g *liveGenerations) ofUnknown(was *builder.Artifact) {
	t := g.T
	unknown := func(b *builder.Builder, key string) {
		t.Helper()
		_, err := b.PlanGenerationPatch(t.Context(), builder.Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
		if c, ok := errors.AsType[*builder.ConflictError](err); !ok || c.Evidence[0].Rule != "HG0094" || !strings.Contains(c.Next, "swap") {
			t.Errorf("%v", err)
		}
	}
	unknown(buildtest.New(g.Module, builder.Options{}), was.Manifest.Key) // built elsewhere
	unknown(g.b, strings.Repeat("0", 64))
	if err := os.Remove(was.Path); err != nil {
		t.Fatal(err)
	}
	g.Edit(pricingFile, "return n * 40", "return n * 50")
	unknown(g.b, was.Manifest.Key)
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
			p, err := g.b.PlanGenerationPatch(t.Context(), builder.Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
			if edit.want == "" {
				if be, ok := errors.AsType[*builder.BuildError](err); !ok || len(be.Diagnostics) == 0 || be.Diagnostics[0].File != filepath.Join(g.Root, edit.file) {
					t.Errorf("%v, %+v", p, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err, planError(err))
			}
			if got := planned(p); p.Verdict != builder.MustRestart || !strings.Contains(got, edit.want) {
				t.Errorf("planned\n%swant %s", got, edit.want)
			}
			if e := p.Err(); !strings.Contains(e.(*builder.ConflictError).Next, "swap") {
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
	_, err := g.b.PlanGenerationPatch(g.T.Context(), builder.Host{Binary: g.Host}, g.plugin("pricing"), g.plugins, key)
	if c, ok := errors.AsType[*builder.ConflictError](err); !ok || c.Evidence[0].Rule != "HG0090" {
		g.T.Errorf("%v", err)
	}
}
