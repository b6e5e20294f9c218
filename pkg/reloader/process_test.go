//go:build linux && cgo

package reloader_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Real plugins are loaded into a process of their own: nothing can be unloaded,
// and what goes wrong takes the process with it. The fixtures are built once.

// fixtures is the directory with the host and the plugins' .so files.
var fixtures = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hotgo-fixtures-")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "host"), "./testdata/host"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "one.so"), "./testdata/plugins/one"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "two.so"), "./testdata/plugins/two"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "initpanic.so"), "./testdata/plugins/initpanic"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "inithang.so"), "./testdata/plugins/inithang"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "nosymbols.so"), "./testdata/plugins/nosymbols"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "variant.so"), "./testdata/plugins/" + variantDir},
		// As somebody builds it who does not know hotgo: without the entry.
		{"build", "-buildmode=plugin", "-tags=byhand", "-o", filepath.Join(dir, "byhand.so"), "./testdata/plugins/" + variantDir},
		{"build", "-buildmode=plugin", "-o", filepath.Join(dir, "owntype.so"), "./testdata/plugins/owntype"},
		{"build", "-buildmode=plugin", "-ldflags=-s -w", "-trimpath", "-o", filepath.Join(dir, "trimmed.so"), "./testdata/plugins/two"},
	} {
		cmd := exec.Command("go", args...)
		// The host is built without the test's own -race or -cover.
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built.Load() {
		dir, _ := fixtures()
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

var built atomic.Bool

func fixture(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds plugins")
	}
	built.Store(true)
	dir, err := fixtures()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// pack copies a plugin and gives it a manifest, as the builder does.
func pack(t *testing.T, name string, edit func(*artifact.Manifest)) string {
	t.Helper()
	b, err := os.ReadFile(fixture(t, name+".so"))
	if err != nil {
		t.Fatal(err)
	}
	return packBytes(t, name, b, edit)
}

// packBytes makes an artifact of a plugin's bytes. Its key is made of name.
func packBytes(t *testing.T, name string, b []byte, edit func(*artifact.Manifest)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	fp, err := abi.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := artifact.Manifest{
		Plugin: "pricing", Key: strings.Repeat(fmt.Sprintf("%x", name), 64)[:64], Package: "example.com/shop/" + name,
		PluginPath: fp.PluginPath, GoVersion: fp.GoVersion, GOOS: "linux", GOARCH: fp.Machine, Link: "full",
		Symbols: []artifact.Symbol{{Name: "Price", Kind: "func", Type: "func(int) int"}},
	}
	if edit != nil {
		edit(&m)
	}
	if err := artifact.Append(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// host is a running testdata/host.
type host struct {
	*control.Client
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	stderr *bytes.Buffer
	wait   func() error // for its end; may be called more than once
	dies   bool         // as it is expected to
}

func startHost(t *testing.T, env ...string) *host {
	t.Helper()
	return startHostAt(t, socketIn(t), env...)
}

// socketIn gives a path for a socket. The directory is not there yet.
func socketIn(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s", "h.sock")
}

func startHostAt(t *testing.T, socket string, env ...string) *host {
	t.Helper()
	cmd := exec.Command(fixture(t, "host"), socket)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...)
	return launch(t, socket, cmd)
}

// launch starts a command that becomes a host.
func launch(t *testing.T, socket string, cmd *exec.Cmd) *host {
	t.Helper()
	h := &host{t: t, cmd: cmd, stderr: &bytes.Buffer{}, Client: control.NewClient(socket)}
	h.cmd.Stderr = h.stderr
	var err error
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.stdout = bufio.NewScanner(out)
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.wait = sync.OnceValue(h.cmd.Wait)
	t.Cleanup(func() {
		h.Client.Close()
		h.stdin.Close()
		if err := h.wait(); err != nil && !t.Failed() && !h.dies && h.cmd.ProcessState.ExitCode() != -1 {
			t.Errorf("host: %v\n%s", err, h.stderr)
		}
	})
	h.read("ready")
	return h
}

// kill ends the host as kill -9 does, and waits until it is gone.
func (h *host) kill() {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	_ = h.wait()
}

func (h *host) read(want string) {
	h.t.Helper()
	if !h.stdout.Scan() || h.stdout.Text() != want {
		h.t.Fatalf("host said %q, want %q (%v)\n%s", h.stdout.Text(), want, h.stdout.Err(), h.stderr)
	}
}

// serves checks that the host is alive and which price it gives for 1.
func (h *host) serves(price, generation int) {
	h.t.Helper()
	fmt.Fprintln(h.stdin, 1)
	h.read(fmt.Sprint(price, generation))
}

func (h *host) load(path string) *control.Event {
	h.t.Helper()
	ev, err := h.LoadFile(h.t.Context(), path, control.LoadOptions{})
	if err != nil {
		h.t.Fatalf("load %s: %v\n%s", path, err, h.stderr)
	}
	return ev
}

func (h *host) refuses(path, code string) *control.Error {
	h.t.Helper()
	ev, err := h.LoadFile(h.t.Context(), path, control.LoadOptions{})
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		h.t.Fatalf("load %s: %+v, %v; want code %s\n%s", path, ev, err, code, h.stderr)
	}
	return e
}

func TestRealPluginsSwapAndRollBack(t *testing.T) {
	tmp := t.TempDir()
	h := startHost(t, "TMPDIR="+tmp)
	one, two := pack(t, "one", nil), pack(t, "two", nil)
	h.serves(1, 0)
	if ev := h.load(one); ev.Verdict != control.Swapped || ev.Generation != 1 {
		t.Errorf("event %+v", ev)
	}
	h.serves(2, 1)
	if ev := h.load(one); ev.Verdict != control.Unchanged {
		t.Errorf("event %+v", ev)
	}
	if ev, err := h.LoadPath(t.Context(), two, control.LoadOptions{DryRun: true}); err != nil || ev.Event != control.KindVerified {
		t.Errorf("dry run: %+v, %v", ev, err)
	}
	if ev, err := h.LoadPath(t.Context(), two, control.LoadOptions{}); err != nil || ev.Generation != 2 {
		t.Errorf("load by path: %+v, %v", ev, err)
	}
	h.serves(3, 2)
	if _, err := h.Rollback(t.Context(), "pricing", nil); err != nil {
		t.Error(err)
	}
	h.serves(2, 1)
	s, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.BuildID == "" || s.Memory.RSSBytes == 0 || len(s.Plugins) != 1 || len(s.Plugins[0].Generations) != 2 {
		t.Fatalf("status %+v", s)
	}
	for _, g := range s.Plugins[0].Generations {
		if g.MappedBytes < g.ArtifactBytes/2 || g.ResidentBytes == 0 || g.ResidentBytes > g.MappedBytes {
			t.Errorf("generation %d: %d bytes of file, %d mapped, %d resident", g.Generation, g.ArtifactBytes, g.MappedBytes, g.ResidentBytes)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "hotgo-*", "run-*", "*")); len(left) != 0 {
		t.Errorf("copies were not unlinked: %q", left)
	}
}

// TestHostileArtifactsLeaveTheHostServing sends files that would end the
// process if they got to plugin.Open.
func TestHostileArtifactsLeaveTheHostServing(t *testing.T) {
	h := startHost(t)
	one := pack(t, "one", nil)
	whole, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	bent := bytes.Clone(whole)
	bent[len(bent)/2] ^= 1
	libc := "/lib/x86_64-linux-gnu/libm.so.6"
	cases := map[string][]byte{"text": []byte("hello"), "empty": nil, "truncated": whole[:len(whole)/2], "bent": bent}
	if b, err := os.ReadFile(libc); err == nil {
		cases["C library"] = b
	}
	for name, content := range cases {
		path := filepath.Join(t.TempDir(), "x.so")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		e := h.refuses(path, control.CodeNotArtifact)
		if e.Status != 422 {
			t.Errorf("%s: status %d", name, e.Status)
		}
		h.serves(1, 0)
	}
	if e := h.refuses(fixture(t, "one.so"), control.CodeNotArtifact); !strings.Contains(e.Message, "lost its manifest") {
		t.Errorf("an artifact without its manifest: %v", e)
	}
	if e := h.refuses(pack(t, "nosymbols", nil), control.CodeNotArtifact); !strings.Contains(e.Message, "HotgoSymbols") {
		t.Errorf("a plugin without the entry: %v", e)
	}
	if e := h.refuses(pack(t, "one", func(m *artifact.Manifest) { m.GoVersion = "go1.1" }), control.CodeNotArtifact); len(e.Evidence) != 1 {
		t.Errorf("a lying manifest: %+v", e)
	}
	if e := h.refuses(pack(t, "trimmed", nil), control.CodeIncompatible); e.Status != 409 || len(e.Evidence) == 0 {
		t.Errorf("other flags: %+v", e)
	}
	lie := pack(t, "two", func(m *artifact.Manifest) { m.Symbols[0].Name = "Other" })
	if e := h.refuses(lie, control.CodeRefused); e.Rule != "HG0011" {
		t.Errorf("no such symbol: %+v", e)
	}
	h.serves(1, 0)
	h.load(one)
	h.serves(2, 1)
}

func TestInitialisersThatPanicOrHangLeaveTheHostServing(t *testing.T) {
	h := startHost(t)
	h.load(pack(t, "one", nil))
	if e := h.refuses(pack(t, "initpanic", nil), control.CodeRefused); !strings.Contains(e.Message, "no initialisation today") {
		t.Errorf("panic in init: %v", e)
	}
	h.serves(2, 1)
	// The same again would make the runtime hang for ever: it must not get there.
	if e := h.refuses(pack(t, "initpanic", nil), control.CodeRefused); !strings.Contains(e.Message, "generation 2") {
		t.Errorf("the same again: %v", e)
	}
	if e := h.refuses(pack(t, "inithang", nil), control.CodeRefused); !strings.Contains(e.Message, "did not return within") {
		t.Errorf("hanging init: %v", e)
	}
	h.serves(2, 1)
	if s, err := h.Status(t.Context()); err != nil || s.Stuck != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	h.load(pack(t, "two", nil))
	h.serves(3, 4)
}

func TestKilledHostLeavesNothingTheNextOneMinds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first := startHost(t, "TEST_DIR="+dir)
	first.load(pack(t, "one", nil))
	runs, _ := filepath.Glob(filepath.Join(dir, "run-*", "*.so"))
	if len(runs) != 1 {
		t.Errorf("copies kept: %q", runs)
	}
	first.kill()
	second := startHost(t, "TEST_DIR="+dir)
	if left, _ := filepath.Glob(filepath.Join(dir, "run-*", "*.so")); len(left) != 0 {
		t.Errorf("the next start left %q", left)
	}
	history, err := second.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	loaded := false
	for _, ev := range history.Events {
		loaded = loaded || ev.Event == control.KindLoaded && ev.Generation == 1
	}
	if !loaded {
		t.Errorf("the history of the first host is gone: %+v", history)
	}
}
