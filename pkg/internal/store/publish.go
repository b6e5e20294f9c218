package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Publish moves a finished artifact into the store and gives its entry. The
// file at tmpfile must not change any more and is gone after success; it should
// be in a directory of [Store.Temp], for files from other file systems are
// copied first. Every byte of it is checked against its manifest.
//
// Where the store has an artifact with this key already, published by another
// process meanwhile, that one stays and its entry is given: two builds of one
// key need not be equal byte for byte, and somebody may have loaded the first.
func (s *Store) Publish(ctx context.Context, plugin, key, tmpfile string) (Entry, error) {
	const doing = "publish artifact to"
	if err := validate(plugin, key); err != nil {
		return Entry{}, s.fail(doing, err)
	}
	given := tmpfile
	entry, err := s.finish(tmpfile)
	if errors.Is(err, errOtherFS) {
		var cleanup func()
		if tmpfile, cleanup, err = s.copyIn(plugin, given); err == nil {
			defer cleanup()
			entry, err = s.finish(tmpfile)
		}
	}
	if err != nil {
		return Entry{}, s.fail(doing, err)
	}
	if entry.Plugin != plugin || entry.Key != key {
		return Entry{}, s.fail(doing, fmt.Errorf("the manifest of %s says plugin %s with key %s, not %s with %s", tmpfile, entry.Plugin, entry.Key, plugin, key))
	}
	s.crash("synced")

	unlock, err := s.lock(ctx, storeLock)
	if err != nil {
		return Entry{}, s.fail(doing, err)
	}
	defer unlock()
	s.crash("locked")

	final := s.path(artifact.FileName(plugin, key))
	if first, err := s.inspect(final); err == nil && first.Key == key {
		entry = first
		if err := os.Remove(tmpfile); err != nil {
			return Entry{}, s.fail(doing, err)
		}
	} else {
		// Nothing there, something damaged, or the one key in 2^48 that begins
		// with the same digits: replaced.
		entry.Path = final
		if err := os.Rename(tmpfile, final); err != nil {
			return Entry{}, s.fail(doing, err)
		}
		s.crash("renamed")
		if err := syncDir(s.dir); err != nil {
			return Entry{}, s.fail(doing, err)
		}
	}
	if err := s.touch(&entry); err != nil {
		return Entry{}, s.fail(doing, err)
	}
	if given != tmpfile {
		if err := os.Remove(given); err != nil {
			return Entry{}, s.fail(doing, err)
		}
	}
	return entry, nil
}

// errOtherFS says that a file cannot be renamed into the store.
var errOtherFS = errors.New("file is on another file system")

// finish makes a temporary file ready to be renamed: readable, on disk, whole.
func (s *Store) finish(tmpfile string) (Entry, error) {
	if same, err := sameFS(tmpfile, s.dir); err != nil {
		return Entry{}, err
	} else if !same {
		return Entry{}, errOtherFS
	}
	// A linker leaves it with the mode of a program, under the umask.
	if err := os.Chmod(tmpfile, 0o644); err != nil {
		return Entry{}, err
	}
	if err := syncFile(tmpfile); err != nil {
		return Entry{}, err
	}
	return s.inspect(tmpfile)
}

// copyIn copies a file into a scratch directory of its own.
func (s *Store) copyIn(plugin, file string) (copied string, cleanup func(), err error) {
	src, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer src.Close()
	dir, cleanup, err := s.Temp(plugin)
	if err != nil {
		return "", nil, err
	}
	copied = filepath.Join(dir, filepath.Base(file))
	dst, err := os.OpenFile(copied, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = io.Copy(dst, src)
		err = errors.Join(err, dst.Close())
	}
	if err != nil {
		cleanup()
		return "", nil, err
	}
	return copied, cleanup, nil
}

// validate checks what a file name is made of.
func validate(plugin, key string) error {
	if err := artifact.ValidName(plugin); err != nil {
		return err
	}
	return artifact.ValidKey(key)
}

// syncFile waits until the content of a file is on disk.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
