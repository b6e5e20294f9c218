package config

import (
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Kind is the form of a setting's value.
type Kind int

// The kinds.
const (
	Text     Kind = iota
	Int           // a whole number
	Bool          // true or false
	TriState      // true, false, or unset: follow the host
	Duration      // as time.ParseDuration reads it
	List          // of texts; comma-separated in flags and environment
	Lines         // of texts, whole: a flag for each, one in the environment
	Tags          // build tags: a comma-separated text or a list
	Plugins       // a list of paths or of objects with path and name
)

// Group sorts settings by the verbs that take them as flags.
type Group int

// The groups. Shared belongs on the root command.
const (
	Shared Group = iota
	Build
	Target
	Watch
	Sign
	Health
)

// Say how a text is made absolute.
const (
	pathNever    = iota // it is no path
	pathAlways          // it is a path
	pathOrImport        // it is a path or an import path
)

// Key is one setting.
type Key struct {
	Name    string   // in the file, and of the flag
	Short   string   // one-letter flag
	Env     []string // names in the environment; the first that is set counts
	Kind    Kind
	Group   Group
	Default any      // of the type that set expects
	Choices []string // the values allowed, if they are few
	Usage   string   // for --help and the file; `x` names the flag's argument
	Unset   string   // what an empty value means
	Example string   // YAML, for the file, where the default shows nothing
	NoFile  bool     // makes no sense in the file
	NoFlag  bool     // arguments do it

	Paths int // pathNever, …
	check func(any) error
	set   func(*Config, any)
}

// Keys is every setting, in the order in which people read them.
//
// The environment name is HOTGO_ and the key in capitals, with two exceptions.
// hotgo's hosts read HOTGO_SOCKET, HOTGO_NAME and HOTGO_DIR, and one shell often
// starts both: HOTGO_DIR is the host's journal directory and must never become
// the directory of artifacts, so the artifacts' is HOTGO_ARTIFACT_DIR; and where
// HOTGO_SOCKET makes a host listen, it is what the command line speaks to unless
// HOTGO_TARGET says otherwise.
var Keys = []Key{
	{
		Name: "config", Env: []string{"HOTGO_CONFIG"}, Kind: Text, Group: Shared, Default: "", NoFile: true,
		Usage: "`file` to read settings from", Unset: "the nearest hotgo.yaml",
	},
	{
		Name: "plugins", Env: []string{"HOTGO_PLUGINS"}, Kind: Plugins, Group: Build, Default: []Plugin(nil), NoFlag: true,
		Usage: "what is replaced: directories, patterns or import paths; {path, name} gives one a name",
		Unset: "what the host has of this module", Example: "[./plugins/..., {path: ./rules, name: pricing}]",
		set: func(c *Config, v any) { c.Plugins = v.([]Plugin) },
	},
	{
		Name: "host", Env: []string{"HOTGO_HOST"}, Kind: Text, Group: Build, Default: "", Paths: pathOrImport,
		Usage: "the program that loads the plugins: a `binary` or its package",
		Unset: "the module's main package that imports the reloader", Example: "./server",
		set: func(c *Config, v any) { c.Host = v.(string) },
	},
	{
		Name: "dir", Env: []string{"HOTGO_ARTIFACT_DIR"}, Kind: Text, Group: Build, Default: "", Paths: pathAlways,
		Usage: "`directory` that holds the artifacts", Unset: "the user's cache directory", Example: "./.hotgo",
		set: func(c *Config, v any) { c.Dir = v.(string) },
	},
	{
		Name: "keep", Env: []string{"HOTGO_KEEP"}, Kind: Int, Group: Build, Default: 16, check: checkKeep,
		Usage: "`number` of artifacts kept for each plugin; -1 keeps all",
		set:   func(c *Config, v any) { c.Keep = v.(int) },
	},
	{
		Name: "link", Env: []string{"HOTGO_LINK"}, Kind: Text, Group: Build, Default: "auto",
		Choices: []string{"auto", "thin", "full"},
		Usage:   "`how` artifacts are linked: auto, thin or full",
		set:     func(c *Config, v any) { c.Link = v.(string) },
	},
	{
		Name: "mode", Env: []string{"HOTGO_MODE"}, Kind: Text, Group: Build, Default: "auto",
		Choices: []string{"auto", "patch", "swap"},
		Usage:   "`how` running code is replaced: auto, patch or swap",
		set:     func(c *Config, v any) { c.Mode = v.(string) },
	},
	{
		Name: "tags", Env: []string{"HOTGO_TAGS"}, Kind: Tags, Group: Build, Default: "",
		Usage: "build `tags`, comma-separated", Unset: "those of the host", Example: "netgo,osusergo",
		set: func(c *Config, v any) { c.Tags = v.(string) },
	},
	{
		Name: "race", Env: []string{"HOTGO_RACE"}, Kind: TriState, Group: Build, Default: (*bool)(nil),
		Usage: "build with the race detector", Unset: "as the host", Example: "true",
		set: func(c *Config, v any) { c.Race = v.(*bool) },
	},
	{
		Name: "ldflags", Env: []string{"HOTGO_LDFLAGS"}, Kind: Text, Group: Build, Default: "",
		Usage: "`flags` of the link step", Unset: "without debug information", Example: "-X main.version=dev",
		set: func(c *Config, v any) { c.LDFlags = v.(string) },
	},
	{
		Name: "target", Env: []string{"HOTGO_TARGET", "HOTGO_SOCKET"}, Kind: List, Group: Target, Default: []string(nil),
		Usage: "the `host` to speak to: a socket's path, a process name, a pid, a pattern, or ssh://MACHINE; repeatable",
		Unset: "every host of this user that holds the plugin", Example: "[shop, /run/shop.sock]",
		set: func(c *Config, v any) { c.Targets = v.([]string) },
	},
	{
		Name: "sign-key", Env: []string{"HOTGO_SIGN_KEY"}, Kind: Text, Group: Sign, Default: "", Paths: pathAlways,
		Usage: "`file` with the secret key that signs artifacts", Unset: "not signed", Example: "~/.config/hotgo/key",
		set: func(c *Config, v any) { c.SignKey = v.(string) },
	},
	{
		Name: "health-window", Env: []string{"HOTGO_HEALTH_WINDOW"}, Kind: Duration, Group: Health,
		Default: time.Duration(0), check: checkWindow(func(w *control.Window, d time.Duration) { w.Length = d }),
		Usage: "`time` for which hosts observe what they have loaded, and undo it where it is unhealthy",
		Unset: "as the host does by itself", Example: "30s",
		set: func(c *Config, v any) { c.Health.Window.Length = v.(time.Duration) },
	},
	{
		Name: "health-interval", Env: []string{"HOTGO_HEALTH_INTERVAL"}, Kind: Duration, Group: Health,
		Default: control.WindowDefaultInterval, check: checkWindow(func(w *control.Window, d time.Duration) { w.Interval = d }),
		Usage: "`time` between two calls of HotHealth, and of each probe, in a health window",
		set:   func(c *Config, v any) { c.Health.Window.Interval = v.(time.Duration) },
	},
	{
		Name: "health-failures", Env: []string{"HOTGO_HEALTH_FAILURES"}, Kind: Int, Group: Health,
		Default: control.WindowDefaultFailures, check: checkPositive,
		Usage: "`number` of failures in a row, of HotHealth or of one probe, that undo what was loaded",
		set:   func(c *Config, v any) { c.Health.Window.Failures = v.(int) },
	},
	{
		Name: "max-panics", Env: []string{"HOTGO_MAX_PANICS"}, Kind: Int, Group: Health, Default: 0,
		check: checkWindow(func(w *control.Window, n int) { w.MaxPanics = n }),
		Usage: "`number` of contained panics that a health window lets pass; -1 is any",
		set:   func(c *Config, v any) { c.Health.Window.MaxPanics = v.(int) },
	},
	{
		Name: "max-errors", Env: []string{"HOTGO_MAX_ERRORS"}, Kind: Text, Group: Health, Default: "",
		check: checkWindow(func(w *control.Window, s string) { w.MaxErrors = s }),
		Usage: "`number`, or share such as 5%, of reported errors that a health window lets pass",
		Unset: "any", Example: `"5%"`,
		set: func(c *Config, v any) { c.Health.Window.MaxErrors = v.(string) },
	},
	{
		Name: "probe-http", Env: []string{"HOTGO_PROBE_HTTP"}, Kind: Lines, Group: Health, Default: []string(nil),
		Usage: "`URL` to get again and again in the health window; a status below 400 is well; repeatable",
		Unset: "none", Example: "[http://localhost:8080/healthz]",
		set: func(c *Config, v any) { c.Health.HTTP = v.([]string) },
	},
	{
		Name: "probe-command", Env: []string{"HOTGO_PROBE_COMMAND"}, Kind: Lines, Group: Health, Default: []string(nil),
		Usage: "`command` of the shell to run again and again in the health window; exit code 0 is well; repeatable",
		Unset: "none", Example: `["./smoke.sh"]`,
		set: func(c *Config, v any) { c.Health.Commands = v.([]string) },
	},
	{
		Name: "probe-timeout", Env: []string{"HOTGO_PROBE_TIMEOUT"}, Kind: Duration, Group: Health,
		Default: 5 * time.Second, check: checkLasts,
		Usage: "`time` that one probe may take",
		set:   func(c *Config, v any) { c.Health.Timeout = v.(time.Duration) },
	},
	{
		Name: "poll", Env: []string{"HOTGO_POLL"}, Kind: Bool, Group: Watch, Default: false,
		Usage: "look at the files now and then: for Docker, WSL and network file systems",
		set:   func(c *Config, v any) { c.Poll = v.(bool) },
	},
	{
		Name: "debounce", Env: []string{"HOTGO_DEBOUNCE"}, Kind: Duration, Group: Watch,
		Default: 10 * time.Millisecond, check: checkNotNegative,
		Usage: "quiet `time` that ends a batch of edits",
		set:   func(c *Config, v any) { c.Debounce = v.(time.Duration) },
	},
	{
		Name: "restart", Env: []string{"HOTGO_RESTART"}, Kind: Text, Group: Watch, Default: "ask",
		Choices: []string{"ask", "always", "never"},
		Usage:   "`when` to restart the host for an edit that needs it: ask, always or never",
		set:     func(c *Config, v any) { c.Restart = v.(string) },
	},
	{
		Name: "output", Short: "o", Env: []string{"HOTGO_OUTPUT"}, Kind: Text, Group: Shared, Default: "text",
		Choices: []string{"text", "json"},
		Usage:   "`form` of the output: text or json",
		set:     func(c *Config, v any) { c.Output = v.(string) },
	},
	{
		Name: "quiet", Short: "q", Env: []string{"HOTGO_QUIET"}, Kind: Bool, Group: Shared, Default: false,
		Usage: "say only what went wrong",
		set:   func(c *Config, v any) { c.Quiet = v.(bool) },
	},
	{
		Name: "verbose", Short: "v", Env: []string{"HOTGO_VERBOSE"}, Kind: Bool, Group: Shared, Default: false,
		Usage: "say every step",
		set:   func(c *Config, v any) { c.Verbose = v.(bool) },
	},
	{
		Name: "color", Env: []string{"HOTGO_COLOR"}, Kind: Text, Group: Shared, Default: "auto",
		Choices: []string{"auto", "always", "never"},
		Usage:   "`when` to color the text: auto, always or never",
		set:     func(c *Config, v any) { c.Color = v.(string) },
	},
	{
		Name: "timeout", Env: []string{"HOTGO_TIMEOUT"}, Kind: Duration, Group: Shared,
		Default: time.Duration(0), check: checkNotNegative,
		Usage: "`time` after which to give up", Unset: "never",
		set: func(c *Config, v any) { c.Timeout = v.(time.Duration) },
	},
}

// hostEnv is what hosts read and the command line must not, and what is too secret
// to be shown as a setting.
// What probes are told is no setting either: they may well run hotgo.
var hostEnv = []string{
	"HOTGO_NAME", "HOTGO_DIR", "HOTGO_RESTORE", "HOTGO_TRUSTED_KEYS", "HOTGO_KEY_PASSWORD",
	"HOTGO_PROBED_HOST", "HOTGO_PROBED_PID", "HOTGO_PROBED_SOCKET", "HOTGO_PROBED_PLUGIN", "HOTGO_PROBED_GENERATION",
}

// lookup finds a key by name.
func lookup(name string) (Key, bool) {
	for _, k := range Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// fileKeys gives the names that a file may hold.
func fileKeys() []string {
	var names []string
	for _, k := range Keys {
		if !k.NoFile {
			names = append(names, k.Name)
		}
	}
	return names
}

// Choices gives the values that a setting allows, for shell completion; nil if
// they cannot be listed.
func Choices(key string) []string {
	k, _ := lookup(key)
	return k.Choices
}
