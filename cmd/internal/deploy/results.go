package deploy

import (
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Result is how one change went in one host.
type Result struct {
	Change *Change
	Host   control.Status
	Event  control.Event // the host's answer, where Err is nil
	Err    error
	State  rollout.State // where it stands at the end of a push; a change alone is never Undone
}

// NewResult gives the result of a change that was tried in a host.
func NewResult(c *Change, st control.Status, ev control.Event, err error) Result {
	r := Result{Change: c, Host: st, Event: ev, Err: err, State: rollout.Done}
	switch {
	case err != nil:
		r.State = rollout.Failed
	case ev.Event == control.KindUnchanged:
		r.State = rollout.Same
	}
	return r
}

// stands reports whether a host has the version of a change because of a push, or
// before it.
func (r Result) stands() bool {
	return r.State == rollout.Done || r.State == rollout.Stuck || r.State == rollout.Same && r.Change.Way != choose.Stay
}

// Pending reports whether the host does not run the change's version yet.
func (r Result) Pending() bool { return r.Err == nil && r.Event.Event != control.KindUnchanged }

// Predict says, without asking the hosts, what pushing the changes would do.
func Predict(changes []*Change) []Result {
	results := each(changes, nothing)
	for i, r := range results {
		if r.Err == nil {
			r.Event = r.Change.complete(r.predict(), r.Host)
		}
		results[i] = NewResult(r.Change, r.Host, r.Event, r.Err)
	}
	return results
}

// predict gives what would come of a change in a host.
func (r Result) predict() control.Event {
	c, live := r.Change, served(r.Change, r.Host, r.Change.Plugin)
	ev := control.Event{Event: control.KindNote, Reason: "would be loaded"}
	switch {
	case c.Way == choose.Original:
		ev.Reason = "would go " + backToOriginal
	case c.Way == choose.ToBase:
		ev.Reason, ev.Verdict = "would go "+c.Base.Back(), control.Patched
	case c.Way == choose.Stay, live.Key != "" && live.Key == c.Key():
		ev = control.Event{Event: control.KindUnchanged, Verdict: control.Unchanged, Generation: live.Generation}
	case c.Patch != nil:
		ev.Reason, ev.Verdict = "would be patched", control.Patched
		for _, f := range c.Patch.Functions {
			if f.Change == "changed" {
				ev.Functions = append(ev.Functions, f.Name)
			}
		}
		ev.Notes = choose.Findings(c.Patch.Findings)
	}
	return ev
}

// each gives a result for every change in every host.
func each(changes []*Change, answer func(*Change, control.Status) (control.Event, error)) []Result {
	var results []Result
	for _, c := range changes {
		for _, st := range c.Hosts {
			r := Result{Change: c, Host: st, Err: c.Err}
			if r.Err == nil {
				r.Event, r.Err = answer(c, st)
				r.Event = c.complete(r.Event, st)
			}
			results = append(results, r)
		}
	}
	return results
}

// complete adds what only this side knows of an event.
func (c *Change) complete(ev control.Event, st control.Status) control.Event {
	ev.V, ev.Host, ev.PID, ev.Target = control.EventVersion, st.Name, st.PID, st.Socket
	if c.Plugin != "" { // else the host knows what a foreign file is
		ev.Plugin = c.Plugin
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	if key := c.Key(); key != "" {
		ev.Key = key
	}
	ev.Caller = nil // ourselves
	if a := c.Artifact; a != nil {
		ev.Digest, ev.Artifact, ev.ArtifactBytes = a.Digest, a.Path, a.Bytes
		ev.Link, ev.LinkReason, ev.Foreign = a.Manifest.Link, a.Manifest.Reason, a.Manifest.Foreign
	}
	if c.Plan != nil && c.Plan.Key == ev.Key {
		// The store's artifact may have been built for another reason.
		ev.Link, ev.LinkReason = c.Plan.Link, c.Plan.Reason
	}
	if c.Instead != nil && ev.Event == control.KindLoaded {
		ev.Code = c.Instead.Code()
		ev.Reason = "not patched: " + c.Instead.Reason()
	}
	ev.Notes = append(ev.Notes, choose.Findings(c.Notes)...)
	if c.Plan != nil && ev.Event == control.KindLoaded {
		ev.Notes = append(ev.Notes, choose.Findings(c.Plan.InitNotes())...)
	}
	return ev
}
