package builder

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// fixture is a module tree in a temporary directory with a host that opens the
// artifacts named on its command line and prints what their Run functions say.
type fixture struct {
	t    testing.TB
	root string // of the tree
	work string // where the builder runs
	env  []string
	host string // binary, once built
}

// newFixture unpacks a txtar archive. A go.mod is added where it has none.
func newFixture(t testing.TB, archive string) *fixture {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, root: root, work: root}
	// Without the version-control and proxy settings of whoever runs the test.
	f.env = append(os.Environ(), "GOFLAGS=", "GOWORK=", "GOPROXY=off", "GONOSUMDB=*", "GOTOOLCHAIN=local")
	a := txtar.Parse([]byte(archive))
	mod := false
	for _, file := range a.Files {
		f.write(file.Name, string(file.Data))
		mod = mod || strings.HasSuffix(file.Name, "go.mod")
	}
	if !mod {
		f.write("go.mod", "module example.com/shop\n\ngo 1.26\n")
	}
	return f
}

func (f *fixture) write(name, data string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// edit replaces text that must be there.
func (f *fixture) edit(name, old, text string) {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		f.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		f.t.Fatalf("%s does not contain %q", name, old)
	}
	f.write(name, strings.Replace(string(data), old, text, 1))
}

// hostMain is the part of a host that every fixture needs.
const hostMain = `
-- server/main.go --
package main

import (
	"fmt"
	"os"
	"plugin"

	_ "example.com/shop/server/uses"
)

func main() {
	for _, path := range os.Args[1:] {
		p, err := plugin.Open(path)
		if err != nil {
			fmt.Println("open:", err)
			continue
		}
		s, err := p.Lookup("HotgoSymbols")
		if err != nil {
			fmt.Println("lookup:", err)
			continue
		}
		s.(func(func(string, any)))(func(name string, v any) {
			if name == "Run" {
				fmt.Println(v.(func() string)())
			}
		})
	}
}
`

// usesNothing is what a host has beside its main package, by default.
const usesNothing = `
-- server/uses/uses.go --
package uses
`

func (f *fixture) buildHost(flags ...string) {
	f.t.Helper()
	f.host = filepath.Join(f.t.TempDir(), "host")
	args := append([]string{"build", "-buildvcs=false", "-o", f.host}, flags...)
	cmd := exec.Command("go", append(args, "./server")...)
	cmd.Dir, cmd.Env = f.root, f.env
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("build the host: %v\n%s", err, out)
	}
}

func (f *fixture) builder(opts Options) *Builder {
	f.t.Helper()
	opts.WorkDir, opts.Env = f.work, f.env
	if opts.Dir == "" {
		opts.Dir = filepath.Join(f.t.TempDir(), "store")
	}
	b, err := New(opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// plan plans one plugin.
func (f *fixture) plan(b *Builder, pattern string) (*Plan, error) {
	f.t.Helper()
	ctx := context.Background()
	plugins, err := b.Find(ctx, pattern)
	if err != nil {
		return nil, err
	}
	if len(plugins) != 1 {
		f.t.Fatalf("%s gives %d plugins: %v", pattern, len(plugins), plugins)
	}
	snap, err := b.Snapshot(ctx, Host{Binary: f.host}, plugins)
	if err != nil {
		return nil, err
	}
	return snap.Plans[0], snap.Errors[plugins[0].Name]
}

// build gives an artifact or fails the test.
func (f *fixture) build(b *Builder, pattern string) *Artifact {
	f.t.Helper()
	p, err := f.plan(b, pattern)
	if err != nil {
		f.t.Fatalf("plan %s: %v", pattern, err)
	}
	a, err := b.Build(context.Background(), p)
	if err != nil {
		f.t.Fatalf("build %s: %v", pattern, err)
	}
	return a
}

// run loads artifacts into one host process and gives what it printed.
func (f *fixture) run(artifacts ...*Artifact) string {
	f.t.Helper()
	var paths []string
	for _, a := range artifacts {
		paths = append(paths, a.Path)
	}
	out, err := exec.Command(f.host, paths...).CombinedOutput()
	if err != nil {
		f.t.Fatalf("run the host: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// files lists the tree, to show that a build leaves it alone.
func (f *fixture) files() string {
	var b strings.Builder
	err := filepath.Walk(f.root, func(path string, fi os.FileInfo, err error) error {
		if err == nil && !fi.IsDir() {
			data, _ := os.ReadFile(path)
			b.WriteString(path + "\n" + string(data))
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return b.String()
}
