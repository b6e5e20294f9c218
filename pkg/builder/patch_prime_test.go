//go:build linux && amd64 && cgo

package builder

import (
	"context"
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// primedFixture is a host, its plugin, and a builder that has seen them.
func primedFixture(t *testing.T) (*fixture, *Builder, []Plugin) {
	f := newFixture(t, hosttest.Builtin)
	f.Write("plugins/shop.v1/beside/beside.go", "package beside\n\n// Zero is 0.\nfunc Zero() int { return 0 }\n")
	f.Edit("plugins/shop.v1/shop.go", `"example.com/built/plugins/shop.v1/below"`, `"example.com/built/plugins/shop.v1/below"
	"example.com/built/plugins/shop.v1/beside"`)
	f.Edit("plugins/shop.v1/shop.go", "below.Count(),", "below.Count()+beside.Zero(),")
	f.AddReloader()
	f.Host = f.GoBuild("./host")
	b := f.builder(Options{Resident: true, Keep: -1})
	t.Cleanup(func() { b.Close() })
	return f, b, []Plugin{{Name: "shop.v1", ImportPath: "example.com/built/plugins/shop.v1"}}
}

func TestPrimingBeginsWithPluginsAndTheProgram(t *testing.T) {
	f, b, plugins := primedFixture(t)
	s, p, leave, err := b.patchScan(context.Background(), Host{Binary: f.Host}, plugins)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	want := []string{"example.com/built/plugins/shop.v1", "example.com/built/host"}
	if got := s.primed(s.hostBase(p)); len(got) < 3 || !slices.Equal(got[:2], want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// Who plans has not to wait for what can wait, and finds nothing half done.
func TestPrimingGivesWay(t *testing.T) {
	f, b, plugins := primedFixture(t)
	ctx := context.Background()
	host := Host{Binary: f.Host}
	s, leave, err := b.scan(ctx, host, plugins)
	if err != nil {
		t.Fatal(err)
	}
	planned := make(chan error)
	plan := func() {
		_, err := b.Snapshot(ctx, host, plugins)
		planned <- err
	}
	primes, done := b.givesWay(ctx, s.resident)
	go plan()
	<-primes.Done()
	done()
	primes, done = b.givesWay(ctx, s.resident) // who comes later
	<-primes.Done()
	done()
	leave()
	if err := <-planned; err != nil {
		t.Fatal(err)
	}

	// Wherever it is, a plan finds nothing half done.
	f.Edit("plugins/shop.v1/below/below.go", "first.n++", "first.n += 2")
	priming, cancel := context.WithCancel(ctx)
	primed := make(chan error)
	go func() { primed <- b.PrimePatch(priming, host, plugins) }()
	for range 6 {
		p, err := b.PlanPatch(ctx, host, plugins)
		if err != nil || p.Verdict != CanPatch || len(p.diff.Functions) == 0 {
			t.Fatalf("planned while packages are got ready: %+v, %v", p, err)
		}
	}
	cancel()
	<-primed
}

// Priming that gave way has left packages of which it is known how they are compiled, and
// which are not. An edit that shows in export data reaches several of these at once, one
// by way of the other.
func TestPackagesThatPrimingDidNotGetToAreCompiledWithTheEdit(t *testing.T) {
	f, b, plugins := primedFixture(t)
	ctx := context.Background()
	host := Host{Binary: f.Host}
	if err := b.PrimePatch(ctx, host, plugins); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.patchCompilers {
		for _, p := range c.packages {
			p.old, p.new = nil, nil
		}
	}
	f.Edit("plugins/shop.v1/below/below.go", "first.n++", "first.n += 2")
	f.Edit("plugins/shop.v1/below/below.go", "// Count counts.", "// More is new.\nfunc More() int { return 1 }\n\n// Count counts.")
	p, err := b.PlanPatch(ctx, host, plugins)
	if err != nil || p.Verdict != CanPatch || len(p.diff.Functions) == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
