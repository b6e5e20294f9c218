//go:build unix

package doctor

import (
	"os"
	"syscall"
)

func lstat(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Mode: info.Mode(), UID: -1}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID = int(st.Uid)
		e.Mine = e.UID == os.Geteuid()
	}
	return e, nil
}

func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return uint64(limit.Cur), nil
}
