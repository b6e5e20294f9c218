//go:build linux && !386 && !s390x

package peercred

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

// TestPeerIsInAllOfItsGroups connects from a thread with many supplementary groups,
// and from one with none: more than fit into the first buffer, and fewer.
func TestPeerIsInAllOfItsGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to change groups")
	}
	l, err := Listen(filepath.Join(shortDir(t), "h.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		want := make([]uint32, n)
		for i := range want {
			want[i] = uint32(70_000 + i)
		}
		done := make(chan error, 1)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with its groups
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(n), uintptr(unsafe.Pointer(unsafe.SliceData(want))), 0); errno != 0 {
				done <- errno
				return
			}
			c, err := net.Dial("unix", l.Path())
			if err == nil {
				c.Close()
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		c, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Peer(c)
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Groups) != n || !slices.IsSorted(got.Groups) {
			t.Errorf("%d groups, want %d", len(got.Groups), n)
		}
		for _, gid := range want {
			if !got.In(int(gid)) {
				t.Fatalf("not in group %d of %d", gid, n)
			}
		}
	}
}
