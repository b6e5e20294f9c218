//go:build unix

package reloader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// onlyOurs checks that nobody but this user and root can put another directory in
// the place of dir, whose own owner and mode were checked when it was made. From
// the root down, each directory above it belongs to one of the two, and others can
// write there only if they cannot rename what is not theirs; below one that others
// cannot enter it makes no difference. dir is without symbolic links.
func onlyOurs(dir string) error {
	_, err := onlyOursAbove(dir)
	return err
}

// onlyOursAbove also says whether others are shut out above dir.
func onlyOursAbove(dir string) (shut bool, err error) {
	above := filepath.Dir(dir)
	if above == dir {
		return false, nil
	}
	if shut, err := onlyOursAbove(above); shut || err != nil {
		return shut, err
	}
	info, err := os.Lstat(above)
	if err != nil {
		return false, err
	}
	mode := info.Mode()
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return false, fmt.Errorf("%s belongs to uid %d", above, st.Uid)
	case mode.Perm()&0o011 == 0:
		return true, nil
	case mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0:
		return false, fmt.Errorf("others can write in %s (mode %04o)", above, mode.Perm())
	}
	return false, nil
}

// longestLock bounds the wait for another process with the same directory. Whoever
// can open the directory can hold its lock, and must not hold up this host for good.
const longestLock = 3 * time.Second

// lockDir keeps other processes that do the same out until unlock is called.
//
// Errors: those of flock; EWOULDBLOCK where another process kept it too long.
func lockDir(dir string) (unlock func(), err error) {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		f, err := flock(dir, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) > longestLock {
			return nil, err
		}
	}
}
