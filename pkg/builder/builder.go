// Package builder turns plugin packages into artifacts that a running host can
// load.
//
// Everything it is going to do is first a value: [Builder.Snapshot] reads the
// source tree once and gives a [Plan] for each plugin; [Builder.Build] carries
// one plan out. The user's tree is never written to.
package builder

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/store"
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
	Salt    string            // goes into every key: a new value gives the same sources a new identity
	Env     []string          // of the go command; nil is os.Environ()
	Tool    string            // hotgo's own version, for the manifest
	Base    string            // git revision that the host was built from; "" is what hotgo knows, the binary's stamp says, or it assumes
	Logger  *slog.Logger      // nil is silent

	// Resident is for a builder that lives through many edits: it keeps the
	// commands that compile the plugins and runs them itself when nothing
	// but the contents of files changed. Close such a builder.
	Resident bool
}

// Host says what the artifacts are for. Binary is enough: its build info names
// the package. Package alone (an import path or a directory such as ./server)
// serves where no binary exists yet; flags are then the environment's.
type Host struct {
	Binary  string
	Package string
	// Patched says that a process of the binary runs a patch, which may have brought
	// variables. BuildList alone asks.
	Patched bool
}

// Plugin is a package that can be replaced in a host.
type Plugin struct {
	Name       string // what hosts bind
	ImportPath string
	Dir        string // absolute
	Command    bool   // package main
}

// Manifest says what an artifact is and what it was built from.
type Manifest = artifact.Manifest

// Artifact is one built file.
type Artifact struct {
	Path     string // absolute
	Digest   string // "sha256:" and 64 hex digits
	Bytes    int64
	Manifest Manifest
	Cached   bool          // nothing was built: the store had it
	Compile  time.Duration // the go command's run without its link step
	Link     time.Duration // 0 where it cannot be told apart
}

// Builder builds artifacts. Its methods may be called concurrently, and any
// number of Builders, in any number of processes, may share a directory of
// artifacts.
type Builder struct {
	opts  Options
	tool  *gotool.Tool
	store *store.Store
	log   *slog.Logger

	env residentEnv

	mu          sync.Mutex
	hosts       map[string]*hostFile       // by path: what a binary said, while it is the same file
	baselines   map[string]*baseline       // by build id: what hosts were built from
	based       map[string]*baseline       // by build id: the same as a revision has it, nil where that is not here
	generations map[string]*generation     // by key: what artifacts were built from
	loaded      map[string]*loadedArtifact // by host and plugin: what patches of it are about
	compilers   map[string]string          // C compiler -> its first line of --version
	residents   map[string]*resident       // by question.key
	linkers     map[string]*hostLinker
	builtins    map[string]*builtinList // by builtinKey
	closers     []func()

	residentCompilers map[string]*compiler
	patchCompilers    map[string]*patchCompiler // by what is patched
	unfit             map[string]string         // key -> why its artifact is not thin
	profiles          map[string]*profile       // by path: -pgo profiles
	clock             uint64                    // counts uses of residents
	epochs            uint64                    // counts graphs
}

// Close removes what a resident builder keeps on disk. Builds must have ended.
// What a killed process left is removed by the next one.
func (b *Builder) Close() error {
	b.mu.Lock()
	closers := b.closers
	b.closers, b.residentCompilers, b.patchCompilers = nil, map[string]*compiler{}, map[string]*patchCompiler{}
	b.mu.Unlock()
	for _, c := range closers {
		c()
	}
	return nil
}

func (b *Builder) onClose(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closers = append(b.closers, f)
}

// defaultLDFlags leaves out what neither the runtime nor a stack trace needs.
const defaultLDFlags = "-s -w"

// defaultKeep is how many artifacts of a plugin stay: enough to roll back
// through an afternoon, few enough that 3 MB each is no burden.
const defaultKeep = 16

// New checks the options and finds the go command.
//
// Errors: one that wraps exec.ErrNotFound where there is no go command; the
// store's where its directory cannot be made or written.
func New(opts Options) (*Builder, error) {
	var err error
	if opts.WorkDir == "" {
		if opts.WorkDir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	if opts.WorkDir, err = filepath.Abs(opts.WorkDir); err != nil {
		return nil, err
	}
	// The go command resolves links in the directory it runs in, and paths
	// have to compare equal.
	if dir, err := filepath.EvalSymlinks(opts.WorkDir); err == nil {
		opts.WorkDir = dir
	}
	switch opts.Link {
	case "":
		opts.Link = "auto"
	case "auto", "thin", "full":
	default:
		return nil, fmt.Errorf("unknown link mode %q: want auto, thin or full", opts.Link)
	}
	if opts.Keep == 0 {
		opts.Keep = defaultKeep
	}
	if opts.LDFlags == "" {
		opts.LDFlags = defaultLDFlags
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Dir, err = ArtifactDir(opts.WorkDir, opts.Dir); err != nil {
		return nil, err
	}
	tool, err := gotool.New(opts.WorkDir, opts.Env)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(opts.Dir)
	if err != nil {
		return nil, err
	}
	return &Builder{
		opts: opts, tool: tool, store: st, log: opts.Logger,
		hosts: map[string]*hostFile{}, baselines: map[string]*baseline{}, based: map[string]*baseline{}, generations: map[string]*generation{},
		loaded: map[string]*loadedArtifact{}, compilers: map[string]string{},
		residentCompilers: map[string]*compiler{}, patchCompilers: map[string]*patchCompiler{}, linkers: map[string]*hostLinker{}, unfit: map[string]string{},
		builtins: map[string]*builtinList{}, residents: map[string]*resident{}, profiles: map[string]*profile{},
	}, nil
}
