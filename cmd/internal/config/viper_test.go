package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/viper"
)

// One test for each of viper's traps that the package documentation lists.

func TestKeyOnlyInEnvironmentIsRead(t *testing.T) {
	env(t, "HOTGO_TARGET", "a, b", "HOTGO_SIGN_KEY", "/key", "HOTGO_TIMEOUT", "1m30s", "HOTGO_POLL", "1")
	c := load(t, tree(t))
	wantStrings(t, "targets", c.Targets, "a", "b")
	if !strings.HasSuffix(c.SignKey, "key") || c.Timeout.String() != "1m30s" || !c.Poll {
		t.Errorf("sign-key %q timeout %s poll %v", c.SignKey, c.Timeout, c.Poll)
	}
}

func TestUnknownKeyIsAnErrorEvenWithoutValue(t *testing.T) {
	env(t)
	for _, value := range []string{"1", "", "{}", "[]", "null"} {
		dir := tree(t, "hotgo.yaml", "# comment\ntimeot: "+value+"\n")
		wantStrings(t, "timeot: "+value, loadError(t, dir), `hotgo.yaml:2: unknown key "timeot"; did you mean "timeout"?`)
	}
}

func TestNamesAndPathsKeepCaseAndDots(t *testing.T) {
	env(t)
	dir := tree(t, "hotgo.yaml", "plugins:\n  - path: ./Plugins/My.Rules\n    name: My.Rules.v2\n")
	c := load(t, dir)
	want := Plugin{Path: filepath.Join(dir, "Plugins", "My.Rules"), Name: "My.Rules.v2"}
	if len(c.Plugins) != 1 || c.Plugins[0] != want {
		t.Errorf("plugins %+v, want %+v", c.Plugins, want)
	}
}

func TestPluginsAsAMapAreRefusedWithTheRightForm(t *testing.T) {
	env(t)
	dir := tree(t, "hotgo.yaml", "plugins:\n  Pricing.v1: ./pricing\n")
	got := strings.Join(loadError(t, dir), "\n")
	if !strings.HasPrefix(got, "hotgo.yaml:1: plugins: want a list") || !strings.Contains(got, "[{path: ./rules, name: pricing}]") {
		t.Error(got)
	}
}

func TestDottedKeyIsNoPath(t *testing.T) {
	env(t)
	dir := tree(t, "hotgo.yaml", "host.name: x\n")
	wantStrings(t, "problems", loadError(t, dir), `hotgo.yaml:1: unknown key "host.name"`)
}

func TestKeysAreExact(t *testing.T) {
	env(t)
	dir := tree(t, "hotgo.yaml", "target: a\nTarget: b\n")
	wantStrings(t, "problems", loadError(t, dir), `hotgo.yaml:2: unknown key "Target"; did you mean "target"?`)
}

func TestUnsetFlagsDefaultIsNoValue(t *testing.T) {
	env(t)
	fs := flags(t)
	c, err := Load(Options{Dir: tree(t), Flags: fs})
	if err != nil {
		t.Fatal(err)
	}
	if c.Race != nil {
		t.Error("pflag's false for --race was taken for a setting")
	}
	v := viper.New() // the trap itself: if this fails, viper changed and the code can be simpler
	if err := v.BindPFlag("race", fs.Lookup("race")); err != nil {
		t.Fatal(err)
	}
	if v.Get("race") == nil {
		t.Error("viper no longer takes an unset flag's default for a value")
	}
}

func TestTypesAreNotCoerced(t *testing.T) {
	env(t)
	for content, want := range map[string]string{
		"keep: true\n":          `hotgo.yaml:1: keep: want a whole number, have true`,
		"keep: \"3\"\n":         `hotgo.yaml:1: keep: want a whole number, have "3"`,
		"keep: 1.5\n":           `hotgo.yaml:1: keep: want a whole number, have 1.5`,
		"keep: 0\n":             `hotgo.yaml:1: keep: want at least 1, or -1 for all, have 0`,
		"poll: 3\n":             `hotgo.yaml:1: poll: want true or false, have 3`,
		"poll: \"yes\"\n":       `hotgo.yaml:1: poll: want true or false, have "yes"`,
		"tags: 5\n":             `hotgo.yaml:1: tags: want a list of texts, have 5`,
		"host: [a]\n":           `hotgo.yaml:1: host: want a text in quotes, have a list`,
		"host: {a: b}\n":        `hotgo.yaml:1: host: want a text in quotes, have an object`,
		"debounce: 5\n":         `hotgo.yaml:1: debounce: want a time with its unit, such as 300ms or 2s, have 5`,
		"target: [a, 812]\n":    `hotgo.yaml:1: target: want a list of texts in quotes, have 812`,
		"restart: no\n":         `hotgo.yaml:1: restart: want ask, always or never, have "no"`,
		"plugins: [3]\n":        `hotgo.yaml:1: plugins: entry 1: want a path or {path, name}, have 3`,
		"plugins: [{name: a}]":  `hotgo.yaml:1: plugins: entry 1: path is missing`,
		"plugins: [{path: 3}]":  `hotgo.yaml:1: plugins: entry 1: path: want a text in quotes, have 3`,
		"config: other.yaml\n":  `hotgo.yaml:1: config cannot be set in the file; use --config or HOTGO_CONFIG`,
		"quiet: 1\n":            `hotgo.yaml:1: quiet: want true or false, have 1`,
		"max-errors: all\n":     `hotgo.yaml:1: max-errors: the errors that are let pass are a number, or a share such as 5%, not "all"`,
		"health-window: 48h\n":  `hotgo.yaml:1: health-window: a health window lasts from 0 to 24h0m0s, not 48h0m0s`,
		"probe-timeout: 0s\n":   `hotgo.yaml:1: probe-timeout: want some time, have 0s`,
		"probe-http: [3]\n":     `hotgo.yaml:1: probe-http: want a list of texts in quotes, have 3`,
		"timeout: \"-3s\"\n":    `hotgo.yaml:1: timeout: want no negative time, have -3s`,
		"sign-key: 2026-01-02 ": `hotgo.yaml:1: sign-key: want a text in quotes, have 2026-01-02 00:00:00 +0000 UTC`,
		"plugins: [{path: ./a/..., name: a}]\n": `hotgo.yaml:1: plugins: entry 1: ./a/... is a pattern; ` +
			`a name goes with one package`,
		"plugins: [{path: ./a, name: ../a}]\n": `hotgo.yaml:1: plugins: entry 1: name "../a": want letters, ` +
			`digits, dots, dashes and underscores, up to 64, a letter or digit first`,
		"plugins: [{path: ./a, name: x}, {path: ./b, name: x}]\n": `hotgo.yaml:1: plugins: entry 2: ` +
			`./a and ./b have the one name "x"`,
		"plugins:\n  - ./a\n  - pth: ./b\n    path: ./c\n": `hotgo.yaml:3: plugins: entry 2: unknown key "pth"; did you mean "path"?`,
	} {
		wantStrings(t, content, loadError(t, tree(t, "hotgo.yaml", content)), want)
	}
}

func TestListsInTheEnvironmentSplitAtCommasOnly(t *testing.T) {
	env(t, "HOTGO_TARGET", `my shop,"a,b", c ,,`)
	wantStrings(t, "targets", load(t, tree(t)).Targets, "my shop", "a,b", "c")
}

// Two Loads must not see each other: an instance each, never the global one.
func TestEachLoadHasItsOwnInstance(t *testing.T) {
	env(t)
	viper.Set("keep", 99)
	t.Cleanup(viper.Reset)
	first := load(t, tree(t, "hotgo.yaml", "keep: 3\n"))
	second := load(t, tree(t))
	if first.Keep != 3 || second.Keep != 16 {
		t.Errorf("keep %d and %d, want 3 and 16", first.Keep, second.Keep)
	}
}

// What the documentation says is not used must not come in by the way.
func TestTrapsOfViperStayUnused(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(src), "l.viper.", "instance.") // what is left of viper.X is the package
		for _, call := range []string{
			".WatchConfig(", ".OnConfigChange(", ".Unmarshal(", ".UnmarshalExact(", ".AutomaticEnv(",
			"viper.Get", "viper.Set", "viper.Bind", "viper.Read", "viper.Merge",
		} {
			for i, line := range strings.Split(text, "\n") {
				if strings.Contains(line, call) {
					t.Errorf("%s:%d: %s: see the package documentation on viper", name, i+1, call)
				}
			}
		}
	}
}
