package builder

import (
	"context"
	"fmt"
	goversion "go/version"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// Toolchain is the go command and the C compiler as a build in one directory
// would find them. It is a value; [Toolchain.TryCompiler] alone runs anything.
type Toolchain struct {
	Go      string            // path of the go command
	Version string            // of the toolchain that it hands over to there, such as go1.26.8
	GOOS    string            // of what it builds
	GOARCH  string            //
	Env     map[string]string // what `go env` says, of everything that decides a build
	Module  string            // go.mod, or "" outside a module
	Wanted  string            // toolchain that go.mod or go.work asks for, "" for none
	CC      string            // the C compiler's command

	KnownIssue string // one sentence on what is wrong with plugins in this release, or ""
	// NoLoad, NoThin and NoPatch say why hosts built here cannot load artifacts,
	// artifacts cannot be linked thin, and hosts cannot be patched. "" means that
	// they can.
	NoLoad, NoThin, NoPatch string

	tool *gotool.Tool
}

// ReadToolchain asks the go command what it would build with in dir. env is the
// environment of the builds; nil is this process's.
//
// Errors: one that wraps exec.ErrNotFound where there is no go command;
// *BuildError with what it said, for example of a toolchain that go.mod asks for
// and that cannot be had.
func ReadToolchain(ctx context.Context, dir string, env []string) (*Toolchain, error) {
	tool, err := gotool.New(dir, env)
	if err != nil {
		return nil, err
	}
	e, err := tool.Environ(ctx)
	if err != nil {
		return nil, goError("go env", err)
	}
	t := &Toolchain{
		Go: tool.Path, Version: toolchain(e.GOVERSION), GOOS: e.GOOS, GOARCH: e.GOARCH, Env: e.All, CC: e.CC, tool: tool,
		KnownIssue: abi.KnownIssue(e.GOVERSION),
	}
	if e.GOMOD != os.DevNull {
		t.Module = e.GOMOD
	}
	t.Wanted = wantedToolchain(e)
	t.NoLoad = cannotLoad(t.GOOS)
	if ok, reason := thin.Supported(t.Version, t.GOOS, t.GOARCH); !ok {
		t.NoThin = reason
		t.NoPatch = "patches are linked as thin artifacts are: " + reason
	}
	return t, nil
}

// cannotLoad: the preflight reads ELF files and /proc, and a host loads nothing
// that it has not checked.
func cannotLoad(goos string) string {
	if goos != "linux" {
		return "hosts load artifacts on linux, not on " + goos
	}
	return ""
}

// wantedToolchain gives the toolchain line of go.work or go.mod, and without one
// the go line, which asks for a release as well.
func wantedToolchain(e *gotool.Environment) string {
	file := e.GOWORK
	if file == "" || file == "off" {
		file = e.GOMOD
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var goLine *modfile.Go
	var line *modfile.Toolchain
	if filepath.Ext(file) == ".work" {
		f, err := modfile.ParseWork(file, data, nil)
		if err != nil {
			return ""
		}
		goLine, line = f.Go, f.Toolchain
	} else {
		f, err := modfile.Parse(file, data, nil)
		if err != nil {
			return ""
		}
		goLine, line = f.Go, f.Toolchain
	}
	wanted := ""
	if goLine != nil {
		wanted = "go" + goLine.Version
	}
	if line != nil && line.Name != "default" && goversion.Compare(line.Name, wanted) > 0 {
		wanted = line.Name
	}
	return wanted
}

// Compiler is what a C compiler says about itself.
type Compiler struct {
	Version string // command and first line of --version
	Linker  string // first line of its linker's, "" where that does not say
}

// TryCompiler has the C compiler build a shared object below a directory for
// temporary files ("" is the system's), as every plugin is linked by it. Bound
// its time by ctx.
//
// Errors: one that wraps exec.ErrNotFound where there is no such program;
// *BuildError with what it printed; that of ctx.
func (t *Toolchain) TryCompiler(ctx context.Context, temp string) (Compiler, error) {
	dir, err := os.MkdirTemp(temp, "hotgo-probe-")
	if err != nil {
		return Compiler{}, fmt.Errorf("try the C compiler: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := t.tool.TryCompiler(ctx, t.CC, dir); err != nil {
		return Compiler{}, goError(t.CC, err)
	}
	return Compiler{Version: t.tool.CompilerVersion(ctx, t.CC), Linker: t.tool.LinkerVersion(ctx, t.CC)}, nil
}

// CPULevel gives the highest GOAMD64 level that the processor of a Linux machine
// has; cpuinfo is what /proc/cpuinfo holds. "" means that it does not say.
func CPULevel(cpuinfo string) string { return abi.CPULevel(cpuinfo) }
