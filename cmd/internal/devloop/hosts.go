package devloop

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// misses is after how many looks in a row a silent host counts as gone: a
// process that is starved for a moment is not.
const misses = 2

// firstLook is the pace of looking for a host that was just started.
const firstLook = 25 * time.Millisecond

// host is one running process and what the loop did to it.
type host struct {
	Host
	group  *group
	looked bool // a snapshot was taken for it: what is wanted may be older than the host
	missed int
	slots  map[string]*slot // by plugin, or ownCode

	decision choose.Decision // how the sources reach it, as of the last snapshot
	patched  bool            // its own code, by this loop
}

// slot is one plugin in one host.
type slot struct {
	live       string // key of the live generation; "" is the built-in
	generation int
	bases      map[int]choose.Base // of its generations: what each is, or is a patch of
	settled    string              // the wanted version that came to an end here, well or badly
	failure    *control.Event      // how, where badly
	refused    string              // key of a patch that it did not take
	refusal    *choose.RefusedError
	loading    bool
	builtin    bool // the host has its own implementation of everything it binds
}

// runs reports whether the host executes what the plan would build: as the
// live generation, or because it was built from the same code.
func (s *slot) runs(plan *builder.Plan) bool {
	return s.live == plan.Key || plan.Builtin && s.builtin && s.live == "" && s.generation == 0
}

// hasBuiltin reports whether every symbol that is bound has a built-in.
func hasBuiltin(p control.Plugin) bool {
	for _, s := range p.Symbols {
		if !s.Builtin {
			return false
		}
	}
	return len(p.Symbols) > 0
}

// id tells processes apart that use one socket after the other.
func (h Host) id() string {
	return h.Socket + "|" + strconv.Itoa(h.PID) + "|" + h.Started.UTC().Format(time.RFC3339Nano)
}

// binaryID tells binaries apart: hosts with one binary share snapshots and
// artifacts.
func (h Host) binaryID() string {
	if h.BuildID != "" {
		return h.BuildID
	}
	return h.Binary
}

// names lists the plugins that the host binds or holds.
func (h Host) names() []string {
	var names []string
	for _, p := range h.Plugins {
		if p.Kind != control.KindHost {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// slot gives the state of a plugin in this host.
func (h *host) slot(plugin string) *slot {
	s := h.slots[plugin]
	if s == nil {
		s = &slot{}
		h.slots[plugin] = s
	}
	return s
}

// holds reports whether the host binds or holds the plugin.
func (h *host) holds(plugin string) bool {
	return slices.ContainsFunc(h.Plugins, func(p control.Plugin) bool { return p.Name == plugin && p.Kind != control.KindHost })
}

// update takes over what the host says about itself. A slot that is being
// loaded is left alone: the answer of the load is newer.
func (h *host) update(now Host) {
	h.Host = now
	for _, p := range now.Plugins {
		if s := h.slot(slotOf(p)); !s.loading {
			s.update(p)
		}
	}
}

// undone gives what the host took back by itself since the last look: what had failed
// its health window, or had panicked too often. It is not loaded again before the next
// edit, for it has come to an end here.
func (h *host) undone(now Host) (events []control.Event) {
	for _, p := range now.Plugins {
		s := h.slots[slotOf(p)]
		if s == nil || s.loading || s.generation == 0 || s.generation == p.Live {
			continue
		}
		i := slices.IndexFunc(p.Generations, func(g control.Generation) bool { return g.Generation == s.generation })
		if i < 0 || p.Generations[i].State != control.StateFailed {
			continue // somebody else loaded, or rolled back
		}
		ev := control.Event{
			Event: control.KindRolledBack, Verdict: control.Swapped, Host: now.Name, PID: now.PID, Plugin: p.Name,
			Generation: p.Live, Undone: s.generation, Code: control.CodeUnhealthy, Reason: p.Generations[i].Reason,
		}
		for _, g := range p.Generations {
			if g.Generation == p.Live {
				ev.Key, ev.Digest = g.Key, g.Digest
			}
		}
		if p.Generations[i].Patch {
			ev.Verdict = control.Patched
		}
		events = append(events, ev)
	}
	return events
}

// pollHosts looks for hosts, unless somebody does, and then calls each of then.
func (l *Loop) pollHosts(then ...func()) {
	l.polled = append(l.polled, then...)
	if l.polling {
		return
	}
	l.polling = true
	after := l.polled
	l.polled = nil
	l.async(func() func() {
		found, err := l.fx.Hosts(l.ctx)
		return func() {
			l.polling = false
			l.found(found, err)
			for _, f := range after {
				f()
			}
			if len(l.polled) > 0 {
				l.pollHosts()
				return
			}
			l.poll.Reset(l.pace())
		}
	})
}

// pace is the time to the next look. A host that was just started is looked
// for more often, for the first reload should not wait for a timer.
func (l *Loop) pace() time.Duration {
	if l.run.proc != nil && len(l.hosts) == 0 && l.fx.Now().Sub(l.run.started) < 10*time.Second {
		return min(firstLook, l.opt.Poll)
	}
	return l.opt.Poll
}

// found compares the hosts that answer with those that did.
func (l *Loop) found(found []Host, err error) {
	seen := map[string]bool{}
	coming := false
	for _, f := range found {
		if l.owned() && (l.run.proc == nil || f.PID != l.run.proc.PID) {
			continue // the process before this one, on its way out
		}
		id := f.id()
		seen[id] = true
		if h := l.hosts[id]; h != nil {
			h.missed = 0
			names := h.names()
			for _, ev := range h.undone(f) {
				l.emit(ev)
			}
			h.update(f)
			if !slices.Equal(names, h.names()) {
				l.look = true
			}
			continue
		}
		if l.comingUp(f) {
			coming = true
			continue
		}
		l.joined(f)
	}
	for _, id := range slices.Sorted(maps.Keys(l.hosts)) {
		h := l.hosts[id]
		if seen[id] {
			continue
		}
		if h.missed++; h.missed >= misses {
			l.left(h, "")
		}
	}
	if !coming {
		l.noteAbsence(err)
	}
}

// young is how long a host that holds no plugin may be about to bind some.
const young = time.Second

// comingUp reports whether a host answers before it is made: what is wanted in it cannot
// be told by what it binds now.
func (l *Loop) comingUp(f Host) bool {
	age := l.fx.Now().Sub(f.Started)
	return f.Starting || len(f.names()) == 0 && age >= 0 && age < young
}

// joined adds a host that came up.
func (l *Loop) joined(f Host) {
	g := l.groups[f.binaryID()]
	if g == nil {
		g = newGroup(builder.Host{Binary: f.Binary})
		l.groups[f.binaryID()] = g
		l.order = append(l.order, f.binaryID())
	}
	g.host.Binary = f.Binary // of a process that lives
	h := &host{group: g, slots: map[string]*slot{}}
	h.update(f)
	l.hosts[f.id()] = h
	l.waiting = false
	l.look = true

	ev := control.Event{Event: control.KindStarted, Host: h.Name, PID: h.PID}
	if l.run.restarted {
		l.run.restarted = false
		ev.Event = control.KindRestarted
		if !l.run.edited.IsZero() {
			ev.TotalMS = ms(l.fx.Now().Sub(l.run.edited))
		}
	}
	l.emit(ev)
	l.awaitRecall(h)
}

// left removes a host that does not answer any more.
func (l *Loop) left(h *host, reason string) {
	delete(l.hosts, h.id())
	if l.owned() {
		return // its exit says more, and is on its way
	}
	l.emit(control.Event{Event: control.KindHostGone, Host: h.Name, PID: h.PID, Reason: reason})
}

// noteAbsence says once that the loop waits for a host.
func (l *Loop) noteAbsence(err error) {
	if len(l.hosts) > 0 || l.waiting {
		return
	}
	if l.owned() {
		p := l.run.proc
		if p == nil || l.run.stopping || l.fx.Now().Sub(l.run.started) < silence {
			return
		}
		l.waiting = true
		l.emit(control.Event{
			Event: control.KindNote, PID: p.PID,
			Reason: fmt.Sprintf("the host runs but its control socket does not answer after %s", silence),
			Next:   `add import _ "github.com/hotgo/hotgo/pkg/reloader/auto" to the host's main package`,
		})
		return
	}
	l.waiting = true
	reason := "no host is up yet; waiting for one"
	if err != nil {
		reason += " (" + err.Error() + ")"
	}
	l.note(reason)
}

// members lists the hosts of a binary, in a stable order.
func (l *Loop) members(g *group) []*host {
	var hs []*host
	for _, h := range l.hosts {
		if h.group == g {
			hs = append(hs, h)
		}
	}
	slices.SortFunc(hs, func(a, b *host) int { return a.PID - b.PID })
	return hs
}
