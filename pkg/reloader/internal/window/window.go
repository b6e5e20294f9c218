// Package window decides, from what is seen of a generation that has just become live,
// whether it stays. It does nothing itself: whoever owns a [State] calls the checks,
// reads the counters and the clock, tells it, and carries out what it decides.
//
// A generation is unhealthy as soon as one of these is true:
//
//   - HotHealth has failed as often in a row as the rules say;
//   - more panics were contained, or more errors reported, than they let pass;
//   - somebody outside of the host says so;
//   - it had to be confirmed, and the window and its grace are over.
//
// It is healthy when the window is over and none of them is. A window does not end
// while a check is under way, nor on one that has failed: it stays open until the next
// one has passed, or the row is long enough. A share of errors says nothing of a few calls, and is judged from
// control.WindowMinCalls on.
package window

import (
	"fmt"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Counts are the counters of a generation at a moment.
type Counts struct {
	Panics, Calls, Errors int64
	LastPanic             string // the value of the last one, for people
}

// Decision is how a window ends.
type Decision struct {
	Healthy  bool
	Reason   string // one sentence, of what is unhealthy
	Evidence []control.Evidence
}

// State is one window. Its methods are for one goroutine at a time. Each of them gives
// the decision, nil while there is none, and the first one stands.
type State struct {
	rules  control.Window
	errors control.ErrorLimit
	until  time.Time

	checks, failed, inRow int
	counts                Counts
	checking              bool
	confirmed             bool
	over                  bool // its time has passed
	decided               *Decision
}

// New begins a window. The rules are complete and valid.
func New(rules control.Window, now time.Time) *State {
	limit, err := control.ParseErrorLimit(rules.MaxErrors)
	if err != nil {
		limit.None = true
	}
	return &State{rules: rules, errors: limit, until: now.Add(rules.Length)}
}

// Until is when the window ends, if nothing is found.
func (s *State) Until() time.Time { return s.until }

// Deadline is the next moment at which [State.At] may decide something: the end of the
// window, and then that of the grace for a confirmation.
func (s *State) Deadline() time.Time {
	if s.over {
		return s.until.Add(control.ConfirmGrace)
	}
	return s.until
}

// At tells how late it is.
func (s *State) At(now time.Time) *Decision {
	s.over = s.over || !now.Before(s.until)
	if s.decided == nil && s.rules.Confirm && !s.confirmed && !now.Before(s.until.Add(control.ConfirmGrace)) {
		return s.unhealthy("nobody has confirmed it", control.Evidence{
			What: "confirmation", Host: "wanted until " + s.until.Add(control.ConfirmGrace).UTC().Format(time.RFC3339), Artifact: "none",
		})
	}
	return s.settle()
}

// Checking tells that a call of HotHealth begins.
func (s *State) Checking() { s.checking = true }

// Unchecked reports whether no such call was made yet.
func (s *State) Unchecked() bool { return s.checks == 0 && !s.checking }

// Checked tells how it ended.
func (s *State) Checked(err error) *Decision {
	if s.decided != nil {
		return s.decided
	}
	s.checking = false
	s.checks++
	if err == nil {
		s.inRow = 0
		return s.settle()
	}
	s.failed++
	s.inRow++
	if s.inRow < s.rules.Failures {
		return nil
	}
	return s.unhealthy(
		fmt.Sprintf("HotHealth failed %s: %v", inARow(s.inRow), err),
		control.Evidence{What: "HotHealth", Host: fmt.Sprintf("at most %d in a row", s.rules.Failures-1), Artifact: fmt.Sprintf("%d of %d failed, the last %d in a row", s.failed, s.checks, s.inRow)},
	)
}

// Counted tells what the counters are, since the window began.
func (s *State) Counted(c Counts) *Decision {
	s.counts = c
	switch limit := s.rules.MaxPanics; {
	case s.decided != nil:
		return s.decided
	case limit >= 0 && c.Panics > int64(limit):
		return s.unhealthy(
			fmt.Sprintf("%s contained: %s", plural(c.Panics, "panic was", "panics were"), c.LastPanic),
			control.Evidence{What: "panics", Host: fmt.Sprintf("at most %d", limit), Artifact: fmt.Sprint(c.Panics)},
		)
	}
	return s.tooManyErrors()
}

func (s *State) tooManyErrors() *Decision {
	c, limit := s.counts, s.errors
	var allowed, seen string
	switch {
	case limit.None:
		return nil
	case !limit.IsShare && c.Errors > limit.Count:
		allowed, seen = fmt.Sprintf("at most %d", limit.Count), fmt.Sprintf("%d in %s", c.Errors, plural(c.Calls, "call", "calls"))
	case limit.IsShare && c.Calls >= control.WindowMinCalls && float64(c.Errors)*100 > limit.Percent*float64(c.Calls):
		share := float64(c.Errors) * 100 / float64(c.Calls)
		allowed, seen = fmt.Sprintf("at most %g%%", limit.Percent), fmt.Sprintf("%.1f%%, %d of %s", share, c.Errors, plural(c.Calls, "call", "calls"))
	default:
		return nil
	}
	return s.unhealthy("too many calls failed: "+seen, control.Evidence{What: "errors", Host: allowed, Artifact: seen})
}

// Confirm tells that somebody outside has found it healthy.
func (s *State) Confirm() *Decision {
	s.confirmed = true
	return s.settle()
}

// Refuse tells that somebody outside has found it unhealthy.
func (s *State) Refuse(reason string, evidence []control.Evidence) *Decision {
	if s.decided != nil {
		return s.decided
	}
	if reason == "" {
		reason = "whoever pushed it found it unhealthy"
	}
	return s.unhealthy(reason, evidence...)
}

// settle decides that it is healthy, when that can be said.
func (s *State) settle() *Decision {
	switch {
	case s.decided != nil:
		return s.decided
	case !s.over, s.checking, s.inRow > 0, s.rules.Confirm && !s.confirmed:
		return nil
	}
	s.decided = &Decision{Healthy: true, Evidence: s.seen()}
	return s.decided
}

func (s *State) unhealthy(reason string, evidence ...control.Evidence) *Decision {
	s.decided = &Decision{Reason: reason, Evidence: evidence}
	return s.decided
}

// seen is what a healthy generation was seen to do; nothing where there was nothing
// to see.
func (s *State) seen() []control.Evidence {
	var all []control.Evidence
	add := func(what, artifact string) { all = append(all, control.Evidence{What: what, Artifact: artifact}) }
	if s.checks > 0 {
		add("HotHealth", fmt.Sprintf("%d of %d passed", s.checks-s.failed, s.checks))
	}
	if s.counts.Panics > 0 {
		add("panics", fmt.Sprint(s.counts.Panics))
	}
	if s.counts.Calls > 0 {
		add("errors", fmt.Sprintf("%d of %s", s.counts.Errors, plural(s.counts.Calls, "call", "calls")))
	}
	if s.confirmed {
		add("confirmation", "given")
	}
	return all
}

// Health gives what is known.
func (s *State) Health() control.Health {
	return control.Health{
		State: control.HealthObserving, Since: s.until.Add(-s.rules.Length), Until: s.until, Checks: s.checks, Failed: s.failed,
		Panics: s.counts.Panics, Calls: s.counts.Calls, Errors: s.counts.Errors, Confirm: s.rules.Confirm, Confirmed: s.confirmed,
	}
}

func inARow(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice in a row"
	}
	return fmt.Sprintf("%d times in a row", n)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
