//go:build unix

package cmd

import (
	"os"
	"syscall"
)

// lockDir takes the lock on a directory, unless somebody has it: then lock is nil. It is
// let go with the file, or the process. A process id would not do, since it is used again
// and means nothing in another container. ours is whether the directory is this user's.
func lockDir(dir string) (lock *os.File, ours bool) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	info, err := f.Stat()
	if err != nil || syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = f.Close()
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return f, ok && int(st.Uid) == os.Geteuid()
}
