package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const (
	wordWidth      = 8  // "patched" and a blank; longer words push their detail
	maxDiagnostics = 10 // messages shown of one failure
	maxFiles       = 3  // names shown of one batch
	maxFunctions   = 3  // names shown of one patch
	tellingPhase   = 10 // milliseconds from which every phase explains the total
)

// eventView is what an event's text depends on beside the event.
type eventView struct {
	Style
	verbose bool
	hosts   bool   // several hosts: each line names its own
	alike   bool   // their names and numbers do not tell them apart
	width   int    // of the column of names
	running string // what serves after a failure, such as "v8 3fa91c"; "" if unknown
	own     bool   // it is about the host's own code
	full    string // why the plugin is linked in full, where that is news
}

// lines gives an event's text: one line, and for failures a few below it that
// start under the verdict.
//
//	14:02:40 pricing   FAILED   pricing/rules.go:31:9: undefined: tax
//	                   still running v8 3fa91c
func (v eventView) lines(ev control.Event) []string {
	reason := cleanLines(ev.Reason) // before its line breaks go
	ev = cleanEvent(ev)

	name := ev.Plugin
	if name == "" {
		name = ev.Host
	}
	if name == "" {
		name = "hotgo"
	}
	word, look := verdictWord(ev)
	detail, below := v.detail(ev, reason)
	if at := v.at(ev.Target); (v.hosts || at != "") && ev.Plugin != "" && ev.Host != "" {
		detail = append(detail, "-> "+host(ev.Host, ev.PID)+at)
	}

	stamp := v.in(ev.Time).Format("15:04:05")
	indent := strings.Repeat(" ", len(stamp)+1+v.width+1)
	first := v.paint(faint, stamp) + " " + pad(name, v.width) + " " + v.paint(look, word)
	if text := strings.Join(detail, "  "); text != "" {
		gap := max(1, wordWidth+1-lipgloss.Width(word))
		if lipgloss.Width(word) > wordWidth+1 {
			gap = 2
		}
		first += strings.Repeat(" ", gap) + text
	}
	lines := []string{first}
	for _, line := range below {
		lines = append(lines, indent+line)
	}
	return lines
}

// verdictWord gives the one word that says what an event means. Words that want
// a person's attention are in capitals.
func verdictWord(ev control.Event) (string, role) {
	switch ev.Event {
	case control.KindDetected:
		return "changed", normal
	case control.KindLoaded:
		if ev.Verdict != "" {
			return string(ev.Verdict), good
		}
		return "loaded", good
	case control.KindUnchanged:
		return "unchanged", faint
	case control.KindRestart:
		return "RESTART REQUIRED", warning
	case control.KindRestarted:
		return "restarted", good
	case control.KindFailed:
		return "FAILED", bad
	case control.KindRolledBack:
		return "ROLLED BACK", warning
	case control.KindHealthy:
		return "healthy", good
	case control.KindHostGone:
		return "HOST GONE", warning
	case control.KindRestored:
		return "restored", good
	case control.KindRecalled:
		if ev.Code != "" {
			return "STATE LOST", warning
		}
		return "recalled", good
	case control.KindNotRestored:
		return "NOT RESTORED", warning
	case control.KindQuarantined:
		return "QUARANTINED", bad
	}
	return string(ev.Event), faint // also what a newer host may send
}

// detail gives what follows the word, and the lines below.
func (v eventView) detail(ev control.Event, reason []string) (detail, below []string) {
	switch ev.Event {
	case control.KindDetected:
		detail = []string{v.files(ev.Files)}
		if len(ev.Files) == 0 {
			detail = []string{"looking at everything again"}
		}
		return detail, nil

	case control.KindUnchanged:
		if len(reason) > 0 {
			detail = []string{"(" + strings.Join(reason, " ") + ")"}
		}
		return append(detail, v.health(ev.Health)...), notes(ev.Notes, "")

	case control.KindFailed, control.KindRestart, control.KindNotRestored, control.KindQuarantined:
		problems := v.diagnostics(ev.Diagnostics)
		if len(problems) == 0 {
			problems = withCode(ev.Code, capped(reason))
		}
		if len(problems) > 0 {
			detail, below = problems[:1], problems[1:]
		}
		below = append(below, notes(ev.Notes, ev.Reason)...)
		below = append(below, evidenceLines(ev.Evidence)...)
		if v.running != "" {
			below = append(below, "still running "+v.running)
		}
		if ev.Next != "" {
			below = append(below, "next: "+ev.Next)
		}
		return detail, below
	}

	if n := len(ev.Functions); n > 0 {
		detail = append(detail, plural(n, "func"))
		if ev.Event == control.KindLoaded && !v.verbose { // there they are below
			detail = append(detail, "("+firstOf(ev.Functions, maxFunctions)+")")
		}
	}
	switch {
	case ev.Generation > 0:
		detail = append(detail, version(ev.Generation, keyOf(ev)))
	case ev.Event == control.KindRolledBack:
		v.own = v.own || ev.Verdict == control.Patched
		detail = append(detail, v.version(0, ""))
	case ev.Event == control.KindBuilt:
		detail = append(detail, short(keyOf(ev)))
	}
	if ev.Plugin == "" && ev.Host != "" && ev.PID > 0 { // about a host
		detail = append(detail, "pid "+strconv.Itoa(ev.PID))
	}
	if v.verbose && ev.ArtifactBytes > 0 {
		detail = append(detail, strings.TrimSpace(size(ev.ArtifactBytes)+" "+ev.Link))
	}
	detail = append(detail, v.times(ev)...)
	detail = append(detail, v.health(ev.Health)...)
	switch {
	case len(reason) == 0:
	case ev.Event == control.KindLoaded && ev.Code != "": // why it is no patch
		below = capped(withCode(ev.Code, reason))
	default:
		detail = append(detail, reason[0])
		below = capped(reason[1:])
	}
	switch ev.Event {
	case control.KindRolledBack, control.KindNote, control.KindRecalled:
		below = append(below, evidenceLines(ev.Evidence)...)
	}
	below = append(below, notes(ev.Notes, "")...)
	if v.full != "" {
		below = append(below, "full: "+v.full)
	}
	if v.verbose {
		if ev.Caller != nil {
			detail = append(detail, "by "+caller(ev.Caller))
		}
		below = append(below, ev.Functions...)
	}
	if ev.Next != "" {
		below = append(below, "next: "+ev.Next)
	}
	return detail, below
}

// version names a generation of what the event is about.
func (v eventView) version(generation int, key string) string {
	if generation == 0 && v.own {
		return asBuilt
	}
	return version(generation, key)
}

// times shows where the user's wait went. Compiling, linking and loading are
// always there; other phases where they are long enough to explain something.
func (v eventView) times(ev control.Event) []string {
	var shown []string
	if p := ev.PhasesMS; p != nil {
		for _, phase := range []struct {
			name   string
			ms     float64
			always bool
		}{
			{"detect", p.Detect, false},
			{"plan", p.Plan, false},
			{"compile", p.Compile, true},
			{"link", p.Link, true},
			{"verify", p.Verify, false},
			{"load", p.Load, true},
			{"health", p.Health, false},
			{"switch", p.Switch, false},
			{"pause", p.Pause, true},
			{"state", p.State, false},
		} {
			if phase.ms > 0 && (phase.always || v.verbose || phase.ms >= tellingPhase) {
				shown = append(shown, phase.name+" "+milliseconds(phase.ms))
			}
		}
	}
	if ev.TotalMS > 0 {
		shown = append(shown, "total "+milliseconds(ev.TotalMS))
	}
	return shown
}

func (v eventView) files(files []string) string {
	var shown []string
	for _, f := range files {
		shown = append(shown, v.path(f))
	}
	if v.verbose {
		return strings.Join(shown, ", ")
	}
	return firstOf(shown, maxFiles)
}

// firstOf lists the first names and counts the others.
func firstOf(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

// notes gives a line for each entry of the catalogue of edits, but for the one
// that was shown already.
func notes(all []control.Finding, shown string) []string {
	var lines []string
	for _, f := range all {
		if f.Text != shown {
			lines = append(lines, strings.TrimSpace(f.Code+" "+f.Text))
		}
	}
	return capped(lines)
}

// diagnostics gives one line for each message, up to ten.
func (s Style) diagnostics(all []control.Diagnostic) []string {
	var lines []string
	for _, d := range all {
		place := s.path(d.File)
		if d.Line > 0 {
			place += ":" + strconv.Itoa(d.Line)
			if d.Col > 0 {
				place += ":" + strconv.Itoa(d.Col)
			}
		}
		if place != "" {
			place += ": "
		}
		lines = append(lines, place+d.Message)
	}
	return capped(lines)
}

// capped cuts a list to ten lines and says how many are missing.
func capped(lines []string) []string {
	if len(lines) <= maxDiagnostics {
		return lines
	}
	return append(slices.Clone(lines[:maxDiagnostics]), fmt.Sprintf("and %d more", len(lines)-maxDiagnostics))
}

// withCode puts a rule of the catalogue before a reason. The codes of
// control.Error say in a word what the reason says in a sentence, so they stay
// out.
func withCode(code string, reason []string) []string {
	if !strings.HasPrefix(code, "HG") {
		return reason
	}
	if len(reason) == 0 {
		return []string{code}
	}
	return append([]string{code + ": " + reason[0]}, reason[1:]...)
}

// evidenceLines aligns differences, host beside artifact.
func evidenceLines(all []control.Evidence) []string {
	var rows [][]string
	for _, e := range all {
		row := []string{e.What, "", ""}
		if e.Host != "" {
			row[1] = "host " + e.Host
		}
		if e.Artifact != "" {
			row[2] = "artifact " + e.Artifact
		}
		rows = append(rows, row)
	}
	return columns(rows, 2, 3)
}

func keyOf(ev control.Event) string {
	if ev.Key != "" {
		return ev.Key
	}
	return ev.Digest
}

func host(name string, pid int) string {
	switch {
	case pid == 0:
		return name
	case name == "":
		return "pid " + strconv.Itoa(pid)
	}
	return fmt.Sprintf("%s (pid %d)", name, pid)
}

// at says where a host is, where that is not this machine or tells it apart.
func (v eventView) at(target string) string {
	rest, far := strings.CutPrefix(target, "ssh://")
	switch {
	case v.alike && target != "":
		return " at " + target
	case !far:
		return ""
	}
	machine, _, _ := strings.Cut(rest, "/")
	return " at ssh://" + machine
}

func caller(c *control.Caller) string { return Clean(c.String()) }

// cleanEvent gives a copy of ev whose texts are fit for a terminal.
func cleanEvent(ev control.Event) control.Event {
	for _, s := range []*string{
		(*string)(&ev.Event), (*string)(&ev.Verdict), &ev.Host, &ev.Target, &ev.Plugin, &ev.Key, &ev.Digest,
		&ev.Artifact, &ev.Link, &ev.LinkReason, &ev.Signer, &ev.Code, &ev.Reason, &ev.Next,
	} {
		*s = Clean(*s)
	}
	ev.Functions, ev.Files = cleanAll(ev.Functions), cleanAll(ev.Files)
	ev.Evidence = cleanEvidence(ev.Evidence)
	ev.Diagnostics = cleanDiagnostics(ev.Diagnostics)
	ev.Notes = cleanNotes(ev.Notes)
	return ev
}

func cleanAll(texts []string) []string {
	texts = slices.Clone(texts)
	for i := range texts {
		texts[i] = Clean(texts[i])
	}
	return texts
}

func cleanNotes(all []control.Finding) []control.Finding {
	all = slices.Clone(all)
	for i, f := range all {
		all[i] = control.Finding{Code: Clean(f.Code), Symbol: Clean(f.Symbol), Text: Clean(f.Text)}
	}
	return all
}

func cleanEvidence(all []control.Evidence) []control.Evidence {
	all = slices.Clone(all)
	for i, e := range all {
		all[i] = control.Evidence{What: Clean(e.What), Host: Clean(e.Host), Artifact: Clean(e.Artifact)}
	}
	return all
}

func cleanDiagnostics(all []control.Diagnostic) []control.Diagnostic {
	all = slices.Clone(all)
	for i := range all {
		all[i].File, all[i].Message = Clean(all[i].File), Clean(all[i].Message)
	}
	return all
}
