package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// World is the machine as the checks see it: the seam that lets each finding be
// tested. [Machine] fills in the first group; the second is what the command line
// knows.
type World struct {
	GOOS    string
	WorkDir string // absolute
	TempDir string
	Getenv  func(string) string

	ReadFile   func(string) ([]byte, error)
	Lstat      func(string) (Entry, error)
	FileSystem func(path string) (FileSystem, error)
	Chmod      func(string, fs.FileMode) error
	OpenFiles  func() (limit uint64, err error) // descriptors that a process may have
	Watches    func() Watches                   // what this user's processes have of inotify

	SocketDirs  func() []string
	CheckDir    func(string) error // whether a host would listen in it
	CheckPath   func(string) error // whether a socket's path is short enough
	Stale       func(dir string) []string
	RemoveStale func(dir string) []string
	Leftovers   func(dir string) ([]string, error)
	RemoveLeft  func(dir string) ([]string, error)

	Toolchain   func(ctx context.Context) (*builder.Toolchain, error)
	TryCompiler func(ctx context.Context, t *builder.Toolchain) (builder.Compiler, error)
	ReadHost    func(path string) (*builder.HostBinary, error)
	InitEffects func(*builder.Plan) []builder.InitEffect

	Artifacts    string   // directory of artifacts, absolute
	UnknownHotgo []string // complaints about HOTGO_ variables that nobody reads
	Polls        bool     // watching does not rely on events
	HostNamed    bool     // somebody said what the host is
	ThinOnly     bool     // artifacts are to be linked thin or not at all
	SignKey      string   // file of the key that artifacts are signed with; "" is none
	NoBuilder    string   // why there is no builder, "" if there is; without one the funcs below may be nil

	ReadKey func(path string) (SigningKey, error)
	Running func(ctx context.Context) []control.Status // hosts of this user

	FindHost      func(ctx context.Context) (builder.Host, error)
	Embeds        func(ctx context.Context, pkg string) (bool, error)
	FindPlugins   func(ctx context.Context, h builder.Host) ([]builder.Plugin, error)
	Snapshot      func(ctx context.Context, h builder.Host, plugins []builder.Plugin) (*builder.Snapshot, error)
	DescribeError func(error) (what, next string, places []control.Diagnostic)
}

// Entry is what the file system says about a file.
type Entry struct {
	Mode fs.FileMode
	UID  int
	Mine bool // it belongs to this process's user
}

// FileSystem is what a file is on.
type FileSystem struct {
	Name    string // "nfs", "9p", …; "" for one that announces changes
	NoExec  bool   // nothing on it may be executed or mapped as code
	Free    uint64 // bytes, for this user
	Unknown bool   // this system does not tell
}

// Watches is what is in use of the system's tables of file watches.
type Watches struct{ Watches, Instances int }

// Machine is the world of this process, in a working directory.
func Machine(workDir string) World {
	return World{
		GOOS: goos, WorkDir: workDir, TempDir: os.TempDir(), Getenv: os.Getenv,
		ReadFile: os.ReadFile, Lstat: lstat, FileSystem: fileSystem, Chmod: os.Chmod, OpenFiles: openFiles, Watches: watches,
		SocketDirs: control.SocketDirs, CheckDir: control.CheckSocketDir, CheckPath: control.CheckSocketPath,
		Stale: control.StaleSockets, RemoveStale: control.RemoveStaleSockets,
		Leftovers: builder.Leftovers, RemoveLeft: builder.RemoveLeftovers, ReadHost: builder.ReadHost,
		Toolchain: func(ctx context.Context) (*builder.Toolchain, error) { return builder.ReadToolchain(ctx, workDir, nil) },
		TryCompiler: func(ctx context.Context, t *builder.Toolchain) (builder.Compiler, error) {
			return t.TryCompiler(ctx, "")
		},
		InitEffects: (*builder.Plan).InitEffects,
	}
}

// nearest gives path, or the directory above it that exists.
func (w World) nearest(path string) string {
	for {
		_, err := w.Lstat(path)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// sysctl reads a number from /proc/sys; -1 where there is none.
func (w World) sysctl(name string) int {
	data, err := w.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return -1
	}
	n := 0
	for _, c := range strings.TrimSpace(string(data)) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}
