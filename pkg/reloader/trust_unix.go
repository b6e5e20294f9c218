//go:build unix

package reloader

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
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

// lockDir keeps other processes that do the same out until unlock is called.
func lockDir(dir string) (unlock func(), err error) {
	f, err := flock(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
