package store

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
)

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }

// sameFS reports whether file can be renamed into dir.
func sameFS(file, dir string) (bool, error) {
	a, err := filepath.Abs(file)
	if err != nil {
		return false, err
	}
	b, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	return strings.EqualFold(filepath.VolumeName(a), filepath.VolumeName(b)), nil
}

// isFull reports whether an operation failed for want of room.
func isFull(err error) bool {
	const diskFull = syscall.Errno(112) // ERROR_DISK_FULL
	return errors.Is(err, diskFull)
}
