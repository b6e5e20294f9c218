//go:build unix

package source

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// StampOf takes the stamp of what path leads to. What is not there has a stamp
// too, the zero one; errors are those that leave it open.
func StampOf(path string) (Stamp, error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(path, &st)
		switch {
		case err == nil:
			return Stamp{
				Kind: kindOf(uint32(st.Mode)), Size: st.Size,
				ModTime: st.Mtim.Nano(), Change: st.Ctim.Nano(),
				Dev: uint64(st.Dev), Ino: uint64(st.Ino),
			}, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
			return Stamp{}, nil
		default:
			return Stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

func kindOf(mode uint32) Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return Regular
	case unix.S_IFDIR:
		return Directory
	}
	return Special
}
