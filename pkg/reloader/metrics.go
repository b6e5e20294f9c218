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
	if r := s.Restore; r != nil && r.Off == "" {
		family("hotgo_not_restored", "gauge", "Artifacts that were live in an earlier process and are not in this one.")
		fmt.Fprintf(&b, "hotgo_not_restored %d\n", len(r.NotRestored))
		family("hotgo_quarantined", "gauge", "Artifacts that are refused because a process seems to have died of them.")
		fmt.Fprintf(&b, "hotgo_quarantined %d\n", len(r.Quarantined))
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
