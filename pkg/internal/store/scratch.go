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

// sweep removes scratch whose owner has ended.
func (s *Store) sweep() error {
	files, err := os.ReadDir(s.path(tmpDir))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		path := s.path(tmpDir, file.Name())
		if dir, ok := strings.CutSuffix(path, ownerSuffix); ok {
			errs = append(errs, s.sweepOwned(dir))
			continue
		}
		// Single files are half written copies of Remember and probes of Open;
		// a directory without a lock is what a crash in removeScratch leaves.
		_, err := os.Lstat(path + ownerSuffix)
		info, err2 := file.Info()
		if missing(err) && err2 == nil && s.now().Sub(info.ModTime()) > scratchAge {
			errs = append(errs, removeAll(path))
		}
	}
	return errors.Join(errs...)
}

// scratchAge is how old something without an owner has to be.
const scratchAge = time.Hour

// sweepOwned removes one scratch directory if its owner's lock is free.
func (s *Store) sweepOwned(dir string) error {
	// Systems without locks always find it free: age has to do.
	info, err := os.Lstat(dir + ownerSuffix)
	if missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	if !haveLocks && s.now().Sub(info.ModTime()) < 24*scratchAge {
		return nil
	}
	owner, err := tryLock(dir + ownerSuffix)
	if errors.Is(err, errLocked) {
		return nil
	} else if err != nil {
		return fmt.Errorf("remove scratch: %w", err)
	}
	return removeScratch(dir, owner)
}
