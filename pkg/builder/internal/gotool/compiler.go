package gotool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CompilerVersion gives cc (a command with arguments, as `go env CC` has it)
// and the first line of its --version. A compiler that cannot be asked is
// known by its command alone.
func (t *Tool) CompilerVersion(ctx context.Context, cc string) string {
	if strings.TrimSpace(cc) == "" {
		return ""
	}
	out, _ := t.compiler(ctx, "", cc, "--version")
	return cc + ": " + firstLine(out)
}

// LinkerVersion gives the first line that the linker behind cc says about
// itself, "" where it does not.
func (t *Tool) LinkerVersion(ctx context.Context, cc string) string {
	out, err := t.compiler(ctx, "", cc, "-Wl,--version")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(out) {
		// gcc has its own program between the two speak first, with the command.
		if !strings.HasPrefix(line, "collect2") && !strings.HasPrefix(line, "/") && strings.TrimSpace(line) != "" {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// probe needs what every package with cgo needs: a compiler, the headers of the
// C library, and threads.
const probe = `#include <stdlib.h>
#include <pthread.h>
void *hotgo_probe(size_t n) { return pthread_self() ? malloc(n) : 0; }
`

// TryCompiler has cc compile and link a small shared object in dir, which the
// caller removes.
//
// Errors: one that wraps exec.ErrNotFound where there is no such program;
// *ExitError with what it printed; that of ctx.
func (t *Tool) TryCompiler(ctx context.Context, cc, dir string) error {
	src := filepath.Join(dir, "probe.c")
	if err := os.WriteFile(src, []byte(probe), 0o600); err != nil {
		return err
	}
	out, err := t.compiler(ctx, dir, cc, "-shared", "-fPIC", "-pthread", "-o", filepath.Join(dir, "probe.so"), src)
	if _, failed := errors.AsType[*exec.ExitError](err); failed && ctx.Err() == nil {
		return &ExitError{Args: []string{cc}, Stderr: out, Err: err}
	}
	return err
}

// compiler runs cc in dir and gives what it printed.
func (t *Tool) compiler(ctx context.Context, dir, cc string, args ...string) (string, error) {
	words := strings.Fields(cc)
	if len(words) == 0 {
		return "", fmt.Errorf("no C compiler is named: %w", exec.ErrNotFound)
	}
	path := words[0]
	if !strings.ContainsRune(path, filepath.Separator) {
		found, err := lookPath(path, t.Env)
		if err != nil {
			return "", err
		}
		path = found
	}
	cmd := exec.CommandContext(ctx, path, append(words[1:], args...)...)
	cmd.Dir, cmd.Env = dir, t.Env
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", fmt.Errorf("run %s: %w", words[0], context.Cause(ctx))
	case errors.Is(err, fs.ErrNotExist): // a path that leads nowhere
		return "", fmt.Errorf("%w: %w", exec.ErrNotFound, err)
	}
	return string(out), err
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(first)
}
