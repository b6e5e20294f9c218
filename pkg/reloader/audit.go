package reloader

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// ControlCall is one call of the control API: who asked for what, and what came of it.
type ControlCall struct {
	Time       time.Time      // when it arrived
	Name       string         // "status", "load", "rollback", "window", "confirm", "state", "history", "events", "metrics"; "other" for what is none
	Caller     control.Caller // where it came over a router of the embedder's, UID is -1
	Access     Access
	DryRun     bool            // of a load: nothing but the check was asked for
	Plugin     string          // of a load, rollback or state, as far as it is known
	Digest     string          // of the artifact that arrived, or was announced
	Generation int             // that the call led to; 0 is none, or the built-in
	Verdict    control.Verdict // "" for reads, and where none was reached
	Code       string          // of the error that was answered; "" for success
	Reason     string          // that error's message
	Status     int             // of HTTP
	Took       time.Duration   // with the time that the client took
}

// changes says whether the call is of a kind that may change the host.
func (c *ControlCall) changes() bool {
	return c.Name == "load" || c.Name == "rollback" || c.Name == "confirm" || c.Name == "state"
}

// fill takes what an event tells.
func (c *ControlCall) fill(ev control.Event) {
	c.Generation, c.Verdict = ev.Generation, ev.Verdict
	if ev.Plugin != "" {
		c.Plugin = ev.Plugin
	}
	if ev.Digest != "" {
		c.Digest = ev.Digest
	}
}

// by is who gets into the event of a change; nil where nothing is known.
func (c *ControlCall) by() *control.Caller {
	if c.Caller.UID < 0 && c.Caller.Name == "" && c.Caller.Remote == "" {
		return nil
	}
	who := c.Caller
	return &who
}

// begin notes who calls.
func (a *api) begin(r *http.Request) *ControlCall {
	c := &ControlCall{Time: time.Now(), Name: otherCall, Status: http.StatusOK, Caller: control.Caller{UID: -1, GID: -1}}
	p, socket := r.Context().Value(peerKey{}).(peer)
	if socket {
		if c.Access = p.access; p.caller != nil {
			c.Caller = *p.caller
		}
		return c
	}
	c.Caller.Remote = shortText(r.RemoteAddr)
	return c
}

// end tells about a call that was answered: the hook gets each, the log those that
// may change something, and on level debug the others.
func (a *api) end(c *ControlCall) {
	c.Took = time.Since(c.Time)
	h := a.h
	h.metrics.called(c.Name, c.Code)
	a.log(c)
	if h.opts.Audit != nil {
		h.opts.Audit(*c)
	}
}

func (a *api) log(c *ControlCall) {
	h := a.h
	level := slog.LevelDebug
	if c.changes() {
		level = slog.LevelInfo
	}
	var skipped int
	if c.Code == control.CodeForbidden {
		level = slog.LevelWarn
		var ok bool
		if skipped, ok = h.refusals.of(c.Access).next(time.Now()); !ok {
			return
		}
	}
	if !h.logEnabled(level) {
		return
	}
	attrs := []slog.Attr{slog.String("call", c.Name), slog.Int("uid", c.Caller.UID), slog.Int("gid", c.Caller.GID), slog.Int("peer_pid", c.Caller.PID)}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("who", c.Caller.Name)
	add("remote", c.Caller.Remote)
	attrs = append(attrs, slog.String("access", c.Access.String()))
	if c.DryRun {
		attrs = append(attrs, slog.Bool("dry_run", true))
	}
	add("plugin", shortText(c.Plugin))
	add("digest", c.Digest)
	if c.Generation != 0 {
		attrs = append(attrs, slog.Int("generation", c.Generation))
	}
	add("verdict", string(c.Verdict))
	add("code", c.Code)
	add("reason", shortText(c.Reason))
	attrs = append(attrs, slog.Int("status", c.Status), slog.Duration("took", c.Took))
	if skipped > 0 {
		attrs = append(attrs, slog.Int("not_logged", skipped))
	}
	h.opts.Logger.LogAttrs(context.Background(), level, "control call", attrs...)
}

// refusals are the records of what was refused: those of strangers are counted
// apart, so that they cannot drown what somebody tried who may do a little.
type refusals struct{ strangers, others sparing }

func (r *refusals) of(a Access) *sparing {
	if a == NoAccess {
		return &r.strangers
	}
	return &r.others
}

// sparing keeps those whom nobody let in from filling the log: it lets a burst
// through, and then one record each second.
type sparing struct {
	mu      sync.Mutex
	left    int
	since   time.Time
	skipped int
}

const (
	sparingBurst = 20
	sparingEvery = time.Second
)

// next says whether there is a record now, and how many were left out before it.
func (s *sparing) next(now time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if earned := int(now.Sub(s.since) / sparingEvery); earned > 0 {
		s.left, s.since = min(sparingBurst, s.left+earned), now
	}
	if s.left == 0 {
		s.skipped++
		return 0, false
	}
	s.left--
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}
