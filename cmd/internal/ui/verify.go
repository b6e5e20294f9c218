package ui

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// VerifyAnswer is the answer of hotgo verify.
type VerifyAnswer struct {
	V        int              `json:"v"`
	Verdict  string           `json:"verdict"` // the worst of the hosts'
	Artifact VerifiedArtifact `json:"artifact"`
	Hosts    []HostVerify     `json:"hosts"`
}

// The verdicts of hotgo verify, from good to bad.
const (
	VerifyFits     = "fits"
	VerifyDoubtful = "doubtful" // it would load, with warnings
	VerifyRefused  = "refused"
)

// VerifiedArtifact is the file in question.
type VerifiedArtifact struct {
	Path    string `json:"path"`
	Plugin  string `json:"plugin,omitempty"` // absent where hotgo did not build it
	Package string `json:"package,omitempty"`
	Key     string `json:"key,omitempty"`
	Link    string `json:"link,omitempty"`
	Digest  string `json:"digest"`
	Bytes   int64  `json:"bytes"`
	Foreign bool   `json:"foreign,omitempty"` // it has no manifest
}

// HostVerify says whether the artifact would load into one host. Nothing was
// loaded.
type HostVerify struct {
	Host       string           `json:"host,omitempty"` // absent for a binary
	PID        int              `json:"pid,omitempty"`
	Binary     string           `json:"binary"`
	Verdict    string           `json:"verdict"`
	Asked      bool             `json:"asked"`          // the host's own preflight is in the answer
	Live       bool             `json:"live,omitempty"` // it runs this artifact already
	Mismatches []VerifyMismatch `json:"mismatches,omitempty"`
	Next       string           `json:"next,omitempty"`

	Headline []VerifyMismatch `json:"-"` // what people see first: mismatches without those that others explain
}

// VerifyMismatch is one thing that was found.
type VerifyMismatch struct {
	Kind       string   `json:"kind"`
	Weight     string   `json:"weight"` // "refused", "warning" or "note"
	Code       string   `json:"code,omitempty"`
	What       string   `json:"what"`
	Host       string   `json:"host,omitempty"`
	Artifact   string   `json:"artifact,omitempty"`
	Limit      string   `json:"limit"`
	Cause      string   `json:"cause,omitempty"`
	Way        string   `json:"way,omitempty"`
	Files      []string `json:"files,omitempty"`
	RequiredBy []string `json:"required_by,omitempty"`
}

// Verify writes for people what was found about one host. name is the artifact's.
//
//	hotgo: greet would not load into shop (pid 812)
//	  golang.org/x/text  host v0.21.0   artifact v0.22.0
//	    v0.22.0 is required by example.com/other@v1.2.0
//	  -trimpath          host true      artifact false
//	    the names of source files are part of what the runtime compares
//	limit: the Go runtime
//	next: hotgo build --host ./server ./plugins/greet
func Verify(w io.Writer, name string, h HostVerify, verbose bool, s Style) error {
	into := Clean(h.Binary)
	if h.Host != "" {
		into = host(Clean(h.Host), h.PID)
	}
	shown := h.Headline
	if verbose {
		shown = slices.DeleteFunc(slices.Clone(h.Mismatches), func(m VerifyMismatch) bool { return m.Weight != VerifyRefused })
	}
	var lines []string
	switch {
	case h.Verdict == VerifyRefused:
		lines = append(lines, s.paint(bad, "hotgo:")+" "+Clean(name)+" would not load into "+into)
		lines = append(lines, s.mismatches(shown)...)
		if more := count(h.Mismatches, VerifyRefused) - len(shown); more > 0 {
			lines = append(lines, "  and "+strconv.Itoa(more)+" more (-v lists all)")
		}
	case h.Live:
		lines = append(lines, "hotgo: "+Clean(name)+" fits "+into+", which runs it already")
	default:
		lines = append(lines, "hotgo: "+Clean(name)+" fits "+into)
	}
	for _, m := range h.Mismatches {
		switch {
		case m.Weight == "warning":
			lines = append(lines, "  "+s.paint(warning, "warning:")+" "+sentence(m))
		case m.Weight == "note" && (verbose || h.Verdict != VerifyRefused):
			lines = append(lines, "  note: "+sentence(m))
		}
	}
	if h.Verdict == VerifyRefused {
		if len(shown) > 0 && shown[0].Limit != "" {
			lines = append(lines, s.paint(faint, "limit:")+" "+Clean(shown[0].Limit))
		}
		if h.Next != "" {
			lines = append(lines, s.paint(strong, "next:")+" "+Clean(h.Next))
		}
	}
	return s.writeLines(w, lines)
}

func count(all []VerifyMismatch, weight string) int {
	n := 0
	for _, m := range all {
		if m.Weight == weight {
			n++
		}
	}
	return n
}

// sentence says a mismatch in running text.
func sentence(m VerifyMismatch) string {
	text := m.Artifact
	switch {
	case m.Kind == "release": // the cause names it
		return Clean(m.Cause)
	case m.Host != "":
		text = m.What + ": host " + m.Host
		if m.Artifact != "" {
			text += ", artifact " + m.Artifact
		}
	}
	if m.Cause != "" {
		text += ": " + m.Cause
	}
	return Clean(text)
}

// mismatches writes evidence with its causes below. One cause that holds for
// several in a row stands below the last of them.
func (s Style) mismatches(all []VerifyMismatch) []string {
	var evidence []control.Evidence
	for _, m := range all {
		if m.Kind == "build" { // 83 letters, of which the first tell builds apart
			m.Host, m.Artifact = firstLetters(m.Host), firstLetters(m.Artifact)
		}
		evidence = append(evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
	}
	var lines []string
	for i, line := range evidenceLines(cleanEvidence(evidence)) {
		lines = append(lines, "  "+line)
		below := s.causes(all[i])
		if i+1 < len(all) && slices.Equal(below, s.causes(all[i+1])) {
			continue
		}
		lines = append(lines, below...)
	}
	return lines
}

func (s Style) causes(m VerifyMismatch) []string {
	var lines []string
	if m.Cause != "" {
		lines = append(lines, "    "+Clean(m.Cause))
	}
	if len(m.RequiredBy) > 0 {
		lines = append(lines, "    "+Clean(m.Artifact+" is required by "+strings.Join(m.RequiredBy, ", ")))
	}
	if len(m.Files) > 0 {
		var files []string
		for _, f := range m.Files {
			files = append(files, s.path(Clean(f)))
		}
		lines = append(lines, "    changed: "+firstOf(files, maxFiles))
	}
	return lines
}

func firstLetters(id string) string {
	const enough = 20
	if len(id) <= enough {
		return id
	}
	return id[:enough] + "…"
}
