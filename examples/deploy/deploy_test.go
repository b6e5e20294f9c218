//go:build linux && cgo

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	repository = "../.."
	patience   = 3 * time.Minute // when whatever says nothing is given up
	processes  = 4
	price      = "examples/deploy/plugins/price/price.go"
)

// TestDeployBringsItEverywhereOrNowhere runs deploy.sh as the README does, with
// versions that are good, refused by HotHealth, and found out from outside.
func TestDeployBringsItEverywhereOrNowhere(t *testing.T) {
	s := start(t)
	s.serves("30")
	s.edit("each = 10", "each = 11")
	s.deploy(0)
	s.serves("33")
	s.deploy(0) // nothing to do
	s.serves("33")

	s.edit("each = 11", "each = 0")
	if said := s.deploy(6); !strings.Contains(said, "an item costs nothing") || strings.Count(said, "not begun") < processes-1 {
		t.Errorf("it said\n%s", said)
	}
	s.serves("33")

	s.edit("return items * each", "return 12 - items*items*each") // it tests one item alone
	s.edit("each = 0", "each = 2")
	if said := s.deploy(1); !strings.Contains(said, "answers -6: going back") {
		t.Errorf("it said\n%s", said)
	}
	s.serves("33")

	s.edit("return 12 - items*items*each", "return items * eech")
	s.deploy(3)
	s.serves("33")
}

// TestPipelineDeploys runs the steps of pipeline.yml, all but the one that installs
// what is tested here.
func TestPipelineDeploys(t *testing.T) {
	s := start(t)
	s.edit("each = 10", "each = 11")
	t.Setenv("HOTGO_TARGET", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "hotgo", "*.sock"))
	t.Setenv("RELEASE", "file://"+s.binary)
	t.Setenv("PATH", filepath.Dir(s.hotgo)+string(os.PathListSeparator)+os.Getenv("PATH"))
	ran := 0
	for _, step := range steps(t) {
		if step == "go install github.com/hotgo/hotgo@latest" {
			continue
		}
		cmd := exec.Command("bash", "-e", "-c", step) // as GitHub's runner does
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, out)
		}
		ran++
	}
	if ran != 6 {
		t.Errorf("%d steps ran", ran)
	}
	s.serves("33")
	data, err := os.ReadFile(filepath.Join(s.dir, "push.json"))
	if err != nil {
		t.Fatal(err)
	}
	for dec, n := json.NewDecoder(bytes.NewReader(data)), 0; ; n++ {
		var ev struct{ Event, Target string }
		if err := dec.Decode(&ev); errors.Is(err, io.EOF) && n == processes {
			break
		} else if err != nil || ev.Event != "loaded" || ev.Target == "" {
			t.Fatalf("line %d of push.json: %+v, %v\n%s", n+1, ev, err, data)
		}
	}
}

// steps gives the commands of the pipeline, in order. Each is one line.
func steps(t *testing.T) []string {
	data, err := os.ReadFile("pipeline.yml")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "run: "); ok {
			all = append(all, command)
		}
	}
	return all
}

// service is the processes, with the tree that their plugin comes from.
type service struct {
	t             *testing.T
	dir           string
	hotgo, binary string
	addresses     []string
}

// start builds hotgo and the service, and starts its processes.
func start(t *testing.T) *service {
	t.Helper()
	if testing.Short() {
		t.Skip("builds hotgo, a host and plugins")
	}
	for _, tool := range []string{"curl", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool)
		}
	}
	run, err := os.MkdirTemp("", "hg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", run)
	t.Setenv("HOTGO_SOCKET", "")
	t.Setenv("HOTGO_TARGET", "")
	t.Setenv("HOTGO_ARTIFACT_DIR", t.TempDir())

	bin := t.TempDir()
	s := &service{t: t, dir: copyModule(t), hotgo: filepath.Join(bin, "hotgo"), binary: filepath.Join(bin, "shop")}
	// $ go build -o /tmp/hotgo .
	// $ go build -o /tmp/shop ./examples/deploy
	for _, b := range []struct{ dir, out, pkg string }{{repository, s.hotgo, "."}, {s.dir, s.binary, "./examples/deploy"}} {
		build := exec.Command("go", "build", "-o", b.out, b.pkg)
		build.Dir = b.dir
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", b.pkg, err, text)
		}
	}
	for range processes {
		s.process()
	}
	return s
}

// process starts one process, on a port that is free.
//
//	$ /tmp/shop localhost:8081 &
//	$ /tmp/shop localhost:8082 &
func (s *service) process() {
	s.t.Helper()
	cmd := exec.Command(s.binary, "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	giveUp := time.AfterFunc(2*patience+2*loadLength(s.t), func() { _ = cmd.Process.Kill() })
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		giveUp.Stop()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		s.t.Fatalf("a process says %q, %v", line, err)
	}
	s.addresses = append(s.addresses, address)
}

// copyModule makes a module of the example, so that its plugin can be edited.
func copyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples", "deploy"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "examples", "deploy", "main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("github.com/hotgo/hotgo/examples/"), []byte("example.com/shop/examples/"))
	if err := os.WriteFile(main, text, 0o644); err != nil {
		t.Fatal(err)
	}
	const mod = "module example.com/shop\n\ngo 1.26.0\n\nrequire github.com/hotgo/hotgo v0.0.0\n\nreplace github.com/hotgo/hotgo => %s\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, mod, root), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *service) edit(before, after string) {
	s.t.Helper()
	path := filepath.Join(s.dir, price)
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.Count(string(data), before) != 1 {
		s.t.Fatalf("%s does not have %q once", path, before)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), before, after, 1)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// deploy runs the script, wants an exit code, and gives what it said.
//
//	$ HOTGO=/tmp/hotgo examples/deploy/deploy.sh /tmp/shop localhost:8081 localhost:8082
func (s *service) deploy(code int) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.dir, "examples", "deploy", "deploy.sh"), append([]string{s.binary}, s.addresses...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "HOTGO="+s.hotgo)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("deploy.sh: %v, want exit code %d\n%s", err, code, out)
	}
	return string(out)
}

// serves wants every process to answer with the price of three items.
//
//	$ curl "localhost:8081/price?items=3"
func (s *service) serves(want string) {
	s.t.Helper()
	for _, address := range s.addresses {
		resp, err := http.Get("http://" + address + "/price?items=3")
		if err != nil {
			s.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || strings.TrimSpace(string(body)) != want {
			s.t.Errorf("%s answers %q, %v; want %s", address, body, err, want)
		}
	}
}
