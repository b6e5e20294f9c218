package reloader

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// mappedFile is a file with code that the process has mapped.
type mappedFile struct {
	path  string
	inode uint64
}

// mappedCode lists the files with code that this process has mapped, and that are
// still where they were.
func mappedCode() []mappedFile {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseMaps(f)
}

// parseMaps reads lines "start-end perms offset dev inode path". The path of a file
// that was unlinked has " (deleted)" behind it; such files are left out.
func parseMaps(r io.Reader) []mappedFile {
	var files []mappedFile
	seen := map[mappedFile]bool{}
	for sc := bufio.NewScanner(r); sc.Scan(); {
		at := strings.IndexByte(sc.Text(), '/')
		if at < 0 || strings.HasSuffix(sc.Text(), " (deleted)") {
			continue
		}
		fields := strings.Fields(sc.Text()[:at])
		if len(fields) != 5 || !strings.Contains(fields[1], "x") {
			continue
		}
		inode, err := strconv.ParseUint(fields[4], 10, 64)
		if m := (mappedFile{sc.Text()[at:], inode}); err == nil && !seen[m] {
			seen[m] = true
			files = append(files, m)
		}
	}
	return files
}

// unchanged reports whether the file that was mapped is the one at its path. One
// that was written over in place looks the same.
func (m mappedFile) unchanged() bool {
	info, err := os.Stat(m.path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Ino == m.inode
}
