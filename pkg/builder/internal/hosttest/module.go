// Package hosttest is what tests of package builder stand on, whichever package they are
// of: modules in temporary directories, hosts that the go command builds of them, and
// processes of these hosts, which do what they are told on standard input.
//
// It does not know builder, whose own tests import it.
package hosttest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/goproxytest"
	"golang.org/x/tools/txtar"
)

// Module is a module tree in a temporary directory. It fails the test T where it cannot
// do what it is asked to, and ends with it. Fields may be changed between two calls.
type Module struct {
	T    testing.TB
	Root string   // of the tree
	Work string   // where a builder is to run: Root, where it is not set to another
	Env  []string // of the go command
	Host string   // the host's binary, once there is one
}

// New unpacks a txtar archive. A go.mod, of module example.com/shop, is added where it
// has none.
func New(t testing.TB, archive string) *Module {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &Module{T: t, Root: root, Work: root}
	// Without the version-control and proxy settings of whoever runs the test.
	m.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=", "GOPROXY=off", "GONOSUMDB=*", "GOTOOLCHAIN=local")
	mod := false
	for _, file := range txtar.Parse([]byte(archive)).Files {
		m.Write(file.Name, string(file.Data))
		mod = mod || strings.HasSuffix(file.Name, "go.mod")
	}
	if !mod {
		m.Write("go.mod", "module example.com/shop\n\ngo 1.26\n")
	}
	return m
}

// In gives the same tree to a subtest. What is set in the one's fields does not show in
// the other's.
func (m *Module) In(t testing.TB) *Module {
	own := *m
	own.T = t
	return &own
}

// Write writes a file of the tree, and makes its directory.
func (m *Module) Write(name, data string) {
	m.T.Helper()
	path := filepath.Join(m.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		m.T.Fatal(err)
	}
}

// Edit replaces text that must be there, where it is first.
func (m *Module) Edit(name, old, text string) {
	m.T.Helper()
	data, err := os.ReadFile(filepath.Join(m.Root, name))
	if err != nil {
		m.T.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		m.T.Fatalf("%s does not contain %q", name, old)
	}
	m.Write(name, strings.Replace(string(data), old, text, 1))
}

// AddReloader copies what hosts embed to the tree's directory hotgo, for a go.mod that
// replaces hotgo's module by it: it needs no other module, and nobody works on it
// meanwhile.
func (m *Module) AddReloader() {
	m.T.Helper()
	m.Write("hotgo/go.mod", "module github.com/hotgo/hotgo\n\ngo 1.26\n")
	repo := Repository(m.T)
	for _, dir := range []string{"internal", "reloader"} {
		err := filepath.WalkDir(filepath.Join(repo, "pkg", dir), func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && e.Name() == "testdata":
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(repo, path)
			if err == nil {
				m.Write(filepath.Join("hotgo", name), string(data))
			}
			return err
		})
		if err != nil {
			m.T.Fatal(err)
		}
	}
}

// GoBuild builds a program of the tree as users do who leave hotgo out, and gives its
// path, which is another each time.
func (m *Module) GoBuild(pkg string, flags ...string) string {
	m.T.Helper()
	path := filepath.Join(m.T.TempDir(), "host")
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	cmd := exec.CommandContext(m.T.Context(), "go", append(args, pkg)...)
	cmd.Dir, cmd.Env = m.Root, m.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		m.T.Fatalf("build the host: %v\n%s", err, out)
	}
	return path
}

// Repository gives the directory of hotgo's own module.
func Repository(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// ServeLib serves versions v1.0.0 and v1.1.0 of module example.com/lib, of which function
// V gives "one" and "two", until the test ends. It gives the environment for them, to be
// added to that of a module.
func ServeLib(t testing.TB) []string {
	t.Helper()
	mods := t.TempDir()
	for version, body := range map[string]string{"v1.0.0": "one", "v1.1.0": "two"} {
		module := "-- .mod --\nmodule example.com/lib\n\ngo 1.26\n-- .info --\n{\"Version\":\"" + version + "\"}\n-- go.mod --\nmodule example.com/lib\n\ngo 1.26\n-- lib.go --\npackage lib\n\nfunc V() string { return \"" + body + "\" }\n"
		if err := os.WriteFile(filepath.Join(mods, "example.com_lib_"+version+".txtar"), []byte(module), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proxy, err := goproxytest.NewServer(mods, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return []string{"GOPROXY=" + proxy.URL, "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOMODCACHE=" + t.TempDir()}
}
