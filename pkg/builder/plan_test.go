package builder

import (
	"context"
	"errors"
	"strings"
	"testing"
)

const simplePlugin = `
-- plugins/pricing/pricing.go --
package pricing

import (
	"example.com/shop/api"
	"example.com/shop/plugins/pricing/calc"
)

// Run is what the host calls.
func Run() string { return api.Name() + calc.Text() }
-- plugins/pricing/calc/calc.go --
package calc

func Text() string { return "one" }
-- api/api.go --
package api

// Name is short: it is inlined into its callers.
func Name() string { return "api " }

func Long(n int) int {
	for i := range n {
		n += i
	}
	return n
}
-- server/uses/uses.go --
package uses

import _ "example.com/shop/api"
` + hostMain

func TestSameInputsGiveTheSameArtifact(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	b := f.builder(Options{})
	one := f.build(b, "./plugins/pricing")
	if one.Cached {
		t.Error("the first build came from the store")
	}
	edits := []struct{ name, file, old, new string }{
		{"comment", "plugins/pricing/pricing.go", "// Run is what the host calls.", "// Run is\n// what the host\n// calls."},
		{"formatting", "plugins/pricing/calc/calc.go", `{ return "one" }`, "{\n\treturn \"one\"\n}"},
		{"comment above a shared declaration", "api/api.go", "// Name is short", "// Two\n// more lines.\n//\n// Name is short"},
	}
	for _, e := range edits {
		f.Edit(e.file, e.old, e.new)
		if a := f.build(b, "./plugins/pricing"); !a.Cached || a.Digest != one.Digest {
			t.Errorf("%s: built again", e.name)
		}
	}
	f.Edit("plugins/pricing/calc/calc.go", "one", "two")
	two := f.build(b, "./plugins/pricing")
	if two.Cached {
		t.Error("an edit of code was not built")
	}
	// The shared package's lines have moved since the host was built; the
	// artifact must fit all the same.
	if got := f.run(one, two); got != "api one\napi two" {
		t.Errorf("got\n%s", got)
	}
	f.Edit("plugins/pricing/calc/calc.go", "two", "one")
	if a := f.build(b, "./plugins/pricing"); !a.Cached || a.Digest != one.Digest {
		t.Error("going back to the first text did not give the first artifact")
	}
}

func TestChangeInSharedPackageIsRefused(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	b := f.builder(Options{})
	if _, err := f.plan(b, "./plugins/pricing"); err != nil {
		t.Fatal(err)
	}
	// A body that is not inlined shows in no package hash.
	f.Edit("api/api.go", "n += i", "n -= i")
	_, err := f.plan(b, "./plugins/pricing")
	conflict := asConflict(t, err)
	if len(conflict.Evidence) != 1 || conflict.Evidence[0].Rule != "HG0090" || conflict.Evidence[0].Artifact != "api/api.go changed" {
		t.Errorf("got %+v", conflict)
	}
}

func TestHostChangesAreSeen(t *testing.T) {
	f := newFixture(t, simplePlugin)
	b := f.builder(Options{})
	ctx := context.Background()
	hb, err := b.BuildHost(ctx, "./server", f.Root+"/../host")
	if err != nil {
		t.Fatal(err)
	}
	plugins, err := b.Find(ctx, "./plugins/...")
	if err != nil || len(plugins) != 1 || plugins[0].Name != "pricing" {
		t.Fatalf("plugins %v, %v", plugins, err)
	}
	changes := func() []HostChange {
		t.Helper()
		snap, err := b.Snapshot(ctx, Host{Binary: hb.Binary}, plugins)
		if err != nil {
			t.Fatal(err)
		}
		return snap.HostChanges
	}
	if c := changes(); c != nil {
		t.Fatalf("unchanged, yet %v", c)
	}
	f.Edit("plugins/pricing/pricing.go", "api.Name()", `"x"+api.Name()`)
	f.Edit("server/main.go", "package main", "// Command server is a comment.\npackage main")
	if c := changes(); c != nil {
		t.Fatalf("a plugin and a comment changed, yet %v", c)
	}
	f.Edit("server/main.go", `"open:"`, `"opened:"`)
	f.Edit("api/api.go", `"api "`, `"API "`)
	c := changes()
	if len(c) != 2 || c[0].ImportPath != "example.com/shop/api" || !c[0].Shared || c[1].ImportPath != "example.com/shop/server" || c[1].Shared {
		t.Errorf("got %+v", c)
	}
	// Another process knows what the host was built from as well.
	again, err := New(b.opts)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := again.Snapshot(ctx, Host{Binary: hb.Binary}, plugins)
	if err != nil || len(snap.HostChanges) != 2 {
		t.Errorf("a new builder sees %v, %v", snap, err)
	}
}

func TestFlagsFollowTheHost(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost("-trimpath", "-tags=a,b", "-gcflags=all=-l")
	b := f.builder(Options{})
	a := f.build(b, "./plugins/pricing")
	if got := f.run(a); got != "api one" {
		t.Errorf("got %s", got)
	}
	want := map[string]string{"-trimpath": "true", "-tags": "a,b", "-gcflags": "all=-l"}
	for k, v := range want {
		if a.Manifest.Flags[k] != v {
			t.Errorf("manifest has %s=%q, want %q", k, a.Manifest.Flags[k], v)
		}
	}
}

func TestConflictWithTheHostNamesBoth(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost("-tags=a")
	yes := true
	_, err := f.plan(f.builder(Options{Tags: "b", Race: &yes}), "./plugins/pricing")
	conflict := asConflict(t, err)
	var got []string
	for _, e := range conflict.Evidence {
		got = append(got, e.What+" "+e.Host+" "+e.Artifact)
	}
	if strings.Join(got, ", ") != "-race false true, -tags a b" {
		t.Errorf("got %v", got)
	}
}

func TestHostWithoutPluginSupportIsRefused(t *testing.T) {
	f := newFixture(t, strings.ReplaceAll(simplePlugin, "\t\"plugin\"\n", "")+"-- server/main.go --\npackage main\n\nfunc main() {}\n")
	f.buildHost()
	_, err := f.plan(f.builder(Options{}), "./plugins/pricing")
	if c := asConflict(t, err); c.Message != "the host cannot load plugins" || c.Next == "" {
		t.Errorf("got %+v", c)
	}
	f.Env = append(f.Env, "CGO_ENABLED=0")
	f.buildHost()
	f.Env = f.Env[:len(f.Env)-1]
	_, err = f.plan(f.builder(Options{}), "./plugins/pricing")
	if c := asConflict(t, err); c.Evidence[0].What != "CGO_ENABLED" {
		t.Errorf("got %+v", c)
	}
}

func asConflict(t *testing.T, err error) *ConflictError {
	t.Helper()
	var c *ConflictError
	if !errors.As(err, &c) {
		t.Fatalf("got %v, want a *ConflictError", err)
	}
	return c
}

func TestFind(t *testing.T) {
	f := newFixture(t, simplePlugin+`
-- plugins/tax/tax.go --
package tax
-- other/tax/tax.go --
package tax
-- plugins/broken/broken.go --
package broken

import "example.com/shop/nowhere"
`)
	ctx := context.Background()
	b := f.builder(Options{Names: map[string]string{"./other/tax": "levy"}})
	names := func(patterns ...string) string {
		t.Helper()
		ps, err := b.Find(ctx, patterns...)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range ps {
			out = append(out, p.Name)
		}
		return strings.Join(out, " ")
	}
	for pattern, want := range map[string]string{
		"./plugins/...": "broken pricing tax", "plugins/tax": "tax", "example.com/shop/other/tax": "levy",
		"levy": "levy", "pricing": "pricing", "./plugins/pricing/calc": "calc",
	} {
		if got := names(pattern); got != want {
			t.Errorf("%s gives %q, want %q", pattern, got, want)
		}
	}
	if got := names("./plugins/tax", "./other/tax"); got != "levy tax" {
		t.Errorf("got %q", got)
	}
	plain := f.builder(Options{})
	var ambiguous *AmbiguousError
	if _, err := plain.Find(ctx, "./plugins/tax", "./other/tax"); !errors.As(err, &ambiguous) {
		t.Errorf("two plugins of one name: %v", err)
	}
	if _, err := plain.FindNamed(ctx, "tax"); !errors.As(err, &ambiguous) {
		t.Errorf("a name that two packages carry: %v", err)
	}
	found, err := b.FindNamed(ctx, "tax", "pricing", "gone")
	if err != nil || len(found) != 2 || found[0].ImportPath != "example.com/shop/plugins/pricing" {
		t.Errorf("FindNamed: %v, %v", found, err)
	}
	for _, bad := range []string{"./nowhere/...", "./nowhere", "fmt", "nobody"} {
		if ps, err := b.Find(ctx, bad); err == nil {
			t.Errorf("%s gives %v", bad, ps)
		}
	}
}

func TestBuiltinIsRecognised(t *testing.T) {
	f := newFixture(t, strings.Replace(simplePlugin, `import _ "example.com/shop/api"`, `import _ "example.com/shop/plugins/pricing"`, 1))
	b := f.builder(Options{})
	f.Host = f.Root + "/../host"
	if _, err := b.BuildHost(context.Background(), "./server", f.Host); err != nil {
		t.Fatal(err)
	}
	builtin := func() bool {
		t.Helper()
		p, err := f.plan(b, "./plugins/pricing")
		if err != nil {
			t.Fatal(err)
		}
		return p.Builtin
	}
	if !builtin() {
		t.Error("right after the host was built, its built-in is not recognised")
	}
	f.Edit("plugins/pricing/calc/calc.go", "func Text", "// Text is a comment.\nfunc Text")
	if !builtin() {
		t.Error("a comment made the built-in another code")
	}
	f.Edit("plugins/pricing/calc/calc.go", "one", "two")
	if builtin() {
		t.Error("an edit went unnoticed")
	}
	f.Edit("plugins/pricing/calc/calc.go", "two", "one")
	if !builtin() {
		t.Error("back to what the host was built from, and not recognised")
	}
}
