// Package revision takes a source tree as it was out of a git repository. It is
// the only one that runs git; nothing in the repository changes, not even its
// list of work trees.
package revision

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Error says that git could not give a revision.
type Error struct {
	Revision string
	Stderr   string // what git said
	Err      error
}

func (e *Error) Error() string {
	if e.Stderr != "" {
		return fmt.Sprintf("read revision %s: %s", e.Revision, strings.TrimPrefix(e.Stderr, "fatal: "))
	}
	return fmt.Sprintf("read revision %s: %v", e.Revision, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Tree is a source tree as it was.
type Tree struct {
	Top    string // of the repository, absolute
	Dir    string // the same tree as it was
	Commit string // full hash
}

// Extract writes the tree of a revision below into, which must be an empty
// directory. dir is any directory of the repository. Submodules are not in it.
//
// Errors: *Error where git is missing or does not know the revision.
func Extract(ctx context.Context, dir, rev, into string) (*Tree, error) {
	if strings.HasPrefix(rev, "-") {
		return nil, &Error{Revision: rev, Err: errors.New("not the name of a revision")}
	}
	top, err := git(ctx, dir, rev, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	if top, err = filepath.EvalSymlinks(top); err != nil {
		return nil, &Error{Revision: rev, Err: err}
	}
	commit, err := git(ctx, dir, rev, "rev-parse", "--verify", "--quiet", rev+"^{commit}")
	if err != nil {
		return nil, &Error{Revision: rev, Stderr: "git knows no such revision", Err: err}
	}
	cmd := exec.CommandContext(ctx, "git", "archive", "--format=tar", commit)
	cmd.Dir = top
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, &Error{Revision: rev, Err: err}
	}
	if err := cmd.Start(); err != nil {
		return nil, &Error{Revision: rev, Err: err}
	}
	unpacked := unpack(out, into)
	_, drained := io.Copy(io.Discard, out)
	if err := errors.Join(cmd.Wait(), unpacked, drained); err != nil {
		return nil, &Error{Revision: rev, Stderr: strings.TrimSpace(stderr.String()), Err: err}
	}
	return &Tree{Top: top, Dir: into, Commit: commit}, nil
}

// Ignored gives those of files, which are absolute, that git is told to ignore: they are
// in no revision, whatever a build makes of them. dir is any directory of the
// repository.
//
// Errors: *Error where git is missing, or files lie outside of the repository.
func Ignored(ctx context.Context, dir string, files []string) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, "git", "check-ignore", "-z", "--stdin")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(strings.Join(files, "\x00") + "\x00")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 { // none
		return nil, nil
	}
	if err != nil {
		e := &Error{Err: err}
		if exit != nil {
			e.Stderr = strings.TrimSpace(string(exit.Stderr))
		}
		return nil, e
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

func git(ctx context.Context, dir, rev string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		e := &Error{Revision: rev, Err: err}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			e.Stderr = strings.TrimSpace(string(exit.Stderr))
		}
		return "", e
	}
	return strings.TrimSpace(string(out)), nil
}

// unpack writes regular files and links. os.Root keeps everything inside.
func unpack(r io.Reader, into string) error {
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o700)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			err = write(root, name, t)
		}
		if err != nil {
			return err
		}
	}
}

func write(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
