package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Temp gives an empty directory of the caller's own, on the file system of the
// store. cleanup removes it with all that is in it; where the process ends
// without, [Store.Clean] does, in any process.
func (s *Store) Temp(plugin string) (dir string, cleanup func(), err error) {
	const doing = "make scratch directory in store"
	if err := artifact.ValidName(plugin); err != nil {
		return "", nil, s.fail(doing, err)
	}
	// The lock says that the owner lives. It exists, held, before the
	// directory does, and goes after it.
	var owner *os.File
	for range tempTries {
		dir = s.path(tmpDir, plugin+"-"+strings.ToLower(rand.Text()[:12]))
		owner, err = tryLock(dir + ownerSuffix)
		if !errors.Is(err, errLocked) {
			break
		}
		// A sweep came between making the file and locking it, and is about
		// to remove it: another name is as good.
	}
	if err != nil {
		return "", nil, s.fail(doing, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		owner.Close()
		os.Remove(owner.Name())
		return "", nil, s.fail(doing, err)
	}
	return dir, func() { _ = removeScratch(dir, owner) }, nil
}

// tempTries bounds how often Temp loses against a sweep, each time with another
// name. Once is rare.
const tempTries = 20

// ownerSuffix makes a scratch directory's name that of its owner's lock.
const ownerSuffix = ".owner"

// removeScratch removes a scratch directory, then its lock, which is held.
// Nobody else wants the name, so the lock may be let go before its file is
// removed, as Windows demands.
func removeScratch(dir string, owner *os.File) error {
	err := removeAll(dir)
	if err := errors.Join(err, owner.Close()); err != nil {
		return err
	}
	if err := os.Remove(owner.Name()); err != nil && !missing(err) {
		return err
	}
	return nil
}

// removeAll is os.RemoveAll for trees with directories that are not writable,
// such as the go command makes of its module cache.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Sweep removes what processes that crashed have left, as [Store.Clean] does, and
// gives the paths of the scratch that it removed.
func (s *Store) Sweep() (removed []string, err error) {
	return s.eachLeftover(func(path string, owner *os.File) error {
		if owner == nil {
			return removeAll(path)
		}
		return removeScratch(path, owner)
	})
}

// Leftovers lists what Sweep would remove.
func (s *Store) Leftovers() ([]string, error) {
	return s.eachLeftover(func(_ string, owner *os.File) error {
		if owner != nil {
			return owner.Close()
		}
		return nil
	})
}

// eachLeftover calls f for the scratch that nobody owns any more, and gives the
// paths of that for which it gave no error. owner is held, and for f to close; nil
// for scratch that has none.
func (s *Store) eachLeftover(f func(path string, owner *os.File) error) (done []string, err error) {
	files, err := os.ReadDir(s.path(tmpDir))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, file := range files {
		path := s.path(tmpDir, file.Name())
		var owner *os.File
		if dir, ok := strings.CutSuffix(path, ownerSuffix); ok {
			path = dir
			if owner, err = s.abandoned(dir); owner == nil {
				errs = append(errs, err)
				continue
			}
		} else {
			// Single files are half written copies of Remember and probes of Open;
			// a directory without a lock is what a crash in removeScratch leaves.
			_, err := os.Lstat(path + ownerSuffix)
			info, err2 := file.Info()
			if !missing(err) || err2 != nil || s.now().Sub(info.ModTime()) <= scratchAge {
				continue
			}
		}
		if err := f(path, owner); err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, path)
	}
	return done, errors.Join(errs...)
}

// scratchAge is how old something without an owner has to be.
const scratchAge = time.Hour

// abandoned takes the lock of a scratch directory's owner if it is free; nil where
// it is not.
func (s *Store) abandoned(dir string) (owner *os.File, err error) {
	// Systems without locks always find it free: age has to do.
	info, err := os.Lstat(dir + ownerSuffix)
	if missing(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if !haveLocks && s.now().Sub(info.ModTime()) < 24*scratchAge {
		return nil, nil
	}
	owner, err = tryLock(dir + ownerSuffix)
	if errors.Is(err, errLocked) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("remove scratch: %w", err)
	}
	return owner, nil
}
