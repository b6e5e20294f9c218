// Package gotool runs the go command and nothing else does.
//
// A Tool is a value: where the go command is, the directory it runs in and its
// environment. Every run ends with its context, children included: the go
// command is started in a process group of its own and the whole group is
// killed, because `go build` killed alone leaves compilers and linkers behind.
package gotool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Tool is a go command ready to run. It is immutable and safe for concurrent
// use.
type Tool struct {
	Path string   // of the go command
	Dir  string   // working directory
	Env  []string // complete environment

	// OnRun, where not nil, is told the arguments of every run of the go
	// command, before it starts and from the goroutine that waits for it.
	OnRun func(args []string)
}

// New finds the go command in env's PATH. A nil env means os.Environ().
func New(dir string, env []string) (*Tool, error) {
	if env == nil {
		env = os.Environ()
	}
	path, err := lookPath("go", env)
	if err != nil {
		return nil, fmt.Errorf("find the go command: %w", err)
	}
	return &Tool{Path: path, Dir: dir, Env: env}, nil
}

// With gives a copy of t whose environment has the given KEY=VALUE entries
// added; later entries win.
func (t *Tool) With(env ...string) *Tool {
	c := *t
	c.Env = append(append([]string{}, t.Env...), env...)
	return &c
}

// Getenv gives the value that the go command would see.
func (t *Tool) Getenv(key string) string {
	for i := len(t.Env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(t.Env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

// ExitError is a run of the go command that did not succeed.
type ExitError struct {
	Args   []string
	Stderr string
	Err    error
}

// Error gives what the command said, or how it ended where it said nothing.
func (e *ExitError) Error() string {
	if s := strings.TrimSpace(e.Stderr); s != "" {
		return s
	}
	return fmt.Sprintf("go %s: %v", e.Args[0], e.Err)
}

// Unwrap gives the *exec.ExitError.
func (e *ExitError) Unwrap() error { return e.Err }

// run starts the go command and gives its standard output. A context that ends
// is the error, not the exit status that it caused.
func (t *Tool) run(ctx context.Context, args ...string) ([]byte, error) {
	var out, errOut bytes.Buffer
	err := t.stream(ctx, &out, &errOut, args...)
	return out.Bytes(), err
}

func (t *Tool) stream(ctx context.Context, stdout io.Writer, stderr *bytes.Buffer, args ...string) error {
	if t.OnRun != nil {
		t.OnRun(args)
	}
	cmd := exec.CommandContext(ctx, t.Path, args...)
	cmd.Dir = t.Dir
	cmd.Env = append(append([]string{}, t.Env...), "PWD="+t.Dir)
	cmd.Stdout = stdout
	cmd.Stderr = stderr
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("run go %s: %w", args[0], context.Cause(ctx))
	}
	return &ExitError{Args: args, Stderr: stderr.String(), Err: err}
}

// Environment is what `go env` reports of the settings that decide a build.
type Environment struct {
	GOVERSION    string
	GOROOT       string
	GOMOD        string
	GOWORK       string
	GOFLAGS      string
	GOMODCACHE   string
	GOTOOLCHAIN  string
	GOENV        string // file that `go env -w` writes, or "off"
	GOOS         string
	GOARCH       string
	GOEXPERIMENT string
	CGO_ENABLED  string
	CC           string
	CXX          string

	// All holds every variable asked for, by name.
	All map[string]string `json:"-"`
}

// deciding are the variables of `go env` that go into a key, beside those that
// only say where things are.
var deciding = []string{
	"GOVERSION", "GOOS", "GOARCH", "GOEXPERIMENT", "GOFIPS140", "CGO_ENABLED",
	"CC", "CXX", "CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "PKG_CONFIG",
	"GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64",
}

// Deciding names the variables of Environment.All that change what a build
// produces.
func Deciding() []string { return append([]string{}, deciding...) }

// Environ asks the go command for its settings.
func (t *Tool) Environ(ctx context.Context) (*Environment, error) {
	args := append([]string{"env", "-json"}, deciding...)
	args = append(args, "GOROOT", "GOMOD", "GOWORK", "GOFLAGS", "GOMODCACHE", "GOTOOLCHAIN", "GOENV")
	out, err := t.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	e := &Environment{}
	if err := json.Unmarshal(out, e); err != nil {
		return nil, fmt.Errorf("read go env: %w", err)
	}
	if err := json.Unmarshal(out, &e.All); err != nil {
		return nil, fmt.Errorf("read go env: %w", err)
	}
	return e, nil
}

// lookPath is exec.LookPath under another environment's PATH.
func lookPath(name string, env []string) (string, error) {
	for i := len(env) - 1; i >= 0; i-- {
		path, ok := strings.CutPrefix(env[i], "PATH=")
		if !ok {
			continue
		}
		for _, dir := range strings.Split(path, string(os.PathListSeparator)) {
			if dir == "" {
				continue
			}
			if p, err := exec.LookPath(dir + string(os.PathSeparator) + name); err == nil {
				return p, nil
			}
		}
		return "", fmt.Errorf("%q is not in PATH: %w", name, exec.ErrNotFound)
	}
	p, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil
	}
	return p, err
}
