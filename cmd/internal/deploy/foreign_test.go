package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// binds is a host that binds symbols of plugins, written "pricing.Price".
func binds(name string, symbols ...string) control.Status {
	st := control.Status{Name: name, Socket: name, Plugins: []control.Plugin{{Name: "server", Kind: control.KindHost}}}
	for _, s := range symbols {
		plugin, symbol, _ := strings.Cut(s, ".")
		st.Plugins = append(st.Plugins, control.Plugin{Name: plugin, Symbols: []control.Symbol{{Name: symbol}}})
	}
	return st
}

func TestForeignFileGoesWhereItIsAPlugin(t *testing.T) {
	file := func(pkg string, symbols ...string) *builder.Artifact {
		m := builder.Manifest{Foreign: true, Key: "file", Package: pkg}
		m.Symbols = slices.Grow(m.Symbols, len(symbols))[:len(symbols)]
		for i, s := range symbols {
			m.Symbols[i].Name = s
		}
		return &builder.Artifact{Digest: "sha256:file", Manifest: m}
	}
	shop, mail := binds("shop", "pricing.Price"), binds("mail", "greet.Hello")
	both := binds("both", "pricing.Price", "tax.Price")
	had := binds("had", "pricing.Price", "tax.Price")
	had.Plugins[2].Generations = []control.Generation{{Generation: 1, Digest: "sha256:file"}}
	for _, c := range []struct {
		name     string
		file     *builder.Artifact
		as       string
		targeted bool
		want     string // plugin and hosts, of each change
	}{
		{"by its directory", file("x/pricing"), "", false, "pricing: shop both; tax: had"},
		{"by its symbols", file("x/rules", "Price"), "", false, "pricing: shop; : both; tax: had"},
		{"by name", file("x/rules", "Price"), "greet", false, "greet: mail"},
		{"by a name that nobody has", file("x/rules", "Price"), "gret", false, "gret:"},
		{"by name, to targets", file("x/rules", "Price"), "greet", true, "greet: shop mail both had"},
		{"to targets", file("x/pricing"), "", true, "pricing: shop both; : mail; tax: had"},
	} {
		var got []string
		for _, ch := range foreign(c.file, []control.Status{shop, mail, both, had}, c.as, c.targeted) {
			line := ch.Plugin + ":"
			for _, h := range ch.Hosts {
				line += " " + h.Name
			}
			got = append(got, line)
			if ch.Artifact.Manifest.Plugin != ch.Plugin || ch.Key() != "file" {
				t.Errorf("%s: the change is for %q with key %q, the artifact says %q", c.name, ch.Plugin, ch.Key(), ch.Artifact.Manifest.Plugin)
			}
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, strings.Join(got, "; "), c.want)
		}
		if c.file.Manifest.Plugin != "" {
			t.Errorf("%s: the file's own manifest was changed", c.name)
		}
	}
	// Where it is nothing to anybody, all of them may say what is missing.
	changes := foreign(file("x/rules", "Other"), []control.Status{shop, mail}, "", false)
	if len(changes) != 1 || changes[0].Plugin != "" || len(changes[0].Hosts) != 2 {
		t.Errorf("changes %+v", changes)
	}
}

func TestHostTellsWhatAForeignFileIs(t *testing.T) {
	c := named(&builder.Artifact{Manifest: builder.Manifest{Foreign: true}}, "", nil)
	if ev := c.complete(control.Event{Plugin: "pricing"}, control.Status{}); ev.Plugin != "pricing" || !ev.Foreign {
		t.Errorf("event %+v", ev)
	}
}
