//go:build linux && amd64 && cgo

package carrying_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

func TestListHasNothingOfThePlugin(t *testing.T) {
	f := hosttest.New(t, hosttest.Builtin)
	f.AddReloader()
	f.Host = f.GoBuild("./host")
	b := buildtest.New(f, builder.Options{Resident: true, Keep: -1})
	t.Cleanup(func() { b.Close() })
	plugin := builder.Plugin{Name: "shop.v1", ImportPath: "example.com/built/plugins/shop.v1"}
	list := func() *builder.Artifact {
		t.Helper()
		a, err := b.BuildList(context.Background(), builder.Host{Binary: f.Host}, plugin, []builder.Plugin{plugin})
		if err != nil || a == nil {
			t.Fatal(a, err)
		}
		return a
	}
	a := list()
	m := a.Manifest
	want := []string{"example.com/built/plugins/shop.v1", "example.com/built/plugins/shop.v1/below"}
	if !m.List || m.Builtin == nil || !slices.Equal(m.Builtin.Packages, want) || len(m.Private)+len(m.Symbols) > 0 {
		t.Errorf("the manifest is %+v", m)
	}
	if a.Cached || !list().Cached {
		t.Error("the same list was built twice")
	}

	// What the sources are by now does not matter.
	f.Edit("plugins/shop.v1/below/below.go", "func Count() int {", "func Count() int { var broken")
	f.Edit("host/main.go", "package main", "package main\n\nvar more = 1")
	if again := list(); again.Digest != a.Digest {
		t.Errorf("a list of the same binary is another after an edit: %+v, was %+v", again.Manifest, m)
	}

	other := builder.Plugin{Name: "other", ImportPath: "example.com/built/plugins/other"}
	none, err := b.BuildList(context.Background(), builder.Host{Binary: f.Host}, other, []builder.Plugin{plugin, other})
	if none != nil || err != nil {
		t.Errorf("a list of a plugin that the host does not have: %v, %v", none, err)
	}
}

func TestListNeedsTheSourcesOfTheHost(t *testing.T) {
	f := hosttest.New(t, hosttest.Builtin)
	f.AddReloader()
	f.Host = f.GoBuild("./host")
	f.Edit("plugins/shop.v1/below/below.go", "first.n++", "first.n += 2") // before anybody looked
	b := buildtest.New(f, builder.Options{Keep: -1})
	plugin := builder.Plugin{Name: "shop.v1", ImportPath: "example.com/built/plugins/shop.v1"}
	_, err := b.BuildList(context.Background(), builder.Host{Binary: f.Host}, plugin, []builder.Plugin{plugin})
	if c := (*builder.ConflictError)(nil); !errors.As(err, &c) || c.Evidence[0].Rule != "HG0094" {
		t.Errorf("a list of what the host was not built from: %v", err)
	}
}

func TestReinitialisedAreThoseWithAnotherInitialiser(t *testing.T) {
	f := hosttest.New(t, hosttest.Builtin)
	f.AddReloader()
	b := buildtest.New(f, builder.Options{Keep: -1})
	plugin := builder.Plugin{Name: "shop.v1", ImportPath: "example.com/built/plugins/shop.v1"}
	host := func(name string) builder.Host {
		t.Helper()
		hb, err := b.BuildHost(context.Background(), "./host", filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		return builder.Host{Binary: hb.Binary}
	}
	before := host("before")
	f.Edit("plugins/shop.v1/below/below.go", "n: 10", "n: 11")
	f.Edit("plugins/shop.v1/shop.go", "return map[string]int", "// the same\n\treturn map[string]int")
	f.Edit("plugins/shop.v1/shop.go", `const version = "built-in"`, "const version = \"next\"\n\nvar more = 1")
	after := host("after")
	names, err := b.Reinitialised(context.Background(), before, after, plugin, []builder.Plugin{plugin})
	if want := []string{"example.com/built/plugins/shop.v1/below.first"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
}
