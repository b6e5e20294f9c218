package thin

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestOnlyWhatWasTestedIsSupported(t *testing.T) {
	rows := []struct {
		version, goos, goarch, reason string
	}{
		{"go1.26", "linux", "amd64", ""},
		{"go1.26.8", "linux", "amd64", ""},
		{"go1.27.1", "linux", "amd64", ""},
		{"go1.27rc2", "linux", "amd64", ""},
		{"go1.26.8 X:loopvar", "linux", "amd64", "not go1.26.8 X:loopvar"},
		{"go1.25.9", "linux", "amd64", "Go 1.26 and 1.27, not go1.25.9"},
		{"go1.28", "linux", "amd64", "not go1.28"},
		{"devel +abc", "linux", "amd64", "not devel +abc"},
		{"", "linux", "amd64", "not "},
		{"go1.26.8", "linux", "arm64", "linux/amd64, not linux/arm64"},
		{"go1.26.8", "darwin", "amd64", "not darwin/amd64"},
		{"go1.26.8", "freebsd", "amd64", "not freebsd/amd64"},
	}
	for _, row := range rows {
		ok, reason := Supported(row.version, row.goos, row.goarch)
		if ok != (row.reason == "") || ok != (reason == "") || !strings.Contains(reason, row.reason) {
			t.Errorf("%+v: %v, %q", row, ok, reason)
		}
	}
}

// A real host, built once for each release that is installed.

const hostSource = `package main

import (
	"encoding/json"
	"fmt"
	"os"
	"plugin"
	"strings"
)

type List[T any] struct{ items []T }

//go:noinline
func (l *List[T]) Add(v T) { l.items = append(l.items, v) }

type named struct {
	A, B map[string]*named
	Wide [900]struct {
		N int
		P *named
	}
}

func main() {
	for _, p := range os.Args[1:] {
		if _, err := plugin.Open(p); err != nil {
			fmt.Println(err)
		}
	}
	var at List[struct {
		X string ` + "`json:\"a@b\"`" + `
	}]
	at.Add(struct {
		X string ` + "`json:\"a@b\"`" + `
	}{"x"})
	var l List[*named]
	l.Add(&named{})
	text, err := json.Marshal(map[string]any{"l": at.items, "f": func(a <-chan int, b ...[3]*named) (error, interface{ M() }) { return nil, nil } == nil})
	fmt.Println(&at, len(l.items), string(text), err, strings.Repeat("x", 3))
}
`

// releases are the toolchains to test with: the one that runs the test and,
// where it is installed, the other supported one. Nothing is downloaded.
func releases(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{runtime.Version(): "go"}
	mod, _ := goOutput(t, "go", ".", "env", "GOMODCACHE")
	found, err := filepath.Glob(filepath.Join(mod, "golang.org", "toolchain@v0.0.1-go1.2[67]*.linux-amd64", "bin", "go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		version, _ := goOutput(t, path, ".", "version")
		out[strings.Fields(version)[2]] = path
	}
	return out
}

// goOutput runs a go command in dir and gives what it prints, without space
// around it.
func goOutput(t testing.TB, gocmd, dir string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gocmd, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%.2000s", gocmd, strings.Join(args, " "), err, errOut.Bytes())
	}
	return strings.TrimSpace(out.String()), strings.TrimSpace(errOut.String())
}

// realHost is a host with what its linker said about its symbols.
type realHost struct {
	path string
	deps string // see -dumpdep
}

var realHosts = struct {
	sync.Mutex
	byGo map[string]*realHost
}{byGo: map[string]*realHost{}}

// buildHost builds the host with a go command, or gives the one that it built
// before.
func buildHost(t testing.TB, gocmd string, flags ...string) *realHost {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a program")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("programs for linux/amd64 are built with cgo here only on it")
	}
	realHosts.Lock()
	defer realHosts.Unlock()
	key := gocmd + " " + strings.Join(flags, " ")
	if h := realHosts.byGo[key]; h != nil {
		return h
	}
	dir, err := os.MkdirTemp("", "hotgo-thin-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": "module example.com/v2.go/host.x\n\ngo 1.26\n", "main.go": hostSource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := &realHost{path: filepath.Join(dir, "host")}
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-dumpdep", "-o", h.path}, flags...)
	_, h.deps = goOutput(t, gocmd, dir, append(args, ".")...)
	realHosts.byGo[key] = h
	return h
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, h := range realHosts.byGo {
		if h != nil {
			os.RemoveAll(filepath.Dir(h.path))
		}
	}
	os.Exit(code)
}
