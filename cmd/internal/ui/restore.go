package ui

import (
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// restoreLines says what a host does not have any more that its process before had,
// and what it would not hand on to the next one.
//
//	shop (pid 812): NOT RESTORED: 1 version that was live before
//	  pricing 3fa91c  it was live in another build of this host, and is kept for that
//	shop (pid 812): QUARANTINED: 1 version
//	  pricing 77aa10  2026-01-02 14:02:00  process 811 ended before it had been live for 30s
//	  next: hotgo push --release /var/lib/shop/state-shop/artifacts/5e1f….so
func (s Style) restoreLines(h control.Status, verbose bool) []string {
	r := h.Restore
	if r == nil {
		return nil
	}
	id := host(Clean(h.Name), h.PID) + ": "
	var lines []string
	block := func(head string, rows [][]string) {
		if len(rows) > 0 {
			lines = append(append(lines, id+head), columns(rows, 2)...)
		}
	}
	switch {
	case r.Off != "":
		lines = append(lines, id+s.paint(warning, "NOTHING IS RESTORED")+": "+Clean(r.Off))
	case r.Error != "":
		lines = append(lines, id+s.paint(warning, "A RESTART WILL NOT KNOW")+" of the last change: "+Clean(r.Error))
	case verbose:
		lines = append(lines, id+plural(r.Artifacts, "artifact")+" kept for a restart, "+size(r.Bytes)+" of at most "+size(r.BudgetBytes))
	}
	var rows [][]string
	for _, n := range r.NotRestored {
		rows = append(rows, []string{"", Clean(n.Plugin) + " " + short(Clean(n.Key)), firstLine(n.Reason)})
	}
	block(s.paint(warning, "NOT RESTORED")+": "+plural(len(rows), "version")+" that "+was(len(rows))+" live before", rows)
	rows = nil
	for _, q := range r.Quarantined {
		rows = append(rows, []string{"", Clean(q.Plugin) + " " + short(Clean(q.Key)), s.in(q.Since).Format("2006-01-02 15:04:05"), firstLine(q.Reason)})
	}
	block(s.paint(bad, "QUARANTINED")+": "+plural(len(rows), "version"), rows)
	if n := len(r.Quarantined); n > 0 {
		path := Clean(r.Quarantined[n-1].Path)
		if path == "" {
			path = "ARTIFACT"
		}
		lines = append(lines, "  next: hotgo push --release "+path)
	}
	return lines
}

func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func firstLine(text string) string {
	lines := cleanLines(text)
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}
