// Package config merges flags, environment and file into one validated
// [Config].
//
// A flag beats the environment, the environment beats the file, the file beats
// the default. All settings are rows of one table (keys.go): flags, environment
// names, checks, the file that `hotgo init` writes and the answer of `hotgo
// config view` come from it.
//
// # viper
//
// This package is the only importer of viper (1.21). viper decodes the file and
// decides which source wins; everything else is done here, because viper is
// lenient where a user needs an error:
//
//   - A key that only the environment sets is missed by Unmarshal. Unmarshal is
//     not used: each key of the table is bound and asked for by name.
//   - A key unknown to the program passes silently; UnmarshalExact still misses
//     one whose value is null or an empty map. Keys are compared with the table
//     before viper sees the file.
//   - Keys of maps are lower-cased, and a dot in one makes it a path. No setting
//     is a map: plugins are a list, so names and paths are values.
//   - `Target:` beside `target:` leaves the winner to chance. Keys are exact.
//   - An unset flag's default counts as a value. Where nothing sets a key, viper
//     is not asked at all.
//   - A list in the environment is split at blanks. Lists are split here.
//   - Values are coerced (true becomes 1). Types are checked here.
//   - WatchConfig fires twice and races, and the global instance is shared by
//     whoever imports viper. Neither is used: each Load has its own instance.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Config is what a command works with. All values are valid.
//
// Paths are absolute: those of the file were relative to the file, those of
// flags and environment to the current directory.
type Config struct {
	File     string    // the file that was read; "" if there is none
	Warnings []Problem // worth telling; nothing is wrong

	// Shared by all verbs.
	Output  string        // text or json
	Quiet   bool          // failures only
	Verbose bool          // every step
	Color   string        // auto, always or never
	Timeout time.Duration // of the whole command; 0 is none

	// What is built, and how.
	Plugins []Plugin // empty: what the host has of the current module or workspace
	Host    string   // binary, or package as a directory or an import path; "" looks for one
	Dir     string   // artifacts; "" is the user's cache directory
	Keep    int      // artifacts kept for each plugin; -1 is all
	Link    string   // auto, thin or full
	Mode    string   // auto, patch or swap
	Tags    string   // comma-separated; "" follows the host
	Race    *bool    // nil follows the host
	LDFlags string   // for the go command's link step; "" is the builder's choice
	SignKey string   // file with the secret key; "" signs nothing

	// Where it goes.
	Targets []string // empty: every host of this user that holds the plugin

	Health Observation // of what was pushed

	// Watching.
	Poll     bool          // look at the files now and then, instead of being told
	Debounce time.Duration // quiet time that ends a batch of edits
	Restart  string        // ask, always or never

	settings []Setting
	fileName string // File as shown
}

// Observation says how what was pushed is observed.
type Observation struct {
	Window   control.Window // Length, Interval, Failures, MaxPanics and MaxErrors
	Asked    bool           // whether Window.Length was set; else it is the host's business
	HTTP     []string       // URLs to probe
	Commands []string       // lines of shell to probe with
	Timeout  time.Duration  // of one probe
}

// Plugin is one entry of the list of plugins.
type Plugin struct {
	Path string `json:"path"`           // absolute directory or pattern, or import path
	Name string `json:"name,omitempty"` // "" is the directory's base name
}

// PluginPaths gives the directories, patterns and import paths of the
// configured plugins.
func (c *Config) PluginPaths() []string {
	var paths []string
	for _, p := range c.Plugins {
		paths = append(paths, p.Path)
	}
	return paths
}

// PluginNames gives the names that the configuration sets, by path.
func (c *Config) PluginNames() map[string]string {
	names := map[string]string{}
	for _, p := range c.Plugins {
		if p.Name != "" {
			names[p.Path] = p.Name
		}
	}
	return names
}

// Options are the inputs of [Load] beside the process's environment.
type Options struct {
	Dir   string         // where the search for a file starts; "" is the current directory
	Flags *pflag.FlagSet // parsed; flags that it lacks are simply not set. May be nil
}

// Load reads all sources once. Nothing is watched or kept.
//
// Errors: *Error with everything that is wrong, not the first only.
func Load(opts Options) (*Config, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the current directory: %w", err)
	}
	l := loader{dir: dir, flags: opts.Flags, viper: viper.New()}
	if l.flags == nil {
		l.flags = pflag.NewFlagSet("", pflag.ContinueOnError)
	}
	if err := l.bind(); err != nil {
		return nil, err
	}
	if l.file, err = l.readFile(); err != nil {
		return nil, err
	}
	l.problems = l.file.check()
	if err := l.viper.MergeConfigMap(l.file.values); err != nil {
		return nil, fmt.Errorf("merge %s: %w", l.file.name, err)
	}

	c := &Config{
		File:     l.file.path,
		fileName: l.file.name,
		Warnings: unknownEnv(os.Environ()),
	}
	for _, k := range Keys {
		l.apply(c, k)
	}
	c.Health.Asked = c.origin("health-window").Kind != FromDefault
	l.problems = append(l.problems, c.contradictions()...)
	if len(l.problems) > 0 {
		return nil, &Error{Problems: l.problems}
	}
	return c, nil
}

// loader is one Load under way.
type loader struct {
	dir      string // absolute
	flags    *pflag.FlagSet
	viper    *viper.Viper
	file     *file
	problems []Problem
}

// bind tells viper each key's flag and environment names.
func (l *loader) bind() error {
	for _, k := range Keys {
		if err := l.viper.BindEnv(append([]string{k.Name}, k.Env...)...); err != nil {
			return fmt.Errorf("bind the environment of %s: %w", k.Name, err)
		}
		if f := l.flags.Lookup(k.Name); f != nil {
			if err := l.viper.BindPFlag(k.Name, f); err != nil {
				return fmt.Errorf("bind flag --%s: %w", k.Name, err)
			}
		}
	}
	return nil
}

// readFile reads the file that --config or HOTGO_CONFIG names, or the nearest
// one, or gives an empty one.
func (l *loader) readFile() (*file, error) {
	k, _ := lookup("config")
	path := ""
	if l.origin(k).Kind != FromDefault {
		path = l.viper.GetString(k.Name)
	}
	if path != "" {
		path = resolve(l.dir, path)
	} else {
		var err error
		if path, err = find(l.dir); err != nil || path == "" {
			return &file{}, err
		}
	}
	return read(path, shown(l.dir, path))
}

// origin says which source sets k. It agrees with viper's order by
// construction: it asks the same sources in the same order.
func (l *loader) origin(k Key) Origin {
	if f := l.flags.Lookup(k.Name); f != nil && f.Changed {
		return Origin{Kind: FromFlag, Name: "--" + k.Name}
	}
	for _, name := range k.Env {
		if os.Getenv(name) != "" { // viper too takes an empty variable for an unset one
			return Origin{Kind: FromEnv, Name: name}
		}
	}
	if l.file != nil && l.file.values[k.Name] != nil {
		return l.file.at(k.Name)
	}
	return Origin{Kind: FromDefault}
}

// apply finds k's value, checks it and stores it in c.
func (l *loader) apply(c *Config, k Key) {
	from := l.origin(k)
	value := k.Default
	if from.Kind != FromDefault {
		var err error
		value, err = k.parse(l.viper.Get(k.Name), from)
		if err != nil {
			l.problems = append(l.problems, Problem{Where: from, Key: k.Name, Message: err.Error()})
			return
		}
		value = l.absolute(k, value, from)
	}
	if k.set != nil {
		k.set(c, value)
	}
	c.settings = append(c.settings, Setting{Key: k.Name, Value: value, Origin: from})
}

// absolute resolves the paths in value against the directory they were meant
// for.
func (l *loader) absolute(k Key, value any, from Origin) any {
	base := l.dir
	if from.Kind == FromFile {
		base = filepath.Dir(l.file.path)
	}
	switch v := value.(type) {
	case string:
		switch {
		case v == "":
		case k.Paths == pathAlways:
			return resolve(base, v)
		case k.Paths == pathOrImport:
			return resolvePackage(base, v)
		}
	case []Plugin:
		for i := range v {
			v[i].Path = resolvePackage(base, v[i].Path)
		}
	case []string:
		if from.Name == "HOTGO_SOCKET" {
			return []string{resolve(base, v[0])}
		}
	}
	return value
}

// contradictions are errors between settings that are valid on their own.
func (c *Config) contradictions() []Problem {
	if !c.Quiet || !c.Verbose {
		return nil
	}
	return []Problem{{
		Where: c.origin("quiet"), Key: "quiet",
		Message: fmt.Sprintf("quiet contradicts verbose (%s)", c.origin("verbose")),
	}}
}

// origin says where key's value came from.
func (c *Config) origin(key string) Origin {
	for _, s := range c.settings {
		if s.Key == key {
			return s.Origin
		}
	}
	return Origin{Kind: FromDefault}
}

// resolve makes path absolute. A leading ~/ is the home directory: no shell has
// seen the paths of a file.
func resolve(base, path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// resolvePackage makes a path absolute that may as well be an import path. As
// for the go command, only ./x, ../x and /x are directories; beyond that, a file
// that exists is meant as that file (a host's binary).
func resolvePackage(base, path string) string {
	slashed := filepath.ToSlash(path)
	local := slashed == "." || slashed == ".." ||
		strings.HasPrefix(slashed, "./") || strings.HasPrefix(slashed, "../") || strings.HasPrefix(slashed, "~/")
	if local || filepath.IsAbs(path) {
		return resolve(base, path)
	}
	abs := filepath.Join(base, path)
	if info, err := os.Stat(abs); err == nil && info.Mode().IsRegular() {
		return abs
	}
	return path
}

// shown is path as a message names it: relative where that is shorter.
func shown(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
