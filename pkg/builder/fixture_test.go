package builder

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// fixture is a module with a host that opens the artifacts named on its command line and
// prints what their Run functions say, and with builders that work in it. Package
// buildtest has these for tests that are of other packages; it imports this one.
type fixture struct{ *hosttest.Module }

func newFixture(t testing.TB, archive string) *fixture {
	t.Helper()
	return &fixture{hosttest.New(t, archive)}
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
	f.T.Helper()
	f.Host = f.GoBuild("./server", flags...)
}

func (f *fixture) builder(opts Options) *Builder {
	f.T.Helper()
	opts.WorkDir, opts.Env = f.Work, f.Env
	if opts.Dir == "" {
		opts.Dir = filepath.Join(f.T.TempDir(), "store")
	}
	b, err := New(opts)
	if err != nil {
		f.T.Fatal(err)
	}
	return b
}

// plan plans one plugin.
func (f *fixture) plan(b *Builder, pattern string) (*Plan, error) {
	f.T.Helper()
	ctx := context.Background()
	plugins, err := b.Find(ctx, pattern)
	if err != nil {
		return nil, err
	}
	if len(plugins) != 1 {
		f.T.Fatalf("%s gives %d plugins: %v", pattern, len(plugins), plugins)
	}
	snap, err := b.Snapshot(ctx, Host{Binary: f.Host}, plugins)
	if err != nil {
		return nil, err
	}
	return snap.Plans[0], snap.Errors[plugins[0].Name]
}

// build gives an artifact or fails the test.
func (f *fixture) build(b *Builder, pattern string) *Artifact {
	f.T.Helper()
	p, err := f.plan(b, pattern)
	if err != nil {
		f.T.Fatalf("plan %s: %v", pattern, err)
	}
	a, err := b.Build(context.Background(), p)
	if err != nil {
		f.T.Fatalf("build %s: %v", pattern, err)
	}
	return a
}

// run loads artifacts into one host process and gives what it printed.
func (f *fixture) run(artifacts ...*Artifact) string {
	f.T.Helper()
	var paths []string
	for _, a := range artifacts {
		paths = append(paths, a.Path)
	}
	out, err := exec.Command(f.Host, paths...).CombinedOutput()
	if err != nil {
		f.T.Fatalf("run the host: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// files lists the tree, to show that a build leaves it alone.
func (f *fixture) files() string {
	var b strings.Builder
	err := filepath.Walk(f.Root, func(path string, fi os.FileInfo, err error) error {
		if err == nil && !fi.IsDir() {
			data, _ := os.ReadFile(path)
			b.WriteString(path + "\n" + string(data))
		}
		return err
	})
	if err != nil {
		f.T.Fatal(err)
	}
	return b.String()
}
