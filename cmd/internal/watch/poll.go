package watch

import (
	"fmt"
	"time"
)

// Without being told, everything is compared: often when polling, now and then
// otherwise. The latter finds out whether this file system announces changes
// at all, and heals what events cannot tell: a directory above all that is
// watched was renamed, a file system was mounted or unmounted.

const (
	// pauseUntold is the pause between two looks until an event has announced a
	// change: who has no events is served after this time once, and by polling
	// from then on.
	pauseUntold = 2 * time.Second
	// pauseTold is the pause once events are known to arrive. Some file systems
	// announce only the changes made on this machine, so it never ends.
	pauseTold = 10 * time.Second
	// grace is how long an event may come after the look that found its
	// change. The kernel queues it within the write; the margin is for this
	// process being starved.
	grace = 2 * time.Second
)

// pause is the time from one look, which took so long, to the next: the
// interval, stretched on file systems where looking is slow, so that polling
// takes at most a twentieth of the time and other looks a hundredth.
func (l *loop) pause(took time.Duration) time.Duration {
	switch {
	case l.polling:
		return max(l.opts.PollInterval, 20*took)
	case l.opts.lookEvery != 0:
		return l.opts.lookEvery
	case l.proven:
		return max(pauseTold, 100*took)
	default:
		return max(pauseUntold, 100*took)
	}
}

// lookAround compares everything with what was seen.
func (l *loop) lookAround(now time.Time) {
	defer func() { l.nextLook = time.Now().Add(l.pause(time.Since(now))) }()
	if !l.polling && (!l.rest.idle() || l.unsettled || len(l.src.events) > 0) {
		return // there are events, and this look would run into them
	}
	// A path that leads to another directory than the one that is watched
	// explains every change in it: it becomes dirty here, and not suspect below.
	l.explore()
	if len(l.dirtyDirs) > 0 {
		l.rest.touch(now)
	}
	for _, dir := range l.scope.dirs() {
		select {
		case <-l.w.stop:
			return // looking may be slow, ending may not
		default:
		}
		if !l.dirtyDirs[dir] {
			l.compare(dir, now)
		}
	}
	if l.unsettled {
		l.explore()
	}
}

// compare marks what changed in a directory.
func (l *loop) compare(dir string, now time.Time) {
	in, _ := l.scope.of(dir)
	was := l.seen[dir]
	got, exists, err := l.scope.list(dir, in, was, now)
	if err != nil {
		return // said when it was listed first
	}
	if !exists && l.scope.found[dir] {
		l.dirtyDirs[dir] = true
		l.rest.touch(now)
	}
	for _, c := range diff(dir, was, got, func(string) bool { return false }) {
		if c.now.kind == directory {
			if !l.scope.follows(c.path) || !l.scope.find(c.path) {
				continue
			}
			l.dirtyDirs[c.path], l.dirtyDirs[dir], l.unsettled = true, true, true
			l.rest.touch(now)
		}
		if m, ok := l.dirty[c.path]; ok && (m.told || m.seen.equal(c.now)) {
			continue
		}
		l.dirty[c.path] = mark{seen: c.now}
		l.rest.touch(now)
		if !l.polling && !c.now.linked {
			l.suspect(c.path, now)
		}
	}
}

// suspect notes a change that no event announced so far.
func (l *loop) suspect(path string, now time.Time) {
	if len(l.suspects) == 0 {
		l.verdict = now.Add(grace)
	}
	l.suspects[path] = true
}

// acquit clears suspects: an event named them or a directory above.
func (l *loop) acquit(path string) {
	for suspect := range l.suspects {
		if within(suspect, path) {
			delete(l.suspects, suspect)
		}
	}
}

// judge draws the conclusion from suspects that no event has cleared: polling
// from now on. Events that do come are still used.
func (l *loop) judge() {
	for path := range l.suspects {
		l.say(fmt.Sprintf("%s changed and the file system did not tell: polling every %v as well (--poll does so from the start)",
			path, l.opts.PollInterval))
		break
	}
	clear(l.suspects)
	l.pollToo()
}

// pollToo starts to poll.
func (l *loop) pollToo() {
	l.polling = true
	l.nextLook = time.Now()
}

// cannotWatch deals with a directory that the source refuses.
func (l *loop) cannotWatch(dir string, err error) {
	if _, full := explainLimit(err, readSysctl); full {
		l.fallBack(err)
		return
	}
	l.say(fmt.Sprintf("cannot watch %s (%v): polling every %v as well", dir, err, l.opts.PollInterval))
	l.pollToo()
}

// fallBack does without events. The watches are given back: where a limit is
// reached, other programs are in need of them.
func (l *loop) fallBack(err error) {
	note, full := explainLimit(err, readSysctl)
	if !full {
		note = fmt.Sprintf("cannot watch files (%v): polling instead", err)
	}
	l.say(note)
	if err := l.closeSource(); err != nil {
		l.opts.Logger.Debug("cannot end file events", "error", err)
	}
	l.pollToo()
}
