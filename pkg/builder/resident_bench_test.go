package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkResidentSnapshot measures a snapshot after an edit of one function's
// body, in a module of which plugin and host import every package.
func BenchmarkResidentSnapshot(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("packages=%d", n), func(b *testing.B) {
			builder, plugins, host, edit := generatedModule(b, n)
			ctx := context.Background()
			asked := 0
			snapshot := func() *Snapshot {
				snap, err := builder.Snapshot(ctx, Host{Binary: host}, plugins)
				if err != nil {
					b.Fatal(err)
				}
				return snap
			}
			for start := time.Now(); time.Since(start) < time.Second; {
				snapshot() // until what was generated is old enough to be trusted
			}
			builder.tool.OnRun = func([]string) { asked++ }
			last := snapshot().Plans[0].Key
			i := 0
			for b.Loop() {
				b.StopTimer()
				i++
				edit(i)
				b.StartTimer()
				key := snapshot().Plans[0].Key
				if key == last {
					b.Fatal("the edit was not seen")
				}
				last = key
			}
			b.ReportMetric(float64(asked), "go-runs")
		})
	}
}

// generatedModule is a module of n packages of three files: half of them the
// plugin's own, half shared with the host.
func generatedModule(b *testing.B, n int) (builder *Builder, plugins []Plugin, host string, edit func(i int)) {
	b.Helper()
	root, err := filepath.EvalSymlinks(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write("go.mod", "module example.com/shop\n\ngo 1.26\n")
	imports := map[string]string{}
	for i := range n - 2 {
		part := []string{"plugins/pricing/own", "shared/part"}[i%2]
		for _, file := range []string{"a", "b", "c"} {
			write(fmt.Sprintf("%s%d/%s.go", part, i, file), fmt.Sprintf("package part\n\n// Text%s is one function of many.\nfunc Text%s() string { return %q }\n", file, file, fmt.Sprint(i)))
		}
		imports[part] += fmt.Sprintf("import _ \"example.com/shop/%s%d\"\n", part, i)
	}
	pricing := "package pricing\n\n" + imports["plugins/pricing/own"] + imports["shared/part"] + "\nfunc Run() string { return \"run\" }\n"
	write("plugins/pricing/pricing.go", pricing)
	write("server/main.go", "package main\n\nimport _ \"plugin\"\n"+imports["shared/part"]+"\nfunc main() {}\n")
	env := append(os.Environ(), "GOFLAGS=", "GOWORK=", "GOPROXY=off", "GOTOOLCHAIN=local")
	builder, err = New(Options{WorkDir: root, Dir: filepath.Join(b.TempDir(), "store"), Env: env})
	if err != nil {
		b.Fatal(err)
	}
	host = filepath.Join(b.TempDir(), "host")
	if _, err := builder.BuildHost(context.Background(), "./server", host); err != nil {
		b.Fatal(err)
	}
	if plugins, err = builder.Find(context.Background(), "./plugins/pricing"); err != nil {
		b.Fatal(err)
	}
	return builder, plugins, host, func(i int) {
		write("plugins/pricing/own0/a.go", fmt.Sprintf("package part\n\nfunc Texta() string { return \"%d\" }\n", i))
	}
}
