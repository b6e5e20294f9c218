//go:build !unix

package reloader

import "os"

// claimRun makes a directory; nothing is ever loaded from it here.
func claimRun(base string) (string, *os.File, error) {
	dir, err := os.MkdirTemp(base, runPrefix)
	return dir, nil, err
}
