//go:build linux && amd64 && cgo

package livepatching_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// patchSoak is a server under load that is patched again and again.
type patchSoak struct {
	t       testing.TB
	root    string
	binary  string
	builder *builder.Builder
	in      io.WriteCloser
	out     *bufio.Scanner
	stderr  strings.Builder
	cmd     *exec.Cmd
	pauses  []float64 // milliseconds
}

func newPatchSoak(t testing.TB, env ...string) *patchSoak {
	t.Helper()
	s := &patchSoak{t: t, root: t.TempDir()}
	if err := os.CopyFS(s.root, os.DirFS("testdata/patchsoak")); err != nil {
		t.Fatal(err)
	}
	mod := fmt.Sprintf("module example.com/soak\n\ngo 1.26\n\nrequire github.com/hotgo/hotgo v0.0.0\n\nreplace github.com/hotgo/hotgo => %s\n", hosttest.Repository(t))
	if err := os.WriteFile(filepath.Join(s.root, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	goEnv := append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
	s.version(0)
	s.binary = filepath.Join(s.root, "soak")
	var err error
	if s.builder, err = builder.New(builder.Options{WorkDir: s.root, Dir: filepath.Join(t.TempDir(), "store"), Env: goEnv, Resident: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.builder.Close() })
	if _, err := s.builder.BuildHost(context.Background(), ".", s.binary); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(s.binary)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stderr = &s.stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	return s
}

// version writes the sources of a version.
func (s *patchSoak) version(n int) {
	s.t.Helper()
	data, err := os.ReadFile("testdata/patchsoak/app/app.go")
	if err != nil {
		s.t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "4711", strconv.Itoa(n))
	if err := os.WriteFile(filepath.Join(s.root, "app", "app.go"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *patchSoak) say(line string) []string {
	s.t.Helper()
	fmt.Fprintln(s.in, line)
	if !s.out.Scan() {
		s.cmd.Wait()
		s.t.Fatalf("the server ended at %q: %v\n%s", line, s.cmd.ProcessState, s.stderr.String())
	}
	answer := strings.Fields(s.out.Text())
	if len(answer) > 0 && answer[0] == "failed:" {
		s.t.Fatalf("%s: %s\n%s", line, s.out.Text(), s.stderr.String())
	}
	return answer
}

// patch builds and loads a version.
func (s *patchSoak) patch(n int) {
	s.t.Helper()
	s.version(n)
	p, err := s.builder.PlanPatch(context.Background(), builder.Host{Binary: s.binary}, nil)
	if err == nil {
		err = p.Err()
	}
	if err != nil {
		s.t.Fatalf("version %d: %v %v", n, err, p)
	}
	a, err := s.builder.BuildPatch(context.Background(), p)
	if err != nil {
		s.t.Fatalf("version %d: %v", n, err)
	}
	said := s.say("load " + a.Path)
	if len(said) != 3 || said[1] != "patched" {
		s.t.Fatalf("version %d: %q", n, said)
	}
	pause, err := strconv.ParseFloat(said[2], 64)
	if err != nil {
		s.t.Fatal(err)
	}
	s.pauses = append(s.pauses, pause)
}

func (s *patchSoak) end() (requests int64) {
	s.t.Helper()
	said := s.say("end")
	if len(said) != 3 || said[1] != "0" || said[0] == "0" || said[2] == "0" {
		s.t.Errorf("requests, failures, calls: %q\n%s", said, s.stderr.String())
	}
	slices.Sort(s.pauses)
	s.t.Logf("%d patches: %s requests, %s failed, %s calls of a leaf; stopped for %.3f ms at the median, %.3f at most",
		len(s.pauses), said[0], said[1], said[2], s.pauses[len(s.pauses)/2], s.pauses[len(s.pauses)-1])
	requests, _ = strconv.ParseInt(said[0], 10, 64)
	return requests
}

// HOTGO_TEST_PATCHES says how many patches the soaks load.
func patchCount(t testing.TB, otherwise int) int {
	text := os.Getenv("HOTGO_TEST_PATCHES")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("HOTGO_TEST_PATCHES: %v", err)
	}
	return n
}

func TestServerUnderLoadIsPatchedWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	n := patchCount(t, 15)
	if testing.Short() {
		n = min(n, 5)
	}
	s := newPatchSoak(t)
	for i := 1; i <= n; i++ {
		s.patch(i)
	}
	s.end()
}
