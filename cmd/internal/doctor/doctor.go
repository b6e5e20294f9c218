// Package doctor finds out whether a machine, a host and a module are fit for hot
// reload, before anything fails because they are not.
//
// A [Check] is a value: what was looked at, what was found, why it matters and
// what to do. Looking goes through a [World], so that every finding can be had
// without a machine that is broken in that way; and nothing is changed but by
// [Fix], which carries out what the checks offer.
package doctor

import (
	"context"
	"fmt"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Result is how a check came out.
type Result string

// The results.
const (
	OK      Result = "ok"
	Warning Result = "warning" // it works, and somebody should know
	Problem Result = "problem" // something that hotgo does will fail
	Skipped Result = "skipped" // it could not be looked at
)

// Check is one thing that was looked at. Its texts may quote what users and
// programs wrote: they are for people, and a terminal wants them cleaned.
type Check struct {
	ID      string               `json:"id"`                // such as cgo.compiler; never renamed
	Subject string               `json:"subject,omitempty"` // the plugin that it is about
	Result  Result               `json:"result"`
	What    string               `json:"what"` // one sentence: what was found; of a skipped one, why
	Code    string               `json:"code,omitempty"`
	Why     string               `json:"why,omitempty"` // why it matters
	Facts   []Fact               `json:"facts,omitempty"`
	Places  []control.Diagnostic `json:"places,omitempty"`
	Next    string               `json:"next,omitempty"`    // mostly a command
	Fixable bool                 `json:"fixable,omitempty"` // --fix does it
	Fixed   []string             `json:"fixed,omitempty"`   // what --fix did

	fix func() ([]string, error)
}

// Fact is evidence.
type Fact struct {
	What string `json:"what"`
	Is   string `json:"is"`
	Need string `json:"need,omitempty"` // what it should be, where that can be said
}

// Counts says how many checks came out how.
type Counts struct {
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Problems int `json:"problems"`
	Skipped  int `json:"skipped"`
}

// Count counts.
func Count(checks []Check) Counts {
	var n Counts
	for _, c := range checks {
		switch c.Result {
		case OK:
			n.OK++
		case Warning:
			n.Warnings++
		case Problem:
			n.Problems++
		case Skipped:
			n.Skipped++
		}
	}
	return n
}

// Run looks at everything, machine first, then host, then module. It changes
// nothing, and gives what it has where ctx ends.
func Run(ctx context.Context, w World) []Check {
	t, checks := w.toolchain(ctx)
	checks = append(checks, w.compiler(ctx, t)...)
	checks = append(checks, w.environment(t)...)
	m := w.examine(ctx, t)
	checks = append(checks, w.watching(m)...)
	checks = append(checks, w.sockets()...)
	checks = append(checks, w.directories()...)
	checks = append(checks, w.keys(ctx))
	checks = append(checks, w.host(ctx, t, m)...)
	return append(checks, w.module(m)...)
}

// Fix does what the checks offer to do about warnings and problems. What worked
// is ok then, and says what was done; what did not is a problem.
func Fix(checks []Check) {
	for i := range checks {
		c := &checks[i]
		if c.fix == nil || c.Result == OK || c.Result == Skipped {
			continue
		}
		done, err := c.fix()
		c.Fixed = done
		if err != nil {
			c.Result = Problem
			c.What += fmt.Sprintf("; it was not fixed: %v", err)
			continue
		}
		c.Result, c.Next, c.Fixable = OK, "", false
	}
}

func ok(id, format string, args ...any) Check {
	return Check{ID: id, Result: OK, What: fmt.Sprintf(format, args...)}
}

func skipped(id, format string, args ...any) Check {
	return Check{ID: id, Result: Skipped, What: fmt.Sprintf(format, args...)}
}
