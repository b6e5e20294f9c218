//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

// identify gives a file's identity and the number of its names (hard links).
func identify(fi fs.FileInfo) (id fileID, names uint64) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, 1
	}
	return fileID{uint64(st.Dev), uint64(st.Ino)}, uint64(st.Nlink)
}
