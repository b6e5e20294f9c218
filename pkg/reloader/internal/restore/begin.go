package restore

import (
	"fmt"
	"slices"
	"time"
)

// Begin hands the state on to a new process, and gives what is quarantined now
// because the one before died of it, as far as can be told:
//
//   - it opened or ran something that had never been proven, or had done so a moment
//     ago: all such;
//   - it was making something live that had been proven in an earlier process: that;
//   - it ran only what had been proven there, and had not been proven again: all such.
//
// So of two suspects the stranger one goes first, and each death makes the set
// smaller, until the built-ins serve. What was proven before takes the place of
// what is quarantined.
//
// Where the machine went down as well the process may have died of that, and only
// when it happens again, to the same artifact, is that taken for a reason.
func (s *State) Begin(run Run, now time.Time) []Quarantined {
	prev := s.Run
	s.Run = &run
	if prev == nil {
		return nil
	}
	rebooted := prev.Boot != "" && run.Boot != "" && prev.Boot != run.Boot
	found := suspects(s, prev)
	var guilty []Quarantined
	for _, t := range found {
		e := &t.Entry
		if known := s.live(t.Build, t.Plugin, e.Digest); known != nil {
			e = known
		}
		if rebooted {
			if e.Reboots++; e.Reboots < mostReboots {
				continue
			}
		}
		guilty = append(guilty, Quarantined{
			Plugin: t.Plugin, Digest: e.Digest, Key: e.Key, Since: now, Reason: reason(prev, t, rebooted),
		})
	}
	s.unwatch()
	for _, q := range guilty {
		s.quarantine(q)
	}
	return guilty
}

// suspects gives what may have ended a process.
func suspects(s *State, prev *Run) []Trial {
	all := slices.Clone(prev.Left)
	for _, b := range s.Builds {
		for _, p := range b.Plugins {
			for _, e := range p.Live {
				if e.Watched {
					all = append(all, Trial{Plugin: p.Name, Build: b.ID, Entry: e, How: howLive})
				}
			}
		}
	}
	if t := prev.Trying; t != nil {
		all = slices.DeleteFunc(all, func(a Trial) bool { return a.Plugin == t.Plugin && a.Entry.Digest == t.Entry.Digest })
		all = append(all, *t)
	}
	fresh := slices.DeleteFunc(slices.Clone(all), func(t Trial) bool { return t.Entry.Proven })
	switch {
	case len(fresh) > 0:
		return fresh
	case prev.Trying != nil:
		return all[len(all)-1:]
	}
	return all
}

func reason(prev *Run, t Trial, rebooted bool) string {
	who := fmt.Sprintf("process %d ended", prev.PID)
	if rebooted {
		who = fmt.Sprintf("the machine went down under process %d, as it had before", prev.PID)
	}
	if t.How == howLive {
		return fmt.Sprintf("%s before it had been live for %s", who, prev.Window)
	}
	return fmt.Sprintf("%s while it was being %s", who, t.How)
}

func (s *State) unwatch() {
	for i := range s.Builds {
		for j := range s.Builds[i].Plugins {
			live := s.Builds[i].Plugins[j].Live
			for k := range live {
				live[k].Watched = false
			}
		}
	}
}

// quarantine enters an artifact and takes it out of what is wanted.
func (s *State) quarantine(q Quarantined) {
	s.Release(q.Digest, q.Key)
	s.Quarantined = append(s.Quarantined, q)
	if n := len(s.Quarantined) - mostQuarantined; n > 0 {
		s.Quarantined = slices.Delete(s.Quarantined, 0, n)
	}
	for i := range s.Builds {
		b := &s.Builds[i]
		for j := range b.Plugins {
			b.Plugins[j].avoid(q)
		}
		b.Plugins = slices.DeleteFunc(b.Plugins, func(p Plugin) bool { return len(p.Live) == 0 })
	}
}

// avoid falls back to what was proven before, else to what the patch was made for,
// else to nothing.
func (p *Plugin) avoid(q Quarantined) {
	bad := func(e Entry) bool { return e.Same(q.Digest, q.Key) }
	if slices.ContainsFunc(p.Before, bad) {
		p.Before = nil
	}
	i := slices.IndexFunc(p.Live, bad)
	if i < 0 {
		return
	}
	rest := p.Live[:i]
	if p.Live = p.Before; p.Live == nil {
		p.Live = rest
	}
	p.Before = nil
}
