package ui

import (
	"fmt"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// health says how the window of an event's generation stands, nothing where there is
// none: "observed until 14:03:10", "healthy for 30s: 29 checks, 30 probes".
func (s Style) health(h *control.Health) []string {
	if h == nil {
		return nil
	}
	until := s.in(h.Until).Format(time.TimeOnly)
	switch h.State {
	case control.HealthObserving:
		return []string{"observed until " + until}
	case control.HealthHealthy:
		return []string{"healthy for " + h.Until.Sub(h.Since).Round(time.Millisecond).String() + seen(h)}
	}
	return nil
}

// seen is what was looked at, and how much of it was not well.
func seen(h *control.Health) string {
	text, sep := "", ": "
	add := func(n int64, one string, bad int64, how string) {
		if n == 0 {
			return
		}
		text += sep + plural(int(n), one)
		if bad > 0 {
			text += fmt.Sprintf(" (%d %s)", bad, how)
		}
		sep = ", "
	}
	add(int64(h.Checks), "check", int64(h.Failed), "failed")
	var runs, failed int
	for _, p := range h.Probes {
		runs, failed = runs+p.Runs, failed+p.Failed
	}
	add(int64(runs), "probe", int64(failed), "failed")
	add(h.Calls, "call", h.Errors, "with an error")
	add(h.Panics, "panic", 0, "")
	return text
}

// healthLines says which versions are observed.
//
//	shop (pid 812): pricing v8 is observed until 14:03:10: 12 checks (1 failed)
func (s Style) healthLines(host string, h control.Status) (lines []string) {
	for _, p := range h.Plugins {
		if p.Health == nil || p.Health.State != control.HealthObserving {
			continue
		}
		line := fmt.Sprintf("%s: %s %s is observed until %s%s", host, Clean(p.Name), version(p.Health.Generation, ""), s.in(p.Health.Until).Format(time.TimeOnly), seen(p.Health))
		if p.Health.Confirm && !p.Health.Confirmed {
			line += "; it is undone unless it is confirmed"
		}
		lines = append(lines, line)
	}
	return lines
}
