//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TestFullDiskFailsTheLoadAlone: the host's directory, with its journal, is on a
// file system that is full for a while.
func TestFullDiskFailsTheLoadAlone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	mountPoint, socket := t.TempDir(), socketIn(t)
	dir, filler := filepath.Join(mountPoint, "state"), filepath.Join(mountPoint, "filler")
	// The mount is in a namespace of the host's own and goes with it.
	cmd := exec.Command("sh", "-c", `mount -t tmpfs -o size=16m none "$0" && exec "$@"`, mountPoint, fixture(t, "host"), socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	cmd.Env = append(os.Environ(), "TEST_DIR="+dir, "TEST_OPEN_TIMEOUT=1m")
	if exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "none", mountPoint).Run() != nil {
		t.Skip("this system does not let root mount")
	}
	v := &victim{host: launch(t, socket, cmd), tmp: t.TempDir(), listeners: 1}
	inside := fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)
	v.become()
	v.suffer(t, []attack{{"full", func(t *testing.T, v *victim) {
		f, err := os.Create(inside + filler)
		if err != nil {
			t.Fatal(err)
		}
		for zeros := make([]byte, 4096); err == nil; {
			_, err = f.Write(zeros)
		}
		f.Close()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		for range 3 {
			e := v.refuses(good(t), control.CodeInternal)
			if e.Status != 507 || !strings.Contains(e.Message, "disk is full") {
				t.Errorf("status %d: %s", e.Status, text(e))
			}
			v.serves(v.price, v.generation)
		}
		if err := os.Remove(inside + filler); err != nil {
			t.Fatal(err)
		}
	}}})
	v.keeps(inside+dir, 2)
}

// keeps checks that a host with a directory has one copy for each generation
// and nothing else.
func (v *victim) keeps(dir string, generations int) {
	v.t.Helper()
	copies, _ := filepath.Glob(filepath.Join(dir, "run-*", "*"))
	if len(copies) != generations {
		v.t.Errorf("copies of %d generations: %q", generations, copies)
	}
}

// TestRefusedWriteFailsTheLoadAlone does without root: the host may not write
// files of more than some bytes.
func TestRefusedWriteFailsTheLoadAlone(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.suffer(t, []attack{{"limit", func(t *testing.T, v *victim) {
		var before unix.Rlimit
		if err := unix.Prlimit(v.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &before); err != nil {
			t.Fatal(err)
		}
		if err := unix.Prlimit(v.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100_000, Max: before.Max}, nil); err != nil {
			t.Skip(err)
		}
		if e := v.refuses(good(t), control.CodeInternal); !strings.Contains(e.Message, "file too large") {
			t.Errorf("error %s", text(e))
		}
		if err := unix.Prlimit(v.cmd.Process.Pid, unix.RLIMIT_FSIZE, &before, nil); err != nil {
			t.Fatal(err)
		}
	}}})
}

// TestDirectoryThatCannotBeWrittenFailsTheLoadAlone puts a file where the host
// has its copies. Modes would not do: root may write everywhere.
func TestDirectoryThatCannotBeWrittenFailsTheLoadAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	v := newVictim(t, "TEST_DIR="+dir)
	v.suffer(t, []attack{{"a file in its place", func(t *testing.T, v *victim) {
		runs, _ := filepath.Glob(filepath.Join(dir, "run-*"))
		if len(runs) != 1 {
			t.Fatalf("directories of copies: %q", runs)
		}
		if err := errors.Join(os.RemoveAll(runs[0]), os.WriteFile(runs[0], nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		v.refuses(good(t), control.CodeInternal)
		v.serves(v.price, v.generation)
		if err := os.Remove(runs[0]); err != nil {
			t.Fatal(err)
		}
	}}, {"a file in the place of everything", func(t *testing.T, v *victim) {
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		v.refuses(good(t), control.CodeInternal)
		v.serves(v.price, v.generation)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}}})
}

// TestHostThatCannotStartSaysWhy starts hosts beside one that lives.
func TestHostThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Dir(v.Socket())
	fails := func(socket, dir, want string) func(*testing.T, *victim) {
		return func(t *testing.T, v *victim) {
			cmd := exec.Command(fixture(t, "host"), socket)
			cmd.Env = append(os.Environ(), "TEST_DIR="+dir)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte(want)) || bytes.Contains(out, []byte("goroutine")) {
				t.Errorf("%v, want exit code 1 and %q:\n%s", err, want, out)
			}
		}
	}
	v.suffer(t, []attack{
		{"socket path too long", fails(filepath.Join(short, strings.Repeat("x", 200)), "", "the system allows 107")},
		{"socket below a file", fails(filepath.Join(file, "h.sock"), "", "cannot be created")},
		{"socket is a file", fails(file, "", "")},
		{"socket of another host", fails(v.Socket(), "", fmt.Sprintf("process %d", v.cmd.Process.Pid))},
		{"directory is a file", fails(filepath.Join(short, "other.sock"), file, "open directory for copies")},
		{"directory below a file", fails(filepath.Join(short, "other.sock"), filepath.Join(file, "x"), "open directory for copies")},
	})
	if left, _ := filepath.Glob(filepath.Join(short, "*")); len(left) != 1 {
		t.Errorf("beside the socket: %q", left)
	}
}

// TestHostKilledDuringALoadStartsAgain ends a host by kill -9 at the two points
// where a load takes its time, on a socket and directories that the next host
// has to take over.
func TestHostKilledDuringALoadStartsAgain(t *testing.T) {
	t.Parallel()
	upload := func(v *victim) {
		c := v.dial()
		v.t.Cleanup(func() { c.Close() })
		b := variantBytes(v.t, "good")
		fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", uploadHead, len(b), b[:len(b)/2])
	}
	initialise := func(v *victim) {
		path := variant(v.t, "init-hang", nil)
		ended := make(chan error, 1)
		go func() {
			_, err := v.LoadFile(v.t.Context(), path, control.LoadOptions{})
			ended <- err
		}()
		v.t.Cleanup(func() {
			var ue *control.UnreachableError
			if err := <-ended; !errors.As(err, &ue) {
				v.t.Errorf("the load that never ended: %v", err)
			}
		})
	}
	for _, c := range []struct {
		name string
		keep bool // a directory of its own
		load func(*victim)
		at   func(v *victim, dir string) bool // whether the load is where it should be
	}{
		{"half an upload", false, upload, half},
		{"half an upload, kept", true, upload, half},
		{"in an initialiser", false, initialise, mappedTwo},
		{"in an initialiser, kept", true, initialise, mappedTwo},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmp, socket, dir := t.TempDir(), socketIn(t), ""
			copies := filepath.Join(tmp, "hotgo-*")
			if c.keep {
				dir = filepath.Join(t.TempDir(), "state")
				copies = dir
			}
			copies = filepath.Join(copies, "run-*", "*")
			env := []string{"TMPDIR=" + tmp, "TEST_DIR=" + dir, "TEST_OPEN_TIMEOUT=1h"}
			first := &victim{host: startHostAt(t, socket, env...), tmp: tmp, listeners: 1}
			first.loadsGood()
			c.load(first)
			first.eventually("the load to be under way", func() bool { return c.at(first, copies) })
			first.serves(first.price, first.generation)
			first.kill()
			if _, err := os.Lstat(socket); err != nil {
				t.Fatalf("the killed host left no socket: %v", err)
			}

			second := &victim{host: startHostAt(t, socket, env...), tmp: tmp, listeners: 1}
			second.serves(1, 0)
			second.loadsGood()
			left, _ := filepath.Glob(copies)
			want := 0
			if c.keep {
				want = 1
			}
			if len(left) != want {
				t.Errorf("copies after the second host's first load: %q", left)
			}
			if runs, _ := filepath.Glob(filepath.Dir(copies)); len(runs) != 1 {
				t.Errorf("directories of copies: %q", runs)
			}
			if _, err := second.History(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// half: some of an upload is on the disk.
func half(_ *victim, copies string) bool {
	files, _ := filepath.Glob(copies)
	for _, file := range files {
		// Where copies are kept, those of generations have a name behind the number.
		if info, err := os.Stat(file); err == nil && info.Size() > 0 && !strings.Contains(filepath.Base(file), "-") {
			return true
		}
	}
	return false
}

// mappedTwo: the second plugin is in memory, where its initialiser hangs.
func mappedTwo(v *victim, _ string) bool {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", v.cmd.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	plugins := map[string]bool{}
	for line := range strings.Lines(string(maps)) {
		if _, path, ok := strings.Cut(line, "/run-"); ok {
			plugins[strings.TrimSuffix(strings.TrimSpace(path), " (deleted)")] = true
		}
	}
	return len(plugins) == 2
}

// TestLoadsDuringShutdownEndOneWayOrTheOther closes a host while many clients
// push. Each is told, and nothing stays.
func TestLoadsDuringShutdownEndOneWayOrTheOther(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	socket := v.Socket()
	var paths []string
	for range 12 {
		paths = append(paths, good(t))
	}
	closing := make(chan struct{})
	results := atOnce(len(paths), func(i int) (*control.Event, error) {
		ev, err := v.push(paths[i], i%2 == 0)
		if i == 0 {
			v.stdin.Close()
			close(closing)
		}
		return ev, err
	})
	<-closing
	for i, r := range results {
		var ue *control.UnreachableError
		if r.err != nil && r.code() != control.CodeClosed && !errors.As(r.err, &ue) {
			t.Errorf("client %d: %v", i, r.err)
		}
	}
	if err := v.wait(); err != nil {
		t.Errorf("the host ended with %v\n%s", err, v.stderr)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(v.tmp, "hotgo-*", "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestStrangersGetNothingOutOfTheHost has processes of other users at the
// socket.
func TestStrangersGetNothingOutOfTheHost(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to start processes of other users")
	}
	const friend, stranger = 65533, 65534
	probe := exec.Command("/bin/sh", "-c", ":")
	probe.Dir = "/"
	probe.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	if err := probe.Run(); err != nil {
		t.Skipf("nobody else can run programs on this system: %v", err) // where / is closed to others
	}
	// Others have to get at the program and at the socket's directory.
	bin := fixture(t, "host")
	if err := os.Chmod(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
	call := func(uid uint32, socket string) string {
		cmd := exec.Command(bin, "call", socket)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("as user %d: %v\n%s", uid, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	private := newVictim(t)
	private.suffer(t, []attack{{"at a private socket", func(t *testing.T, v *victim) {
		for range 20 {
			if got := call(stranger, v.Socket()); !strings.Contains(got, "permission denied") {
				t.Errorf("a stranger gets %q", got)
			}
		}
	}}})

	socket := socketIn(t)
	for _, dir := range []string{filepath.Dir(filepath.Dir(socket)), filepath.Dir(socket)} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	tmp := t.TempDir()
	shared := &victim{host: startHostAt(t, socket, "TMPDIR="+tmp, "TEST_OPEN_TIMEOUT=1m", fmt.Sprint("TEST_ALLOW_UID=", friend)), tmp: tmp, listeners: 1}
	shared.become()
	shared.suffer(t, []attack{{"at a shared socket", func(t *testing.T, v *victim) {
		for range 20 {
			if got := call(stranger, v.Socket()); !strings.Contains(got, "may not speak to this host") {
				t.Errorf("a stranger gets %q", got)
			}
		}
		if got := call(friend, v.Socket()); got != "test" {
			t.Errorf("a friend gets %q", got)
		}
	}}})
}
