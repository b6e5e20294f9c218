// Package store keeps artifacts in a directory, named by what they were built
// from, for any number of processes at once.
//
//	DIR/<plugin>-<12 hex of key>.so   an artifact, complete and checked
//	DIR/.tmp/                         scratch directories, each with a lock of its owner
//	DIR/.lock/                        locks of [Store.Lock]
//	DIR/.side/                        small files of [Store.Remember]
//
// A file under a final name is complete: it was written elsewhere on the same
// file system, synced, and renamed into place, and the directory was synced
// after it. Nothing is ever written in place, for a host may have the file
// mapped, and writing to a mapped file ends the host. Removing one is safe:
// the host keeps what it has mapped.
//
// Locks belong to open files, so the kernel takes them back when their process
// ends, however it ends. What a crashed process leaves is scratch without an
// owner, which [Store.Clean] removes.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// ErrNotFound says that the store does not have what was asked for.
var ErrNotFound = errors.New("not in the store")

// ErrFull says that the file system, a quota or a limit has no room left.
var ErrFull = errors.New("no space left")

// Store is one directory of artifacts. Its methods may be called concurrently,
// and other processes may have the same directory open.
type Store struct {
	dir   string
	now   func() time.Time  // of file times
	grace time.Duration     // what was used more recently stays
	crash func(step string) // tests end the process here
	gates gates
}

// Entry is one artifact of the store. Path stays valid until Clean removes the
// file, which it does not do to files in use a moment ago.
type Entry struct {
	Path     string // absolute
	Plugin   string
	Key      string // 64 hex digits
	Digest   string // "sha256:" and 64 hex digits, of the file
	Bytes    int64
	ModTime  time.Time // when it was last published or looked up
	Manifest artifact.Manifest
}

const (
	tmpDir  = ".tmp"
	lockDir = ".lock"
	sideDir = ".side"

	defaultGrace = time.Minute
)

// Open opens the store in dir, which it creates, for this user alone, where it
// does not exist.
//
// Errors name the directory; errors.Is finds [ErrFull] and the fs errors.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s := &Store{
		dir: abs, now: time.Now, grace: defaultGrace,
		crash: func(string) {},
	}
	for _, sub := range []string{tmpDir, lockDir, sideDir} {
		if err := os.MkdirAll(filepath.Join(abs, sub), 0o700); err != nil {
			return nil, s.fail("open store", err)
		}
	}
	// Creating a file tells more than looking at modes: root, read-only file
	// systems and access lists all have their own idea of those.
	probe, err := os.CreateTemp(filepath.Join(abs, tmpDir), ".probe-*")
	if err != nil {
		return nil, s.fail("open store", err)
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return nil, s.fail("open store", err)
	}
	return s, nil
}

// Dir gives the absolute path of the store.
func (s *Store) Dir() string { return s.dir }

// path gives the absolute path of a file of the store.
func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// fail wraps an error: what was being done, where, and whether room ran out.
func (s *Store) fail(doing string, err error) error {
	if isFull(err) {
		return fmt.Errorf("%s %s: %w: %w", doing, s.dir, ErrFull, err)
	}
	return fmt.Errorf("%s %s: %w", doing, s.dir, err)
}

// missing reports whether err is about a file that is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
