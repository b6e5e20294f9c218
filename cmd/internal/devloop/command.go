package devloop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
		target, s := h.Host, h.slot(plugin)
		l.async(func() func() {
			ev, err := l.fx.Rollback(l.ctx, target, plugin)
			return func() {
				if err != nil {
					l.fail(loadFailure(target, plugin, s.generation, err))
					return
				}
				ev.Host, ev.PID, ev.Plugin = target.Name, target.PID, plugin
				s.live, s.generation = ev.Key, ev.Generation
				l.emit(ev)
			}
		})
	}
	if !asked {
		l.note("nothing was loaded that could be rolled back")
	}
}

// targets lists the hosts and what is live in them.
func (l *Loop) targets() {
	if len(l.hosts) == 0 {
		l.note("no host is up")
	}
	for _, h := range l.all() {
		var live []string
		for _, name := range slices.Sorted(maps.Keys(h.slots)) {
			switch s := h.slots[name]; {
			case s.generation == 0:
				live = append(live, name+" (built in)")
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
