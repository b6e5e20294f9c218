//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"

	"github.com/hotgo/hotgo/pkg/internal/noroom"
)

// syncDir waits until the names in a directory are on disk.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // some network file systems have no such thing
	}
	return errors.Join(err, d.Close())
}

// sameFS reports whether file can be renamed into dir.
func sameFS(file, dir string) (bool, error) {
	a, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	b, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	return a.Sys().(*syscall.Stat_t).Dev == b.Sys().(*syscall.Stat_t).Dev, nil
}

// isFull reports whether an operation failed for want of room.
func isFull(err error) bool {
	return noroom.Is(err) || errors.Is(err, syscall.EFBIG)
}
