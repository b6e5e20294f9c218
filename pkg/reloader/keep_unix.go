//go:build unix

package reloader

import (
	"errors"
	"os"
	"syscall"
)

// claimState makes a state directory this process's own, for as long as the file is
// open.
//
// Errors: errStateTaken where another host has it, also one in this process.
func claimState(dir string) (*os.File, error) {
	lock, err := flock(dir, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errStateTaken{dir}
	}
	return lock, err
}
