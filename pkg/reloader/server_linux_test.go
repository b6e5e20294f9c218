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
	"strings"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// someone is a user other than root, in one group alone.
type someone struct{ uid, gid int }

// as runs fn on a thread with another effective user and group; the thread ends
// with it. The raw system calls change one thread, those of package syscall all of
// them.
func as(t *testing.T, who someone, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		same := ^uintptr(0)
		for _, call := range [][4]uintptr{ // in this order: it takes root to change groups
			{syscall.SYS_SETGROUPS, 0, 0, 0},
			{syscall.SYS_SETRESGID, same, uintptr(who.gid), same},
			{syscall.SYS_SETRESUID, same, uintptr(who.uid), same},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				done <- errno
				return
			}
		}
		fn()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// says sends a request to a socket and gives the status of the answer.
func says(t *testing.T, socket string, who someone, request string) (code int, err error) {
	t.Helper()
	as(t, who, func() {
		var c net.Conn
		if c, err = net.Dial("unix", socket); err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, request)
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

// shared is a directory that others may enter.
func shared(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	dir := shortDir(t)
	open := filepath.Join(dir, "open")
	for _, d := range []string{dir, open} {
		if err := errors.Join(os.MkdirAll(d, 0o755), os.Chmod(d, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return open
}

func TestCallersMayDoWhatTheirIDsAreAllowed(t *testing.T) {
	open := shared(t)
	const writer, writers, reader, readers = 65531, 65521, 65532, 65522
	f := newFakeProcess(t)
	calls := make(chan ControlCall, 100)
	h, err := newHost(Options{
		Socket: filepath.Join(open, "h.sock"), AllowUIDs: []int{writer}, AllowGIDs: []int{writers}, ReadUIDs: []int{reader}, ReadGIDs: []int{readers},
		Audit: func(c ControlCall) { calls <- c },
	}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	price := Bind(h, "pricing", "Price", times(1))
	path := f.version("pricing", "a", prices(2))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	upload := fmt.Sprintf("POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", octets, len(b), b)
	dry := strings.Replace(upload, "/v1/load", "/v1/load?dry_run=1", 1)
	const (
		status   = "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n"
		history  = "GET /v1/history HTTP/1.1\r\nHost: h\r\n\r\n"
		metrics  = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
		rollback = "POST /v1/rollback HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"plugin\":\"pricing\"}"
		body     = "POST /v1/status HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
	)
	for name, c := range map[string]struct {
		who   someone
		reads int
		write int
	}{
		"a writer":               {someone{uid: writer, gid: 1}, 200, 200},
		"in the writers' group":  {someone{uid: 65510, gid: writers}, 200, 200},
		"a reader":               {someone{uid: reader, gid: 1}, 200, 403},
		"in the readers' group":  {someone{uid: 65512, gid: readers}, 200, 403},
		"a stranger":             {someone{uid: 65534, gid: 65534}, 403, 403},
		"with the group's id":    {someone{uid: writers, gid: 1}, 403, 403},
		"in a group of users id": {someone{uid: 65514, gid: writer}, 403, 403},
	} {
		for _, request := range []string{status, history, metrics} {
			if got, err := says(t, h.Socket(), c.who, request); err != nil || got != c.reads {
				t.Errorf("%s: %.20q gives %d, %v; want %d", name, request, got, err, c.reads)
			}
			call := <-calls
			if call.Caller.UID != c.who.uid || call.Caller.PID != os.Getpid() || call.Status != c.reads || (call.Code == "") != (c.reads == 200) {
				t.Errorf("%s: the audit has %+v", name, call)
			}
		}
		for _, request := range []string{dry, upload, rollback} {
			before := price.Generation()
			got, err := says(t, h.Socket(), c.who, request)
			if err != nil || got != c.write {
				t.Errorf("%s: %.20q gives %d, %v; want %d", name, request, got, err, c.write)
			}
			call := <-calls
			if call.Status != c.write || call.Caller.UID != c.who.uid || c.write == 200 && request == upload && (!strings.HasPrefix(call.Digest, "sha256:") || call.Plugin != "pricing") {
				t.Errorf("%s: the audit has %+v", name, call)
			}
			if c.write != 200 && price.Generation() != before {
				t.Errorf("%s: %.20q moved the handle", name, request)
			}
		}
	}
	if got, err := says(t, h.Socket(), someone{uid: reader, gid: 1}, body); err != nil || got != 405 {
		t.Errorf("a POST that is none: %d, %v", got, err)
	}
}

func TestOnlyAllowedUsersMaySpeak(t *testing.T) {
	open := shared(t)
	const request = "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n"
	private, err := newHost(Options{Socket: filepath.Join(open, "p", "h.sock")}, newFakeProcess(t).platform())
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	if _, err := says(t, private.Socket(), someone{uid: 65534, gid: 65534}, request); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a stranger at a private socket: %v", err)
	}
	// Nor where the directory is open: the socket's own mode keeps others out.
	bare, err := newHost(Options{Socket: filepath.Join(open, "h.sock")}, newFakeProcess(t).platform())
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if _, err := says(t, bare.Socket(), someone{uid: 65534, gid: 65534}, request); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a stranger at a socket that is for nobody else: %v", err)
	}
	if got, err := says(t, bare.Socket(), someone{}, request); err != nil || got != 200 {
		t.Errorf("the own user: %d, %v", got, err)
	}
}

// Connections of people who may not speak to the host, or may only read, are bounded,
// and the host's own user gets through while they try.
func TestCrowdOfOthersCostsLittleAndKeepsNobodyOut(t *testing.T) {
	open := shared(t)
	const reader = 65532
	h, err := newHost(Options{Socket: filepath.Join(open, "h.sock"), ReadUIDs: []int{reader}}, newFakeProcess(t).platform())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for _, uid := range []int{reader, 65534} {
		as(t, someone{uid: uid, gid: uid}, func() {
			for range 200 {
				c, err := net.Dial("unix", h.Socket())
				if err != nil {
					t.Errorf("uid %d: %v", uid, err)
					return
				}
				all = append(all, c)
			}
		})
	}
	c := control.NewClient(h.Socket())
	defer c.Close()
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatalf("the own user: %v", err)
	}
	// All who came before have been accepted now, for they are accepted in order.
	if own, others := h.server.gate.taken(); own != 1 || others != guestPlacesFor+strangerPlaces {
		t.Errorf("%d and %d places are taken, want 1 and %d", own, others, guestPlacesFor+strangerPlaces)
	}
	served := 0
	for _, c := range all {
		if _, err := fmt.Fprint(c, "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			continue
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			served++
			resp.Body.Close()
		}
	}
	if served != guestPlacesFor+strangerPlaces {
		t.Errorf("%d are answered", served)
	}
	a := map[string]float64{}
	for _, f := range h.counted() {
		for _, s := range f.samples {
			a[f.name+s.suffix+labelled(s.labels)] = s.value
		}
	}
	for line, want := range map[string]float64{
		`hotgo_connections_refused_total{reason="busy"}`: 200 - guestPlacesFor, `hotgo_connections_refused_total{reason="forbidden"}`: 200,
	} {
		if a[line] != want {
			t.Errorf("%s %g, want %g", line, a[line], want)
		}
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
