//go:build linux && amd64 && cgo

package livepatching_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
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
	*hosttest.Module
	store   string // of b
	b       *builder.Builder
	plugins []builder.Plugin
	h       *hosttest.Process
}

func newGenerations(t *testing.T) *liveGenerations {
	g := &liveGenerations{Module: hosttest.New(t, generationModule), store: t.TempDir()}
	g.AddReloader()
	g.Host = filepath.Join(t.TempDir(), "host")
	g.b = buildtest.New(g.Module, builder.Options{Dir: g.store, Resident: true, Keep: -1})
	t.Cleanup(func() { g.b.Close() })
	if _, err := g.b.BuildHost(t.Context(), "./host", g.Host); err != nil {
		if e := (*builder.BuildError)(nil); errors.As(err, &e) {
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
	own.Module = g.In(t)
	was := g.h.T
	g.h.T = t
	t.Cleanup(func() { g.h.T = was })
	return &own
}

func (g *liveGenerations) plugin(name string) builder.Plugin {
	return g.plugins[slices.IndexFunc(g.plugins, func(p builder.Plugin) bool { return p.Name == name })]
}

// swap builds a plugin as it is and loads it.
func (g *liveGenerations) swap(b *builder.Builder, name string) *builder.Artifact {
	g.T.Helper()
	snap, err := b.Snapshot(g.T.Context(), builder.Host{Binary: g.Host}, g.plugins)
	if err != nil {
		g.T.Fatal(err)
	}
	i := slices.IndexFunc(g.plugins, func(p builder.Plugin) bool { return p.Name == name })
	if err := snap.Errors[name]; err != nil {
		g.T.Fatal(err)
	}
	a, err := b.Build(g.T.Context(), snap.Plans[i])
	if err != nil {
		g.T.Fatal(err)
	}
	g.expect("loaded swapped", "load", a.Path)
	return a
}

func (g *liveGenerations) planPatch(b *builder.Builder, name, key string) *builder.PatchPlan {
	g.T.Helper()
	p, err := b.PlanGenerationPatch(g.T.Context(), builder.Host{Binary: g.Host}, g.plugin(name), g.plugins, key)
	if err != nil {
		g.T.Fatalf("%v %s", err, planError(err))
	}
	return p
}

// patch patches a generation with the plugin as it is.
func (g *liveGenerations) patch(b *builder.Builder, name, key string) *builder.PatchPlan {
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
