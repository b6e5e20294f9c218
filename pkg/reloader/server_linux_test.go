package reloader

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// as runs fn on a thread with another effective user id; the thread ends with
// it. The raw system call changes one thread, syscall.Setresuid all of them.
func as(t *testing.T, uid int, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		same := ^uintptr(0)
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
			done <- errno
			return
		}
		fn()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestOnlyAllowedUsersMaySpeak(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	const friend, stranger = 65533, 65534
	dir := shortDir(t)
	open := filepath.Join(dir, "open")
	for _, d := range []string{dir, open} {
		if err := errors.Join(os.MkdirAll(d, 0o755), os.Chmod(d, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	status := func(h *Host, uid int) (code int, err error) {
		as(t, uid, func() {
			var c net.Conn
			if c, err = net.Dial("unix", h.Socket()); err != nil {
				return
			}
			defer c.Close()
			fmt.Fprint(c, "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n")
			var resp *http.Response
			if resp, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				code = resp.StatusCode
				if code == http.StatusForbidden && (!resp.Close || resp.Header.Get("Content-Type") != control.TypeJSON) {
					t.Error("a refusal is not JSON, or keeps the connection")
				}
			}
		})
		return code, err
	}
	shared, err := newHost(Options{Socket: filepath.Join(open, "h.sock"), AllowUIDs: []int{friend}}, newFakeProcess(t).platform())
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	for uid, want := range map[int]int{friend: 200, stranger: 403, 0: 200} {
		if got, err := status(shared, uid); err != nil || got != want {
			t.Errorf("uid %d gets %d, %v; want %d", uid, got, err, want)
		}
	}
	private, err := newHost(Options{Socket: filepath.Join(open, "p", "h.sock")}, newFakeProcess(t).platform())
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	if _, err := status(private, stranger); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a stranger at a private socket: %v", err)
	}
}

func TestSmapsAreAddedUpByFile(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "smaps"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := parseSmaps(f, map[string]bool{"/tmp/hotgo-0/run-1/000002-a b.so": true, "/none": true})
	if want := (usage{mapped: (124 + 456) << 10, resident: (64 + 12) << 10}); got["/tmp/hotgo-0/run-1/000002-a b.so"] != want || len(got) != 1 {
		t.Errorf("parseSmaps = %+v, want %+v", got, want)
	}
}
