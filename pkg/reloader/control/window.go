package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Window says how long, and how closely, a host observes a generation that has just
// become live. If it turns out to be unhealthy within that time, what served before
// serves again.
//
// The zero value observes nothing. With a Length, HotHealth is called again and again,
// and panics that calls have contained are counted.
type Window struct {
	Length time.Duration // how long; 0 is not at all

	// Interval is the time from the end of one call of HotHealth to the next one; 0
	// means 1 s.
	Interval time.Duration

	// Failures is how many calls in a row have to fail; 0 means 2: one failure may be
	// chance.
	Failures int

	// MaxPanics is how many contained panics are let pass; -1 lets any number.
	MaxPanics int

	// MaxErrors is how many errors that the host reports are let pass: a number, or
	// the share of the calls that it reports, as "5%", which is looked at from
	// [WindowMinCalls] calls on. "" looks at none.
	MaxErrors string

	// Confirm undoes the generation unless somebody confirms it, by POST /v1/confirm,
	// before the window and a grace of [ConfirmGrace] are over.
	Confirm bool
}

// Bounds and defaults of windows.
const (
	WindowMaxLength       = 24 * time.Hour
	WindowMinInterval     = 10 * time.Millisecond
	WindowDefaultInterval = time.Second
	WindowDefaultFailures = 2
	WindowMinCalls        = 20
	ConfirmGrace          = 10 * time.Second
)

// Complete gives w with its defaults filled in.
//
// Errors: what makes no sense, in words for whoever wrote it.
func (w Window) Complete() (Window, error) {
	if w.Interval == 0 {
		w.Interval = WindowDefaultInterval
	}
	if w.Failures == 0 {
		w.Failures = WindowDefaultFailures
	}
	switch {
	case w.Length < 0 || w.Length > WindowMaxLength:
		return w, fmt.Errorf("a health window lasts from 0 to %s, not %s", WindowMaxLength, w.Length)
	case w.Interval < WindowMinInterval:
		return w, fmt.Errorf("the time between two checks is at least %s, not %s", WindowMinInterval, w.Interval)
	case w.Failures < 0:
		return w, fmt.Errorf("the number of failures that count is at least 1, not %d", w.Failures)
	case w.MaxPanics < -1:
		return w, fmt.Errorf("the number of panics that are let pass is at least 0, or -1 for any, not %d", w.MaxPanics)
	}
	_, err := ParseErrorLimit(w.MaxErrors)
	return w, err
}

// ErrorLimit is [Window.MaxErrors] as it is looked at.
type ErrorLimit struct {
	None    bool
	Count   int64   // errors that are let pass
	Percent float64 // of the calls; 0 with IsShare lets none pass
	IsShare bool
}

// ParseErrorLimit reads a [Window.MaxErrors].
func ParseErrorLimit(s string) (ErrorLimit, error) {
	wrong := fmt.Errorf("the errors that are let pass are a number, or a share such as 5%%, not %.40q", s)
	if s == "" {
		return ErrorLimit{None: true}, nil
	}
	if share, ok := strings.CutSuffix(s, "%"); ok {
		p, err := strconv.ParseFloat(share, 64)
		if err != nil || !(p >= 0 && p <= 100) { // NaN is neither
			return ErrorLimit{}, wrong
		}
		return ErrorLimit{Percent: p, IsShare: true}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return ErrorLimit{}, wrong
	}
	return ErrorLimit{Count: n}, nil
}

// The parameters of POST /v1/load that are about a window.
const (
	paramWindow    = "window"
	paramInterval  = "interval"
	paramFailures  = "failures"
	paramMaxPanics = "max_panics"
	paramMaxErrors = "max_errors"
	paramConfirm   = "confirm"
)

// encode adds the parameters that ask for w.
func (w Window) encode(q url.Values) {
	set := func(name, value string, is bool) {
		if is {
			q.Set(name, value)
		}
	}
	q.Set(paramWindow, w.Length.String())
	set(paramInterval, w.Interval.String(), w.Interval != 0)
	set(paramFailures, strconv.Itoa(w.Failures), w.Failures != 0)
	set(paramMaxPanics, strconv.Itoa(w.MaxPanics), w.MaxPanics != 0)
	set(paramMaxErrors, w.MaxErrors, w.MaxErrors != "")
	set(paramConfirm, "1", w.Confirm)
}

// ParseWindow reads the parameters of POST /v1/load that are about a window, and gives
// it with its defaults; nil where there are none.
func ParseWindow(q url.Values) (*Window, error) {
	text := q.Get(paramWindow)
	if text == "" {
		for _, name := range []string{paramInterval, paramFailures, paramMaxPanics, paramMaxErrors, paramConfirm} {
			if q.Has(name) {
				return nil, fmt.Errorf("%s is about a health window, and there is no %s", name, paramWindow)
			}
		}
		return nil, nil
	}
	var w Window
	var errs []error
	duration := func(name string, into *time.Duration) {
		if v := q.Get(name); v != "" {
			var err error
			if *into, err = time.ParseDuration(v); err != nil {
				errs = append(errs, fmt.Errorf("%s is a time with its unit, such as 30s, not %.40q", name, v))
			}
		}
	}
	number := func(name string, into *int) {
		if v := q.Get(name); v != "" {
			var err error
			if *into, err = strconv.Atoi(v); err != nil {
				errs = append(errs, fmt.Errorf("%s is a whole number, not %.40q", name, v))
			}
		}
	}
	duration(paramWindow, &w.Length)
	duration(paramInterval, &w.Interval)
	number(paramFailures, &w.Failures)
	number(paramMaxPanics, &w.MaxPanics)
	w.MaxErrors = q.Get(paramMaxErrors)
	switch v := q.Get(paramConfirm); v {
	case "", "0", "false":
	case "1", "true":
		w.Confirm = true
	default:
		errs = append(errs, fmt.Errorf("%s is 1 or 0, not %.20q", paramConfirm, v))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	w, err := w.Complete()
	return &w, err
}

// HealthState says how a window stands.
type HealthState string

// The states of a window.
const (
	HealthObserving HealthState = "observing"
	HealthHealthy   HealthState = "healthy"
	HealthUndone    HealthState = "undone"     // what served before serves again
	HealthStuck     HealthState = "stuck"      // unhealthy, and it serves: nothing could take its place
	HealthEnded     HealthState = "superseded" // somebody has rolled back meanwhile, or the host has ended
)

// Health is what is known of a window: in the status, in the event of the load that
// opened it and in the one that says how it ended.
type Health struct {
	Generation int         `json:"generation"` // the one that is observed
	State      HealthState `json:"state"`
	Since      time.Time   `json:"since"`
	Until      time.Time   `json:"until"`
	Checks     int         `json:"checks"`              // calls of HotHealth that have returned
	Failed     int         `json:"failed,omitempty"`    // of these
	Panics     int64       `json:"panics,omitempty"`    // contained
	Calls      int64       `json:"calls,omitempty"`     // reported by the host
	Errors     int64       `json:"errors,omitempty"`    // of these
	Confirm    bool        `json:"confirm,omitempty"`   // it is undone unless somebody confirms it
	Confirmed  bool        `json:"confirmed,omitempty"` // somebody has
	Probes     []Probed    `json:"probes,omitempty"`    // what push has asked itself; the host does not know of it
}

// Probed is how often push has asked whether a service works, from outside.
type Probed struct {
	Probe  string `json:"probe"` // such as "http://localhost:8080/healthz"
	Runs   int    `json:"runs"`
	Failed int    `json:"failed,omitempty"`
}

// Waiting is what a load waits for.
type Waiting struct {
	Plugin     string    `json:"plugin,omitempty"`
	Generation int       `json:"generation,omitempty"` // the one that is observed; absent while another load is under way
	Until      time.Time `json:"until,omitzero"`
	Caller     *Caller   `json:"caller,omitempty"` // who has loaded that, where the socket knows
}

// ConfirmRequest is the body of POST /v1/confirm: what somebody outside of the host
// has found about a generation that is observed.
type ConfirmRequest struct {
	Plugin     string     `json:"plugin"`
	Generation int        `json:"generation"`
	Healthy    bool       `json:"healthy"` // false undoes it
	Reason     string     `json:"reason,omitempty"`
	Evidence   []Evidence `json:"evidence,omitempty"`
}

// AwaitWindow waits until the window of a generation is over, and gives the event that
// ended it: healthy, rolled-back, or failed where nothing could take its place.
//
// Errors: CodeNotFound for a generation that was never observed, or was before another
// one of its plugin.
func (c *Client) AwaitWindow(ctx context.Context, plugin string, generation int) (*Event, error) {
	q := url.Values{"plugin": {plugin}, "generation": {strconv.Itoa(generation)}}
	var ev Event
	if err := c.call(ctx, http.MethodGet, "/v1/window?"+q.Encode(), nil, "", 0, nil, &ev); err != nil {
		return nil, err
	}
	return &ev, nil
}

// Confirm tells the host what was found about a generation that it observes.
func (c *Client) Confirm(ctx context.Context, req ConfirmRequest) (*Health, error) {
	var h Health
	if err := c.post(ctx, "/v1/confirm", req, &h); err != nil {
		return nil, err
	}
	return &h, nil
}
