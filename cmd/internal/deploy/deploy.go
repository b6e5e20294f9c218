// Package deploy brings artifacts into running hosts, once: what push does.
//
// It describes, then does. A [Change] says what should become live where; it
// comes from artifact files or from sources, is built, and is loaded.
package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Change is one version of a plugin, or of the hosts' own code, and the hosts that
// should get it.
type Change struct {
	Plugin   string
	Hosts    []control.Status
	Way      choose.Way           // not Refused unless Err says why; Stay: there is nothing to do
	Plan     *builder.Plan        // nil for an artifact that was given as a file
	Patch    *builder.PatchPlan   // of the hosts' own code, or of Base
	Base     choose.Base          // the loaded generation that InPlace and ToBase are about
	Artifact *builder.Artifact    // nil until built
	Err      error                // why it cannot be pushed
	Instead  *choose.RefusedError // why it is a swap and no patch
	Notes    []builder.Finding

	binary *binary // nil for an artifact that was given as a file
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
	case c.Patch != nil:
		return c.Patch.Key
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
// is no artifact goes to all: it is for hosts to refuse. as is the plugin that
// the user says a file is, or "".
//
// Errors: those of reading a file.
func FromFiles(paths []string, all []control.Status, as string, targeted bool) ([]*Change, error) {
	var changes []*Change
	for _, path := range paths {
		a, err := builder.ReadArtifact(path)
		if a == nil || a.Digest == "" {
			return nil, err
		}
		if a.Manifest.Foreign {
			changes = append(changes, foreign(a, all, as, targeted)...)
			continue
		}
		c := &Change{Plugin: a.Manifest.Plugin, Way: choose.BySwap, Artifact: a, Hosts: all}
		patch := a.Manifest.Patch != nil && a.Manifest.Patch.Base == ""
		if patch {
			c.Way = choose.ByPatch
		}
		switch {
		case targeted || err != nil:
		case patch:
			c.Hosts = patchedBy(all, a)
		default:
			c.Hosts = holders(all, c.Plugin)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func holders(all []control.Status, plugin string) []control.Status {
	return slices.DeleteFunc(slices.Clone(all), func(st control.Status) bool { return !hosts.Holds(st, plugin) })
}

// patchedBy gives the hosts that a patch is for: those that run its binary, or if
// there are none those that are called like it. They can say what differs.
func patchedBy(all []control.Status, a *builder.Artifact) []control.Status {
	of := func(is func(control.Status) bool) []control.Status {
		return slices.DeleteFunc(slices.Clone(all), func(st control.Status) bool { return !is(st) })
	}
	if same := of(func(st control.Status) bool { return st.BuildID == a.Manifest.HostBuild }); len(same) > 0 {
		return same
	}
	return of(func(st control.Status) bool { return choose.UnitName(st.Package) == a.Manifest.Plugin })
}

// PartialError says that some of several hosts or plugins failed, and that others
// have the new version.
type PartialError struct {
	What          string // "loads", "hosts"
	Failed, Total int
	Skipped       int // of Total: not begun
	Stuck         int // of Total: should have been set back, and were not
	Errs          []error
}

// Error counts.
func (e *PartialError) Error() string {
	s := fmt.Sprintf("%d of %d %s failed", e.Failed, e.Total, e.What)
	if e.Skipped > 0 {
		s += fmt.Sprintf(", %d not begun", e.Skipped)
	}
	if e.Stuck > 0 {
		s += fmt.Sprintf(", %d not set back", e.Stuck)
	}
	return s
}

// Unwrap gives the failures.
func (e *PartialError) Unwrap() []error { return e.Errs }

// errNothingBegun is for a push that was interrupted before it did anything, or that
// has undone what it did.
var errNothingBegun = errors.New("nothing was pushed")

// Err sums results up: nil; what failed, where no host has the new version, be it
// because all that had it were set back; or *PartialError. What there was nothing to
// do for does not count.
func Err(results []Result) error {
	e := &PartialError{What: "loads"}
	standing := 0
	for _, r := range results {
		if r.Err != nil {
			e.Errs = append(e.Errs, r.Err)
		}
		if r.stands() {
			standing++
		}
		if r.Change.Way != choose.Stay || r.Err != nil {
			e.Total++
		}
		switch r.State {
		case rollout.Failed:
			e.Failed++
		case rollout.Skipped:
			e.Skipped++
		case rollout.Stuck:
			e.Stuck++
		}
	}
	switch {
	case len(e.Errs) == 0 && e.Skipped == 0:
		return nil
	case standing > 0:
		return e
	case len(e.Errs) == 0:
		return errNothingBegun
	}
	return errors.Join(e.Errs...)
}
