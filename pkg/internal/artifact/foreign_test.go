package artifact

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

func TestPluginOfAForeignFile(t *testing.T) {
	exports := func(pkg string, names ...string) *Manifest {
		m := &Manifest{Package: pkg}
		for _, name := range names {
			m.Symbols = append(m.Symbols, Symbol{Name: name, Kind: "func"})
		}
		return m
	}
	bound := map[string][]string{"pricing": {"Price", "Price", "Rate"}, "tax": {"Price"}, "loaded": nil}
	for _, c := range []struct {
		name string
		file *Manifest
		want string
		fit  []string // of the error
	}{
		{"by its directory", exports("example.com/shop/tax", "Price", "Rate"), "tax", nil},
		{"by its directory, with symbols missing", exports("example.com/shop/pricing", "Price"), "pricing", nil},
		{"by its directory, with nothing bound", exports("example.com/shop/loaded"), "loaded", nil},
		{"by its symbols", exports("example.com/other", "Price", "More"), "tax", nil},
		{"files, by their symbols", exports("command-line-arguments", "Price"), "tax", nil},
		{"both fit", exports("example.com/other", "Price", "Rate"), "", []string{"pricing", "tax"}},
		{"none fits", exports("example.com/other", "Rate"), "", nil},
		{"nothing exported", exports("command-line-arguments"), "", nil},
	} {
		got, err := c.file.PluginFor(bound)
		var e *NameError
		if failed := errors.As(err, &e); got != c.want || failed != (c.want == "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		} else if failed && (!slices.Equal(e.Fitting(), c.fit) || len(e.Candidates) != 2) {
			t.Errorf("%s: fit %q of %+v, want %q", c.name, e.Fitting(), e.Candidates, c.fit)
		}
	}
	_, err := exports("command-line-arguments").PluginFor(map[string][]string{"command-line-arguments": {"Price"}})
	if err == nil {
		t.Error("the name that the go command makes up was taken for the plugin's")
	}
	var e *NameError
	if _, err := exports("example.com/other", "Rate").PluginFor(bound); !errors.As(err, &e) ||
		!reflect.DeepEqual(e.Candidates[0], Candidate{Plugin: "pricing", Bound: []string{"Price", "Rate"}, Missing: []string{"Price"}}) {
		t.Errorf("candidates of %v", err)
	}
}

func TestForeignManifestIsTheFilesOwn(t *testing.T) {
	digest := digestPrefix + strings.Repeat("ab", 32)
	fp := &abi.Fingerprint{
		Kind: abi.Plugin, Machine: "amd64", GoVersion: "go1.26.8", Package: "example.com/rules", PluginPath: "example.com/rules",
		Settings: map[string]string{"GOOS": "linux", "-trimpath": "true"}, Packages: map[string]abi.Hash{"strings": {1}},
		Symbols: map[string]abi.SymbolKind{"Rate": abi.Var, "Price": abi.Func},
		Modules: []abi.Module{{Path: "example.com/dep", Version: "v1.2.3"}},
	}
	m, err := Foreign(fp, digest)
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{
		V: Version, Foreign: true, Key: strings.Repeat("ab", 32), Payload: digest, Package: "example.com/rules", PluginPath: "example.com/rules",
		GoVersion: "go1.26.8", GOOS: "linux", GOARCH: "amd64", Flags: fp.Settings, Link: "full", Reason: foreignReason, Untyped: true,
		Packages: map[string]string{"strings": "0100000000000000"}, Modules: map[string]string{"example.com/dep": "v1.2.3"},
		Symbols: []Symbol{{Name: "Price", Kind: "func"}, {Name: "Rate", Kind: "var"}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v\nwant %+v", m, want)
	}
	var said Manifest
	if err := json.Unmarshal([]byte(`{"plugin":"rules","foreign":true,"Foreign":true}`), &said); err != nil || said.Foreign {
		t.Errorf("a file says that it is foreign: %+v, %v", said, err)
	}
	m.Plugin = "rules"
	if err := m.validate(); err != nil {
		t.Error(err)
	}
	fp.Symbols[Entry] = abi.Func
	if _, err := Foreign(fp, digest); !errors.Is(err, ErrDamaged) {
		t.Errorf("an artifact without its manifest: %v", err)
	}
	var ae *abi.Error
	if _, err := Foreign(&abi.Fingerprint{}, digest); !errors.As(err, &ae) {
		t.Errorf("no plugin: %v", err)
	}
}
