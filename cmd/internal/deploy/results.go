package deploy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// backToOriginal is why a patch is taken away.
const backToOriginal = "back to what the host was built from"

// Effects is what pushing does to the world. They are called concurrently.
type Effects struct {
	Build      func(context.Context, *builder.Plan) (*builder.Artifact, error)
	BuildPatch func(context.Context, *builder.PatchPlan) (*builder.Artifact, error)
	Load       func(context.Context, control.Status, *builder.Artifact) (control.Event, error)
	// Restore takes a patch away: makes the code of generation to serve, 0 for that
	// of the host's binary.
	Restore func(ctx context.Context, host control.Status, unit string, to int) (control.Event, error)
}

// Build builds what is not built yet. Errors go to Change.Err.
func (fx Effects) build(ctx context.Context, changes []*Change) {
	for _, c := range changes {
		switch {
		case c.Err != nil || c.Artifact != nil:
		case c.Patch != nil:
			c.Artifact, c.Err = fx.BuildPatch(ctx, c.Patch)
		case c.Plan != nil:
			c.Artifact, c.Err = fx.Build(ctx, c.Plan)
		}
	}
}

// Result is how one change went in one host.
type Result struct {
	Change *Change
	Host   control.Status
	Event  control.Event // the host's answer, where Err is nil
	Err    error
}

// Pending reports whether the host does not run the change's version yet.
func (r Result) Pending() bool { return r.Err == nil && r.Event.Event != control.KindUnchanged }

// Predict says, without asking the hosts, what pushing the changes would do.
func Predict(changes []*Change) []Result {
	return each(changes, func(c *Change, st control.Status) (control.Event, error) {
		slot := c.Plugin
		live := hosts.Live(st, slot)
		if c.Way == choose.ByPatch || c.Way == choose.Original {
			live = hosts.Own(st)
		}
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
			ev.Notes = findings(c.Patch.Findings)
		}
		return ev, nil
	})
}

// Push builds and loads the changes, in all hosts at once and one after the other
// in each host, and tells done about every result as it comes, from one goroutine
// at a time. Where a host does not take a patch, what can be swapped is.
func Push(ctx context.Context, changes []*Change, fx Effects, done func(Result)) []Result {
	fx.build(ctx, changes)
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		planned = each(changes, func(*Change, control.Status) (control.Event, error) { return control.Event{}, nil })
		results []Result
		perHost = map[string][]Result{}
	)
	tell := func(r Result) {
		mu.Lock()
		defer mu.Unlock()
		results = append(results, r)
		done(r)
	}
	for _, r := range planned {
		if r.Err != nil && r.refusal() == nil {
			tell(r)
			continue
		}
		perHost[r.Host.Socket] = append(perHost[r.Host.Socket], r)
	}
	for _, mine := range perHost {
		wg.Go(func() {
			for _, r := range mine {
				if r.Err == nil {
					r.push(ctx, fx)
				}
				refusal := r.refusal()
				if refusal == nil {
					tell(r)
					continue
				}
				more := r.instead(refusal, mine)
				fx.build(ctx, more)
				for _, r := range each(more, func(*Change, control.Status) (control.Event, error) { return control.Event{}, nil }) {
					if r.Err == nil {
						r.push(ctx, fx)
					}
					tell(r)
				}
			}
		})
	}
	wg.Wait()
	return results
}

// refusal says why a patch was not taken, where that may be answered by a swap: it
// is the first time, and swaps are allowed.
func (r Result) refusal() *choose.RefusedError {
	c := r.Change
	if c.Patch == nil || r.Err == nil || c.binary == nil || c.binary.Mode != choose.Auto {
		return nil
	}
	return choose.FromError(c.Plugin, r.Err)
}

// instead gives what is to be done in the place of a patch that was not taken. What
// else goes into the host is among all already.
func (r Result) instead(why *choose.RefusedError, all []Result) []*Change {
	more := r.Change.binary.changesAfter([]control.Status{r.Host}, r.Change, why)
	return slices.DeleteFunc(more, func(c *Change) bool {
		return slices.ContainsFunc(all, func(other Result) bool {
			return other.Change.Plugin == c.Plugin && other.Change.Way == c.Way
		})
	})
}

// push carries out one change in one host.
func (r *Result) push(ctx context.Context, fx Effects) {
	var ev control.Event
	var err error
	start := time.Now()
	switch r.Change.Way {
	case choose.Stay:
		ev = control.Event{
			Event: control.KindUnchanged, Verdict: control.Unchanged, Generation: hosts.Live(r.Host, r.Change.Plugin).Generation,
		}
	case choose.Original:
		ev, err = fx.Restore(ctx, r.Host, r.Change.Plugin, 0)
		ev.Reason = backToOriginal
	case choose.ToBase:
		ev, err = fx.Restore(ctx, r.Host, r.Change.Plugin, r.Change.Base.Generation)
		ev.Reason = r.Change.Base.Back()
	default:
		ev, err = fx.Load(ctx, r.Host, r.Change.Artifact)
	}
	if ev.TotalMS == 0 && r.Change.Way != choose.Stay {
		ev.TotalMS = float64(time.Since(start).Microseconds()) / 1000
	}
	r.Event, r.Err = r.Change.complete(ev, r.Host), err
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
	ev.V, ev.Host, ev.PID = control.EventVersion, st.Name, st.PID
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
	ev.Notes = append(ev.Notes, findings(c.Notes)...)
	if c.Plan != nil && ev.Event == control.KindLoaded {
		ev.Notes = append(ev.Notes, findings(c.Plan.InitNotes())...)
	}
	return ev
}

func findings(all []builder.Finding) []control.Finding {
	var out []control.Finding
	for _, f := range all {
		out = append(out, control.Finding{Code: f.Code, Symbol: f.Symbol, Text: f.Text})
	}
	return out
}
