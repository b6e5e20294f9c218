package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		write(t, path, string(got))
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func TestViewSaysWhereEachValueCameFrom(t *testing.T) {
	dir := tree(t, "hotgo.yaml", "host: ./server\nplugins:\n  - ./plugins/...\n  - {path: ./rules, name: pricing}\nkeep: 4\n", "sub/x.go", "")
	env(t, "HOTGO_TARGET", "shop,812", "HOTGO_LDFLAGS", "-X a=\x1b[31mred", "HOTGO_TIMOUT", "3s")
	view := load(t, filepath.Join(dir, "sub"), "--race=false", "--debounce", "1s").View()

	var text bytes.Buffer
	if err := view.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(text.String(), '\x1b') {
		t.Error("the table holds an escape byte")
	}
	js, err := json.MarshalIndent(view, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	anywhere := func(b []byte) []byte { // columns are as wide as the longest path
		s := strings.ReplaceAll(string(b), dir, "/DIR")
		return []byte(s)
	}
	golden(t, "view.json.golden", anywhere(js))
	var fields strings.Builder
	for line := range strings.Lines(string(anywhere(text.Bytes()))) {
		fields.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	golden(t, "view.txt.golden", []byte(fields.String()))
}

func TestViewWithoutFile(t *testing.T) {
	env(t)
	var text bytes.Buffer
	if err := load(t, tree(t)).View().WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "view-defaults.txt.golden", text.Bytes())
}

func TestStarterIsReadBackAsItsValues(t *testing.T) {
	env(t)
	dir := tree(t)
	path, err := WriteStarter(dir, Starter{Host: "./server", Plugins: []Plugin{
		{Path: "./plugins/..."}, {Path: "./odd: #name", Name: "812"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "starter.yaml.golden", text)
	c := load(t, dir)
	want := []Plugin{{Path: filepath.Join(dir, "plugins", "...")}, {Path: filepath.Join(dir, "odd: #name"), Name: "812"}}
	if d := cmp.Diff(want, c.Plugins); d != "" {
		t.Errorf("plugins (-want +got):\n%s", d)
	}
	if c.Host != filepath.Join(dir, "server") {
		t.Errorf("host %q", c.Host)
	}
}

// The comments must not lie: with "# key: value" taken out of comments the file
// says the same as no file, and with the examples too it is valid.
func TestStartersCommentsAreTheDefaults(t *testing.T) {
	env(t)
	var defaults, examples strings.Builder
	for line := range strings.Lines(string(Starter{}.yaml())) {
		rest, commented := strings.CutPrefix(line, "# ")
		key, _, isKey := strings.Cut(rest, ": ")
		_, known := lookup(key)
		example, isExample := strings.CutPrefix(rest, "e.g. ")
		switch {
		case commented && isKey && known:
			defaults.WriteString(rest)
		case commented && isExample:
			examples.WriteString(example)
		}
	}
	if n := strings.Count(defaults.String(), "\n") + strings.Count(examples.String(), "\n"); n != len(fileKeys()) {
		t.Fatalf("the file shows %d settings of %d", n, len(fileKeys()))
	}
	compare(t, "the commented defaults and no file", load(t, tree(t)), load(t, tree(t, "hotgo.yaml", defaults.String())))
	load(t, tree(t, "hotgo.yaml", defaults.String()+examples.String()))
}

func TestStarterNeverOverwrites(t *testing.T) {
	for _, name := range fileNames {
		dir := tree(t, name, "mine")
		path, err := WriteStarter(dir, Starter{})
		if !errors.Is(err, ErrExists) || path != filepath.Join(dir, name) {
			t.Errorf("beside %s: %s, %v", name, path, err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != "mine" {
			t.Errorf("%s was overwritten", name)
		}
		if err := create(path, []byte("ours")); !errors.Is(err, ErrExists) { // made since WriteStarter looked
			t.Errorf("create over %s: %v", name, err)
		}
		if got, _ := os.ReadFile(path); string(got) != "mine" {
			t.Errorf("create overwrote %s", name)
		}
	}
}

func TestHelpShowsDefaultsAndArguments(t *testing.T) {
	golden(t, "flags.txt.golden", []byte(flags(t).FlagUsages()))
}
