//go:build linux && cgo

// Package thinlinking_test has processes open artifacts that are linked thin, and asks them
// whether these do what they do when they are linked in full: in hosts that were built in
// many ways (hosts_test.go), and many generations in one process (soak_test.go).
//
// That all kinds of Go code do is the conformance suite's.
package thinlinking_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// thinLimit is what an artifact of the fixture's size may weigh. In full it is
// more than 3 MB.
const thinLimit = 200_000

// hostCell is a way to build a host.
type hostCell struct {
	name  string
	flags []string
	env   []string
	needs string // a program that has to be installed
	short bool
	other bool // with the other releases, too
}

var hostCells = []hostCell{
	{name: "plain", short: true, other: true},
	{name: "stripped", flags: []string{"-ldflags=-s -w"}, short: true},
	{name: "pie", flags: []string{"-buildmode=pie"}, short: true},
	{name: "pie, stripped", flags: []string{"-buildmode=pie", "-ldflags=-s -w"}, other: true},
	{name: "pie, packed relocations", flags: []string{"-buildmode=pie", "-ldflags=-extldflags=-Wl,-z,pack-relative-relocs"}},
	{name: "trimpath", flags: []string{"-trimpath"}, other: true},
	{name: "race", flags: []string{"-race"}},
	{name: "tags", flags: []string{"-tags=fast"}},
	{name: "no optimisation", flags: []string{"-gcflags=all=-N -l"}},
	{name: "GOAMD64", env: []string{"GOAMD64=v3"}},
	{name: "clang", env: []string{"CC=clang"}, needs: "clang"},
	{name: "linked by lld", flags: []string{"-buildmode=pie", "-ldflags=-extldflags=-fuse-ld=lld"}, needs: "ld.lld"},
	{name: "linked by mold", flags: []string{"-ldflags=-linkmode=external -extldflags=-fuse-ld=mold"}, needs: "mold"},
	{name: "lld for all", env: []string{"CC=gcc -fuse-ld=lld"}, needs: "ld.lld"},
	{name: "mold for all", env: []string{"CC=gcc -fuse-ld=mold"}, needs: "mold"},
}

// thinCell is a cell's artifact, built and loaded.
func checkThin(f *hosttest.Module, host string, edit func(want string) string) *builder.Artifact {
	f.T.Helper()
	p, err := planFor(f, host, builder.Options{Link: "thin"})
	if err != nil {
		f.T.Fatal(err)
	}
	a, err := buildtest.New(f, builder.Options{Link: "thin"}).Build(f.T.Context(), p)
	var refused *builder.ConflictError
	if errors.As(err, &refused) {
		f.T.Fatalf("%v: %+v", err, refused.Evidence)
	}
	if err != nil {
		f.T.Fatal(err)
	}
	if a.Manifest.Link != "thin" || a.Bytes > thinLimit {
		f.T.Errorf("%s artifact of %d bytes (%s)", a.Manifest.Link, a.Bytes, a.Manifest.Reason)
	}
	h := f.Start(host)
	if said := h.Say("open", a.Path); len(said) != 1 || strings.Contains(said[0], ":") {
		f.T.Fatalf("the host says %q", said)
	}
	got := strings.Join(h.Say("call"), "\n")
	if want := edit(workSays); got != want {
		f.T.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.T.Logf("%d bytes, joined %v", a.Bytes, a.Manifest.Joined)
	return a
}

// workSays is what plugin work says in generation 1. TestFullSaysTheSame holds
// it against an artifact that is linked in full.
const workSays = `1 plain {"name":"made","next":{"name":"next","tags":{"t0":0,"t1":1}}} <pa 0> <wide 0> <any 0> <first 3> 9580 #7,#1 2.25 [<host 1>] recovered: runtime error: invalid memory address or nil pointer dereference <nil> true
1 plain {"name":"made","next":{"name":"next","tags":{"t0":0,"t1":1}}} <pa 0> <wide 0> <any 0> <first 3> 9580 #7,#1 2.25 [<host 1>] recovered: runtime error: invalid memory address or nil pointer dereference <nil> true`

func planFor(f *hosttest.Module, host string, opts builder.Options) (*builder.Plan, error) {
	f.T.Helper()
	f.Host = host
	return buildtest.Plan(f, buildtest.New(f, opts), "./plugins/work")
}

func same(s string) string { return s }

func TestFullSaysTheSame(t *testing.T) {
	f := hosttest.New(t, hostsModule)
	f.Host = f.GoBuild("./host")
	a := buildtest.Build(f, buildtest.New(f, builder.Options{Link: "full"}), "./plugins/work")
	h := f.Start(f.Host)
	h.Say("open", a.Path)
	if got := strings.Join(h.Say("call"), "\n"); got != workSays {
		t.Errorf("got\n%s\nwant\n%s", got, workSays)
	}
}

func TestThinFitsEveryHost(t *testing.T) {
	root := hosttest.New(t, hostsModule)
	check := func(t *testing.T, c hostCell, env ...string) {
		if testing.Short() && !c.short {
			t.Skip("with -short only some")
		}
		if c.needs != "" {
			if _, err := exec.LookPath(c.needs); err != nil {
				t.Skipf("%s is not installed", c.needs)
			}
		}
		t.Parallel()
		f := root.In(t)
		f.Env = append(append(slices.Clone(root.Env), env...), c.env...)
		checkThin(f, f.GoBuild("./host", c.flags...), func(want string) string {
			if c.name == "tags" {
				return strings.ReplaceAll(want, "plain", "fast")
			}
			return want
		})
	}
	for _, c := range hostCells {
		t.Run(c.name, func(t *testing.T) { check(t, c) })
	}
	for _, toolchain := range hosttest.Toolchains(t) {
		for _, c := range hostCells {
			if c.other {
				t.Run(toolchain+" "+c.name, func(t *testing.T) { check(t, c, "GOTOOLCHAIN="+toolchain) })
			}
		}
	}
}

func TestThinFitsAHostWithAProfile(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything with a profile")
	}
	t.Parallel()
	f := hosttest.New(t, hostsModule)
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Skip(err) // the test itself is profiled
	}
	// What the host and the plugin do most of is hot.
	for start := time.Now(); time.Since(start) < 500*time.Millisecond; {
		text, err := json.Marshal(map[string]any{"a": []string{fmt.Sprint(start)}})
		if err != nil || len(text) == 0 {
			t.Fatal(err)
		}
	}
	pprof.StopCPUProfile()
	f.Write("host/default.pgo", profile.String())
	checkThin(f, f.GoBuild("./host"), same)
}

// A host may be replaced on disk while it runs. What runs is then at hand under
// /proc only, and what was built for the one does not go to the other.
func TestThinFitsTheProcessAndNotTheFile(t *testing.T) {
	f := hosttest.New(t, hostsModule)
	first := f.GoBuild("./host")
	h := f.Start(first)
	b := buildtest.New(f, builder.Options{Link: "thin"})
	f.Host = first
	old := buildtest.Build(f, b, "./plugins/work")
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	f.Edit("host/main.go", `"first"`, `"second"`)
	if err := os.Rename(f.GoBuild("./host"), first); err != nil {
		t.Fatal(err)
	}
	// The same builder, the same path: another program.
	generation(f, "work", 2)
	fresh := buildtest.Build(f, b, "./plugins/work")
	if fresh.Manifest.HostBuild == old.Manifest.HostBuild {
		t.Error("the artifact is for the program that was there before")
	}
	second := f.Start(first)
	if second.Hello[0] == h.Hello[0] {
		t.Fatalf("the host did not change: %q", second.Hello)
	}
	second.Say("open", fresh.Path)
	if got := strings.Join(second.Say("call"), "\n"); got != strings.ReplaceAll(strings.ReplaceAll(workSays, "#1 ", "#2 "), "1 plain", "2 plain") {
		t.Errorf("the new program says\n%s", got)
	}
	// The one that runs still gets artifacts, by its process.
	f.Host = h.Executable()
	generation(f, "work", 3)
	running := buildtest.Build(f, buildtest.New(f, builder.Options{Link: "thin"}), "./plugins/work")
	if running.Manifest.HostBuild != old.Manifest.HostBuild {
		t.Error("the artifact is not for the process")
	}
	h.Say("open", running.Path)
	if got := strings.Join(h.Say("call"), "\n"); got != strings.ReplaceAll(strings.ReplaceAll(workSays, "#1 ", "#3 "), "1 plain", "3 plain") {
		t.Errorf("the process says\n%s", got)
	}
}

// Neither the scratch directory nor, with -trimpath, the module's place shows
// in an artifact.
func TestThinBuildIsReproducible(t *testing.T) {
	for _, flags := range [][]string{nil, {"-trimpath"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			f := hosttest.New(t, hostsModule)
			f.Env = append(f.Env, "SOURCE_DATE_EPOCH=1700000000")
			f.Host = f.GoBuild("./host", flags...)
			places := []*hosttest.Module{f, f}
			if flags != nil {
				moved := hosttest.New(t, hostsModule)
				moved.Env, moved.Host = append(moved.Env, "SOURCE_DATE_EPOCH=1700000000"), f.Host
				places[1] = moved
			}
			var artifacts []*builder.Artifact
			for i, f := range places {
				// Directories of different lengths.
				dir := filepath.Join(t.TempDir(), strings.Repeat("d", 1+9*i))
				artifacts = append(artifacts, buildtest.Build(f, buildtest.New(f, builder.Options{Link: "thin", Dir: dir}), "./plugins/work"))
			}
			if artifacts[0].Digest == artifacts[1].Digest {
				return
			}
			var data [2][]byte
			for i, a := range artifacts {
				var err error
				if data[i], err = os.ReadFile(a.Path); err != nil {
					t.Fatal(err)
				}
			}
			at := 0
			for at < min(len(data[0]), len(data[1])) && data[0][at] == data[1][at] {
				at++
			}
			t.Errorf("%d and %d bytes that differ at %#x: %.60q and %.60q", len(data[0]), len(data[1]), at, data[0][max(0, at-20):], data[1][max(0, at-20):])
		})
	}
}
