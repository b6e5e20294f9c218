package reloader

import (
	"slices"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// metrics counts what status cannot tell: what happened, and how long it took.
type metrics struct {
	mu        sync.Mutex
	loads     map[loadLabels]int64
	rollbacks map[loadLabels]int64
	calls     map[callLabels]int64
	away      map[string]int64 // connections without a place or a welcome, by reason
	load      histogram        // whole loads
	phases    map[string]*histogram
	pause     histogram // of patches
}

type loadLabels struct {
	plugin  string
	verdict control.Verdict
}

// callLabels are bounded: there are nine calls, and the codes of control.Error.
type callLabels struct{ call, code string }

// Why a connection is not served.
const (
	awayForbidden = "forbidden"
	awayBusy      = "busy"
)

// loaded counts how a load ended, and where its time went if it went live. A dry
// run is none.
func (m *metrics) loaded(ev control.Event, dryRun bool) {
	if dryRun {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads = countPlugin(m.loads, ev)
	if ev.Verdict != control.Swapped && ev.Verdict != control.Patched {
		return
	}
	m.load.observe(loadBounds, ev.TotalMS/1000)
	m.observe(ev.PhasesMS)
}

// rolledBack counts how a rollback ended.
func (m *metrics) rolledBack(ev control.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rollbacks = countPlugin(m.rollbacks, ev)
}

// countPlugin counts an event's verdict. Names come out of files that strangers may
// send, and out of requests: they get one line each only up to a bound.
func countPlugin(counts map[loadLabels]int64, ev control.Event) map[loadLabels]int64 {
	const maxLines = 1000
	if counts == nil {
		counts = map[loadLabels]int64{}
	}
	labels := loadLabels{ev.Plugin, ev.Verdict}
	if _, ok := counts[labels]; !ok && len(counts) >= maxLines {
		labels.plugin = ""
	}
	counts[labels]++
	return counts
}

// observe enters the phases that ran. The caller holds m.mu.
func (m *metrics) observe(p *control.Phases) {
	if p == nil {
		return
	}
	if m.phases == nil {
		m.phases = map[string]*histogram{}
	}
	for name, ms := range map[string]float64{
		"verify": p.Verify, "load": p.Load, "health": p.Health, "switch": p.Switch, "state": p.State,
	} {
		if ms <= 0 {
			continue
		}
		if m.phases[name] == nil {
			m.phases[name] = &histogram{}
		}
		m.phases[name].observe(loadBounds, ms/1000)
	}
}

func (m *metrics) paused(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause.observe(pauseBounds, d.Seconds())
}

// called counts a call of the control API; code is "" for success.
func (m *metrics) called(call, code string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = map[callLabels]int64{}
	}
	if code == "" {
		code = "ok"
	}
	m.calls[callLabels{call, code}]++
}

// turnedAway counts a connection that was closed or is only told that it is not
// welcome.
func (m *metrics) turnedAway(welcome bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away == nil {
		m.away = map[string]int64{}
	}
	reason := awayForbidden
	if welcome {
		reason = awayBusy
	}
	m.away[reason]++
}

// Bounds of histograms, in seconds. Loads take from half a millisecond, thin, to
// what an initialiser takes; a pause is from ten microseconds on.
var (
	loadBounds  = []float64{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30}
	pauseBounds = []float64{0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.01, 0.1, 1}
)

// histogram counts values by upper bound. The zero value is empty.
type histogram struct {
	counts []int64 // one for each bound, and one for what is above
	sum    float64
}

func (h *histogram) observe(bounds []float64, v float64) {
	if h.counts == nil {
		h.counts = make([]int64, len(bounds)+1)
	}
	at, _ := slices.BinarySearch(bounds, v)
	h.counts[at]++
	h.sum += v
}

// clone gives a copy that nobody else writes to.
func (h *histogram) clone() histogram {
	return histogram{counts: slices.Clone(h.counts), sum: h.sum}
}
