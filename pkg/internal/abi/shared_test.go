package abi

import (
	"slices"
	"testing"
)

func TestSharedAreEditablePackagesOfEarlierArtifacts(t *testing.T) {
	hashes := func(pkgs ...string) map[string]Hash {
		all := map[string]Hash{}
		for _, pkg := range pkgs {
			all[pkg] = Hash{1}
		}
		return all
	}
	plugin := func(path string, pkgs ...string) *Fingerprint {
		return &Fingerprint{
			Kind: Plugin, PluginPath: path, Packages: hashes(append(pkgs, path)...), Main: Module{Path: "example.com/shop", Version: "v0.0.0-20261128+dirty"},
			Modules: []Module{
				{Path: "example.com/released", Version: "v1.0.0"},
				{Path: "example.com/work", Version: "(devel)"},
				{Path: "example.com/fork", Version: "v1.0.0", Replace: &Module{Path: "example.com/theirs", Version: "v1.0.1"}},
				{Path: "example.com/local", Version: "v1.0.0", Replace: &Module{Path: "../local"}},
			},
		}
	}
	brought := []string{
		"example.com/shop/tax", "example.com/shop/host", "example.com/released", "example.com/work/x",
		"example.com/fork", "example.com/local/y", "encoding/csv",
	}
	host := &Fingerprint{Kind: Executable, Packages: hashes("example.com/shop/host", "strings")}
	var p Process
	later := plugin("example.com/shop/b", append(brought, "example.com/shop/new")...)
	if got := p.Shared(host, later); got != nil {
		t.Errorf("in an empty process: %v", got)
	}
	p.Add(plugin("example.com/shop/a", brought...), "a generation 1", false)
	want := []SharedPackage{
		{"example.com/local/y", "a generation 1"}, {"example.com/shop/tax", "a generation 1"}, {"example.com/work/x", "a generation 1"},
	}
	if got := p.Shared(host, later); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	later.Packages["example.com/shop/tax"] = Hash{2} // refused in any case
	if got := p.Shared(host, later); !slices.Equal(got, []SharedPackage{want[0], want[2]}) {
		t.Errorf("with another hash: %v", got)
	}
}
