package ui

import (
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Options configure a [Printer].
type Options struct {
	Out     io.Writer // data: events as JSON
	Err     io.Writer // everything for people
	JSON    bool
	Quiet   bool             // failures only; JSON is never thinned out
	Verbose bool             // every step, every phase, every file
	Asks    bool             // somebody reads keys, and restarts are asked for: see Ask
	Style   Style            // of Err
	Now     func() time.Time // nil is time.Now
}

const (
	minNameWidth = 9
	maxNameWidth = 24
)

// Printer shows the events of a watch. Its methods may be called concurrently;
// one call's lines stay together. A write error is returned by the call that met
// it: the reader of a pipe has gone, and a watch should end.
type Printer struct {
	opt Options

	mu      sync.Mutex
	width   int                // of the column of names: that of the longest one so far
	hosts   map[process]bool   // up, as far as events said
	sockets map[process]string // of hosts that were seeded
	alike   bool               // hosts have one name and number, as in containers: their targets differ
	live    map[slot]liveState // what serves, as far as events said
	own     map[process]string // what the host's own code is called
	fell    map[string]string  // plugin -> why it is linked in full, as was said
	midline bool               // the cursor stands behind text
	prompt  string             // a question that waits for its answer; "" if none does
}

type process struct {
	name string
	pid  int
}

type slot struct {
	process
	plugin string
}

type liveState struct {
	generation int
	key        string
}

// NewPrinter gives a Printer. It does not own the writers.
func NewPrinter(opt Options) *Printer {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Printer{opt: opt, width: minNameWidth, hosts: map[process]bool{}, sockets: map[process]string{}, live: map[slot]liveState{}, own: map[process]string{}, fell: map[string]string{}}
}

// Header is what a watch says first.
type Header struct {
	Version string
	Plugins int // followed
	Dirs    int // watched
	Hosts   []control.Status
	Keys    bool // keys are read
}

// Header writes the first lines for people, and takes note of what is live in
// the hosts. With JSON it writes nothing.
func (p *Printer) Header(h Header) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, st := range h.Hosts {
		p.seed(st)
		names = append(names, host(Clean(st.Name), st.PID))
	}
	if p.opt.JSON || p.opt.Quiet {
		return nil
	}
	where := "no host yet"
	if len(names) > 0 {
		where = strings.Join(names, ", ")
	}
	what := plural(h.Plugins, "plugin")
	if h.Plugins == 0 { // all that there is to follow
		what = "the program"
	}
	lines := []string{fmt.Sprintf("%s %s - watching %s (%s) -> %s", p.opt.Style.paint(strong, "hotgo"), Clean(h.Version),
		what, plural(h.Dirs, "dir"), where)}
	if h.Keys {
		lines = append(lines, "  press h + enter for help")
	}
	return p.write(lines)
}

// Seed takes note of what is live in a host, for "still running" after a
// failure. Events that pass through do the same.
func (p *Printer) Seed(st control.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed(st)
}

func (p *Printer) seed(st control.Status) {
	at := process{st.Name, st.PID}
	p.hosts[at] = true
	if known, ok := p.sockets[at]; ok && known != st.Socket {
		p.alike = true
	}
	p.sockets[at] = st.Socket
	if st.Package != "" {
		p.own[at] = path.Base(st.Package)
		p.live[slot{at, p.own[at]}] = liveState{} // until something was patched
	}
	for _, pl := range st.Plugins {
		l := liveState{generation: pl.Live}
		for _, g := range pl.Generations {
			if g.Generation == pl.Live {
				l.key = g.Key
			}
		}
		p.live[slot{at, pl.Name}] = l
	}
}

// Event shows an event. Its version and time are filled in where they are
// missing.
func (p *Printer) Event(ev control.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev.V == 0 {
		ev.V = control.EventVersion
	}
	if ev.Time.IsZero() {
		ev.Time = p.opt.Now()
	}
	running := p.runs(ev)
	p.remember(ev)
	if p.opt.JSON {
		return JSON(p.opt.Out, ev)
	}
	if !p.shows(ev.Event) {
		return nil
	}
	name := ev.Plugin
	if name == "" {
		name = ev.Host
	}
	p.width = min(max(p.width, lipgloss.Width(Clean(name))), maxNameWidth)
	v := eventView{
		Style: p.opt.Style, verbose: p.opt.Verbose,
		hosts: len(p.hosts) > 1, alike: p.alike, width: p.width, running: running, full: p.fallen(ev), own: p.isOwn(ev),
	}
	lines := v.lines(ev)
	if ev.Event == control.KindRestart && p.asks() && len(lines) == 1 {
		return p.writeOpen(lines[0]) // Ask goes on in this line
	}
	return p.write(lines)
}

// Note shows a remark about the watch as a whole, such as what it waits for.
func (p *Printer) Note(text string) error {
	return p.Event(control.Event{Event: control.KindNote, Reason: text})
}

// shows says whether an event's text is wanted at this level. What one edit goes
// through on its way is for the verbose; what goes wrong is for everybody.
func (p *Printer) shows(kind control.Kind) bool {
	switch kind {
	case control.KindFailed, control.KindRestart, control.KindHostGone, control.KindRolledBack:
		return true
	case control.KindBuilt, control.KindVerified, control.KindRetired:
		return p.opt.Verbose && !p.opt.Quiet
	}
	return !p.opt.Quiet
}

// remember takes note of what an event says about hosts.
func (p *Printer) remember(ev control.Event) {
	at := process{ev.Host, ev.PID}
	switch ev.Event {
	case control.KindLoaded, control.KindRolledBack:
		p.live[slot{at, ev.Plugin}] = liveState{ev.Generation, keyOf(ev)}
	case control.KindUnchanged:
		if ev.Generation > 0 {
			p.live[slot{at, ev.Plugin}] = liveState{ev.Generation, keyOf(ev)}
		}
	case control.KindHostGone, control.KindRestarted:
		p.prompt = "" // the question has settled itself
		for known := range p.hosts {
			if known.name == ev.Host && (known.pid == ev.PID) == (ev.Event == control.KindHostGone) {
				p.forget(known)
			}
		}
	}
	if ev.PID > 0 && ev.Event != control.KindHostGone {
		p.hosts[at] = true
	}
}

func (p *Printer) forget(at process) {
	delete(p.hosts, at)
	delete(p.own, at)
	for s := range p.live {
		if s.process == at {
			delete(p.live, s)
		}
	}
}

// asked is the builder's reason for a full link that the user wants. Nobody
// needs to be told.
const asked = "asked for"

// fallen gives why a plugin fell back to a full link, once: the edits after it
// are linked in full too, and the reason is the same. "" says nothing.
func (p *Printer) fallen(ev control.Event) string {
	switch {
	case ev.Event != control.KindBuilt && ev.Event != control.KindLoaded:
		return ""
	case ev.Link == "thin":
		delete(p.fell, ev.Plugin)
		return ""
	case ev.LinkReason == asked || ev.LinkReason == p.fell[ev.Plugin]:
		return ""
	}
	p.fell[ev.Plugin] = ev.LinkReason
	return Clean(ev.LinkReason)
}

// runs says what serves after a failure, or "" where that is not known. A
// failure that names no host is about all that hold the plugin.
func (p *Printer) runs(ev control.Event) string {
	if ev.Event != control.KindFailed || ev.Plugin == "" {
		return ""
	}
	if l, ok := p.live[slot{process{ev.Host, ev.PID}, ev.Plugin}]; ok {
		return eventView{own: p.isOwn(ev)}.version(l.generation, Clean(l.key))
	}
	if ev.PID > 0 {
		if ev.Generation > 0 {
			return version(ev.Generation, "")
		}
		return ""
	}
	var all *liveState
	for s, l := range p.live {
		if s.plugin != ev.Plugin {
			continue
		}
		if all != nil && *all != l {
			return "different versions"
		}
		all = &l
	}
	if all == nil {
		return ""
	}
	return eventView{own: p.isOwn(ev)}.version(all.generation, Clean(all.key))
}

// isOwn reports whether an event is about the own code of a host.
func (p *Printer) isOwn(ev control.Event) bool {
	if ev.PID > 0 {
		return ev.Plugin != "" && p.own[process{ev.Host, ev.PID}] == ev.Plugin
	}
	for _, name := range p.own {
		if name == ev.Plugin {
			return true
		}
	}
	return false
}

// asks says whether questions are put at all.
func (p *Printer) asks() bool {
	return p.opt.Asks && p.opt.Style.Terminal && !p.opt.JSON
}

// Ask puts the question of a restart event that was just shown; the answer comes
// as a key. It gives false, and shows nothing, where nobody could answer: no
// terminal, JSON, or Options.Asks not set.
//
// The question stays until [Printer.Entered], and is repeated below lines that
// come in between.
func (p *Printer) Ask(ev control.Event) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asks() {
		return false
	}
	const choices = "[y/N/always] "
	p.prompt = "restart " + host(Clean(ev.Host), ev.PID) + "? " + choices
	if ev.Host == "" && ev.PID == 0 {
		p.prompt = "restart? " + choices
	}
	text := "   restart? " + choices
	if !p.midline {
		text = p.prompt
	}
	if _, err := io.WriteString(p.opt.Err, text); err != nil {
		return false
	}
	p.midline = true
	return true
}

// Entered says that somebody pressed Enter: the cursor stands in the first
// column again, and an open question is answered, if only by No.
func (p *Printer) Entered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.midline, p.prompt = false, ""
}

// Help shows the keys.
func (p *Printer) Help() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opt.JSON {
		return nil
	}
	var rows [][]string
	for _, k := range keys {
		if k.help != "" {
			rows = append(rows, []string{"", string(k.letter), k.help})
		}
	}
	return p.write(columns(rows, 2))
}

// Unknown answers an input that is no key.
func (p *Printer) Unknown() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opt.JSON {
		return nil
	}
	return p.write([]string{"  no such key; h shows them"})
}

// Clear empties the screen; anything that is not a screen stays as it is.
func (p *Printer) Clear() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opt.JSON || !p.opt.Style.Terminal || p.opt.Style.Dumb {
		return nil
	}
	p.midline = false
	return p.writeText("\x1b[H\x1b[2J\x1b[3J") // home, screen, lines scrolled away
}

// write writes whole lines, and an open question again below them.
func (p *Printer) write(lines []string) error {
	text := strings.Join(lines, "\n") + "\n"
	if p.midline {
		text = "\n" + text
	}
	p.midline = p.prompt != ""
	return p.writeText(text + p.prompt)
}

// writeOpen writes a line that the next call may continue.
func (p *Printer) writeOpen(line string) error {
	if p.midline {
		line = "\n" + line
	}
	p.midline = true
	return p.writeText(line)
}

func (p *Printer) writeText(text string) error {
	if _, err := io.WriteString(p.opt.Err, text); err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	return nil
}
