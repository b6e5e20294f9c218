package reloader

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Access is what a caller may do.
type Access int

// The kinds of access; each has what those before it have.
const (
	NoAccess    Access = iota // nothing
	ReadAccess                // status, history, events and metrics
	WriteAccess               // load, dry runs of it, rollback and state
)

// String gives "none", "read" or "write".
func (a Access) String() string {
	switch {
	case a >= WriteAccess:
		return "write"
	case a == ReadAccess:
		return "read"
	}
	return "none"
}

// admit decides about a process that connects to the socket of a host that runs
// as user own. Where several rules fit, the widest counts.
func (o *Options) admit(c peercred.Cred, own int) Access {
	switch {
	case isOwn(c, own), slices.Contains(o.AllowUIDs, c.UID), slices.ContainsFunc(o.AllowGIDs, c.In):
		return WriteAccess
	case slices.Contains(o.ReadUIDs, c.UID), slices.ContainsFunc(o.ReadGIDs, c.In):
		return ReadAccess
	}
	return NoAccess
}

// isOwn: the host's user and root can read and write the process's memory, so
// there is nothing to keep from them.
func isOwn(c peercred.Cred, own int) bool { return c.UID == own || c.UID == 0 }

// admitsOthers says whether anybody else may use the socket.
func (o *Options) admitsOthers() bool {
	return len(o.AllowUIDs)+len(o.AllowGIDs)+len(o.ReadUIDs)+len(o.ReadGIDs) > 0
}

// checkIDs refuses ids that no process has: they are mistakes, such as the -1 of a
// look-up that failed.
func (o *Options) checkIDs() error {
	for _, list := range []struct {
		name string
		ids  []int
	}{{"AllowUIDs", o.AllowUIDs}, {"AllowGIDs", o.AllowGIDs}, {"ReadUIDs", o.ReadUIDs}, {"ReadGIDs", o.ReadGIDs}} {
		for _, id := range list.ids {
			if id < 0 {
				return fmt.Errorf("check options: %s has %d, which nobody is", list.name, id)
			}
		}
	}
	return nil
}

// socketRules is what people read as who set the limit.
const socketRules = "the host's Options.AllowUIDs, AllowGIDs, ReadUIDs and ReadGIDs"

// peer is who is at the other end of a connection to the socket. It is found out
// once for each connection; there is none where the handler is mounted on a router
// of the embedder's.
type peer struct {
	caller  *control.Caller // nil where the system does not tell
	access  Access
	own     bool   // the host's own user, or root
	refused string // why there is no access at all, "" otherwise
}

type peerKey struct{}

// identify decides about what the system tells of a connection.
func (o *Options) identify(cred peercred.Cred, err error) peer {
	if err != nil {
		return peer{refused: "the system does not tell who is calling: " + err.Error()}
	}
	own := os.Geteuid()
	p := peer{
		caller: &control.Caller{UID: cred.UID, GID: cred.GID, PID: cred.PID},
		access: o.admit(cred, own), own: isOwn(cred, own),
	}
	if p.access == NoAccess {
		p.refused = fmt.Sprintf("uid %d may not speak to this host, which runs as uid %d", cred.UID, own)
	}
	return p
}

// allows gives the error for a call that needs more than a caller has. via is the
// host's socket, for those who have come another way.
func (c *ControlCall) allows(need Access, mounted bool, via string) error {
	if c.Access >= need {
		return nil
	}
	e := &control.Error{
		Code: control.CodeForbidden, Limit: socketRules,
		Message: fmt.Sprintf("%s may read what this host tells, and change nothing", c.Caller),
		Next:    "call it as the host's own user, or add the user to Options.AllowUIDs in the host",
	}
	if c.Access == NoAccess {
		e.Message, e.Next = fmt.Sprintf("%s may not speak to this host", c.Caller), ""
	}
	if !mounted {
		return e
	}
	e.Limit = "the host's Options.Authorize"
	e.Next = "have Options.Authorize in the host allow it"
	if via != "" {
		e.Next = strings.Join([]string{"curl --unix-socket", via, "as the host's user, or", e.Next}, " ")
	}
	return e
}
