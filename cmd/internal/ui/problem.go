package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Problem is an error as a person sees it, always in this order: what happened,
// the evidence, who set the limit, what to do.
//
//	hotgo: greet would not load into ./server (pid 812)
//	  golang.org/x/text  host v0.21.0   artifact v0.22.0
//	  -trimpath          host true      artifact false
//	limit: the Go runtime
//	next: hotgo build --host ./server ./plugins/greet
//
// What is empty is left out.
type Problem struct {
	What        string
	Diagnostics []control.Diagnostic // of the compiler
	Findings    []control.Finding    // entries of the catalogue of edits
	Details     []string             // other lines that explain
	Evidence    []control.Evidence
	Limit       string
	Next        string // a command
}

// PrintProblem writes p. Its texts need not be clean.
func PrintProblem(w io.Writer, p Problem, s Style) error {
	var b strings.Builder
	b.WriteString(s.paint(bad, "hotgo:") + " " + Clean(p.What) + "\n")
	below := s.diagnostics(cleanDiagnostics(p.Diagnostics))
	below = append(below, notes(cleanNotes(p.Findings), "")...)
	var details []string
	for _, d := range p.Details {
		details = append(details, cleanLines(d)...)
	}
	below = append(below, capped(details)...)
	below = append(below, evidenceLines(cleanEvidence(p.Evidence))...)
	for _, line := range below {
		b.WriteString("  " + line + "\n")
	}
	if p.Limit != "" {
		b.WriteString(s.paint(faint, "limit:") + " " + Clean(p.Limit) + "\n")
	}
	if p.Next != "" {
		b.WriteString(s.paint(strong, "next:") + " " + Clean(p.Next) + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write error: %w", err)
	}
	return nil
}
