package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// BenchmarkEditToLive edits one line of a plugin and measures until the running
// host executes it, split by phase, beside what a plain
// `go build -buildmode=plugin` of the same edit takes without loading it.
// Figures are medians in milliseconds:
//
//	go test ./cmd -run '^$' -bench EditToLive -benchtime 10x
func BenchmarkEditToLive(b *testing.B) {
	repo, err := filepath.Abs("..")
	if err != nil {
		b.Fatal(err)
	}
	cases := []struct{ name, dir, host, plugin, pkg string }{
		{"std", "examples/minimal", ".", "./plugins/greet", "greet"},
		{"gin", "examples/gameserver", "./server", "./plugins/rules", "rules"},
	}
	for _, c := range cases {
		b.Run(c.name+"/hotgo", func(b *testing.B) {
			dir := copyModule(b, repo, c.dir)
			editToLive(b, dir, c.host, c.plugin, c.pkg)
		})
		b.Run(c.name+"/go-build", func(b *testing.B) {
			dir := copyModule(b, repo, c.dir)
			stockBuild(b, dir, c.plugin, c.pkg)
		})
	}
}

// copyModule copies an example and makes it a module that stands by itself.
func copyModule(b *testing.B, repo, example string) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repo, example))); err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		sum, err := os.ReadFile(filepath.Join(repo, "go.sum"))
		if err != nil {
			b.Fatal(err)
		}
		// Inside the repository its path is the main module's, which the
		// copy requires too.
		rename(b, dir, "github.com/hotgo/hotgo/"+example, "example.com/copy")
		mod := "module example.com/copy\n\ngo 1.26.0\n\nrequire github.com/hotgo/hotgo v0.0.0\n"
		write(b, filepath.Join(dir, "go.mod"), mod)
		write(b, filepath.Join(dir, "go.sum"), string(sum))
	}
	goCommand(b, dir, "mod", "edit", "-replace=github.com/hotgo/hotgo="+repo)
	return dir
}

// rename changes an import path in every Go file below dir.
func rename(b *testing.B, dir, from, to string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600)
	})
	if err != nil {
		b.Fatal(err)
	}
}

func editToLive(b *testing.B, dir, host, plugin, pkg string) {
	ctx := context.Background()
	bld, err := builder.New(builder.Options{WorkDir: dir, Dir: filepath.Join(b.TempDir(), "store")})
	if err != nil {
		b.Fatal(err)
	}
	bin := filepath.Join(b.TempDir(), "host")
	if _, err := bld.BuildHost(ctx, host, bin); err != nil {
		b.Fatal(err)
	}
	socketDir := b.TempDir()
	if err := os.Chmod(socketDir, 0o700); err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(socketDir, "s")
	proc := exec.Command(bin)
	proc.Dir = dir
	proc.Env = append(os.Environ(), "HOTGO_SOCKET="+socket, "GAMESERVER_PORT=0")
	if err := proc.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = proc.Process.Kill(); _ = proc.Wait() })
	client := control.NewClient(socket)
	for start := time.Now(); ; {
		if _, err = client.Status(ctx); err == nil {
			break
		}
		if time.Since(start) > time.Minute {
			b.Fatal(err)
		}
	}
	plugins, err := bld.Find(ctx, plugin)
	if err != nil {
		b.Fatal(err)
	}
	phases := map[string][]time.Duration{}
	var size int64
	one := func(n int) {
		edit(b, dir, plugin, pkg, n)
		start := time.Now()
		snap, err := bld.Snapshot(ctx, builder.Host{Binary: bin}, plugins)
		if err != nil || snap.Plans[0] == nil {
			b.Fatal(err, snap)
		}
		planned := time.Now()
		a, err := bld.Build(ctx, snap.Plans[0])
		if err != nil {
			b.Fatal(err)
		}
		built := time.Now()
		if _, err := client.LoadFile(ctx, a.Path, control.LoadOptions{Digest: a.Digest}); err != nil {
			b.Fatal(err)
		}
		done := time.Now()
		size = a.Bytes
		for name, d := range map[string]time.Duration{
			"plan": planned.Sub(start), "compile": a.Compile, "link": a.Link,
			"publish": built.Sub(planned) - a.Compile - a.Link, "load": done.Sub(built), "total": done.Sub(start),
		} {
			phases[name] = append(phases[name], d)
		}
	}
	one(0) // compiles what host and plugin share for plugins, once
	phases = map[string][]time.Duration{}
	n := 0
	for b.Loop() {
		n++
		one(n)
	}
	for name, ds := range phases {
		b.ReportMetric(median(ds), name+"-ms")
	}
	b.ReportMetric(float64(size)/1e6, "artifact-MB")
}

func stockBuild(b *testing.B, dir, plugin, pkg string) {
	main := filepath.Join(dir, "stock")
	if err := os.Mkdir(main, 0o755); err != nil {
		b.Fatal(err)
	}
	module := goCommand(b, dir, "list", "-m")
	write(b, filepath.Join(main, "main.go"), fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", filepath.Join(module, plugin)))
	edit(b, dir, plugin, pkg, 0)
	goCommand(b, dir, "build", "-buildmode=plugin", "-o", "stock.so", "./stock")
	var total []time.Duration
	n := 0
	for b.Loop() {
		n++
		edit(b, dir, plugin, pkg, n)
		start := time.Now()
		goCommand(b, dir, "build", "-buildmode=plugin", "-o", "stock.so", "./stock")
		total = append(total, time.Since(start))
	}
	b.ReportMetric(median(total), "total-ms")
	if info, err := os.Stat(filepath.Join(dir, "stock.so")); err == nil {
		b.ReportMetric(float64(info.Size())/1e6, "artifact-MB")
	}
}

// edit changes one line of the plugin.
func edit(b *testing.B, dir, plugin, pkg string, n int) {
	write(b, filepath.Join(dir, plugin, "edited.go"), "package "+pkg+"\n\nfunc Edited() int { return "+strconv.Itoa(n)+" }\n")
}

func write(b *testing.B, path, text string) {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

func goCommand(b *testing.B, dir string, args ...string) string {
	b.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false -mod=mod")
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("go %v: %v", args, err)
	}
	return string(out[:max(0, len(out)-1)])
}

func median(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2].Microseconds()) / 1000
}
