package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/doctor"
)

// DoctorOptions say how much of the checks is shown.
type DoctorOptions struct {
	Style   Style
	Quiet   bool // problems only
	Verbose bool // the evidence of what is in order as well
}

// Doctor writes what was looked at, a line for each check, with what there is to
// know about it below, and a summary at the end.
//
//	ok       toolchain.release      go1.26.8 (/usr/local/go/bin/go)
//	warning  env.goflags            GOFLAGS changes builds: -mod=mod
//	         GOFLAGS  -mod=mod
//	         why: -mod: builds may write to go.mod, and with it change what the host was built from
//	         next: unset GOFLAGS
//
//	1 ok, 1 warning, 0 problems, 0 skipped
func Doctor(w io.Writer, checks []doctor.Check, o DoctorOptions) error {
	s := o.Style
	checks, total := shown(checks, o.Quiet), doctor.Count(checks)
	looks := map[doctor.Result]role{doctor.OK: good, doctor.Warning: warning, doctor.Problem: bad, doctor.Skipped: faint}
	width := 0
	for _, c := range checks {
		width = max(width, len(checkName(c)))
	}
	var lines []string
	for _, c := range checks {
		word := s.paint(looks[c.Result], string(c.Result)) + strings.Repeat(" ", len("problem")-min(len("problem"), len(c.Result)))
		what := Clean(c.What)
		if c.Code != "" {
			what = Clean(c.Code) + " " + what
		}
		lines = append(lines, word+"  "+pad(checkName(c), width)+"  "+what)
		for _, line := range s.checkDetails(c, o.Verbose) {
			lines = append(lines, strings.Repeat(" ", len("problem")+2)+line)
		}
	}
	if !o.Quiet {
		lines = append(lines, "", fmt.Sprintf(
			"%d ok, %s, %s, %d skipped", total.OK, plural(total.Warnings, "warning"), plural(total.Problems, "problem"), total.Skipped,
		))
	}
	if len(lines) == 0 {
		return nil
	}
	return s.writeLines(w, lines)
}

// shown picks what gets a line. Checks in a row that were skipped for one reason
// share one, which counts the others.
func shown(checks []doctor.Check, quiet bool) []doctor.Check {
	var out []doctor.Check
	more := 0
	for i, c := range checks {
		switch {
		case quiet && c.Result != doctor.Problem:
			continue
		case i > 0 && c.Result == doctor.Skipped && checks[i-1].Result == doctor.Skipped && checks[i-1].What == c.What:
			more++
			out[len(out)-1].Subject = fmt.Sprintf("and %d more", more)
			continue
		}
		more = 0
		out = append(out, c)
	}
	return out
}

func checkName(c doctor.Check) string {
	return strings.TrimSpace(c.ID + " " + Clean(c.Subject))
}

// checkDetails is what stands below a check: of one that is in order only what was
// done to it, unless verbose.
func (s Style) checkDetails(c doctor.Check, verbose bool) []string {
	var lines []string
	if (c.Result != doctor.OK && c.Result != doctor.Skipped) || verbose {
		var rows [][]string
		for _, f := range c.Facts {
			row := []string{Clean(f.What), Clean(f.Is)}
			if f.Need != "" {
				row = append(row, "needs "+Clean(f.Need))
			}
			rows = append(rows, row)
		}
		lines = append(capped(columns(rows, 2)), s.diagnostics(cleanDiagnostics(c.Places))...)
		if c.Why != "" {
			lines = append(lines, s.paint(faint, "why:")+" "+Clean(c.Why))
		}
		if c.Next != "" {
			lines = append(lines, s.paint(strong, "next:")+" "+Clean(c.Next))
		}
	}
	for _, f := range c.Fixed {
		lines = append(lines, s.paint(good, "fixed:")+" "+Clean(f))
	}
	return lines
}
