package reloader

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func text(t *testing.T, families ...family) string {
	t.Helper()
	var b strings.Builder
	if err := writeFamilies(&b, families); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMetricsAreWrittenAsPrometheusReadsThem(t *testing.T) {
	var h histogram
	for _, v := range []float64{0.5, 1, 1.5, 99} {
		h.observe([]float64{1, 2}, v)
	}
	f := family{name: "f_seconds", kind: "histogram", help: "Lines\nand \\."}
	f.add(h, []float64{1, 2}, "phase", "a\"b\\c\nd\té\xff")
	got := text(t, f, one("g", "gauge", "None.", 1<<40))
	l := `phase="a\"b\\c\nd` + "\té\uFFFD\""
	want := `# HELP f_seconds Lines\nand \\.
# TYPE f_seconds histogram
f_seconds_bucket{` + l + `,le="1"} 2
f_seconds_bucket{` + l + `,le="2"} 3
f_seconds_bucket{` + l + `,le="+Inf"} 4
f_seconds_sum{` + l + `} 102
f_seconds_count{` + l + `} 4
# HELP g None.
# TYPE g gauge
g 1099511627776
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What strangers send, and how many versions there were, does not make the answer
// grow without end.
func TestMetricsAreBounded(t *testing.T) {
	h := openHost(t, Options{}, newFakeProcess(t))
	for i := range 5000 {
		ev := control.Event{Plugin: fmt.Sprint("plugin", i), Verdict: control.Failed}
		h.metrics.loaded(ev, false)
		h.metrics.rolledBack(ev)
	}
	var total float64
	for _, f := range h.families() {
		if len(f.samples) > 1100 {
			t.Errorf("%s has %d samples", f.name, len(f.samples))
		}
		if f.name == "hotgo_loads_total" {
			for _, s := range f.samples {
				total += s.value
			}
		}
	}
	if total != 5000 {
		t.Errorf("%g loads are counted, want 5000", total)
	}

	p := control.Plugin{Name: "pricing", Live: 3}
	var bytes int64
	for n := range 1000 {
		g := control.Generation{Generation: n + 1, MappedBytes: int64(n + 1), ResidentBytes: 1}
		bytes += g.MappedBytes
		p.Generations = append(p.Generations, g)
	}
	for _, f := range served(control.Status{Plugins: []control.Plugin{p}}) {
		if f.name != "hotgo_generation_mapped_bytes" {
			continue
		}
		var sum float64
		var shown []string
		for _, s := range f.samples {
			sum += s.value
			shown = append(shown, s.labels[3])
		}
		if want := []string{"3", "996", "997", "998", "999", "1000", "older"}; !slices.Equal(shown, want) || sum != float64(bytes) {
			t.Errorf("generations %q with %g bytes, want %q with %d", shown, sum, want, bytes)
		}
	}
}

func TestDryRunIsNoLoad(t *testing.T) {
	var m metrics
	m.loaded(control.Event{Verdict: control.Failed}, true)
	if len(m.loads) != 0 {
		t.Errorf("counted: %v", m.loads)
	}
}

func TestMetricsArePublishedToWhoAsks(t *testing.T) {
	published := map[string]func() any{}
	f := newFakeProcess(t)
	h := openHost(t, Options{Publish: func(name string, read func() any) { published[name] = read }}, f)
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	read := published["hotgo"]
	if read == nil || len(published) != 1 {
		t.Fatalf("published %v", published)
	}
	vars, ok := read().(map[string]float64)
	if !ok || vars[`hotgo_live_generation{plugin="pricing"}`] != 1 || vars[`hotgo_loads_total{plugin="pricing",verdict="swapped"}`] != 1 {
		t.Errorf("it reads %v", vars)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	_ = read() // also after the end
}

func TestRefusalsAreLoggedSparingly(t *testing.T) {
	var s sparing
	now := time.Unix(1000, 0)
	logged := 0
	for range 1000 {
		if _, ok := s.next(now); ok {
			logged++
		}
	}
	if logged != sparingBurst {
		t.Errorf("%d are logged at once, want %d", logged, sparingBurst)
	}
	if skipped, ok := s.next(now.Add(sparingEvery)); !ok || skipped != 1000-sparingBurst {
		t.Errorf("a second later: %v, %d are said to be left out", ok, skipped)
	}
	if _, ok := s.next(now.Add(sparingEvery)); ok {
		t.Error("and one more")
	}
}
