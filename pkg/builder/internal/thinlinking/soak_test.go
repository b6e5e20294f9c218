//go:build linux && cgo

package thinlinking_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// soak loads generations of plugin small into one process.
type soak struct {
	*hosttest.Module
	process *hosttest.Process
	store   string // of builder
	builder *builder.Builder
	plugins []builder.Plugin

	loads []time.Duration // plugin.Open, in the host
	built []time.Duration // from the edit to the artifact
	rss   []int64         // bytes, before the first and after each hundredth
	maps  []int
	bytes int64 // of the last artifact
}

func newSoak(t testing.TB, env ...string) *soak {
	t.Helper()
	s := &soak{Module: hosttest.New(t, hostsModule), store: t.TempDir()}
	s.Host = s.GoBuild("./host")
	s.builder = buildtest.New(s.Module, builder.Options{Dir: s.store, Link: "thin", Resident: true})
	t.Cleanup(func() { s.builder.Close() })
	found, err := s.builder.Find(context.Background(), "./plugins/small")
	if err != nil {
		t.Fatal(err)
	}
	s.plugins = found
	s.process = s.Start(s.Host, env...)
	s.measure()
	return s
}

// load builds and loads generations from the given one up to n.
func (s *soak) load(from, n int) {
	s.T.Helper()
	for gen := from; gen <= n; gen++ {
		start := time.Now()
		generation(s.Module, "small", gen)
		snap, err := s.builder.Snapshot(context.Background(), builder.Host{Binary: s.Host}, s.plugins)
		if err != nil {
			s.T.Fatal(err)
		}
		if snap.Plans[0] == nil {
			s.T.Fatalf("generation %d: %v", gen, snap.Errors)
		}
		a, err := s.builder.Build(context.Background(), snap.Plans[0])
		if err != nil {
			s.T.Fatalf("generation %d: %v", gen, err)
		}
		s.built = append(s.built, time.Since(start))
		s.bytes = a.Bytes
		said := s.process.Say("open", a.Path)
		ns, err := strconv.ParseInt(said[0], 10, 64)
		if len(said) != 1 || err != nil {
			s.T.Fatalf("generation %d: %q", gen, said)
		}
		s.loads = append(s.loads, time.Duration(ns))
		if gen%100 == 0 {
			s.measure()
		}
	}
}

func (s *soak) measure() {
	s.T.Helper()
	said := s.process.Say("memory")
	kb, err := strconv.ParseInt(said[0], 10, 64)
	if err != nil {
		s.T.Fatalf("%q", said)
	}
	maps, err := strconv.Atoi(said[1])
	if err != nil {
		s.T.Fatalf("%q", said)
	}
	s.rss, s.maps = append(s.rss, kb<<10), append(s.maps, maps)
}

// check calls every generation twice: each says its own number.
func (s *soak) check(n int) {
	s.T.Helper()
	said := s.process.Say("call")
	if len(said) != 2*n {
		s.T.Fatalf("%d answers of %d generations, the last are %q", len(said), n, said[max(0, len(said)-3):])
	}
	for i, line := range said {
		gen := i%n + 1
		if want := fmt.Sprintf("%d 1330 210 g%d-4 host <nil> true", gen, gen); line != want {
			s.T.Fatalf("generation %d says %q, want %q", gen, line, want)
		}
	}
}

// middle gives the median of up to ten values, in milliseconds.
func middle(ds []time.Duration) float64 {
	ds = slices.Clone(ds)
	slices.Sort(ds)
	return float64(ds[len(ds)/2].Microseconds()) / 1000
}

// report prints what n generations cost.
func (s *soak) report(n int) map[string]float64 {
	s.measure()
	ten := min(10, n)
	last := len(s.rss) - 1
	return map[string]float64{
		"first-load-ms":  middle(s.loads[:ten]),
		"last-load-ms":   middle(s.loads[n-ten:]),
		"first-build-ms": middle(s.built[1:ten]),
		"last-build-ms":  middle(s.built[n-ten:]),
		"RSS-KB/gen":     float64(s.rss[last]-s.rss[0]) / 1024 / float64(n),
		"maps/gen":       float64(s.maps[last]-s.maps[0]) / float64(n),
		"artifact-KB":    float64(s.bytes) / 1000,
	}
}

// generationsWanted is how many generations a test loads. The environment may
// ask for more; each costs what an edit costs.
func generationsWanted(t testing.TB, usual int) int {
	t.Helper()
	if testing.Short() {
		return usual / 5
	}
	if v := os.Getenv("HOTGO_TEST_GENERATIONS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 20 {
			t.Fatalf("HOTGO_TEST_GENERATIONS=%s: want a number from 20", v)
		}
		return n
	}
	return usual
}

// Artifacts share what a process has little of: storage for threads in the C
// library, mappings, addresses near each other. None of it may run out.
func TestManyGenerationsStayAlive(t *testing.T) {
	n := generationsWanted(t, 150)
	s := newSoak(t)
	s.load(1, n)
	s.check(n)
	if said := s.process.Say("hammer", 1); len(said) != 1 || said[0] != fmt.Sprint("hammered ", n) {
		t.Errorf("old and new called at the same time: %q", said)
	}
	// A mapping limit is 65,530 by default (vm.max_map_count).
	figures := s.report(n)
	t.Logf("%d generations: %v", n, figures)
	if per := figures["maps/gen"]; per > 8 {
		t.Errorf("%.1f mappings for each generation", per)
	}
	// The store keeps few artifacts; those that are gone from it still run.
	const kept = 16 // where Options.Keep does not say
	if left, err := filepath.Glob(filepath.Join(s.store, "small", "*.so")); err == nil && len(left) > 2*kept {
		t.Errorf("%d artifacts in the store", len(left))
	}
}

// Live data that only variables of artifacts hold, while the collector works
// all the time and checks its own marks.
func TestGenerationsKeepTheirDataUnderGarbageCollection(t *testing.T) {
	n := generationsWanted(t, 30)
	for _, toolchain := range append([]string{""}, hosttest.Toolchains(t)...) {
		t.Run(toolchain, func(t *testing.T) {
			t.Parallel()
			s := &soak{Module: hosttest.New(t, hostsModule)}
			if toolchain != "" {
				s.Env = append(s.Env, "GOTOOLCHAIN="+toolchain)
			}
			s.soakUnderPressure(min(n, 30))
		})
	}
}

func (s *soak) soakUnderPressure(n int) {
	s.T.Helper()
	s.Host = s.GoBuild("./host")
	s.builder = buildtest.New(s.Module, builder.Options{Link: "thin", Resident: true})
	s.T.Cleanup(func() { s.builder.Close() })
	var err error
	if s.plugins, err = s.builder.Find(context.Background(), "./plugins/small"); err != nil {
		s.T.Fatal(err)
	}
	s.process = s.Start(s.Host, "GODEBUG=gccheckmark=1", "GOGC=1")
	for gen := 1; gen <= n; gen++ {
		s.load(gen, gen)
		if gen%10 == 0 {
			s.check(gen)
			if said := s.process.Say("hammer", 3); len(said) != 1 || said[0] != fmt.Sprint("hammered ", gen) {
				s.T.Fatalf("old and new called at the same time: %q", said)
			}
		}
	}
	if errs := strings.TrimSpace(s.process.Stderr.String()); errs != "" {
		s.T.Errorf("the host says\n%.2000s", errs)
	}
}

// BenchmarkGenerations loads as many generations as -benchtime says into one
// process:
//
//	go test ./pkg/builder/internal/thinlinking -run '^$' -bench Generations -benchtime 1000x
//
// The figures of loads and builds are medians of the first ten and the last
// ten; memory is the process's, the plugin's own data included.
func BenchmarkGenerations(b *testing.B) {
	s := newSoak(b)
	n := 0
	for b.Loop() {
		n++
		s.load(n, n)
	}
	s.check(n)
	if n < 20 {
		b.Log("too few generations to compare the first with the last")
		return
	}
	for name, v := range s.report(n) {
		b.ReportMetric(v, name)
	}
	b.ReportMetric(0, "ns/op")
}
