package reloader

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
)

// mappedFiles tells what the given files cost this process. The system adds up
// page by page what is resident, so it takes a while.
func mappedFiles(files map[pluginGeneration]string) map[string]usage {
	return readMaps("/proc/self/smaps", files)
}

// mappedBytes is mappedFiles without what is resident, in a fraction of the time.
func mappedBytes(files map[pluginGeneration]string) map[string]usage {
	return readMaps("/proc/self/maps", files)
}

func readMaps(path string, files map[pluginGeneration]string) map[string]usage {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	wanted := map[string]bool{}
	for _, path := range files {
		wanted[path] = true
	}
	return parseSmaps(f, wanted)
}

// parseSmaps adds up the mappings of the wanted files. A mapping is a header
// line, "start-end perms offset dev inode path", and in smaps lines "Key: N kB". The
// path of a file that was unlinked has " (deleted)" behind it. Anonymous memory
// directly behind a file's data, its BSS, has no path and is not counted.
func parseSmaps(r io.Reader, wanted map[string]bool) map[string]usage {
	out := map[string]usage{}
	current := ""
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		line := sc.Text()
		if addresses, rest, ok := strings.Cut(line, " "); ok {
			if size, ok := rangeSize(addresses); ok {
				current = ""
				if slash := strings.IndexByte(rest, '/'); slash >= 0 {
					if path := strings.TrimSuffix(rest[slash:], " (deleted)"); wanted[path] {
						current = path
						u := out[path]
						u.mapped += size
						out[path] = u
					}
				}
				continue
			}
		}
		if current == "" {
			continue
		}
		if key, value, _ := strings.Cut(line, ":"); key == "Rss" {
			u := out[current]
			u.resident += kilobytes(value)
			out[current] = u
		}
	}
	return out
}

func rangeSize(s string) (bytes int64, ok bool) {
	from, to, ok := strings.Cut(s, "-")
	f, err1 := strconv.ParseUint(from, 16, 64)
	t, err2 := strconv.ParseUint(to, 16, 64)
	return int64(t - f), ok && err1 == nil && err2 == nil && f <= t
}

func kilobytes(value string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
	return n << 10
}

// residentSet is the memory of the whole process, in bytes.
func residentSet() int64 {
	// "size resident shared …" in pages, see proc(5).
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
