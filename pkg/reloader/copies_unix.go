//go:build unix

package reloader

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// claimRun makes this process's directory of copies below base and removes
// those of processes that have ended. A process holds a lock on its own for as
// long as it lives; process ids would not do, since they are used again and
// mean nothing across containers that share base. The lock on base keeps a
// starting process from removing the directory of another that has made it and
// not locked it yet.
func claimRun(base string) (dir string, lock *os.File, err error) {
	all, err := flock(base, syscall.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer all.Close()
	entries, err := os.ReadDir(base)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), runPrefix) {
			continue
		}
		old := filepath.Join(base, e.Name())
		if f, err := flock(old, syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			_ = os.RemoveAll(old) // the next start tries again
			f.Close()
		}
	}
	if dir, err = os.MkdirTemp(base, runPrefix); err != nil {
		return "", nil, err
	}
	lock, err = flock(dir, syscall.LOCK_EX|syscall.LOCK_NB)
	return dir, lock, err
}

func flock(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		switch err := syscall.Flock(int(f.Fd()), how); err {
		case nil:
			return f, nil
		case syscall.EINTR:
		default:
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
