package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The directory of a run holds the programs that it builds, of 20 MB or so each, and the
// state that goes from one to the next. It goes with the run. One that is killed cannot
// remove it, so the next one does: a run holds a lock on its own for as long as it lives.

const (
	runPrefix = "hotgo-run-"
	newPrefix = "hotgo-new-" // until it is locked
)

// makeRunDir makes a directory below base for one run, and removes those of runs that
// were killed. The caller calls remove.
func makeRunDir(base string) (dir string, remove func(), err error) {
	entries, _ := os.ReadDir(base) // what cannot be listed stays
	for _, e := range entries {
		old := filepath.Join(base, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), runPrefix) {
			continue
		}
		if lock, ours := lockDir(old); lock != nil {
			if ours {
				_ = os.RemoveAll(old) // the next run tries again
			}
			_ = lock.Close()
		}
	}
	made, err := os.MkdirTemp(base, newPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the host: %w", err)
	}
	lock, _ := lockDir(made) // nil where there are no locks, and then nobody removes it
	dir = filepath.Join(base, runPrefix+strings.TrimPrefix(filepath.Base(made), newPrefix))
	remove = func() {
		_ = os.RemoveAll(dir)
		if lock != nil {
			_ = lock.Close()
		}
	}
	if err := os.Rename(made, dir); err != nil {
		dir = made
		remove()
		return "", nil, fmt.Errorf("make a directory for the host: %w", err)
	}
	return dir, remove, nil
}
