//go:build linux && amd64 && cgo

package livepatching_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// profileModule is a host that profiles itself while its own function and that of a
// plugin are busy, or wait.
const profileModule = `
-- go.mod --
module example.com/prof

go 1.26

require github.com/hotgo/hotgo v0.0.0

replace github.com/hotgo/hotgo => ./hotgo
-- plugins/work/work.go --
package work

var sink int

// Spin is busy.
func Spin(n int) {
	for range n {
		sink += 1
	}
}

// Wait waits.
func Wait(ready, end chan int) {
	ready <- 1
	<-end
}
-- host/work.go --
package main

var sink int

// spin is busy.
//
//go:noinline
func spin(n int) {
	for range n {
		sink += 1
	}
}

// wait waits.
//
//go:noinline
func wait(ready, end chan int) {
	ready <- 1
	<-end
}
-- host/main.go --
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	busy := reloader.Bind[func(int)](h, "work", "Spin", nil)
	waits := reloader.Bind[func(ready, end chan int)](h, "work", "Wait", nil)
	fmt.Println("end")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "load":
			ev, err := h.Load(context.Background(), rest)
			fmt.Println(ev.Event, ev.Verdict, err)
		case "cpu":
			times, file, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(times)
			profile(file, func() { spin(n); busy.Get()(n) })
		case "goroutines":
			ready, end := make(chan int), make(chan int)
			go wait(ready, end)
			go waits.Get()(ready, end)
			<-ready
			<-ready
			f, _ := os.Create(rest)
			err := pprof.Lookup("goroutine").WriteTo(f, 1)
			fmt.Println(err, f.Close())
			close(end)
		}
		fmt.Println("end")
	}
}

func profile(file string, f func()) {
	out, err := os.Create(file)
	if err == nil {
		err = pprof.StartCPUProfile(out)
	}
	f()
	pprof.StopCPUProfile()
	fmt.Println(err, out.Close())
}
`

// TestProfilesShowPatchedFunctions takes profiles of a process whose functions were
// patched, and finds the new ones in them, with the lines of the edited files.
func TestProfilesShowPatchedFunctions(t *testing.T) {
	g := &liveGenerations{Module: hosttest.New(t, profileModule)}
	g.AddReloader()
	g.Host = filepath.Join(t.TempDir(), "host")
	g.b = buildtest.New(g.Module, builder.Options{Keep: -1})
	if _, err := g.b.BuildHost(t.Context(), "./host", g.Host); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.plugins, err = g.b.Find(t.Context(), "./plugins/work"); err != nil {
		t.Fatal(err)
	}
	g.h = g.Start(g.Host)
	load := func(a *builder.Artifact, verdict string) {
		t.Helper()
		g.expect("loaded "+verdict+" <nil>", "load", a.Path)
	}
	snap, err := g.b.Snapshot(t.Context(), builder.Host{Binary: g.Host}, g.plugins)
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.b.Build(t.Context(), snap.Plans[0])
	if err != nil {
		t.Fatal(err)
	}
	load(a, "swapped")

	// The functions move, so that a line of before is another one.
	files := []string{"host/work.go", "plugins/work/work.go"}
	for _, file := range files {
		g.Edit(file, "var sink int", strings.Repeat("// moved\n", 50)+"var sink int")
		g.Edit(file, "sink += 1\n", "sink += 2\n\t\tsink ^= n\n")
		g.Edit(file, "ready <- 1\n\t<-end", "ready <- 2\n\n\t<-end")
	}
	host, err := g.b.PlanPatch(t.Context(), builder.Host{Binary: g.Host}, g.plugins)
	if err != nil {
		t.Fatal(err, planError(err))
	}
	generation := g.planPatch(g.b, "work", snap.Plans[0].Key)
	for _, p := range []*builder.PatchPlan{host, generation} {
		if a, err = g.b.BuildPatch(t.Context(), p); err != nil {
			t.Fatal(planError(err), planned(p))
		}
		load(a, "patched")
	}

	for i, file := range files {
		full := filepath.Join(g.Root, file)
		spin, wait := []string{"main.spin", "Spin"}[i], []string{"main.wait", "Wait"}[i]
		found := linesOf(g.goroutines(), wait, full)
		if want := g.lineOf(file, "<-end"); len(found) != 1 || found[0] != want {
			t.Errorf("the goroutine profile has %s at lines %v of %s, want %d", wait, found, file, want)
		}
		// A profile is made of samples: look for longer until there are some.
		for n := 50_000_000; ; n *= 2 {
			if found = linesOf(g.cpu(n), spin, full); len(found) > 0 {
				break
			}
			if n > 1<<33 {
				t.Fatalf("no sample in %s", spin)
			}
		}
		first, last := g.lineOf(file, "for range n"), g.lineOf(file, "sink ^= n")
		for _, line := range found {
			if line < first || line > last {
				t.Errorf("the CPU profile has %s at line %d of %s, want %d to %d", spin, line, file, first, last)
			}
		}
	}
}

// lineOf gives the number of the one line that contains a text.
func (g *liveGenerations) lineOf(file, text string) int {
	g.T.Helper()
	data, err := os.ReadFile(filepath.Join(g.Root, file))
	before, _, ok := strings.Cut(string(data), text)
	if err != nil || !ok || strings.Count(string(data), text) > 1 {
		g.T.Fatalf("%s has no line or several with %q, %v", file, text, err)
	}
	return strings.Count(before, "\n") + 1
}

// goroutines gives the text form of a goroutine profile.
func (g *liveGenerations) goroutines() string {
	file := filepath.Join(g.T.TempDir(), "goroutines")
	g.expect("<nil> <nil>", "goroutines", file)
	data, err := os.ReadFile(file)
	if err != nil {
		g.T.Fatal(err)
	}
	return string(data)
}

// cpu gives what go tool pprof makes of a profile of n rounds.
func (g *liveGenerations) cpu(n int) string {
	file := filepath.Join(g.T.TempDir(), "cpu")
	g.expect("<nil> <nil>", "cpu", strconv.Itoa(n), file)
	out, err := exec.CommandContext(g.T.Context(), "go", "tool", "pprof", "-raw", file).CombinedOutput()
	if err != nil {
		g.T.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// linesOf gives the lines at which a profile has a function that ends in name: in
// either form it has the function, its file and the line, one after the other.
func linesOf(profile, name, file string) []int {
	var lines []int
	at := regexp.MustCompile(fmt.Sprintf(`\b%s(?:\+0x[0-9a-f]+)?\s+%s:(\d+)`, regexp.QuoteMeta(name), regexp.QuoteMeta(file)))
	for _, m := range at.FindAllStringSubmatch(profile, -1) {
		n, _ := strconv.Atoi(m[1])
		lines = append(lines, n)
	}
	return lines
}
