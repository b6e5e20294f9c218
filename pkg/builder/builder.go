// Package builder turns plugin packages into artifacts that a running host can
// load.
//
// Everything it is going to do is first a value: [Builder.Snapshot] reads the
// source tree once and gives a [Plan] for each plugin; [Builder.Build] carries
// one plan out. The user's tree is never written to.
package builder

import (
	"context"
	"log/slog"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Options configure a Builder. The zero value builds the module of the current
// directory into the user's cache directory.
type Options struct {
	WorkDir string            // a directory of the user's module or workspace; "" is the current one
	Dir     string            // artifacts; "" is hotgo/artifacts below the user's cache directory
	Keep    int               // artifacts kept for each plugin; 0 means 16, negative means all
	Names   map[string]string // import path or directory -> plugin name, where not the base name
	Tags    string            // comma-separated; "" follows the host
	Race    *bool             // nil follows the host
	Link    string            // "auto", "thin" or "full"; "" is auto
	LDFlags string            // for the go command's link step; "" is "-s -w"
	Env     []string          // of the go command; nil is os.Environ()
	Tool    string            // hotgo's own version, for the manifest
	Logger  *slog.Logger      // nil is silent
}

// Host says what the artifacts are for. Binary is enough: its build info names
// the package. Package alone (an import path or a directory such as ./server)
// serves where no binary exists yet; flags are then the environment's.
type Host struct {
	Binary  string
	Package string
}

// Plugin is a package that can be replaced in a host.
type Plugin struct {
	Name       string // what hosts bind
	ImportPath string
	Dir        string // absolute
	Command    bool   // package main
}

// Plan is what building one plugin will do. It is a value: nothing has been
// compiled yet.
type Plan struct {
	Plugin  Plugin
	Host    Host
	Key     string    // 64 hex digits
	Link    string    // "full" or "thin"
	Reason  string    // why not thin, where it is not
	Private []string  // import paths that get a fresh identity
	Flags   []string  // of the go command, such as -trimpath
	Cached  *Artifact // the store's artifact with this key, or nil

	// unexported: what Build needs
	work *work
}

// Snapshot is the source tree at one moment, as it concerns a host.
type Snapshot struct {
	Plans       []*Plan          // in the order asked for; nil where Errors has the plugin's name
	Errors      map[string]error // plugin name -> why it has no plan (*BuildError, *ConflictError, …)
	WatchDirs   []string         // absolute; every directory whose files the builds read
	WatchFiles  []string         // absolute; files outside them: go.mod, go.sum, go.work
	HostChanges []HostChange     // what changed in the host since it was built, where that is known
}

// HostChange is a package of the running host whose source is no longer what
// the host was built from: no plugin can carry it.
type HostChange struct {
	ImportPath string
	Files      []string // absolute
	Shared     bool     // plugins use it too (HG0090); otherwise only the host does
}

// Artifact is one built file.
type Artifact struct {
	Path     string // absolute
	Digest   string // "sha256:" and 64 hex digits
	Bytes    int64
	Manifest artifact.Manifest
	Cached   bool          // nothing was built: the store had it
	Compile  time.Duration // the go command's run, linking included where it cannot be told apart
	Link     time.Duration
}

// Builder builds artifacts. Its methods may be called concurrently.
type Builder struct {
	opts Options
}

// New checks the options and finds the go command.
//
// Errors: *ConflictError where the environment contradicts the options.
func New(opts Options) (*Builder, error) { return &Builder{opts: opts}, nil }

// Find resolves directories and patterns (./plugins/..., import paths, plugin
// names from Options.Names) to plugins, sorted by name. A pattern that matches
// nothing is an error, as are two plugins of one name.
func (b *Builder) Find(ctx context.Context, patterns ...string) ([]Plugin, error) { return nil, nil }

// FindNamed gives the plugins of the current module or workspace that carry
// the given names (a host's bound plugins). Names without a package are left
// out; a name that several packages carry is an error.
func (b *Builder) FindNamed(ctx context.Context, names ...string) ([]Plugin, error) { return nil, nil }

// FindHost gives the import path of the one main package of the module that
// imports the reloader; an error lists the candidates where there are several.
func (b *Builder) FindHost(ctx context.Context) (string, error) { return "", nil }

// Snapshot reads the source tree once and plans every plugin for host.
//
// Errors: *BuildError where the go command cannot load the packages.
func (b *Builder) Snapshot(ctx context.Context, host Host, plugins []Plugin) (*Snapshot, error) {
	return nil, nil
}

// Build carries out a plan: it gives the store's artifact, or compiles, links,
// checks and publishes a new one. Cancelling ctx ends the go command and its
// children.
//
// Errors: *BuildError with diagnostics; *ChangedError where sources changed
// while the build ran (take a new snapshot).
func (b *Builder) Build(ctx context.Context, p *Plan) (*Artifact, error) { return nil, nil }

// HostBuild is a host binary built by BuildHost.
type HostBuild struct {
	Binary  string
	Elapsed time.Duration
}

// BuildHost builds the main package pkg into the file out (replaced by rename)
// with the options' tags and race setting, and remembers what it was built
// from, so that later snapshots know what changed in the host.
//
// Errors: *BuildError.
func (b *Builder) BuildHost(ctx context.Context, pkg, out string) (*HostBuild, error) {
	return nil, nil
}

type work struct{}
