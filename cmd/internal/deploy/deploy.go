// Package deploy brings artifacts into running hosts, once: what push does.
//
// It describes, then does. A [Change] says what should become live where; it
// comes from artifact files or from sources, is built, and is loaded.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Change is one version of a plugin, and the hosts that should get it.
type Change struct {
	Plugin   string
	Hosts    []control.Status
	Plan     *builder.Plan     // nil for an artifact that was given as a file
	Artifact *builder.Artifact // nil until built
	Err      error             // why it cannot be pushed
}

// Key is what will be live; "" where that is not known. An artifact knows
// better than its plan: where linking thin turned out to be impossible, it is
// another plan's.
func (c *Change) Key() string {
	switch {
	case c.Artifact != nil && c.Artifact.Manifest.Key != "":
		return c.Artifact.Manifest.Key
	case c.Plan != nil:
		return c.Plan.Key
	}
	return ""
}

// NoHolderError says that hosts were found, and none binds or holds a plugin.
type NoHolderError struct {
	Plugins []string
	Hosts   []control.Status
}

// Error names the plugins and the hosts.
func (e *NoHolderError) Error() string {
	var names []string
	for _, st := range e.Hosts {
		names = append(names, fmt.Sprintf("%s (pid %d)", st.Name, st.PID))
	}
	if len(e.Plugins) == 0 {
		return "no plugin of " + strings.Join(names, ", ") + " was found in this module"
	}
	return fmt.Sprintf("no host holds %s; found %s", strings.Join(e.Plugins, ", "), strings.Join(names, ", "))
}

// FromFiles gives a change for each artifact file. A file goes to the hosts
// that hold its plugin, or where the user named targets to all of them. What
// is no artifact goes to all: it is for hosts to refuse.
//
// Errors: those of reading a file.
func FromFiles(paths []string, all []control.Status, targeted bool) ([]*Change, error) {
	var changes []*Change
	for _, path := range paths {
		a, err := builder.ReadArtifact(path)
		if a == nil || a.Digest == "" {
			return nil, err
		}
		c := &Change{Plugin: a.Manifest.Plugin, Artifact: a, Hosts: all}
		if !targeted && err == nil {
			c.Hosts = holders(all, c.Plugin)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// Sources finds and plans plugins.
type Sources struct {
	// Find gives the plugins to push; names are those that the hosts hold.
	Find     func(ctx context.Context, names []string) ([]builder.Plugin, error)
	Snapshot func(ctx context.Context, host builder.Host, plugins []builder.Plugin) (*builder.Snapshot, error)
}

// FromSources plans every plugin for every binary that hosts run.
//
// Errors: those of Find; *NoHolderError where no host holds any of them. What
// is wrong with one binary or plugin is in Change.Err.
func FromSources(ctx context.Context, src Sources, all []control.Status, targeted bool) ([]*Change, error) {
	plugins, err := src.Find(ctx, hosts.Names(all))
	if err != nil {
		return nil, err
	}
	var changes []*Change
	for _, same := range byBinary(all) {
		wanted := slices.DeleteFunc(slices.Clone(plugins), func(p builder.Plugin) bool {
			return !targeted && len(holders(same, p.Name)) == 0
		})
		if len(wanted) == 0 {
			continue
		}
		snap, err := src.Snapshot(ctx, builder.Host{Binary: hosts.Binary(same[0])}, wanted)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for i, p := range wanted {
			c := &Change{Plugin: p.Name, Hosts: same, Err: err}
			if !targeted {
				c.Hosts = holders(same, p.Name)
			}
			if err == nil {
				c.Plan, c.Err = snap.Plans[i], snap.Errors[p.Name]
			}
			if c.Plan != nil {
				c.Artifact = c.Plan.Cached
			}
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		e := &NoHolderError{Hosts: all}
		for _, p := range plugins {
			e.Plugins = append(e.Plugins, p.Name)
		}
		return nil, e
	}
	return changes, nil
}

func holders(all []control.Status, plugin string) []control.Status {
	return slices.DeleteFunc(slices.Clone(all), func(st control.Status) bool { return !hosts.Holds(st, plugin) })
}

// byBinary groups hosts by what they run, in the order found.
func byBinary(all []control.Status) [][]control.Status {
	var groups [][]control.Status
	index := map[string]int{}
	for _, st := range all {
		id := st.BuildID
		if id == "" {
			id = st.Executable
		}
		if i, ok := index[id]; ok {
			groups[i] = append(groups[i], st)
			continue
		}
		index[id] = len(groups)
		groups = append(groups, []control.Status{st})
	}
	return groups
}

// Build builds what is not built yet. Errors go to Change.Err.
func Build(ctx context.Context, changes []*Change, build func(context.Context, *builder.Plan) (*builder.Artifact, error)) {
	for _, c := range changes {
		if c.Err == nil && c.Artifact == nil {
			c.Artifact, c.Err = build(ctx, c.Plan)
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

// Predict says, without asking the hosts, what loading the changes would do.
func Predict(changes []*Change) []Result {
	return each(changes, func(c *Change, st control.Status) (control.Event, error) {
		ev := control.Event{Event: control.KindNote, Reason: "would be loaded"}
		if live := hosts.Live(st, c.Plugin); live.Key != "" && live.Key == c.Key() {
			ev = control.Event{Event: control.KindUnchanged, Verdict: control.Unchanged, Generation: live.Generation}
		}
		return ev, nil
	})
}

// Load loads the changes, in all hosts at once and one after the other in each
// host, and tells done about every result as it comes, from one goroutine at a
// time.
func Load(ctx context.Context, changes []*Change, load func(context.Context, control.Status, *builder.Artifact) (control.Event, error), done func(Result)) []Result {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		results = each(changes, func(*Change, control.Status) (control.Event, error) { return control.Event{}, nil })
		perHost = map[string][]*Result{}
	)
	for i := range results {
		r := &results[i]
		if r.Err != nil {
			done(*r)
			continue
		}
		perHost[r.Host.Socket] = append(perHost[r.Host.Socket], r)
	}
	for _, mine := range perHost {
		wg.Go(func() {
			for _, r := range mine {
				start := time.Now()
				ev, err := load(ctx, r.Host, r.Change.Artifact)
				total := float64(time.Since(start).Microseconds()) / 1000
				mu.Lock()
				r.Event, r.Err = r.Change.complete(ev, r.Host), err
				if r.Event.TotalMS == 0 {
					r.Event.TotalMS = total
				}
				done(*r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return results
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
	ev.V, ev.Host, ev.PID, ev.Plugin = control.EventVersion, st.Name, st.PID, c.Plugin
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	ev.Key = c.Key()
	ev.Caller = nil // ourselves
	if a := c.Artifact; a != nil {
		ev.Digest, ev.Artifact, ev.ArtifactBytes = a.Digest, a.Path, a.Bytes
		ev.Link, ev.LinkReason = a.Manifest.Link, a.Manifest.Reason
	}
	if c.Plan != nil && c.Plan.Key == ev.Key {
		// The store's artifact may have been built for another reason.
		ev.Link, ev.LinkReason = c.Plan.Link, c.Plan.Reason
	}
	return ev
}

// PartialError says that some of several hosts or plugins failed.
type PartialError struct {
	What          string // "loads", "hosts"
	Failed, Total int
	Errs          []error
}

// Error counts.
func (e *PartialError) Error() string {
	return fmt.Sprintf("%d of %d %s failed", e.Failed, e.Total, e.What)
}

// Unwrap gives the failures.
func (e *PartialError) Unwrap() []error { return e.Errs }

// Err sums results up: nil, what all failed of, or *PartialError.
func Err(results []Result) error {
	var errs []error
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	switch len(errs) {
	case 0:
		return nil
	case len(results):
		return errors.Join(errs...)
	}
	return &PartialError{What: "loads", Failed: len(errs), Total: len(results), Errs: errs}
}
