//go:build unix

package peercred

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shortDir gives a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func refusal(t *testing.T, path string) string {
	t.Helper()
	l, err := Listen(path, false)
	if err == nil {
		l.Close()
		t.Fatalf("Listen(%s) succeeded", path)
	}
	var ae *AddressError
	if !errors.As(err, &ae) {
		t.Fatalf("Listen(%s): %v is no *AddressError", path, err)
	}
	if ae.Next == "" {
		t.Errorf("%v: no next step", err)
	}
	return ae.Error()
}

func TestListenCreatesPrivateDirectoryAndCleansUp(t *testing.T) {
	path := filepath.Join(shortDir(t), "a", "b", "h.sock")
	l, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		info, err := os.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", p, got, want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket after Close: %v", err)
	}
}

func TestListenRefusesUnsafePlaces(t *testing.T) {
	dir := shortDir(t)
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil { // against the umask
		t.Fatal(err)
	}
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(private, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(private, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(open, "h.sock"): "others can write",
		filepath.Join(link, "h.sock"): "symbolic link",
		filepath.Join(file, "h.sock"): "",
		file:                          "no socket",
		filepath.Join(private, strings.Repeat("x", 200)): "bytes",
	} {
		if got := refusal(t, path); !strings.Contains(got, want) {
			t.Errorf("refusal of %s: %q, want %q in it", path, got, want)
		}
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("the file in the way is gone: %v", err)
	}
}

func TestListenReplacesStaleSocketAndSparesLivingOne(t *testing.T) {
	path := filepath.Join(shortDir(t), "h.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	l, err := Listen(path, false)
	if err != nil {
		t.Fatalf("with a stale socket: %v", err)
	}
	defer l.Close()
	if got := refusal(t, path); !strings.Contains(got, "is listening there") {
		t.Errorf("refusal: %q", got)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("the living socket was harmed: %v", err)
	}
}

func TestSweepTakesStaleSocketsOnly(t *testing.T) {
	dir := shortDir(t)
	living, err := Listen(filepath.Join(dir, "living.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "stale.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := os.WriteFile(filepath.Join(dir, "file.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	RemoveStale(dir)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if want := []string{filepath.Join(dir, "file.sock"), living.Path()}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestOneOfManyWinsAStaleSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "h.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	var wg sync.WaitGroup
	won := make(chan *Listener, 8)
	for range cap(won) {
		wg.Go(func() {
			if l, err := Listen(path, false); err == nil {
				won <- l
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d listeners won, want 1", len(won))
	}
	(<-won).Close()
}

func TestCloseLeavesASuccessorAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "h.sock")
	first, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
}

func TestPeerNamesThisProcess(t *testing.T) {
	if !Known {
		t.Skip("peer credentials are not known here")
	}
	l, err := Listen(filepath.Join(shortDir(t), "h.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	got, err := Peer(server)
	if err != nil {
		t.Fatal(err)
	}
	want := Cred{UID: os.Geteuid(), GID: os.Getegid(), PID: os.Getpid()}
	if got.UID != want.UID || got.GID != want.GID || got.PID != want.PID {
		t.Errorf("Peer = %+v, want %+v", got, want)
	}
	mine, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, gid := range append(mine, os.Getegid()) {
		if !got.In(gid) {
			t.Errorf("group %d is missing in %+v", gid, got)
		}
	}
	if none := 1<<31 - 7; got.In(none) {
		t.Errorf("%+v is in group %d", got, none)
	}
}

// TestStaleSocketsAreListedBeforeTheyAreRemoved: looking removes nothing, and what
// answers is no leftover.
func TestStaleSocketsAreListedBeforeTheyAreRemoved(t *testing.T) {
	dir := filepath.Join(shortDir(t), "d")
	living, err := Listen(filepath.Join(dir, "living.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "dead.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as a killed process leaves it
	dead.Close()
	if err := os.WriteFile(filepath.Join(dir, "file.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "dead.sock")}
	for range 2 {
		if got := Stale(dir); !slices.Equal(got, want) {
			t.Errorf("stale are %q, want %q", got, want)
		}
	}
	if got := RemoveStale(dir); !slices.Equal(got, want) {
		t.Errorf("removed %q, want %q", got, want)
	}
	if got := Stale(dir); len(got) > 0 {
		t.Errorf("still stale: %q", got)
	}
	if _, err := net.Dial("unix", living.Path()); err != nil {
		t.Errorf("who listened before: %v", err)
	}
	if err := CheckDir(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there is fine")
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); err == nil {
		t.Error("looking at a directory made it")
	}
}
