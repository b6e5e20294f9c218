//go:build linux && cgo

package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const (
	repository = "../.."
	patience   = 3 * time.Minute // when whatever says nothing is given up
	reloads    = 20
	clients    = 8
)

// TestNoConnectionNoticesTwentyReloads does what the README says, in a copy of the
// example, while clients send numbered lines, some of them in two pieces, and
// others connect.
func TestNoConnectionNoticesTwentyReloads(t *testing.T) {
	if testing.Short() {
		t.Skip("builds hotgo, a host and plugins")
	}
	p := start(t)
	if out, err := p.hotgo("hotgo push --target takeover ./examples/takeover/plugins/echo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address, ok := strings.CutPrefix(p.line(), "echo: listening on ")
	if !ok {
		t.Fatal("the plugin does not listen")
	}
	var last atomic.Int64 // the version that is pushed; clients go on until they hear it
	last.Store(reloads)
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() { talk(t, address, n, &last) })
	}
	all.Go(func() { // and others come and go
		for v := 0; v < reloads && !t.Failed(); {
			v = visit(t, address)
		}
	})
	for v := 1; v <= reloads; v++ {
		if v == reloads/2 {
			p.refused()
		}
		p.edit(fmt.Sprintf("version = \"v%d\"", v-1), fmt.Sprintf("version = \"v%d\"", v))
		if out, err := p.hotgo("hotgo push --mode swap echo"); err != nil {
			last.Store(-1)
			t.Errorf("push v%d: %v\n%s", v, err, out)
			break
		}
	}
	all.Wait()
	p.everyVersionEndedWell()
}

// talk sends lines until a reply is of the last version.
func talk(t *testing.T, address string, n int, last *atomic.Int64) {
	c := dial(t, address)
	if c == nil {
		return
	}
	defer c.Close()
	in, before := bufio.NewReader(c), 0
	for i := 0; ; i++ {
		line := fmt.Sprintf("client %d line %d", n, i)
		half := len(line) * (i % 3) / 3
		if _, err := c.Write([]byte(line[:half])); err != nil {
			t.Errorf("%s: %v", line, err)
			return
		}
		if _, err := c.Write([]byte(line[half:] + "\n")); err != nil {
			t.Errorf("%s: %v", line, err)
			return
		}
		v, ok := answer(t, in, line)
		if !ok {
			return
		}
		if v < before {
			t.Errorf("%s is answered by v%d, after v%d", line, v, before)
			return
		}
		if before = v; v == int(last.Load()) || last.Load() < 0 {
			return
		}
	}
}

// visit connects, says one line, and gives the version that answered it.
func visit(t *testing.T, address string) int {
	c := dial(t, address)
	if c == nil {
		return reloads
	}
	defer c.Close()
	if _, err := c.Write([]byte("visit\n")); err != nil {
		t.Error(err)
	}
	v, _ := answer(t, bufio.NewReader(c), "visit")
	return v
}

// dial does in Go what nc does.
//
//	$ nc localhost 7007
func dial(t *testing.T, address string) net.Conn {
	c, err := net.Dial("tcp", address)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	return c
}

// answer reads a reply, which must be to that line and of a version that was live.
func answer(t *testing.T, in *bufio.Reader, line string) (version int, ok bool) {
	reply, err := in.ReadString('\n')
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return 0, false
	}
	if _, err := fmt.Sscanf(reply, "v%d: ", &version); err != nil || reply != fmt.Sprintf("v%d: %s\n", version, line) || version > reloads {
		t.Errorf("%s is answered with %q", line, reply)
		return 0, false
	}
	return version, true
}

// process is the host, with the tree that its plugin comes from.
type process struct {
	t      *testing.T
	dir    string
	binary string // of hotgo
	stdout *bufio.Scanner
	client *control.Client
}

// start builds hotgo and the host and starts it.
func start(t *testing.T) *process {
	t.Helper()
	run, err := os.MkdirTemp("", "hg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", run)
	t.Setenv("HOTGO_SOCKET", "")
	t.Setenv("HOTGO_ARTIFACT_DIR", t.TempDir())
	t.Setenv("ECHO_ADDR", "127.0.0.1:0")

	p := &process{t: t, dir: copyModule(t), binary: filepath.Join(t.TempDir(), "hotgo")}
	host := filepath.Join(t.TempDir(), "takeover")
	// $ go build -o /tmp/takeover ./examples/takeover
	for _, b := range []struct{ dir, out, pkg string }{{repository, p.binary, "."}, {p.dir, host, "./examples/takeover"}} {
		build := exec.Command("go", "build", "-o", b.out, b.pkg)
		build.Dir = b.dir
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", b.pkg, err, text)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.Command(host) // $ /tmp/takeover &
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewScanner(stdout)
	giveUp := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		for p.stdout.Scan() { // until nobody holds it any more
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the host ended with %v\n%s", err, &stderr)
		}
		giveUp.Stop()
	})
	p.line() // it is up
	p.client = control.NewClient(filepath.Join(run, "hotgo", fmt.Sprintf("takeover-%d.sock", cmd.Process.Pid)))
	t.Cleanup(p.client.Close)
	return p
}

// copyModule makes a module of the example, so that its plugin can be edited.
func copyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples", "takeover"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	const mod = "module example.com/takeover\n\ngo 1.26.0\n\nrequire github.com/hotgo/hotgo v0.0.0\n\nreplace github.com/hotgo/hotgo => %s\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, mod, root), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p *process) line() string {
	p.t.Helper()
	if !p.stdout.Scan() {
		p.t.Fatal("the host has ended")
	}
	return p.stdout.Text()
}

// hotgo runs a command of the README, where hotgo is called go run . there.
func (p *process) hotgo(command string) (string, error) {
	cmd := exec.Command(p.binary, strings.Fields(strings.TrimPrefix(command, "hotgo "))...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *process) edit(before, after string) {
	p.t.Helper()
	path := filepath.Join(p.dir, "examples", "takeover", "plugins", "echo", "echo.go")
	data, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.Count(string(data), before) != 1 {
		p.t.Fatalf("%s does not have %q once", path, before)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), before, after, 1)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// refused pushes a version that starts, finds itself unwell, and must not have
// answered anybody.
func (p *process) refused() {
	p.t.Helper()
	const hook = "package echo\n\nimport (\n\t\"context\"\n\t\"errors\"\n)\n\nfunc HotHealth(context.Context) error { return errors.New(\"unwell\") }\n"
	path := filepath.Join(p.dir, "examples", "takeover", "plugins", "echo", "health.go")
	if err := os.WriteFile(path, []byte(hook), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.edit(`return version + ": "`, `return "unwell: "`)
	if out, err := p.hotgo("hotgo push --mode swap echo"); err == nil || !strings.Contains(out, "unwell") {
		p.t.Errorf("push: %v\n%s", err, out)
	}
	p.edit(`return "unwell: "`, `return version + ": "`)
	if err := os.Remove(path); err != nil {
		p.t.Fatal(err)
	}
}

// everyVersionEndedWell waits for the end of the last version but one, and looks at
// what all of them left.
func (p *process) everyVersionEndedWell() {
	p.t.Helper()
	var ended []control.Event
	for range time.Tick(10 * time.Millisecond) {
		h, err := p.client.History(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		ended = ended[:0]
		for _, ev := range h.Events {
			if ev.Event == control.KindRetired {
				ended = append(ended, ev)
			}
		}
		if len(ended) >= reloads || p.t.Failed() {
			break
		}
	}
	for _, ev := range ended {
		if ev.Code != "" || ev.Goroutines != 0 {
			p.t.Errorf("generation %d ended with %d goroutines left: %s %+v", ev.Generation, ev.Goroutines, ev.Reason, ev.Notes)
		}
	}
	s, err := p.client.Status(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if s.OldGenerations != 0 || len(s.Plugins) != 1 || s.Plugins[0].Live != reloads+2 {
		p.t.Errorf("status %+v", s)
	}
}
