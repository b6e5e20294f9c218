//go:build !unix

package peercred

import (
	"errors"
	"net"
)

// Listener is never made on this system.
type Listener struct{ *net.UnixListener }

// Path is "".
func (l *Listener) Path() string { return "" }

// Listen gives an error: access cannot be limited to one user here.
func Listen(path string, shared bool) (*Listener, error) {
	return nil, &AddressError{Op: opListen, Path: path, Reason: "control sockets are not supported on this system", Err: errors.ErrUnsupported}
}

// EnsureDir gives an error, as Listen does.
func EnsureDir(dir string) error {
	return &AddressError{Op: opUse, Path: dir, Reason: "control sockets are not supported on this system", Err: errors.ErrUnsupported}
}

// CheckDir gives an error, as Listen does.
func CheckDir(dir string) error { return EnsureDir(dir) }

// RemoveStale does nothing here.
func RemoveStale(string) []string { return nil }

// Stale finds nothing here.
func Stale(string) []string { return nil }

// MaxPath is 0: there is no path for a socket.
func MaxPath() int { return 0 }
