package watch

import "time"

// debounce decides when events have come to rest. It is a value that holds
// times and reads no clock.
//
// It is idle, or waits: until nothing has happened for quiet (for burst, while
// many files are changing), yet no longer than maxWait after the first event. Someone who is known to be in the middle
// of something (git, see gitlock.go) may put the end off, up to patience.
type debounce struct {
	quiet    time.Duration
	burst    time.Duration // at least quiet
	maxWait  time.Duration
	patience time.Duration

	first, last time.Time // zero when idle
	later       time.Time // put off until then
	held        bool      // by someone who has not let go yet
	many        bool      // files are changing
}

// touch says that something happened.
func (d *debounce) touch(now time.Time) {
	if d.idle() {
		d.first = now
	}
	d.last = now
}

func (d *debounce) idle() bool { return d.first.IsZero() }

// deadline is when to look; not for an idle debounce.
func (d *debounce) deadline() time.Time {
	pause := d.quiet
	if d.many {
		pause = d.burst
	}
	t := d.last.Add(pause)
	if end := d.first.Add(d.maxWait); end.Before(t) {
		t = end
	}
	if d.later.After(t) {
		t = d.later
	}
	return t
}

// due reports whether it is time to look.
func (d *debounce) due(now time.Time) bool { return !d.idle() && !now.Before(d.deadline()) }

// overdue reports whether the first event is so old that nothing but a holder
// may put the end off.
func (d *debounce) overdue(now time.Time) bool {
	return !d.idle() && !now.Before(d.first.Add(d.maxWait))
}

// crowd says that many files are changing. It stays true until the end.
func (d *debounce) crowd() { d.many = true }

// putOff moves the end to now+step. It refuses when patience is used up.
func (d *debounce) putOff(now time.Time, step time.Duration) bool {
	if end := d.first.Add(d.patience); !now.Before(end) {
		return false
	}
	d.later, d.held = now.Add(step), true
	return true
}

// release says that nobody holds the end any more. It reports whether somebody
// did until now: then the wait goes on for burst, because what they did last
// may not have arrived, and they did much.
func (d *debounce) release(now time.Time) bool {
	if !d.held {
		return false
	}
	d.later, d.held = now.Add(d.burst), false
	return true
}

// take ends the wait and gives the times of the first and last event.
func (d *debounce) take() (first, last time.Time) {
	first, last = d.first, d.last
	d.first, d.last, d.later, d.held, d.many = time.Time{}, time.Time{}, time.Time{}, false, false
	return first, last
}
