package peercred

import (
	"fmt"
	"net"
	"syscall"
)

// Known says whether Peer works on this system.
const Known = true

// Peer tells who is at the other end of c (SO_PEERCRED, SO_PEERGROUPS). Where the
// kernel does not tell the groups, there are none.
func Peer(c *net.UnixConn) (Cred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", err)
	}
	var u *syscall.Ucred
	var more []int
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		if u, optErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); optErr == nil {
			more, _ = groups(fd)
		}
	}); err != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", err)
	}
	if optErr != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", optErr)
	}
	return Cred{UID: int(u.Uid), GID: int(u.Gid), PID: int(u.Pid), Groups: more}, nil
}
