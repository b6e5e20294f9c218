//go:build unix

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What processes do to each other is tried with processes: the test binary,
// started again with a task in its environment.
const (
	taskVar = "STORE_TEST_TASK" // task, then its arguments, by spaces
	dirVar  = "STORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	task := strings.Fields(os.Getenv(taskVar))
	if len(task) == 0 {
		os.Exit(m.Run())
	}
	if err := child(task[0], task[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child carries out a task in a process of its own.
func child(task string, args []string) error {
	if task == "limit" {
		// Nothing longer than a kilobyte can be written, as on a full disk. The
		// signal that comes with it would end the process.
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 1000, Max: 1000}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
	}
	s, err := Open(os.Getenv(dirVar))
	if err != nil {
		return err
	}
	switch task {
	case "publish": // keys from 0 to 7, all of them, in an order of its own
		fmt.Println("ready")
		io.ReadAll(os.Stdin) // until all processes are there
		for i := range 8 {
			n := i
			if args[0] == "backwards" {
				n = 7 - i
			}
			e, err := publish(s, "pricing", keyOf(n), args[1])
			if err != nil {
				return err
			}
			fmt.Println(e.Key, e.Digest)
		}
	case "crash": // at a step
		s.crash = func(step string) {
			if step == strings.Join(args, " ") {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		if err := s.Remember("side", []byte("new")); err != nil {
			return err
		}
		_, err := publish(s, "pricing", keyOf(1), "code")
		return err
	case "lock":
		if _, err := s.Lock(context.Background(), "name"); err != nil {
			return err
		}
		fmt.Println("locked")
		io.ReadAll(os.Stdin)
	case "scratch":
		dir, _, err := s.Temp("pricing")
		if err != nil {
			return err
		}
		fmt.Println(dir)
		io.ReadAll(os.Stdin)
	case "limit":
		for _, err := range []error{
			s.Remember("side", make([]byte, 2000)),
			func() error { _, _, err := s.copyIn("pricing", args[0]); return s.fail("copy to", err) }(),
		} {
			if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), s.Dir()) {
				return fmt.Errorf("got %v, want %v and the directory", err, ErrFull)
			}
		}
	default:
		return errors.New("unknown task")
	}
	return nil
}

// process is a child.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr strings.Builder
}

// spawn starts a child with a task on the store in dir.
func spawn(t *testing.T, dir, task string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), taskVar+"="+task, dirVar+"="+dir)
	p.cmd.Stderr = &p.stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	return p
}

// line waits for the child's next line.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		p.cmd.Wait()
		t.Fatalf("child ended: %s", p.stderr.String())
	}
	return p.out.Text()
}

func TestProcessesThatPublishAtOnceAgree(t *testing.T) {
	dir := t.TempDir()
	var children []*process
	for i := range 4 {
		order := []string{"forwards", "backwards"}[i%2]
		children = append(children, spawn(t, dir, fmt.Sprintf("publish %s content-of-%d", order, i)))
	}
	for _, p := range children {
		p.line(t)
	}
	for _, p := range children {
		p.in.Close()
	}
	digests := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range children {
		wg.Go(func() {
			for p.out.Scan() {
				key, digest, _ := strings.Cut(p.out.Text(), " ")
				mu.Lock()
				if first, ok := digests[key]; ok && first != digest {
					t.Errorf("key %.12s is %s for one process and %s for another", key, first, digest)
				}
				digests[key] = digest
				mu.Unlock()
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, p.stderr.String())
			}
		})
	}
	wg.Wait()
	s := open(t, dir)
	found, err := s.List("pricing")
	if err != nil || len(found) != 8 {
		t.Fatalf("store has %d artifacts, %v; want 8", len(found), err)
	}
	for _, e := range found {
		if e.Digest != digests[e.Key] {
			t.Errorf("store has %s for key %.12s, the processes saw %s", e.Digest, e.Key, digests[e.Key])
		}
	}
	if left := files(t, dir, tmpDir); len(left) > 0 {
		t.Errorf("scratch is left: %q", left)
	}
}

// Wherever a process is killed: what has a final name is whole, the store goes
// on working at once, and Clean removes the rest.
func TestKilledProcessLeavesNoHalfFile(t *testing.T) {
	for _, step := range []string{"side written", "synced", "locked", "renamed"} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			if err := s.Remember("side", []byte("old")); err != nil {
				t.Fatal(err)
			}
			p := spawn(t, dir, "crash "+step)
			err := p.cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("child was not killed: %v %s", err, p.stderr.String())
			}
			if len(files(t, dir, tmpDir)) == 0 {
				t.Error("the child left nothing, so this proves nothing")
			}

			found, err := s.List("")
			if want := map[string]int{"renamed": 1}[step]; err != nil || len(found) != want {
				t.Errorf("store has %d artifacts, %v; want %d", len(found), err, want)
			}
			for _, name := range files(t, dir) {
				if strings.HasSuffix(name, ".so") && len(found) == 0 {
					t.Errorf("half a file under a final name: %s", name)
				}
			}
			if got, err := s.Recall("side"); err != nil || string(got) != "old" && step == "side written" {
				t.Errorf("side file: %q, %v", got, err)
			}

			e := mustPublish(t, s, "pricing", keyOf(1), "code")
			if err := whole(e); err != nil {
				t.Error(err)
			}
			later := time.Now().Add(2 * scratchAge)
			s.now = func() time.Time { return later }
			if _, err := s.Clean("pricing", -1); err != nil {
				t.Error(err)
			}
			if left := files(t, dir, tmpDir); len(left) > 0 {
				t.Errorf("left in scratch: %q", left)
			}
		})
	}
}

func TestScratchGoesWhenItsOwnerHasEnded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	p := spawn(t, dir, "scratch")
	scratch := p.line(t)
	if _, err := s.Clean("pricing", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(scratch); err != nil {
		t.Fatalf("scratch of a living process: %v", err)
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	if _, err := s.Clean("pricing", 0); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir, tmpDir); len(left) > 0 {
		t.Errorf("left after its owner ended: %q", left)
	}
}

func TestLockExcludesProcessesAndEndsWithThem(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	p := spawn(t, dir, "lock")
	p.line(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lock(ctx, "name"); !errors.Is(err, context.Canceled) {
		t.Fatalf("lock that another process holds: %v", err)
	}
	if unlock, err := s.Lock(ctx, "other"); err != nil {
		t.Errorf("lock of another name: %v", err)
	} else {
		unlock()
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	unlock, err := s.Lock(t.Context(), "name")
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	unlock()
}

func TestWaitingForAGoroutineEndsWithItsContext(t *testing.T) {
	s := open(t, t.TempDir())
	unlock, err := s.Lock(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lock(ctx, "name"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	if unlock, err = s.Lock(t.Context(), "name"); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Remember("side", []byte("old")); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(t.TempDir(), "big.so")
	if err := os.WriteFile(big, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, dir, "limit "+big)
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, p.stderr.String())
	}
	if got, err := s.Recall("side"); err != nil || string(got) != "old" {
		t.Errorf("side file: %q, %v", got, err)
	}
	if left := files(t, dir, tmpDir); len(left) > 0 {
		t.Errorf("left in scratch: %q", left)
	}
}

func TestLockExcludesGoroutines(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	holders, most := 0, 0 // the race detector watches them, too
	for range 8 {
		wg.Go(func() {
			for range 5 {
				unlock, err := s.Lock(t.Context(), "name")
				if err != nil {
					t.Error(err)
					return
				}
				holders++
				most = max(most, holders)
				holders--
				unlock()
			}
		})
	}
	wg.Wait()
	if len(s.gates.byName) > 0 {
		t.Errorf("gates pile up: %v", s.gates.byName)
	}
	if most != 1 {
		t.Errorf("%d held it at once", most)
	}
	if left := files(t, s.Dir(), lockDir); slices.Contains(left, "name-name") {
		t.Errorf("locks pile up: %q", left)
	}
}

// A file that cannot be renamed into the store is copied. Where this machine
// has one file system only, the copying is still tried.
func TestFileFromAnotherFileSystemIsCopied(t *testing.T) {
	s := open(t, t.TempDir())
	dir, err := os.MkdirTemp("/dev/shm", "store-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "x.so")
	if err := writeArtifact(file, "pricing", keyOf(1), "code"); err != nil {
		t.Fatal(err)
	}
	copied, cleanup, err := s.copyIn("pricing", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.inspect(copied); err != nil {
		t.Error(err)
	}
	cleanup()
	e, err := s.Publish(t.Context(), "pricing", keyOf(1), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole(e); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if left := files(t, s.Dir(), tmpDir); len(left) > 0 {
		t.Errorf("left in scratch: %q", left)
	}
}
