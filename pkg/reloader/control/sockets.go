package control

import (
	"errors"
	"fmt"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
)

// CheckSocketDir says whether a host would bind its socket in dir, an existing
// directory: it has to belong to this user, be writable by nobody else, and be no
// symbolic link.
//
// Errors: *Error with CodeForbidden.
func CheckSocketDir(dir string) error {
	err := peercred.CheckDir(dir)
	if ae, ok := errors.AsType[*peercred.AddressError](err); ok {
		return &Error{Code: CodeForbidden, Message: ae.Reason, Limit: "hotgo: whoever can write there can take a socket's place", Next: ae.Next, Err: ae}
	}
	return err
}

// CheckSocketPath says whether the path of a socket is short enough for this
// system.
//
// Errors: *Error with CodeBadRequest.
func CheckSocketPath(path string) error {
	if limit := peercred.MaxPath(); len(path) > limit {
		return &Error{
			Code: CodeBadRequest, Message: fmt.Sprintf("the socket's path has %d bytes, the system allows %d", len(path), limit),
			Limit: "the system's socket addresses",
		}
	}
	return nil
}

// StaleSockets lists the sockets in a directory of hosts' sockets that nobody
// listens on. Sockets that answer are connected to once, and not spoken to.
func StaleSockets(dir string) []string { return peercred.Stale(dir) }

// RemoveStaleSockets removes them and gives their paths, as a host does when it
// starts: one that begins to listen meanwhile is left alone.
func RemoveStaleSockets(dir string) []string { return peercred.RemoveStale(dir) }
