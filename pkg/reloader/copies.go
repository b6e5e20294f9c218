package reloader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/noroom"
	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// An artifact is checked and mapped from a copy that only this process can
// write: whoever sent it cannot change it between the two, and a cp over the
// original cannot pull the code out from under the process (that is a SIGBUS).
// Each copy has a path that was never used before, because the runtime
// remembers every path it was given, failures included (go1.26:
// plugin/plugin_dlopen.go, plugins).

// copies owns the private directory. It lies below Options.Dir, where copies
// stay until the next start, or below the user's directory for temporary files,
// where they go as soon as they are mapped; in both, what a killed process left
// is removed by the next one.
type copies struct {
	base  string
	keep  bool
	limit int64

	mu     sync.Mutex
	dir    string   // "" until it is needed
	lock   *os.File // held while this process lives; nil where the system has none
	seq    int
	closed bool
}

// runPrefix begins the names of private directories.
const runPrefix = "run-"

func openCopies(base string, limit int64) (*copies, error) {
	c := &copies{base: base, keep: base != "", limit: limit}
	if !c.keep {
		c.base = filepath.Join(os.TempDir(), fmt.Sprintf("hotgo-%d", os.Geteuid()))
		return c, nil // made at the first load: most processes never see one
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.open()
}

// open makes the private directory. The caller holds c.mu.
func (c *copies) open() error {
	err := peercred.EnsureDir(c.base)
	if errors.Is(err, errors.ErrUnsupported) {
		err = os.MkdirAll(c.base, 0o700)
	}
	if err == nil {
		c.dir, c.lock, err = claimRun(c.base)
	}
	if err == nil {
		// The runtime names a plugin by its real path.
		c.dir, err = filepath.EvalSymlinks(c.dir)
	}
	if err != nil {
		return fmt.Errorf("open directory for copies: %w", err)
	}
	return nil
}

// keptIn is Options.Dir without symbolic links in its path; "" where nothing is
// kept.
func (c *copies) keptIn() string {
	if !c.keep {
		return ""
	}
	return filepath.Dir(c.dir)
}

// close removes the copies that nothing keeps. What is mapped stays mapped.
func (c *copies) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var err error
	if c.dir != "" && !c.keep {
		err = os.RemoveAll(c.dir)
	}
	if c.lock != nil {
		err = errors.Join(err, c.lock.Close())
		c.lock = nil
	}
	return err
}

// next gives a path that was never used.
func (c *copies) next(suffix string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return "", errClosed()
	}
	// Directories for temporary files are swept; a host may outlive its own.
	if _, err := os.Lstat(c.dir); err != nil {
		if c.lock != nil {
			c.lock.Close()
		}
		if err := c.open(); err != nil {
			return "", diskError(err)
		}
	}
	c.seq++
	return filepath.Join(c.dir, fmt.Sprintf("%06d%s", c.seq, suffix)), nil
}

// copied is an artifact in the private directory, of which nothing is known
// yet but its bytes.
type copied struct {
	keep      bool
	path      string
	size      int64
	digest    string
	signature string // text of the file beside the original, where there is one
}

// discard removes the file; what is mapped from it stays mapped.
func (c *copied) discard() { _ = os.Remove(c.path) }

// receive copies r into the private directory. The caller discards the result.
//
// Errors: *control.Error with CodeTooLarge, CodeTimeout for ctx, or what is
// wrong with the disk or the reader.
func (c *copies) receive(ctx context.Context, r io.Reader) (_ *copied, err error) {
	path, err := c.next(".so")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, diskError(fmt.Errorf("create copy: %w", err))
	}
	out := &copied{path: path, keep: c.keep}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = diskError(fmt.Errorf("write copy: %w", closeErr))
		}
		if err != nil {
			out.discard()
		}
	}()
	sum := sha256.New()
	src := &meteredReader{ctx: ctx, r: io.LimitReader(r, c.limit+1)}
	out.size, err = io.Copy(io.MultiWriter(f, sum), src)
	switch {
	case src.err != nil:
		return nil, readError(ctx, src.err)
	case err != nil:
		return nil, diskError(fmt.Errorf("write copy: %w", err))
	case out.size > c.limit:
		return nil, tooLarge(c.limit)
	}
	out.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return out, nil
}

// named moves the copy to a path that says what it is; memory maps and
// debuggers show it.
func (c *copies) named(f *copied, plugin, key string) error {
	path, err := c.next("-" + artifact.FileName(plugin, key))
	if err != nil {
		return err
	}
	if err := os.Rename(f.path, path); err != nil {
		return diskError(fmt.Errorf("rename copy: %w", err))
	}
	f.path = path
	return nil
}

// meteredReader tells errors of the source from those of the disk, and ends
// with ctx.
type meteredReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (m *meteredReader) Read(p []byte) (int, error) {
	if m.err = context.Cause(m.ctx); m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

func readError(ctx context.Context, err error) error {
	var ce *control.Error
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &ce):
		return ce
	case errors.As(err, &tooBig):
		return tooLarge(tooBig.Limit)
	case errors.Is(err, io.ErrUnexpectedEOF): // first: net/http ends ctx as well, a moment later
		return &control.Error{Code: control.CodeBadRequest, Message: "the upload ended early", Err: err}
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return &control.Error{Code: control.CodeTimeout, Message: "the artifact did not arrive in time", Err: err, Status: http.StatusRequestTimeout}
	}
	return &control.Error{Code: control.CodeBadRequest, Message: "cannot read the artifact", Err: err}
}

func tooLarge(limit int64) error {
	return &control.Error{
		Code: control.CodeTooLarge, Message: fmt.Sprintf("the artifact has more than %d bytes", limit),
		Limit: "the host's Options.MaxArtifactBytes",
	}
}

func diskError(err error) error {
	e := &control.Error{Code: control.CodeInternal, Message: "cannot keep a copy of the artifact", Err: err}
	if noroom.Is(err) {
		e.Status = http.StatusInsufficientStorage
		e.Message = "the host's disk is full"
		e.Next = "free space there, or set TMPDIR (or Options.Dir) to a directory that has some, and restart the host"
	}
	return e
}
