package reloader

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// What a host tells in numbers is one value, []family: GET /metrics writes it as
// text (metrics_text.go), and Options.Publish gets the same as a map. Every family
// is always there, with no sample while there is nothing to tell, so that alerts and
// dashboards can be checked against any host. docs/metrics.md explains each.

// family is one metric with all of its samples.
type family struct {
	name, kind, help string
	samples          []sample
}

// sample is one line.
type sample struct {
	suffix string   // behind the family's name, for histograms
	labels []string // name, value, name, value, …
	value  float64
}

// perPlugin is how many generations of a plugin have lines of their own: the
// newest, and the one that serves. A process may get thousands.
const perPlugin = 5

// olderGenerations stands for all the others in the label.
const olderGenerations = "older"

// families gathers the numbers. The text of goroutines is not asked for, so
// nothing stops for it.
func (h *Host) families() []family {
	s := h.status(false)
	var restore control.Restore
	if s.Restore != nil {
		restore = *s.Restore
	}
	all := slices.Concat(h.counted(), served(s), observed(s), []family{
		one("hotgo_host_info", "gauge", "The host: always 1.", 1, "host", s.Name, "package", s.Package, "go_version", s.GoVersion, "build_id", s.BuildID),
		one("hotgo_start_time_seconds", "gauge", "When the host started, in seconds since 1970.", float64(s.Started.UnixMilli())/1000),
		one("hotgo_mapped_bytes", "gauge", "Address space of all generations.", float64(s.Memory.MappedBytes)),
		one("hotgo_resident_bytes", "gauge", "Memory of all generations.", float64(s.Memory.ResidentBytes)),
		one("hotgo_memory_budget_bytes", "gauge", "The host's limit of hotgo_mapped_bytes; 0 is none.", float64(s.MemoryBudgetBytes)),
		one("hotgo_generations_old", "gauge", "Generations that are not live and have goroutines in their code.", float64(s.OldGenerations)),
		one("hotgo_generations_old_max", "gauge", "The host's limit of hotgo_generations_old; 0 is none.", float64(s.MaxOldGenerations)),
		one("hotgo_restart_advised", "gauge", "1 where a limit is reached and the host is to advise a restart then.", yes(s.RestartAdvised != "")),
		one("hotgo_not_restored", "gauge", "Artifacts that were live in an earlier process and are not in this one.", float64(len(restore.NotRestored))),
		one("hotgo_quarantined", "gauge", "Artifacts that are refused because a process seems to have died of them.", float64(len(restore.Quarantined))),
		one("hotgo_stuck_goroutines", "gauge", "Initialisers and hooks that never returned.", float64(s.Stuck)),
	}, h.connected())
	slices.SortFunc(all, func(a, b family) int { return cmp.Compare(a.name, b.name) })
	return all
}

func one(name, kind, help string, value float64, labels ...string) family {
	return family{name, kind, help, []sample{{labels: labels, value: value}}}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// counted is what happened since the host started.
func (h *Host) counted() []family {
	m := &h.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	byPlugin := func(name, help string, counts map[loadLabels]int64) family {
		f := family{name: name, kind: "counter", help: help}
		for _, l := range slices.SortedFunc(maps.Keys(counts), func(a, b loadLabels) int {
			return cmp.Or(cmp.Compare(a.plugin, b.plugin), cmp.Compare(a.verdict, b.verdict))
		}) {
			f.samples = append(f.samples, sample{labels: []string{"plugin", l.plugin, "verdict", string(l.verdict)}, value: float64(counts[l])})
		}
		return f
	}
	calls := family{name: "hotgo_calls_total", kind: "counter", help: "Calls of the control API, by what was answered."}
	for _, l := range slices.SortedFunc(maps.Keys(m.calls), func(a, b callLabels) int {
		return cmp.Or(cmp.Compare(a.call, b.call), cmp.Compare(a.code, b.code))
	}) {
		calls.samples = append(calls.samples, sample{labels: []string{"call", l.call, "code", l.code}, value: float64(m.calls[l])})
	}
	away := family{name: "hotgo_connections_refused_total", kind: "counter", help: "Connections to the socket that were not served."}
	for _, reason := range []string{awayBusy, awayForbidden} {
		away.samples = append(away.samples, sample{labels: []string{"reason", reason}, value: float64(m.away[reason])})
	}
	load := family{name: "hotgo_load_duration_seconds", kind: "histogram", help: "Loads that went live, from the first byte to the switch."}
	load.add(m.load.clone(), loadBounds)
	phases := family{name: "hotgo_load_phase_seconds", kind: "histogram", help: "Parts of hotgo_load_duration_seconds."}
	for _, name := range slices.Sorted(maps.Keys(m.phases)) {
		phases.add(m.phases[name].clone(), loadBounds, "phase", name)
	}
	pause := family{name: "hotgo_patch_pause_seconds", kind: "histogram", help: "How long the process stood still for patches."}
	pause.add(m.pause.clone(), pauseBounds)
	return []family{
		byPlugin("hotgo_loads_total", "Loads that ended, by verdict; without dry runs.", m.loads),
		byPlugin("hotgo_rollbacks_total", "Rollbacks that ended, by verdict.", m.rollbacks),
		calls, away, load, phases, pause,
	}
}

// add enters a histogram: how many values are at most each bound, their sum, and
// how many there are.
func (f *family) add(h histogram, bounds []float64, labels ...string) {
	if h.counts == nil {
		h.counts = make([]int64, len(bounds)+1)
	}
	var n int64
	for i, count := range h.counts {
		n += count
		le := "+Inf"
		if i < len(bounds) {
			le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		f.samples = append(f.samples, sample{"_bucket", slices.Concat(labels, []string{"le", le}), float64(n)})
	}
	f.samples = append(f.samples, sample{"_sum", labels, h.sum}, sample{"_count", labels, float64(n)})
}

// served is what runs now, by plugin.
func served(s control.Status) []family {
	live := family{name: "hotgo_live_generation", kind: "gauge", help: "Generation that serves; 0 is the built-in."}
	count := family{name: "hotgo_generations", kind: "gauge", help: "Generations that are mapped; Go never unmaps one."}
	patched := family{name: "hotgo_patched_functions", kind: "gauge", help: "Functions that run the code of a patch."}
	old := family{name: "hotgo_old_goroutines", kind: "gauge", help: "Goroutines in code of generations that are not live."}
	mapped := family{name: "hotgo_generation_mapped_bytes", kind: "gauge", help: "Address space of a generation; \"older\" sums up those before the newest."}
	resident := family{name: "hotgo_generation_resident_bytes", kind: "gauge", help: "Memory of a generation; \"older\" sums up those before the newest."}
	for _, p := range s.Plugins {
		of := []string{"plugin", p.Name}
		live.samples = append(live.samples, sample{labels: of, value: float64(p.Live)})
		count.samples = append(count.samples, sample{labels: of, value: float64(len(p.Generations))})
		patched.samples = append(patched.samples, sample{labels: of, value: float64(len(p.Replaced))})
		goroutines := 0
		var rest usage
		for i, g := range p.Generations {
			goroutines += g.Goroutines
			if g.Generation != p.Live && i < len(p.Generations)-perPlugin {
				rest.mapped += g.MappedBytes
				rest.resident += g.ResidentBytes
				continue
			}
			which := []string{"plugin", p.Name, "generation", strconv.Itoa(g.Generation)}
			mapped.samples = append(mapped.samples, sample{labels: which, value: float64(g.MappedBytes)})
			resident.samples = append(resident.samples, sample{labels: which, value: float64(g.ResidentBytes)})
		}
		old.samples = append(old.samples, sample{labels: of, value: float64(goroutines)})
		if len(p.Generations) > perPlugin {
			which := []string{"plugin", p.Name, "generation", olderGenerations}
			mapped.samples = append(mapped.samples, sample{labels: which, value: float64(rest.mapped)})
			resident.samples = append(resident.samples, sample{labels: which, value: float64(rest.resident)})
		}
	}
	return []family{live, count, patched, old, mapped, resident}
}

// observed is what calls of plugins have led to, where the program lets the host see
// that, and what health windows are open.
func observed(s control.Status) []family {
	panics := family{name: "hotgo_plugin_panics_total", kind: "counter", help: "Panics that Call.Contain has ended."}
	calls := family{name: "hotgo_plugin_calls_total", kind: "counter", help: "Calls that were reported by Call.Observe."}
	errs := family{name: "hotgo_plugin_errors_total", kind: "counter", help: "Of hotgo_plugin_calls_total, those that gave an error."}
	open := 0
	for _, p := range s.Plugins {
		sum := [3]int64{p.Panics, p.Calls, p.Errors} // the built-in's
		for _, g := range p.Generations {
			sum[0], sum[1], sum[2] = sum[0]+g.Panics, sum[1]+g.Calls, sum[2]+g.Errors
		}
		for i, f := range []*family{&panics, &calls, &errs} {
			f.samples = append(f.samples, sample{labels: []string{"plugin", p.Name}, value: float64(sum[i])})
		}
		if p.Health != nil && p.Health.State == control.HealthObserving {
			open++
		}
	}
	return []family{panics, calls, errs, one("hotgo_health_windows", "gauge", "Health windows that are open.", float64(open))}
}

// connected is who is at the socket now.
func (h *Host) connected() []family {
	f := family{name: "hotgo_connections", kind: "gauge", help: "Connections to the socket: of the host's own user and root, and of others."}
	var own, others int
	if h.server != nil {
		own, others = h.server.gate.taken()
	}
	f.samples = []sample{{labels: []string{"of", "own"}, value: float64(own)}, {labels: []string{"of", "others"}, value: float64(others)}}
	return []family{f, one("hotgo_event_streams", "gauge", "Clients that follow the events.", float64(len(h.api.streams.all)))}
}
