// Package noroom tells failures for want of space from others.
package noroom

import (
	"errors"
	"strings"
	"syscall"
)

// Is reports whether err means that a file system, or a quota, has no room left.
func Is(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Says reports whether a text of a tool's does, in the words of the C library
// (strerror(3)), which Go programs use as well.
func Says(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "no space left on device") || strings.Contains(text, "disk quota exceeded")
}
