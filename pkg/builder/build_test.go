package builder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestCompilerErrorsNameTheUsersFiles(t *testing.T) {
	for _, flags := range [][]string{nil, {"-trimpath"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) { compilerErrors(t, flags...) })
	}
}

func compilerErrors(t *testing.T, flags ...string) {
	rows := []struct{ name, file, old, new, want string }{
		{"type error", "plugins/pricing/pricing.go", "api.Name()", "api.Nam()", "plugins/pricing/pricing.go:9:32: undefined: api.Nam"},
		{"syntax error", "plugins/pricing/calc/calc.go", `"one"`, `"one" +`, "plugins/pricing/calc/calc.go:3:37: syntax error: unexpected } after top level declaration"},
		{"missing package", "plugins/pricing/pricing.go", `"example.com/shop/api"`, `"example.com/shop/nowhere"`, "plugins/pricing/pricing.go:4:2: "},
		{"types of private packages", "plugins/pricing/pricing.go", "calc.Text()", "calc.Text(calc.Text)", "plugins/pricing/pricing.go:9:51: too many arguments in call to calc.Text"},
	}
	f := newFixture(t, simplePlugin)
	f.buildHost(flags...)
	b := f.builder(Options{})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f.Edit(row.file, row.old, row.new)
			defer f.Edit(row.file, row.new, row.old)
			p, err := f.plan(b, "./plugins/pricing")
			if err == nil {
				_, err = b.Build(context.Background(), p)
			}
			var be *BuildError
			if !errors.As(err, &be) {
				t.Fatalf("got %v, want a *BuildError", err)
			}
			if len(be.Diagnostics) == 0 {
				t.Fatalf("no diagnostics in\n%s", be.Output)
			}
			got := strings.TrimPrefix(be.Error(), f.Root+"/")
			if file, _, _ := strings.Cut(row.want, ": "); !strings.HasPrefix(got, file) {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if strings.Contains(be.Output, "hotgo_") || strings.Contains(be.Error(), "hotgo_") {
				t.Errorf("the fresh identity shows in\n%s", be.Output)
			}
		})
	}
	if got := f.run(f.build(b, "./plugins/pricing")); got != "api one" {
		t.Errorf("after the errors: %s", got)
	}
}

const tracePlugin = `
-- plugins/pricing/pricing.go --
package pricing

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"example.com/shop/plugins/pricing/deep"
)

func Run() string {
	_, file, line, _ := runtime.Caller(0)
	trace := deep.Call(func() string { return string(debug.Stack()) })
	var at []string
	for l := range strings.Lines(trace) {
		if l = strings.TrimSpace(l); strings.Contains(l, "/pricing/") && strings.Contains(l, ".go:") && !strings.Contains(l, "hotgo_entry") {
			at = append(at, strings.Fields(l)[0])
		}
	}
	return fmt.Sprint(file, ":", line, " ", strings.Join(at, " "))
}
-- plugins/pricing/deep/deep.go --
package deep

func Call(f func() string) string {
	return f()
}
` + usesNothing + hostMain

func TestTracesShowTheUsersFiles(t *testing.T) {
	for _, flags := range [][]string{nil, {"-trimpath"}} {
		f := newFixture(t, tracePlugin)
		f.buildHost(flags...)
		got := f.run(f.build(f.builder(Options{}), "./plugins/pricing"))
		base := f.Root
		if flags != nil {
			base = "example.com/shop"
		}
		dir := base + "/plugins/pricing/"
		want := dir + "pricing.go:13 " + dir + "pricing.go:14 " + dir + "deep/deep.go:4 " + dir + "pricing.go:14"
		if got != want {
			t.Errorf("%v: got\n%s\nwant\n%s", flags, got, want)
		}
	}
}

func TestBuildIsReproducible(t *testing.T) {
	var digests []string
	for range 2 {
		f := newFixture(t, simplePlugin)
		f.Env = append(f.Env, "SOURCE_DATE_EPOCH=1700000000")
		f.buildHost("-trimpath")
		digests = append(digests, f.build(f.builder(Options{}), "./plugins/pricing").Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("two directories give %s and %s", digests[0], digests[1])
	}
}

func TestManifestSaysWhatWasBuilt(t *testing.T) {
	f := newFixture(t, simplePlugin+`
-- plugins/pricing/more.go --
package pricing

import "context"

type Order struct{ ID int }

var Rate = map[string]*Order{}

func HotStart(ctx context.Context) error { return nil }

func Price(o *Order, more ...int) (int, error) { return 0, nil }

func generic[T any](T) {}

func Generic[T any](T) {}
`)
	f.buildHost()
	m := f.build(f.builder(Options{Tool: "hotgo test"}), "./plugins/pricing").Manifest
	if m.Plugin != "pricing" || m.Package != "example.com/shop/plugins/pricing" || m.Link != "thin" || m.HostBuild == "" || m.Tool != "hotgo test" {
		t.Errorf("got %+v", m)
	}
	var got []string
	for _, s := range m.Symbols {
		got = append(got, s.Kind+" "+s.Name+" "+s.Type)
	}
	want := `func HotStart func(context.Context) error
func Price func(*example.com/shop/plugins/pricing.Order, ...int) (int, error)
var Rate map[string]*example.com/shop/plugins/pricing.Order
func Run func() string`
	if strings.Join(got, "\n") != want {
		t.Errorf("symbols:\n%s", strings.Join(got, "\n"))
	}
	if fresh := m.Private["example.com/shop/plugins/pricing/calc"]; fresh != "example.com/shop/plugins/pricing/calc/hotgo_"+m.Key[:12] {
		t.Errorf("private %v", m.Private)
	}
	if len(m.Packages) == 0 || m.Packages["example.com/shop/api"] == "" || len(m.Sources) != 3 {
		t.Errorf("packages %d, sources %v", len(m.Packages), m.Sources)
	}
}

// Several builders, as in several processes, build several keys at once into
// one store; every artifact is whole and what it says.
func TestConcurrentBuildsDoNotDisturbEachOther(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	dir := filepath.Join(t.TempDir(), "store")
	var plans []*Plan
	var builders []*Builder
	for _, text := range []string{"one", "two", "three"} {
		f.Write("plugins/pricing/calc/calc.go", "package calc\n\nfunc Text() string { return \""+text+"\" }\n")
		for range 2 {
			b := f.builder(Options{Dir: dir})
			p, err := f.plan(b, "./plugins/pricing")
			if err != nil {
				t.Fatal(err)
			}
			p.read = nil // the sources move on while this test builds old versions
			plans, builders = append(plans, p), append(builders, b)
		}
	}
	got := make([]*Artifact, len(plans))
	var wg sync.WaitGroup
	for i, p := range plans {
		wg.Go(func() {
			a, err := builders[i].Build(context.Background(), p)
			if err != nil {
				t.Errorf("build %d: %v", i, err)
			}
			got[i] = a
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := 0; i < len(got); i += 2 {
		if got[i].Digest != got[i+1].Digest {
			t.Errorf("one key, two artifacts: %s and %s", got[i].Path, got[i+1].Path)
		}
	}
	if out := f.run(got[0], got[2], got[4]); out != "api one\napi two\napi three" {
		t.Errorf("got\n%s", out)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".tmp", "*"))
	for _, l := range left {
		t.Errorf("left behind: %s", l)
	}
}

func TestEditDuringTheBuildIsNoticed(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	b := f.builder(Options{})
	p, err := f.plan(b, "./plugins/pricing")
	if err != nil {
		t.Fatal(err)
	}
	f.Edit("plugins/pricing/calc/calc.go", "one", "twenty")
	_, err = b.Build(context.Background(), p)
	var changed *ChangedError
	if !errors.As(err, &changed) || !strings.HasSuffix(changed.File, "calc.go") {
		t.Errorf("got %v", err)
	}
}

func TestCancelledBuildEndsTheGoCommand(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	b := f.builder(Options{})
	p, err := f.plan(b, "./plugins/pricing")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("newer edit")
	cancel(cause)
	if _, err := b.Build(ctx, p); !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if a := f.build(b, "./plugins/pricing"); a.Cached {
		t.Error("the cancelled build left an artifact")
	}
}

func TestStoreKeepsTheNewest(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	b := f.builder(Options{Salt: "1"})
	one := f.build(b, "./plugins/pricing")
	other := f.builder(Options{Salt: "2", Dir: filepath.Dir(one.Path)})
	two := f.build(other, "./plugins/pricing")
	if one.Manifest.PluginPath == two.Manifest.PluginPath {
		t.Error("another salt gave the same identity")
	}
	if _, err := os.Stat(one.Path); err != nil {
		t.Errorf("a second artifact removed the first: %v", err)
	}
	if got := f.run(one, two); got != "api one\napi one" {
		t.Errorf("got\n%s", got)
	}
}
