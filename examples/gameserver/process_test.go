//go:build linux && cgo

package gameserver_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// patience is when a process that says nothing is given up.
const patience = 2 * time.Minute

// tree is a copy of this module, so that tests can edit it.
type tree struct {
	t      *testing.T
	dir    string
	binary string // of the server
	build  *builder.Builder
}

// newTree copies the module and builds its server.
func newTree(t *testing.T) *tree {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the server and plugins")
	}
	f := &tree{t: t, dir: copyModule(t)}
	f.binary = filepath.Join(t.TempDir(), "server")
	var err error
	if f.build, err = builder.New(builder.Options{WorkDir: f.dir, Dir: filepath.Join(t.TempDir(), "artifacts")}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.build.BuildHost(t.Context(), "./server", f.binary); err != nil {
		t.Fatal(err)
	}
	return f
}

// copyModule gives a directory with this module, which finds hotgo where the
// original does.
func copyModule(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gameserver")
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "mod", "edit", "-replace=github.com/hotgo/hotgo="+root)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// edit replaces text that must be there once.
func edit(t *testing.T, dir, name, before, after string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), before); n != 1 {
		t.Fatalf("%s has %q %d times", name, before, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), before, after, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// artifact edits a file and builds the rules.
func (f *tree) artifact(name, before, after string) *builder.Artifact {
	f.t.Helper()
	edit(f.t, f.dir, name, before, after)
	ctx := f.t.Context()
	plugins, err := f.build.Find(ctx, "./plugins/...")
	if err != nil {
		f.t.Fatal(err)
	}
	if len(plugins) != 1 || plugins[0].Name != "rules" {
		f.t.Fatalf("plugins: %+v", plugins)
	}
	snap, err := f.build.Snapshot(ctx, builder.Host{Binary: f.binary}, plugins)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := snap.Errors["rules"]; err != nil {
		f.t.Fatal(err)
	}
	a, err := f.build.Build(ctx, snap.Plans[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// process is a running server, or hotgo with a server below it.
type process struct {
	t      *testing.T
	url    string
	socket *control.Client
	ticks  <-chan string // what the server prints each tick; old lines are dropped
}

// start runs a server until the test ends.
func start(t *testing.T, binary string, args ...string) *process {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(binary, append([]string{"-port", "0"}, args...)...)
	cmd.Env = append(os.Environ(), "HOTGO_SOCKET="+filepath.Join(shortDir(t), "s", "h.sock"))
	cmd.Stderr = &stderr
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's stderr:\n%s", &stderr)
		}
	})
	return launch(t, cmd, syscall.SIGTERM, 0)
}

// shortDir is for sockets, whose paths have 107 bytes at most: t.TempDir is too
// long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// launch runs a command that starts a server, until the test ends. It ends by
// the signal, with the exit code.
func launch(t *testing.T, cmd *exec.Cmd, signal os.Signal, exitCode int) *process {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	ticks, first, ended := make(chan string, 1), make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ticks)
		sc := bufio.NewScanner(stdout)
		sc.Scan()
		first <- sc.Text()
		for sc.Scan() {
			select {
			case ticks <- sc.Text():
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(signal)
		<-ended
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitCode {
			t.Errorf("%s ended with %v, want exit code %d", cmd.Path, err, exitCode)
		}
		giveUp.Stop()
	})
	where := regexp.MustCompile(`^gameserver: pid \d+, (http://127\.0\.0\.1:\d+), control socket (.+)$`).FindStringSubmatch(<-first)
	if where == nil {
		t.Fatal("the server did not say where it is")
	}
	socket := control.NewClient(where[2])
	t.Cleanup(socket.Close)
	return &process{t: t, url: where[1], socket: socket, ticks: ticks}
}

// awaitTick reads the lines of ticks until one contains want.
func (p *process) awaitTick(want string) {
	p.t.Helper()
	last := ""
	for line := range p.ticks {
		if last = line; strings.Contains(line, want) {
			return
		}
	}
	p.t.Fatalf("the server ended at %q, without %q", last, want)
}

// call sends a request to the game's port and decodes the answer.
func (p *process) call(method, path, contentType string, body io.Reader, into any) (status int) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		p.t.Fatalf("%s %s: %v in %q", method, path, err, data)
	}
	return resp.StatusCode
}

// curl uploads an artifact the way `curl --data-binary @FILE` does.
func (p *process) curl(path string, into any) (status int) {
	p.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	return p.call(http.MethodPost, "/hotgo/v1/load", control.TypeArtifact, f, into)
}
