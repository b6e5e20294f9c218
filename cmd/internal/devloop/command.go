package devloop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Command is what the user asks of a running loop.
type Command int

// The commands.
const (
	Rebuild   Command = iota + 1 // look at the sources again, retry what failed
	Full                         // as Rebuild, linked in full, and loaded even if nothing changed
	Pause                        // stop reloading, or go on with what was edited meanwhile
	Rollback                     // make the generation before the live one live again
	Targets                      // list the hosts
	LastError                    // the last failure once more
	Quit
	Yes // restart the host, as asked
	No
	Always // as Yes, and do not ask again
)

// command obeys the user.
func (l *Loop) command(c Command) {
	switch c {
	case Rebuild, Full:
		if l.fresh = ""; c == Full {
			l.fresh = l.fx.Now().UTC().Format(time.RFC3339Nano)
		}
		l.retry()
	case Pause:
		if l.paused = !l.paused; l.paused {
			l.note("paused: edits wait")
		} else {
			l.note("resumed")
		}
	case Rollback:
		l.rollback()
	case Targets:
		l.targets()
	case LastError:
		if l.last == nil {
			l.note("no failure so far")
			return
		}
		l.emit(*l.last)
	case Quit:
		l.done = true
	case Yes, Always:
		if c == Always {
			l.opt.Restart = RestartAlways
		}
		if l.asking != nil {
			l.asking, l.run.wanted = nil, true
		}
	case No:
		l.asking = nil
	}
}

// retry forgets every failure and looks at the sources as after an edit.
func (l *Loop) retry() {
	for _, g := range l.groups {
		clear(g.errs)
		clear(g.changes)
	}
	for _, h := range l.hosts {
		for _, s := range h.slots {
			if s.failure != nil {
				s.settled, s.failure = "", nil
			}
		}
	}
	clear(l.deaths)
	clear(l.unbound)
	l.edits++
	if l.batch == nil {
		l.batch = &watch.Batch{}
	}
	l.since = l.fx.Now()
	l.look, l.refind = true, true
	if l.owned() {
		l.hostEdited()
	}
}

// rollback undoes the last load, in every host that has it. The version that
// the sources ask for counts as settled, so it does not come back before the
// next edit.
func (l *Loop) rollback() {
	plugin := l.loaded
	asked := false
	for _, h := range l.all() {
		if plugin == "" || h.slot(plugin).generation == 0 {
			continue
		}
		asked = true
		l.rollbackTo(h, plugin, nil, backTo{}, time.Time{})
	}
	if !asked {
		l.note("nothing was loaded that could be rolled back")
	}
}

// backTo is why an earlier generation is to be live again where the user did not ask for
// it, and what of the edit has no effect there.
type backTo struct {
	reason string
	notes  []control.Finding
}

// rollbackTo makes an earlier generation live again, for an edit at since.
func (l *Loop) rollbackTo(h *host, plugin string, to *int, why backTo, since time.Time) {
	target, s, name := h.Host, h.slot(plugin), h.nameOf(plugin)
	s.loading = true
	l.async(func() func() {
		if since.IsZero() {
			since = l.fx.Now()
		}
		ev, err := l.fx.Rollback(l.ctx, target, name, to)
		total := ms(l.fx.Now().Sub(since))
		return func() {
			s.loading = false
			if err != nil {
				l.fail(loadFailure(target, name, s.generation, err))
				return
			}
			ev.Host, ev.PID, ev.Plugin, ev.Caller = target.Name, target.PID, name, nil
			if why.reason != "" {
				ev.Reason = why.reason
			}
			ev.Notes = append(ev.Notes, why.notes...)
			ev.TotalMS = total
			before := s.base()
			s.became(ev.Key, ev.Generation, choose.Base{Generation: ev.Generation, Key: ev.Key})
			l.overtaken(h, plugin, before)
			l.emit(ev)
		}
	})
}

// targets lists the hosts and what is live in them.
func (l *Loop) targets() {
	if len(l.hosts) == 0 {
		l.note("no host is up")
	}
	for _, h := range l.all() {
		var live []string
		for _, name := range slices.Sorted(maps.Keys(h.slots)) {
			s := h.slots[name]
			switch name = h.nameOf(name); {
			case s.generation == 0 && name != h.nameOf(ownCode):
				live = append(live, name+" (built in)")
			case s.generation == 0:
			case len(s.live) >= 6:
				live = append(live, fmt.Sprintf("%s v%d %s", name, s.generation, s.live[:6]))
			default:
				live = append(live, fmt.Sprintf("%s v%d", name, s.generation))
			}
		}
		l.emit(control.Event{
			Event: control.KindNote, Host: h.Name, PID: h.PID,
			Reason: strings.Join(append([]string{h.Socket}, live...), ", "),
		})
	}
}
