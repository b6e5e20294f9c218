package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// storeLock guards the final names; namedLock begins the names of Lock, so that
// none of them is storeLock.
const (
	storeLock = "store"
	namedLock = "name-"
)

// Lock waits until no other holder of this name is left, in any process, and
// gives the function that lets go, to be called once. Names are as for
// [Store.Remember]. Locks of one name do not nest.
//
// Errors: ctx's, where it ended first.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := validSide(name); err != nil {
		return nil, s.fail("lock in store", err)
	}
	name = namedLock + name
	release, err := s.lock(ctx, name)
	if err != nil {
		return nil, s.fail("lock "+name+" in store", err)
	}
	return func() {
		// Names have keys in them, so their files would pile up. tryLock knows
		// that they may go; where open files cannot, they stay.
		os.Remove(s.path(lockDir, name))
		release()
	}, nil
}

// lock takes the lock in file name of the lock directory: first among the
// goroutines of this Store, who queue, then among processes.
//
// Waiting for a process is done by asking again, because a blocking flock
// cannot be cancelled. A lock is held for a build at most, so the longest
// pause matters little beside what is waited for.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	const shortest, longest = time.Millisecond, 50 * time.Millisecond
	leave, err := s.gates.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	path := s.path(lockDir, name)
	for pause := shortest; ; pause = min(2*pause, longest) {
		file, err := tryLock(path)
		switch {
		case err == nil:
			return func() { file.Close(); leave() }, nil
		case !errors.Is(err, errLocked):
			leave()
			return nil, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			leave()
			return nil, fmt.Errorf("wait for another process: %w", context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// errLocked says that somebody else holds a lock.
var errLocked = errors.New("locked by another")

// tryLock takes the lock in the file at path, which it creates, and holds it
// until the file is closed. The lock belongs to the open file: two opens in
// one process exclude each other like two processes do, a child does not
// inherit it, and the kernel lets go when the process ends.
//
// Errors: errLocked.
func tryLock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(file); err != nil {
			file.Close()
			return nil, err
		}
		// Whoever held it before may have removed the file. Then this lock is
		// on a file without a name, and the next one to come makes another.
		held, err := file.Stat()
		if err == nil {
			var named os.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(held, named) {
				return file, nil
			}
		}
		file.Close()
		if err != nil && !missing(err) {
			return nil, err
		}
	}
}
