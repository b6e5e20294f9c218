// Package restore keeps what a host is to have again after a restart: which
// artifacts were live, whether they had proved healthy, and the artifacts.
//
// State is the description: a value, changed by plain methods. Log writes it down
// so that no end of the process or of the machine leaves anything but what was
// written last or what was to be written next. Artifacts are the files.
//
// # Who is to blame
//
// Nobody tells a process how the one before it ended. So before anything is
// opened it is written down that it is tried, and a while after it became live
// that it is proven. A process that finds neither the one nor a clean end behind a
// trial takes it that its predecessor died of it, and quarantines what was tried.
// No clock is asked: whether the time was up shows in what was written.
package restore

import (
	"cmp"
	"slices"
	"time"
)

// Version is the value of [State.V].
const Version = 1

// Limits of what is remembered.
const (
	mostBuilds      = 5   // of the host, the most recently used ones
	mostQuarantined = 100 // the latest ones
	mostReboots     = 2   // deaths of the machine during a trial until it is suspect
	mostLeft        = 50  // of what was replaced within its time, the latest
)

// State is all that a host's processes hand on to each other.
type State struct {
	V           int           `json:"v"`
	Run         *Run          `json:"run,omitempty"` // who uses it; nil after a clean end
	Builds      []Build       `json:"builds,omitempty"`
	Quarantined []Quarantined `json:"quarantined,omitempty"`
}

// Run is a process that uses the state.
type Run struct {
	Boot   string    `json:"boot,omitempty"` // tells one start of the machine from another; "" is not known
	PID    int       `json:"pid"`
	Began  time.Time `json:"began"`
	Window string    `json:"window"` // how long something has to be live to be proven, for people
	Trying *Trial    `json:"trying,omitempty"`
	// Left was live for a shorter time than that. Its code is still there, and
	// goroutines of it may be.
	Left []Trial `json:"left,omitempty"`
}

// Trial is a generation that is being opened or made live.
type Trial struct {
	Plugin string `json:"plugin"`
	Build  string `json:"build"`
	Entry  Entry  `json:"entry"`
	How    string `json:"how"` // "loaded", "restored" or "rolled back to"
}

// Build is what was live in one build of the host: it fits no other for certain.
type Build struct {
	ID      string   `json:"id"`
	Plugins []Plugin `json:"plugins,omitempty"`
}

// Plugin is what serves, or is to serve, of one plugin that is not at its
// built-in. The host itself is one if it is patched.
type Plugin struct {
	Name   string  `json:"name"`
	Live   []Entry `json:"live"`             // a generation, then the patch of it; or one of the two
	Before []Entry `json:"before,omitempty"` // what was proven before Live
}

// Entry is an artifact that was live.
type Entry struct {
	Digest  string    `json:"digest"`
	Key     string    `json:"key"`
	Order   int       `json:"order"` // in which the artifacts of a process were opened
	Loaded  time.Time `json:"loaded"`
	Proven  bool      `json:"proven,omitempty"`  // it was live for long enough, or at a clean end, at some time
	Watched bool      `json:"watched,omitempty"` // in this Run it has not been so yet
	Reboots int       `json:"reboots,omitempty"` // times in a row that the machine went down while it was watched
}

// Quarantined is an artifact that is not loaded until somebody says so.
type Quarantined struct {
	Plugin string    `json:"plugin"`
	Digest string    `json:"digest"`
	Key    string    `json:"key"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Same reports whether e is that artifact: the same bytes, or made of the same
// build inputs, which amount to the same code.
func (e Entry) Same(digest, key string) bool {
	return e.Digest == digest || key != "" && e.Key == key
}

// Quarantine gives why an artifact is quarantined, if it is.
func (s State) Quarantine(digest, key string) (Quarantined, bool) {
	for _, q := range s.Quarantined {
		if (Entry{Digest: q.Digest, Key: q.Key}).Same(digest, key) {
			return q, true
		}
	}
	return Quarantined{}, false
}

// Release takes an artifact out of quarantine and reports whether it was there.
func (s *State) Release(digest, key string) bool {
	n := len(s.Quarantined)
	s.Quarantined = slices.DeleteFunc(s.Quarantined, func(q Quarantined) bool {
		return Entry{Digest: q.Digest, Key: q.Key}.Same(digest, key)
	})
	return len(s.Quarantined) != n
}

// Wanted lists what is to be live in a build, in the order in which it was opened.
func (s State) Wanted(build string) []Trial {
	var all []Trial
	for _, b := range s.Builds {
		if b.ID != build {
			continue
		}
		for _, p := range b.Plugins {
			for _, e := range p.Live {
				all = append(all, Trial{Plugin: p.Name, Build: build, Entry: e, How: HowRestored})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Trial) int { return cmp.Compare(a.Entry.Order, b.Entry.Order) })
	return all
}

// The values of [Trial.How].
const (
	HowLoaded     = "loaded"
	HowRestored   = "restored"
	HowRolledBack = "rolled back to"
	howLive       = "live"
)

// Try notes that something is about to be opened or made live.
func (s *State) Try(t Trial) {
	if s.Run == nil {
		return
	}
	if p := s.plugin(t.Build, t.Plugin); p != nil {
		known := find(p.Live, t.Entry)
		if known == nil {
			known = find(p.Before, t.Entry)
		}
		t.Entry.Proven = known != nil && known.Proven
	}
	s.Run.Trying = &t
}

// GiveUp ends a trial that failed: what served until now still does.
func (s *State) GiveUp() {
	if s.Run != nil {
		s.Run.Trying = nil
	}
}

// Settle ends a trial that went well: live is what serves of the plugin from now
// on; empty is the built-in. back says that it was a rollback: what served until
// now was given up, and is nothing to fall back to.
func (s *State) Settle(build, plugin string, live []Entry, back bool) {
	s.GiveUp()
	b := s.use(build)
	p := b.find(plugin)
	if p == nil {
		b.Plugins = append(b.Plugins, Plugin{Name: plugin})
		p = &b.Plugins[len(b.Plugins)-1]
	}
	live = slices.Clone(live)
	for i, e := range live {
		known := find(p.Live, e)
		if known == nil {
			known = find(p.Before, e)
		}
		if known != nil {
			live[i].Proven, live[i].Watched = known.Proven, known.Watched
		}
	}
	if n := len(live); n > 0 {
		live[n-1].Watched, live[n-1].Reboots = true, 0
	}
	switch same := sameEntries(p.Live, live); {
	case back && sameEntries(p.Before, live):
		p.Before = nil
	case !back && !same && proven(p.Live):
		p.Before = p.Live
	}
	for _, e := range p.Live {
		if s.Run != nil && e.Watched && !e.Proven && find(live, e) == nil {
			s.Run.Left = append(s.Run.Left, Trial{Plugin: plugin, Build: build, Entry: e, How: howLive})
			s.Run.Left = s.Run.Left[max(0, len(s.Run.Left)-mostLeft):]
		}
	}
	if p.Live = live; len(live) == 0 {
		b.Plugins = slices.DeleteFunc(b.Plugins, func(q Plugin) bool { return q.Name == plugin })
	}
}

// Watch has what serves of a plugin watched again: it was restored.
func (s *State) Watch(build, plugin, digest string) {
	s.GiveUp()
	if e := s.live(build, plugin, digest); e != nil {
		e.Watched = true
	}
}

// Prove notes that what became live of a plugin did so long enough ago.
func (s *State) Prove(build, plugin, digest string) {
	if s.Run != nil {
		s.Run.Left = slices.DeleteFunc(s.Run.Left, func(t Trial) bool { return t.Entry.Digest == digest })
	}
	if e := s.live(build, plugin, digest); e != nil {
		e.Proven, e.Watched, e.Reboots = true, false, 0
	}
}

// Doubt notes that what is live has turned out to be unhealthy, whatever it had proved:
// if the process dies now, it is suspected before what takes its place.
func (s *State) Doubt(build, plugin, digest string) {
	if e := s.live(build, plugin, digest); e != nil {
		e.Proven, e.Watched = false, true
	}
}

// End notes a clean end.
func (s *State) End() { s.Run = nil }

func (s *State) live(build, plugin, digest string) *Entry {
	p := s.plugin(build, plugin)
	if p == nil {
		return nil
	}
	return find(p.Live, Entry{Digest: digest})
}

// plugin gives a plugin of a build; nil where nothing is known of it.
func (s *State) plugin(build, name string) *Plugin {
	for i := range s.Builds {
		if s.Builds[i].ID == build {
			return s.Builds[i].find(name)
		}
	}
	return nil
}

// use gives a build's part, as the one used last.
func (s *State) use(id string) *Build {
	i := slices.IndexFunc(s.Builds, func(b Build) bool { return b.ID == id })
	b := Build{ID: id}
	if i >= 0 {
		b = s.Builds[i]
		s.Builds = slices.Delete(s.Builds, i, i+1)
	}
	s.Builds = slices.Insert(s.Builds, 0, b)
	s.Builds = s.Builds[:min(len(s.Builds), mostBuilds)]
	return &s.Builds[0]
}

func (b *Build) find(name string) *Plugin {
	for i := range b.Plugins {
		if b.Plugins[i].Name == name {
			return &b.Plugins[i]
		}
	}
	return nil
}

func find(all []Entry, e Entry) *Entry {
	for i := range all {
		if all[i].Digest == e.Digest {
			return &all[i]
		}
	}
	return nil
}

func sameEntries(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool { return x.Digest == y.Digest })
}

func proven(all []Entry) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(e Entry) bool { return !e.Proven })
}

// clone gives a copy that shares nothing that is ever changed.
func (s State) clone() State {
	if s.Run != nil {
		run := *s.Run
		run.Left = slices.Clone(run.Left)
		s.Run = &run
	}
	s.Quarantined = slices.Clone(s.Quarantined)
	s.Builds = slices.Clone(s.Builds)
	for i := range s.Builds {
		s.Builds[i].Plugins = slices.Clone(s.Builds[i].Plugins)
		for j := range s.Builds[i].Plugins {
			p := &s.Builds[i].Plugins[j]
			p.Live, p.Before = slices.Clone(p.Live), slices.Clone(p.Before)
		}
	}
	return s
}
