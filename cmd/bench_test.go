package cmd_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// BenchmarkEditToLive edits one line of a plugin while `hotgo watch` runs, and
// measures from the write until the running host answers with it, over its own
// socket. Beside it stands what people do without hotgo: a plain `go build
// -buildmode=plugin` of the same package and plugin.Open.
//
//	go test ./cmd -run '^$' -bench EditToLive -benchtime 20x -timeout 30m
//
// Figures: median and 90th percentile in milliseconds; hotgo's own account of
// its phases (medians); the size of an artifact; the host's resident memory for
// each further generation; and, as first-ms, the first reload after the host
// was built with an empty build cache (-short uses the ordinary cache, where
// much more is found).
func BenchmarkEditToLive(b *testing.B) {
	for _, kind := range []string{"std", "gin"} {
		b.Run(kind, func(b *testing.B) {
			m := newBenchModule(b, kind)
			cache := ""
			if !testing.Short() {
				cache = b.TempDir()
				m.env = append(m.env, "GOCACHE="+cache)
			}
			m.buildHost()
			for _, way := range []string{"patch", "thin", "full", "stock"} {
				b.Run(way, func(b *testing.B) {
					m := *m
					m.b = b
					if cache != "" {
						// What one way compiles is not there for the next.
						own := filepath.Join(b.TempDir(), "cache")
						if err := os.CopyFS(own, os.DirFS(cache)); err != nil {
							b.Fatal(err)
						}
						m.env = append(slices.Clone(m.env), "GOCACHE="+own)
					}
					m.edit(0)
					if way == "stock" {
						m.stock()
						return
					}
					m.reload(way)
				})
			}
		})
	}
}

// reload edits and waits, as many times as the benchmark wants. The plugin is
// linked in a way and swapped, or with "patch" patched where it is built in.
func (m *benchModule) reload(link string) {
	b := m.b
	h := m.start()
	began := time.Now()
	loads := m.watch(h, link)
	if link == "patch" { // the host is up to date: the first edit is the first reload
		m.edit(1)
		h.until(1)
	}
	// Else watch brings a host up to date first: that is the first reload.
	first := m.loaded(loads)
	took := time.Since(began)
	m.edit(2)
	h.until(2)
	m.loaded(loads)
	before := h.rss()

	var live milliseconds
	phases := map[string]milliseconds{}
	n := 2
	for b.Loop() {
		n++
		start := time.Now()
		m.edit(n)
		h.until(n)
		live.add(time.Since(start))
		e := m.loaded(loads)
		if e.Link != first.Link {
			b.Fatalf("linked %s, and %s at first: %s", e.Link, first.Link, e.Reason)
		}
		if p := e.PhasesMS; p != nil {
			for phase, ms := range map[string]float64{"detect": p.Detect, "plan": p.Plan, "compile": p.Compile, "link": p.Link, "verify": p.Verify, "load": p.Load, "pause": p.Pause} {
				phases[phase] = append(phases[phase], ms)
			}
		}
		b.ReportMetric(float64(e.ArtifactBytes)/1000, "artifact-KB")
	}
	b.ReportMetric((h.rss()-before)/float64(n-2), "RSS-KB/gen")
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		b.ReportMetric(phases[phase].at(0.5), phase+"-ms")
	}
	m.report(took, live)
}

// loaded waits for the next load.
func (m *benchModule) loaded(loads <-chan control.Event) control.Event {
	m.b.Helper()
	e, ok := <-loads
	if !ok || e.Event == control.KindFailed {
		m.b.Fatalf("hotgo watch failed: %+v", e)
	}
	return e
}

// stock does without hotgo. Each edit is a package of its own, because a plugin
// path can be opened only once.
func (m *benchModule) stock() {
	b := m.b
	h := m.start()
	out := b.TempDir()
	var size int64
	one := func(n int) {
		name := fmt.Sprintf("stock/g%d", n)
		m.write(name+"/answer.go", "package main\n"+kinds[m.kind].answer+"\nfunc main() {}\n")
		m.write(name+"/number.go", number("main", n))
		so := filepath.Join(out, fmt.Sprintf("g%d.so", n))
		m.run(m.dir, "build", "-buildmode=plugin", "-o", so, "./"+name)
		h.open(so)
		h.until(n)
		info, err := os.Stat(so)
		if err != nil {
			b.Fatal(err)
		}
		size = info.Size()
		_ = os.Remove(so)
	}
	began := time.Now()
	one(1)
	took := time.Since(began)
	before := h.rss()
	var live milliseconds
	n := 1
	for b.Loop() {
		n++
		start := time.Now()
		one(n)
		live.add(time.Since(start))
	}
	b.ReportMetric(float64(size)/1000, "artifact-KB")
	b.ReportMetric((h.rss()-before)/float64(n-1), "RSS-KB/gen")
	m.report(took, live)
}

func (m *benchModule) report(first time.Duration, live milliseconds) {
	m.b.ReportMetric(float64(first.Milliseconds()), "first-ms")
	m.b.ReportMetric(live.at(0.5), "live-p50-ms")
	m.b.ReportMetric(live.at(0.9), "live-p90-ms")
	m.b.ReportMetric(0, "ns/op")
}

// BenchmarkModuleSize shows what an edit costs in a module of 10 packages and
// of 1,000, which host and plugin share; the plugin has 10 packages of its own
// in both.
//
//	go test ./cmd -run '^$' -bench ModuleSize -benchtime 20x -timeout 30m
func BenchmarkModuleSize(b *testing.B) {
	for _, packages := range []int{10, 1000} {
		b.Run(fmt.Sprint(packages), func(b *testing.B) {
			m := newBenchModule(b, "std")
			// A tree, of which the root reaches all.
			for i := range packages {
				imports, sum := "", "1"
				for _, child := range []int{2*i + 1, 2*i + 2} {
					if child < packages {
						imports += fmt.Sprintf("import s%d \"example.com/bench/shared/s%d\"\n", child, child)
						sum += fmt.Sprintf(" + s%d.Count(s)", child)
					}
				}
				m.write(fmt.Sprintf("shared/s%d/s.go", i), fmt.Sprintf("package s%d\n\n%s\ntype T struct{ A, B string }\n\nfunc Count(s []string) int {\n\tfor i := range s {\n\t\ts[i] += \"x\"\n\t}\n\treturn %s\n}\n", i, imports, sum))
			}
			for i := range 10 {
				imports, result := "", "0"
				if i < 9 {
					imports = fmt.Sprintf("import next \"example.com/bench/plugins/answer/p%d\"\n", i+1)
					result = "next.Value()"
				}
				m.write(fmt.Sprintf("plugins/answer/p%d/p.go", i), fmt.Sprintf("package p%d\n\n%s\ntype T struct{ A map[string]int }\n\nvar last T\n\nfunc Value() int { last.A = map[string]int{\"a\": 1}; return %s + len(last.A) }\n", i, imports, result))
			}
			m.write("plugins/answer/uses.go", "package answer\n\nimport (\n\t\"example.com/bench/plugins/answer/p0\"\n\t\"example.com/bench/shared/s0\"\n)\n\nvar Uses = func() int { return p0.Value() + s0.Count(nil) }\n")
			m.write("host/uses.go", "package main\n\nimport \"example.com/bench/shared/s0\"\n\nvar uses = s0.Count(nil)\n")
			m.buildHost()
			m.reload("thin")
		})
	}
}
