package builder

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRegistrationsOfPrivatePackagesAreFound: what runs again is what has a fresh
// identity, and nothing else; imports are known by the names that their packages
// have.
func TestRegistrationsOfPrivatePackagesAreFound(t *testing.T) {
	f := newFixture(t, usesNothing+`
-- plugins/pricing/pricing.go --
package pricing

import (
	_ "example.com/shop/api"
	"example.com/shop/plugins/pricing/rules"
)

func init() { rules.Register() }
-- plugins/pricing/rules/rules.go --
package rules

import (
	"net/http"

	flag "example.com/shop/flags"
)

var _ = flag.Int()

func Register() {
	http.HandleFunc("/rules", nil)
	go func() {}()
}
-- plugins/pricing/rules/quick.s --
-- flags/flags.go --
package flag

func Int() int { return 0 }
-- api/api.go --
package api

import "expvar"

var Hits = expvar.NewInt("hits")
-- server/main.go --
package main

import _ "example.com/shop/api"

func main() {}
`)
	b := f.builder(Options{})
	plugins, err := b.Find(t.Context(), "./plugins/pricing")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := b.Snapshot(t.Context(), Host{Package: "./server"}, plugins)
	if err != nil {
		t.Fatal(err)
	}
	p := snap.Plans[0]
	if p == nil {
		t.Fatal(snap.Errors)
	}
	want := []Finding{{
		Code: "HG0041", Symbol: "rules.Register",
		Text: "plugins/pricing/rules/rules.go:12:2: http.HandleFunc is called when the package is initialised (init -> Register); it panics when another generation repeats it",
	}}
	if d := cmp.Diff(want, p.InitNotes()); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
	effects := p.InitEffects()
	if len(effects) != 2 || !effects[0].Panics || effects[1].Code != "" || effects[1].At.Line != 13 || !filepath.IsAbs(effects[1].At.File) {
		t.Errorf("effects: %+v", effects)
	}
	if d := cmp.Diff([]string{"example.com/shop/plugins/pricing/rules"}, p.Foreign()); d != "" {
		t.Errorf("foreign (-want +got):\n%s", d)
	}
	if err := p.Obstacle(); err != nil {
		t.Error(err)
	}
	f.Write("vendor/modules.txt", "")
	var conflict *ConflictError
	if err := p.Obstacle(); !errors.As(err, &conflict) || conflict.Next == "" {
		t.Errorf("assembly in a vendored module: %v", err)
	}
	if (&Plan{}).InitEffects() != nil {
		t.Error("a plan without packages has effects")
	}
}

// TestToolchainSaysWhatItWouldBuildWith, and what the module asks for.
func TestToolchainSaysWhatItWouldBuildWith(t *testing.T) {
	f := newFixture(t, "-- go.mod --\nmodule example.com/shop\n\ngo 1.25\n\ntoolchain go1.25.9\n-- sub/go.work --\ngo 1.26\n\nuse .\n-- sub/go.mod --\nmodule example.com/sub\n\ngo 1.20\n")
	f.Env = append(f.Env, "GOWORK=", "GOOS=darwin", "GOARCH=arm64", "CC=some-cc -m64")
	tc, err := ReadToolchain(t.Context(), f.Root, f.Env)
	if err != nil {
		t.Fatal(err)
	}
	if tc.Wanted != "go1.25.9" || tc.Module != filepath.Join(f.Root, "go.mod") || tc.CC != "some-cc -m64" || !strings.HasPrefix(tc.Version, "go1.") {
		t.Errorf("%+v", tc)
	}
	if tc.NoLoad == "" || tc.NoThin == "" || tc.NoPatch == "" {
		t.Errorf("darwin/arm64: load %q, thin %q, patch %q", tc.NoLoad, tc.NoThin, tc.NoPatch)
	}
	if _, err := tc.TryCompiler(t.Context(), t.TempDir()); err == nil {
		t.Error("a compiler that is not there works")
	}
	f.Env = append(f.Env, "GOOS=linux", "GOARCH=amd64")
	if tc, err = ReadToolchain(t.Context(), filepath.Join(f.Root, "sub"), f.Env); err != nil {
		t.Fatal(err)
	}
	if tc.Wanted != "go1.26" || tc.NoLoad != "" || tc.NoThin != "" || tc.NoPatch != "" {
		t.Errorf("linux/amd64 in a workspace: %+v", tc)
	}
	if tc, err = ReadToolchain(t.Context(), t.TempDir(), f.Env); err != nil || tc.Module != "" || tc.Wanted != "" {
		t.Errorf("outside a module: %+v, %v", tc, err)
	}
	if _, err := ReadToolchain(t.Context(), f.Root, []string{"PATH=" + t.TempDir()}); err == nil {
		t.Error("no go command is no error")
	}
}

// TestHostsAreReadAsTheyAre: a program of this module without the reloader, without
// cgo, loads nothing; something else is no program.
func TestHostsAreReadAsTheyAre(t *testing.T) {
	f := newFixture(t, "-- main.go --\npackage main\n\nfunc main() {}\n")
	bin := filepath.Join(t.TempDir(), "host")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir, cmd.Env = f.Root, append(f.Env, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h, err := ReadHost(bin)
	if err != nil {
		t.Fatal(err)
	}
	if h.Package != "example.com/shop" || !h.Static || h.Reloader == nil || *h.Reloader || h.Unfit == nil || h.GOOS != "linux" {
		t.Errorf("%+v", h)
	}
	if _, err := ReadHost(filepath.Join(f.Root, "main.go")); err == nil {
		t.Error("a source file is a host")
	}
	b := f.builder(Options{})
	if yes, err := b.EmbedsReloader(t.Context(), "."); yes || err != nil {
		t.Errorf("it embeds the reloader: %t, %v", yes, err)
	}
}

// TestLeftoversAreListedBeforeTheyAreRemoved, and what a living build has stays.
func TestLeftoversAreListedBeforeTheyAreRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if left, err := Leftovers(dir); err != nil || len(left) > 0 {
		t.Fatalf("a new directory: %v, %v", left, err)
	}
	b := newFixture(t, "-- main.go --\npackage main\n").builder(Options{Dir: dir})
	living, done, err := b.store.Temp("pricing")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	dead := filepath.Join(dir, ".tmp", "pricing-dead")
	for _, err := range []error{os.Mkdir(dead, 0o700), os.WriteFile(dead+".owner", nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{dead}
	for _, list := range []func(string) ([]string, error){Leftovers, Leftovers, RemoveLeftovers} {
		got, err := list(dir)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	}
	if left, err := RemoveLeftovers(dir); err != nil || len(left) > 0 {
		t.Errorf("a second time: %v, %v", left, err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("what a build has: %v", err)
	}
}
