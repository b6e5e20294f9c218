//go:build linux && !386 && !s390x

package peercred

import (
	"encoding/binary"
	"slices"
	"syscall"
	"unsafe"
)

const (
	soPeerGroups = 59 // include/uapi/asm-generic/socket.h, since Linux 4.13

	// maxGroups bounds what is asked for: NGROUPS_MAX of include/uapi/linux/limits.h.
	maxGroups = 65536
)

// groups gives the supplementary groups of the process at the other end, as they
// were when it connected. Package syscall has no wrapper that takes a buffer, and
// golang.org/x/sys is not for what hosts import.
//
// Errors: those of getsockopt; ENOPROTOOPT where the kernel is too old.
func groups(fd uintptr) ([]int, error) {
	b := make([]byte, 4*64)
	for {
		size := uint32(len(b))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soPeerGroups,
			uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == syscall.ERANGE && int(size) > len(b) && size <= 4*maxGroups:
			b = make([]byte, size) // it says how many bytes there are
			continue
		case errno != 0:
			return nil, errno
		}
		var gids []int
		for id := range slices.Chunk(b[:min(int(size), len(b))], 4) {
			if len(id) == 4 {
				gids = append(gids, int(binary.NativeEndian.Uint32(id)))
			}
		}
		return gids, nil
	}
}
