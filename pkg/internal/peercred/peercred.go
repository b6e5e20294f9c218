// Package peercred guards a Unix socket: it binds it where nobody else can
// interfere, and tells who is at the other end of a connection.
//
// The order of the checks is the point. The directory comes first (owned by
// this user, writable by nobody else, no symbolic link), because whoever can
// write there can replace the socket. Then, under a lock on that directory, an
// existing socket is dialled: one that answers belongs to a living process and
// is left alone; only one that refuses is stale and removed.
package peercred

import (
	"errors"
	"fmt"
	"slices"
)

// Cred is the process at the other end of a connection, as it was when it
// connected.
type Cred struct {
	UID, GID, PID int
	Groups        []int // beside GID; none where the system does not tell
}

// In says whether the process belongs to a group.
func (c Cred) In(gid int) bool { return c.GID == gid || slices.Contains(c.Groups, gid) }

// ErrUnknown means that this system does not tell who the peer is.
var ErrUnknown = errors.New("peer credentials are not available on this system")

// AddressError says why a socket cannot be bound at a path, or a directory not
// be trusted.
type AddressError struct {
	Op     string // "listen on" or "use"
	Path   string
	Reason string // one clause: "the directory is writable by others"
	Next   string // what to do about it
	Err    error  // cause, may be nil
}

// Error gives path, reason and cause.
func (e *AddressError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s %s: %s: %v", e.Op, e.Path, e.Reason, e.Err)
	}
	return fmt.Sprintf("%s %s: %s", e.Op, e.Path, e.Reason)
}

// Unwrap gives the cause.
func (e *AddressError) Unwrap() error { return e.Err }

const (
	opListen = "listen on"
	opUse    = "use"
)

const ownDirectory = "choose a directory that belongs to this user and that nobody else can write to, for example below $XDG_RUNTIME_DIR"
