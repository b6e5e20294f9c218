package window

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

var (
	begin   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	errSick = errors.New("no stock")
)

// story is a window in steps; each gives what it decides.
type story []func(*State) *Decision

func ok(s *State) *Decision     { return s.Checked(nil) }
func fail(s *State) *Decision   { return s.Checked(errSick) }
func begins(s *State) *Decision { s.Checking(); return nil }

func yes(s *State) *Decision { return s.Confirm() }
func no(s *State) *Decision  { return s.Refuse("the shop is closed", nil) }

func at(d time.Duration) func(*State) *Decision {
	return func(s *State) *Decision { return s.At(begin.Add(d)) }
}

func counted(panics, calls, errors int64) func(*State) *Decision {
	return func(s *State) *Decision {
		return s.Counted(Counts{Panics: panics, Calls: calls, Errors: errors, LastPanic: "boom"})
	}
}

func TestWindowEndsAsItsRulesSay(t *testing.T) {
	const grace = control.ConfirmGrace
	for name, c := range map[string]struct {
		rules control.Window
		story story
		early bool   // it is decided before the last step
		want  string // "healthy", the beginning of a reason, or "" for an open window; it comes with the last step
	}{
		"nothing is found":                       {story: story{ok, ok, at(10 * time.Second)}, want: "healthy"},
		"nothing is looked at":                   {story: story{at(10 * time.Second)}, want: "healthy"},
		"it is not over yet":                     {story: story{ok, at(9 * time.Second)}},
		"one failure is chance":                  {story: story{ok, fail, ok, fail, ok, at(10 * time.Second)}, want: "healthy"},
		"two in a row are not":                   {story: story{ok, fail, fail}, want: "HotHealth failed twice in a row: no stock"},
		"one is enough where it is said":         {rules: control.Window{Failures: 1}, story: story{ok, fail}, want: "HotHealth failed once: no stock"},
		"a window does not end on a failure":     {story: story{fail, at(10 * time.Second)}},
		"it ends when the next check has passed": {story: story{fail, at(10 * time.Second), ok}, want: "healthy"},
		"nor while a check is under way":         {story: story{begins, at(10 * time.Second)}},
		"it ends with that one":                  {story: story{begins, at(10 * time.Second), ok}, want: "healthy"},
		"or has failed as well":                  {story: story{fail, at(10 * time.Second), fail}, want: "HotHealth failed twice in a row"},

		"no panic is let pass":          {story: story{counted(0, 0, 0), counted(1, 0, 0)}, want: "1 panic was contained: boom"},
		"panics that are let pass":      {rules: control.Window{MaxPanics: 2}, story: story{counted(2, 0, 0), at(10 * time.Second)}, want: "healthy"},
		"and one too many":              {rules: control.Window{MaxPanics: 2}, story: story{counted(2, 0, 0), counted(3, 0, 0)}, want: "3 panics were contained: boom"},
		"any number of panics":          {rules: control.Window{MaxPanics: -1}, story: story{counted(999, 0, 0), at(10 * time.Second)}, want: "healthy"},
		"errors are let pass":           {story: story{counted(0, 10, 10), at(10 * time.Second)}, want: "healthy"},
		"unless there is a number":      {rules: control.Window{MaxErrors: "2"}, story: story{counted(0, 3, 2), counted(0, 3, 3)}, want: "too many calls failed: 3 in 3 calls"},
		"or a share":                    {rules: control.Window{MaxErrors: "5%"}, story: story{counted(0, 40, 2), counted(0, 40, 3)}, want: "too many calls failed: 7.5%, 3 of 40 calls"},
		"none":                          {rules: control.Window{MaxErrors: "0"}, story: story{counted(0, 9, 0), counted(0, 10, 1)}, want: "too many calls failed: 1 in 10 calls"},
		"a share of a few says nothing": {rules: control.Window{MaxErrors: "5%"}, story: story{counted(0, 19, 19), at(10 * time.Second)}, want: "healthy"},

		"it has to be confirmed":             {rules: control.Window{Confirm: true}, story: story{ok, at(10 * time.Second), at(10*time.Second + grace - 1)}},
		"and is not":                         {rules: control.Window{Confirm: true}, story: story{ok, at(10 * time.Second), at(10*time.Second + grace)}, want: "nobody has confirmed it"},
		"it is confirmed before the end":     {rules: control.Window{Confirm: true}, story: story{yes, at(10 * time.Second)}, want: "healthy"},
		"or after it":                        {rules: control.Window{Confirm: true}, story: story{at(10 * time.Second), yes}, want: "healthy"},
		"confirmed, and unhealthy":           {rules: control.Window{Confirm: true}, story: story{yes, fail, at(10 * time.Second), fail}, want: "HotHealth failed"},
		"somebody refuses it":                {story: story{ok, no}, want: "the shop is closed"},
		"the first decision stands":          {early: true, story: story{fail, fail, yes}, want: "HotHealth failed twice in a row"},
		"also where it is the healthy one":   {early: true, story: story{at(10 * time.Second), no}, want: "healthy"},
		"a panic after it changes nothing":   {early: true, story: story{at(10 * time.Second), counted(5, 0, 0)}, want: "healthy"},
		"and so does the end of its grace":   {early: true, rules: control.Window{Confirm: true}, story: story{yes, at(10 * time.Second), at(time.Hour)}, want: "healthy"},
		"a clock that jumps ends it at once": {story: story{at(time.Hour)}, want: "healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			c.rules.Length = 10 * time.Second
			rules, err := c.rules.Complete()
			if err != nil {
				t.Fatal(err)
			}
			s := New(rules, begin)
			var d *Decision
			for i, step := range c.story {
				if d = step(s); d != nil && i < len(c.story)-1 && !c.early {
					t.Fatalf("step %d decides already: %+v", i, d)
				}
			}
			got := ""
			switch {
			case d == nil:
			case d.Healthy:
				got = "healthy"
			default:
				got = d.Reason
			}
			if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("it ends as %q, want %q", got, c.want)
			}
			if d != nil && !d.Healthy && len(d.Evidence) == 0 && c.want != "the shop is closed" {
				t.Error("there is no evidence")
			}
		})
	}
}

func TestWhatWasSeenIsTold(t *testing.T) {
	rules, _ := control.Window{Length: time.Second, MaxPanics: -1}.Complete()
	s := New(rules, begin)
	for _, step := range (story{ok, fail, ok, counted(1, 50, 2)}) {
		step(s)
	}
	d := s.At(begin.Add(time.Second))
	var seen []string
	for _, e := range d.Evidence {
		seen = append(seen, e.What+": "+e.Artifact)
	}
	if got, want := strings.Join(seen, "; "), "HotHealth: 2 of 3 passed; panics: 1; errors: 2 of 50 calls"; got != want {
		t.Errorf("it was seen that %s, want %s", got, want)
	}
	h := s.Health()
	if h.Checks != 3 || h.Failed != 1 || h.Panics != 1 || h.Calls != 50 || h.Errors != 2 || !h.Since.Equal(begin) || h.Until.Sub(h.Since) != time.Second {
		t.Errorf("health %+v", h)
	}
}

func TestTheNextMomentToDecideIsKnown(t *testing.T) {
	rules, _ := control.Window{Length: time.Second, Confirm: true}.Complete()
	s := New(rules, begin)
	if got := s.Deadline().Sub(begin); got != time.Second {
		t.Errorf("the first is after %s", got)
	}
	s.At(begin.Add(time.Second))
	if got := s.Deadline().Sub(begin); got != time.Second+control.ConfirmGrace {
		t.Errorf("the second is after %s", got)
	}
}
