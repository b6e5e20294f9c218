package ui

import (
	"io"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// DiffAnswer is the answer of hotgo diff.
type DiffAnswer struct {
	V     int        `json:"v"`
	Hosts []HostDiff `json:"hosts"`
}

// HostDiff says what differs between the sources and one host, and what would
// happen to it. Nothing has happened.
type HostDiff struct {
	Host       string             `json:"host,omitempty"` // absent for a binary that does not run
	PID        int                `json:"pid,omitempty"`
	Binary     string             `json:"binary"`
	Verdict    control.Verdict    `json:"verdict"`              // of all that differs
	Own        string             `json:"own"`                  // what the host's own code is called
	Generation int                `json:"generation,omitempty"` // the patch of it that serves; absent for the binary's code
	Key        string             `json:"key,omitempty"`        // of the patch
	Pending    bool               `json:"pending"`              // the host does not run it yet
	Packages   []string           `json:"packages,omitempty"`   // of the host, whose sources differ
	Functions  []FunctionDiff     `json:"functions,omitempty"`
	Findings   []FindingDiff      `json:"findings,omitempty"`
	Plugins    []PluginDiff       `json:"plugins,omitempty"` // that are no part of the patch
	Reason     string             `json:"reason,omitempty"`
	Evidence   []control.Evidence `json:"evidence,omitempty"`
	Next       string             `json:"next,omitempty"`
}

// FunctionDiff is a function that differs from the host's.
type FunctionDiff struct {
	Name   string `json:"name"`
	Change string `json:"change"`           // "changed", "added" or "removed"
	Reason string `json:"reason,omitempty"` // why, where it was not edited itself
}

// FindingDiff is an entry of the catalogue of edits that applies.
type FindingDiff struct {
	control.Finding
	Refused bool `json:"refused"` // no patch can do it
}

// PluginDiff is a plugin of which a generation would be patched, that a swap would
// replace, or that nothing can.
type PluginDiff struct {
	Plugin     string          `json:"plugin"`
	Verdict    control.Verdict `json:"verdict"`
	Generation int             `json:"generation,omitempty"` // that serves
	Base       int             `json:"base,omitempty"`       // that is patched
	Key        string          `json:"key,omitempty"`        // that would serve
	Pending    bool            `json:"pending"`              // the host does not run it yet
	Functions  []FunctionDiff  `json:"functions,omitempty"`  // that differ from the base's
	Findings   []FindingDiff   `json:"findings,omitempty"`
	Code       string          `json:"code,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	State      *StateDiff      `json:"state,omitempty"` // absent where a swap is not what would happen
}

// Diff writes what differs, a block for each host.
//
//	server (pid 812)  patched  2 funcs
//	  changed  cart.(*Cart).Total
//	  changed  main.serve          inlines cart.(*Cart).Total, which changed
//	  added    cart.round
//	  HG0031   main.rate keeps its value; the new initialiser applies when the program starts again
//	  swapped  pricing             v3 -> 3fa91c
//	  patched  greet               v2  1 func  (live already)
//	  changed  greet.Hello
//
//	shop (pid 814)  swapped
//	  swapped    pricing     v1 -> 3fa91c  HG0001 not patched: ...
//	  state      pricing     4 carried, 1 converted, 1 lost
//	  converted  rules.seen  rules.entry adds name; int becomes int64
//	  lost       rules.last  the new code has no such variable
//
//	other (pid 813)  RESTART REQUIRED
//	  HG0001   cart.Cart: its fields changed (+Note), and the program has values of the old layout
//	  next: restart the host with the new code: hotgo run ./cmd/server
func Diff(w io.Writer, all []HostDiff, s Style) error {
	var lines []string
	for i, h := range all {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, s.hostDiff(h)...)
	}
	return s.writeLines(w, lines)
}

func (s Style) hostDiff(h HostDiff) []string {
	word, look := verdictWord(control.Event{Event: kindOf(h.Verdict), Verdict: h.Verdict})
	head := host(Clean(h.Host), h.PID)
	if h.Host == "" {
		head = s.path(Clean(h.Binary))
	}
	head += "  " + s.paint(look, word)
	rows, changed := functionRows(h.Functions)
	if changed > 0 && h.Verdict == control.Patched {
		head += "  " + plural(changed, "func")
	}
	if h.Verdict == control.Patched && !h.Pending {
		head += "  (live already)"
	}
	findings := h.Findings
	for _, p := range h.Plugins {
		rows = append(rows, pluginRows(p)...)
		findings = append(slices.Clip(findings), p.Findings...)
	}
	lines := append([]string{head}, columns(rows, 2)...)
	for _, f := range findings {
		lines = append(lines, "  "+pad(Clean(f.Code), wordWidth+1)+Clean(f.Text))
	}
	if h.Reason != "" {
		lines = append(lines, "  "+Clean(h.Reason))
	}
	for _, l := range evidenceLines(cleanEvidence(h.Evidence)) {
		lines = append(lines, "  "+l)
	}
	if h.Next != "" {
		lines = append(lines, "  "+s.paint(strong, "next:")+" "+Clean(h.Next))
	}
	return lines
}

// functionRows gives a row for each function, and how many of them a patch replaces.
func functionRows(all []FunctionDiff) (rows [][]string, changed int) {
	for _, f := range all {
		if f.Change == "changed" {
			changed++
		}
		rows = append(rows, []string{"", pad(Clean(f.Change), wordWidth-1), Clean(f.Name), Clean(f.Reason)})
	}
	return rows, changed
}

// pluginRows gives a plugin's row, and those of its functions.
func pluginRows(p PluginDiff) [][]string {
	functions, changed := functionRows(p.Functions)
	text := version(p.Generation, "")
	if p.Verdict == control.Swapped && p.Key != "" {
		text += " -> " + short(Clean(p.Key))
	}
	if changed > 0 {
		text += "  " + plural(changed, "func")
	}
	if p.Verdict == control.Patched && !p.Pending {
		text += "  (live already)"
	}
	if p.Reason != "" {
		text += "  " + Clean(strings.TrimSpace(p.Code+" "+p.Reason))
	}
	rows := append([][]string{{"", pad(Clean(string(p.Verdict)), wordWidth-1), Clean(p.Plugin), text}}, functions...)
	return append(rows, stateRows(p.Plugin, p.State)...)
}

// kindOf gives the event that a verdict comes with.
func kindOf(v control.Verdict) control.Kind {
	switch v {
	case control.Unchanged:
		return control.KindUnchanged
	case control.RestartRequired:
		return control.KindRestart
	case control.Failed:
		return control.KindFailed
	}
	return control.KindLoaded
}
