package reloader

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// metrics counts how loads ended, and has how long the last patch took.
type metrics struct {
	mu    sync.Mutex
	loads map[loadLabels]int64
	pause time.Duration // of the last patch
}

type loadLabels struct {
	plugin  string
	verdict control.Verdict
}

func (m *metrics) count(plugin string, verdict control.Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loads == nil {
		m.loads = map[loadLabels]int64{}
	}
	// Names come out of files that strangers may send: they get one line each
	// only up to a bound.
	const maxLines = 1000
	labels := loadLabels{plugin, verdict}
	if _, ok := m.loads[labels]; !ok && len(m.loads) >= maxLines {
		labels.plugin = ""
	}
	m.loads[labels]++
}

func (m *metrics) paused(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause = d
}

// writeMetrics writes the Prometheus text format, version 0.0.4.
func (h *Host) writeMetrics(w io.Writer) error {
	var b strings.Builder
	s := h.status(false)
	family := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	family("hotgo_loads_total", "counter", "Loads that ended, by verdict.")
	h.metrics.mu.Lock()
	loads, pause := maps.Clone(h.metrics.loads), h.metrics.pause
	h.metrics.mu.Unlock()
	for _, l := range slices.SortedFunc(maps.Keys(loads), func(a, b loadLabels) int {
		return cmp.Or(cmp.Compare(a.plugin, b.plugin), cmp.Compare(a.verdict, b.verdict))
	}) {
		fmt.Fprintf(&b, "hotgo_loads_total{plugin=%s,verdict=%s} %d\n", label(l.plugin), label(string(l.verdict)), loads[l])
	}
	family("hotgo_live_generation", "gauge", "Generation that serves; 0 is the built-in.")
	for _, p := range s.Plugins {
		fmt.Fprintf(&b, "hotgo_live_generation{plugin=%s} %d\n", label(p.Name), p.Live)
	}
	family("hotgo_generations", "gauge", "Generations that are mapped; Go never unmaps one.")
	for _, p := range s.Plugins {
		fmt.Fprintf(&b, "hotgo_generations{plugin=%s} %d\n", label(p.Name), len(p.Generations))
	}
	family("hotgo_mapped_bytes", "gauge", "Address space of all generations.")
	fmt.Fprintf(&b, "hotgo_mapped_bytes %d\n", s.Memory.MappedBytes)
	family("hotgo_resident_bytes", "gauge", "Memory of all generations.")
	fmt.Fprintf(&b, "hotgo_resident_bytes %d\n", s.Memory.ResidentBytes)
	family("hotgo_generations_old", "gauge", "Generations that are not live and have goroutines in their code.")
	fmt.Fprintf(&b, "hotgo_generations_old %d\n", s.OldGenerations)
	family("hotgo_old_goroutines", "gauge", "Goroutines in code of generations that are not live.")
	for _, p := range s.Plugins {
		n := 0
		for _, g := range p.Generations {
			n += g.Goroutines
		}
		fmt.Fprintf(&b, "hotgo_old_goroutines{plugin=%s} %d\n", label(p.Name), n)
	}
	if s.MaxOldGenerations > 0 {
		family("hotgo_generations_old_max", "gauge", "The host's limit of old generations in use.")
		fmt.Fprintf(&b, "hotgo_generations_old_max %d\n", s.MaxOldGenerations)
	}
	if s.MemoryBudgetBytes > 0 {
		family("hotgo_memory_budget_bytes", "gauge", "The host's limit of hotgo_mapped_bytes.")
		fmt.Fprintf(&b, "hotgo_memory_budget_bytes %d\n", s.MemoryBudgetBytes)
	}
	b.WriteString(healthMetrics(s))
	family("hotgo_stuck_goroutines", "gauge", "Initialisers and hooks that never returned.")
	fmt.Fprintf(&b, "hotgo_stuck_goroutines %d\n", s.Stuck)
	if pause != 0 {
		family("hotgo_patch_pause_seconds", "gauge", "How long the process stood still for the last patch.")
		fmt.Fprintf(&b, "hotgo_patch_pause_seconds %g\n", pause.Seconds())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// label quotes a label's value: only these three are escaped in that format,
// so strconv.Quote would be wrong.
func label(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(v) + `"`
}

// healthMetrics writes what calls have led to, where any is looked at.
func healthMetrics(s control.Status) string {
	var b strings.Builder
	for _, m := range []struct {
		name, help string
		of         func(control.Generation) int64
		builtin    func(control.Plugin) int64
	}{
		{
			"hotgo_plugin_panics_total", "Panics that Call.Contain has ended.",
			func(g control.Generation) int64 { return g.Panics }, func(p control.Plugin) int64 { return p.Panics },
		},
		{
			"hotgo_plugin_calls_total", "Calls that were reported by Call.Observe.",
			func(g control.Generation) int64 { return g.Calls }, func(p control.Plugin) int64 { return p.Calls },
		},
		{
			"hotgo_plugin_errors_total", "Of these, those that gave an error.",
			func(g control.Generation) int64 { return g.Errors }, func(p control.Plugin) int64 { return p.Errors },
		},
	} {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n", m.name, m.help, m.name)
		for _, p := range s.Plugins {
			n := m.builtin(p)
			for _, g := range p.Generations {
				n += m.of(g)
			}
			fmt.Fprintf(&b, "%s{plugin=%s} %d\n", m.name, label(p.Name), n)
		}
	}
	open := 0
	for _, p := range s.Plugins {
		if p.Health != nil && p.Health.State == control.HealthObserving {
			open++
		}
	}
	fmt.Fprintf(&b, "# HELP hotgo_health_windows Health windows that are open.\n# TYPE hotgo_health_windows gauge\nhotgo_health_windows %d\n", open)
	return b.String()
}
