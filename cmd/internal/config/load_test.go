package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// tree writes files (name, content, name, content, ...) into a new directory
// that is a repository of its own.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git", "HEAD"), "")
	for i := 0; i < len(files); i += 2 {
		write(t, filepath.Join(dir, files[i]), files[i+1])
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// flags gives a set with all flags, parsed from args.
func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Register(fs, Shared, Build, Target, Watch, Sign, Health)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

// env sets name, value pairs and hides whatever HOTGO_ names the machine has.
func env(t *testing.T, pairs ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "HOTGO_") {
			t.Setenv(name, "")
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

func load(t *testing.T, dir string, args ...string) *Config {
	t.Helper()
	c, err := Load(Options{Dir: dir, Flags: flags(t, args...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadError gives the problems of a Load that must fail.
func loadError(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	_, err := Load(Options{Dir: dir, Flags: flags(t, args...)})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Load gives %v, want an *Error", err)
	}
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.String())
	}
	return all
}

func wantStrings(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestNothingSetGivesDefaults(t *testing.T) {
	env(t)
	c := load(t, tree(t))
	want := Config{
		Output: "text", Color: "auto", Keep: 16, Link: "auto", Mode: "auto",
		Debounce: 10 * time.Millisecond, Restart: "ask",
		Health: Observation{Window: control.Window{Interval: time.Second, Failures: 2}, Timeout: 5 * time.Second},
	}
	c.settings = nil
	if d := cmp.Diff(want, *c, cmp.AllowUnexported(Config{})); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
}

func TestFlagBeatsEnvBeatsFileBeatsDefault(t *testing.T) {
	dir := tree(t, "hotgo.yaml", "keep: 3\nlink: full\nmode: swap\n")
	env(t, "HOTGO_KEEP", "4", "HOTGO_LINK", "thin")
	c := load(t, dir, "--keep", "5")
	if c.Keep != 5 || c.Link != "thin" || c.Mode != "swap" || c.Restart != "ask" {
		t.Errorf("keep %d link %s mode %s restart %s, want 5 thin swap ask", c.Keep, c.Link, c.Mode, c.Restart)
	}
	for key, want := range map[string]string{
		"keep": "flag --keep", "link": "env HOTGO_LINK", "mode": "hotgo.yaml:3", "restart": "default",
	} {
		if got := c.origin(key).String(); got != want {
			t.Errorf("%s comes from %q, want %q", key, got, want)
		}
	}
}

// Every row of the table must be settable by each source it claims to have.
func TestEveryKeyIsReadFromEachSource(t *testing.T) {
	values := map[string]string{ // as in the environment; not the default
		"plugins": "./a,./b", "host": "./server", "dir": "out", "keep": "3", "link": "full", "mode": "swap",
		"tags": "a,b", "race": "true", "ldflags": "-w", "target": "a,b", "sign-key": "key", "poll": "true",
		"debounce": "2s", "restart": "never", "output": "json", "quiet": "true", "verbose": "true",
		"color": "never", "timeout": "3s", "health-window": "30s", "health-interval": "2s", "health-failures": "3", "max-panics": "-1",
		"max-errors": "5%", "probe-http": "http://localhost/a,b", "probe-command": "echo a, b", "probe-timeout": "9s",
	}
	for _, k := range Keys {
		if k.NoFile {
			continue
		}
		value, ok := values[k.Name]
		if !ok {
			t.Errorf("the test lacks a value for %s", k.Name)
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			env(t, k.Env[0], value)
			dir := tree(t)
			byEnv := load(t, dir)
			if got := byEnv.origin(k.Name).String(); got != "env "+k.Env[0] {
				t.Errorf("from the environment: origin %q", got)
			}

			env(t)
			t.Setenv(k.Env[0], "")
			yaml := value
			if k.Kind == List || k.Kind == Plugins {
				yaml = "[" + value + "]"
			}
			if k.Kind == Lines {
				yaml = "[" + strconv.Quote(value) + "]"
			}
			write(t, filepath.Join(dir, "hotgo.yaml"), k.Name+": "+yaml+"\n")
			byFile := load(t, dir)
			if got := byFile.origin(k.Name).String(); got != "hotgo.yaml:1" {
				t.Errorf("from the file: origin %q", got)
			}
			compare(t, "environment and file", byEnv, byFile)

			if k.NoFlag {
				return
			}
			byFlag := load(t, dir, "--"+k.Name+"="+value)
			if got := byFlag.origin(k.Name).String(); got != "flag --"+k.Name {
				t.Errorf("from the flag: origin %q", got)
			}
			compare(t, "environment and flag", byEnv, byFlag)
			if d := cmp.Diff(load(t, tree(t)), byFlag, ignoreOrigins); d == "" {
				t.Errorf("%s has no effect on Config", k.Name)
			}
		})
	}
}

var ignoreOrigins = cmp.FilterPath(func(p cmp.Path) bool {
	switch p.Last().String() {
	case ".settings", ".File", ".fileName":
		return true
	}
	return false
}, cmp.Ignore())

func compare(t *testing.T, what string, a, b *Config) {
	t.Helper()
	if d := cmp.Diff(a, b, ignoreOrigins); d != "" {
		t.Errorf("%s differ:\n%s", what, d)
	}
}

func TestRaceHasThreeStates(t *testing.T) {
	env(t)
	if c := load(t, tree(t)); c.Race != nil {
		t.Errorf("unset: race is %v, want nil", *c.Race)
	}
	if c := load(t, tree(t), "--race"); c.Race == nil || !*c.Race {
		t.Errorf("--race: %v, want true", c.Race)
	}
	if c := load(t, tree(t), "--race=false"); c.Race == nil || *c.Race {
		t.Errorf("--race=false: %v, want false", c.Race)
	}
	if c := load(t, tree(t, "hotgo.yaml", "race: false\n")); c.Race == nil || *c.Race {
		t.Errorf("race: false in the file: %v, want false", c.Race)
	}
}

func TestPathsAreRelativeToWhereTheyWereWritten(t *testing.T) {
	env(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	dir := tree(
		t, "hotgo.yaml", `
host: ./server
dir: out
sign-key: ~/key
plugins: [./plugins/..., example.com/rules, {path: ../shared, name: shared}]
`,
		"sub/x.go", "package sub", "bin/server", "\x7fELF")
	sub := filepath.Join(dir, "sub")
	c := load(t, sub)
	wantStrings(t, "from the file", []string{c.Host, c.Dir, c.SignKey},
		filepath.Join(dir, "server"), filepath.Join(dir, "out"), filepath.Join(home, "key"))
	wantStrings(t, "plugins", c.PluginPaths(),
		filepath.Join(dir, "plugins", "..."), "example.com/rules", filepath.Join(filepath.Dir(dir), "shared"))
	if d := cmp.Diff(map[string]string{filepath.Join(filepath.Dir(dir), "shared"): "shared"}, c.PluginNames()); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}

	c = load(t, sub, "--host", "./server", "--dir", "out")
	wantStrings(t, "from flags", []string{c.Host, c.Dir}, filepath.Join(sub, "server"), filepath.Join(sub, "out"))

	if c = load(t, dir, "--host", "bin/server"); c.Host != filepath.Join(dir, "bin", "server") {
		t.Errorf("a file without ./ is %q, want the file", c.Host)
	}
	if c = load(t, dir, "--host", "example.com/server"); c.Host != "example.com/server" {
		t.Errorf("an import path became %q", c.Host)
	}
}

func TestHostsVariablesAreNotOurs(t *testing.T) {
	env(t, "HOTGO_DIR", "/var/lib/journal", "HOTGO_NAME", "shop")
	c := load(t, tree(t))
	if c.Dir != "" {
		t.Errorf("HOTGO_DIR, the host's journal, became the directory of artifacts: %q", c.Dir)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings for the host's variables: %v", c.Warnings)
	}
	dir := tree(t)
	t.Setenv("HOTGO_ARTIFACT_DIR", "out")
	if c = load(t, dir); c.Dir != filepath.Join(dir, "out") {
		t.Errorf("HOTGO_ARTIFACT_DIR gives %q", c.Dir)
	}
}

func TestSocketOfTheHostIsTheDefaultTarget(t *testing.T) {
	dir := tree(t, "hotgo.yaml", "target: shop\n")
	env(t, "HOTGO_SOCKET", "run/a,b.sock")
	c := load(t, dir)
	wantStrings(t, "targets", c.Targets, filepath.Join(dir, "run", "a,b.sock"))
	if got := c.origin("target").String(); got != "env HOTGO_SOCKET" {
		t.Errorf("origin %q", got)
	}
	t.Setenv("HOTGO_TARGET", "x,y")
	wantStrings(t, "HOTGO_TARGET beside HOTGO_SOCKET", load(t, dir).Targets, "x", "y")
	wantStrings(t, "--target", load(t, dir, "--target", "z").Targets, "z")
}

func TestUnknownVariableIsAWarning(t *testing.T) {
	env(t, "HOTGO_TIMEOT", "3s", "HOTGO_EMPTY", "")
	c := load(t, tree(t))
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.String())
	}
	wantStrings(t, "warnings", got, `env HOTGO_TIMEOT: HOTGO_TIMEOT is not a setting; did you mean "HOTGO_TIMEOUT"?`)
}

func TestVerbWithoutAFlagStillReadsOtherSources(t *testing.T) {
	env(t, "HOTGO_KEEP", "7")
	c, err := Load(Options{Dir: tree(t)})
	if err != nil || c.Keep != 7 {
		t.Errorf("Load without flags: keep %v, %v", c, err)
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	env(t, "HOTGO_KEEP", "lots", "HOTGO_POLL", "perhaps")
	dir := tree(t, "hotgo.yaml", "taget: shop\nlink: thn\n")
	wantStrings(t, "problems", loadError(t, dir, "-q", "-v", "--timeout", "-1s"),
		`hotgo.yaml:1: unknown key "taget"; did you mean "target"?`,
		`env HOTGO_KEEP: keep: want a whole number, have "lots"`,
		`hotgo.yaml:2: link: want auto, thin or full, have "thn"; did you mean "thin"?`,
		`env HOTGO_POLL: poll: want true or false, have "perhaps"`,
		`flag --timeout: timeout: want no negative time, have -1s`,
		`flag --quiet: quiet contradicts verbose (flag --verbose)`,
	)
}
