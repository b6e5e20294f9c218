//go:build linux && cgo

package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// patience is when a program that says nothing is given up.
const patience = 2 * time.Minute

// TestNewGreetingInTheSameProcess does what the README says, in a copy of this
// repository.
func TestNewGreetingInTheSameProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("builds hotgo, a host and a plugin")
	}
	dir := copyRepository(t)
	p := start(t, dir)
	p.await("hello, world")
	before := p.host()

	greet := filepath.Join(dir, "examples", "minimal", "plugins", "greet", "greet.go")
	source, err := os.ReadFile(greet)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(source, []byte("hello, world"), []byte("good evening, world"), 1)
	if err := os.WriteFile(greet, edited, 0o644); err != nil {
		t.Fatal(err)
	}
	p.await("good evening, world")
	after := p.host()
	// The plugin is the one that the host was built with, and a function of it is
	// patched.
	if after.PID != before.PID || len(before.Plugins) != 1 || len(after.Plugins) != 2 ||
		after.Plugins[0].Live != 0 || after.Plugins[1].Kind != control.KindHost || after.Plugins[1].Live != 1 {
		t.Errorf("before: %+v\nafter: %+v", before, after)
	}
}

// copyRepository copies what hotgo and the example are built from, so that it
// can be edited.
func copyRepository(t *testing.T) string {
	t.Helper()
	const root = "../.."
	dir := t.TempDir()
	for _, name := range []string{"cmd", "pkg", "examples/minimal"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// process is hotgo with the example below it.
type process struct {
	t      *testing.T
	stdout *bufio.Scanner
	n      int // the last greeting's number
}

// start runs what stands for
//
//	$ go run . run ./examples/minimal
//
// in the copy. It is two steps, because go run hands no signal on.
func start(t *testing.T, dir string) *process {
	t.Helper()
	run, err := os.MkdirTemp("", "hg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	// Sockets are looked for in these: other hosts may run on this machine.
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", run)
	t.Setenv("HOTGO_SOCKET", "")
	t.Setenv("HOTGO_ARTIFACT_DIR", t.TempDir())

	hotgo := filepath.Join(t.TempDir(), "hotgo")
	build := exec.Command("go", "build", "-o", hotgo, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build hotgo: %v\n%s", err, out)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(hotgo, "run", "./examples/minimal")
	cmd.Dir, cmd.Stderr = dir, &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	p := &process{t: t, stdout: bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		for p.stdout.Scan() { // until nobody holds it any more
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("hotgo ended with %v, want exit code 130", err)
		}
		giveUp.Stop()
		if t.Failed() {
			t.Logf("hotgo said:\n%s", &stderr)
		}
	})
	return p
}

// await reads greetings until one is as wanted. Their numbers go up by one: the
// process keeps the count, so it is still the same one.
func (p *process) await(want string) {
	p.t.Helper()
	for p.stdout.Scan() {
		var n int
		if _, err := fmt.Sscanf(p.stdout.Text(), "%d: ", &n); err != nil || n != p.n+1 {
			p.t.Fatalf("after number %d: %q", p.n, p.stdout.Text())
		}
		p.n = n
		if strings.HasSuffix(p.stdout.Text(), ": "+want) {
			return
		}
	}
	p.t.Fatalf("the program ended before it said %q", want)
}

// host asks the example what it runs.
func (p *process) host() *control.Status {
	p.t.Helper()
	found, err := control.Resolve(p.t.Context(), "minimal")
	if err != nil {
		p.t.Fatal(err)
	}
	if len(found) != 1 || found[0].Err != nil {
		p.t.Fatalf("hosts: %+v", found)
	}
	return found[0].Status
}
