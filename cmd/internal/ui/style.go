package ui

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// Style is how text is written to one destination. The zero value writes plain
// text for a file, with paths as they come and local time.
type Style struct {
	Color    bool           // color is wanted
	Terminal bool           // somebody reads along and can answer
	Dumb     bool           // a terminal that knows no escape sequences
	Dir      string         // absolute; paths below it are shown relative to it
	Zone     *time.Location // of times shown; nil is local time
}

// NewStyle looks at the destination w and the environment. when is the setting
// of --color: always and never decide, and auto gives color to a terminal unless
// NO_COLOR is set or TERM is dumb.
func NewStyle(w io.Writer, when, dir string, getenv func(string) string) Style {
	s := Style{Dir: dir, Dumb: getenv("TERM") == "dumb"}
	file, isFile := w.(*os.File)
	if isFile {
		s.Terminal = term.IsTerminal(int(file.Fd()))
	}
	switch when {
	case "always":
		s.Color = true
	case "never":
	default:
		s.Color = s.Terminal && !s.Dumb && getenv("NO_COLOR") == ""
	}
	if s.Color && isFile {
		lipgloss.EnableLegacyWindowsANSI(file) // does nothing elsewhere
	}
	return s
}

// role is what a piece of text means; style.go alone knows how that looks.
type role int

const (
	normal  role = iota
	good         // it worked
	bad          // it failed
	warning      // somebody has to act
	faint        // for reference
	strong       // headings
)

// The sixteen basic colors follow the user's own terminal theme, and need no
// detection of what a terminal can do.
var looks = map[role]lipgloss.Style{
	good:    lipgloss.NewStyle().Foreground(lipgloss.Green),
	bad:     lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
	warning: lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true),
	faint:   lipgloss.NewStyle().Faint(true),
	strong:  lipgloss.NewStyle().Bold(true),
}

// paint colors text, which must be clean.
func (s Style) paint(r role, text string) string {
	if !s.Color || r == normal || text == "" {
		return text
	}
	return looks[r].Render(text)
}

// path shows a file relative to the current directory where that is shorter.
func (s Style) path(file string) string {
	if s.Dir == "" || !filepath.IsAbs(file) {
		return file
	}
	if rel, err := filepath.Rel(s.Dir, file); err == nil && len(rel) < len(file) {
		return rel
	}
	return file
}

// in moves a time to the zone that is shown.
func (s Style) in(t time.Time) time.Time {
	if s.Zone != nil {
		return t.In(s.Zone)
	}
	return t.Local()
}
