package ui

import (
	"cmp"
	"io"
	"strconv"
)

// Deployed is where a plugin stands in a host after a push.
type Deployed struct {
	Host       string
	PID        int
	Plugin     string
	Result     string // done, unchanged, failed, undone, not undone, not begun
	Generation int    // that serves because of the push; 0 is what served before
	Key        string
	Unknown    bool   // nobody knows what serves
	Why        string // code of an error
	Target     string // what reaches the host
}

// Rollout writes a table of what a push has come to, a row for each host and plugin.
func Rollout(w io.Writer, all []Deployed, s Style) error {
	rows := [][]string{{"HOST", "PID", "PLUGIN", "RESULT", "RUNS", "WHY", "TARGET"}}
	for _, d := range all {
		runs := "as before"
		switch {
		case d.Unknown:
			runs = "unknown"
		case d.Generation > 0:
			runs = version(d.Generation, Clean(d.Key))
		}
		rows = append(rows, []string{
			Clean(d.Host), strconv.Itoa(d.PID), cmp.Or(Clean(d.Plugin), "-"), d.Result, runs, cmp.Or(Clean(d.Why), "-"), Clean(d.Target),
		})
	}
	return s.writeLines(w, s.table(rows))
}
