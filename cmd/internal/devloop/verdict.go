package devloop

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// The rules of the catalogue that the loop itself applies.
const (
	ruleFlags = "HG0091" // toolchain, flags or a dependency differ
	ruleThin  = "HG0099" // hotgo cannot do it; nor could it after a restart
)

// failure puts an error of a snapshot or a build into an event. Where the
// plugin runs in one host only, the event names it.
func (l *Loop) failure(g *group, plugin string, err error) control.Event {
	ev := buildFailure(plugin, err)
	if plugin == ownCode {
		ev.Plugin = l.ownName(g)
	}
	if hs := l.members(g); len(hs) == 1 {
		ev.Host, ev.PID = hs[0].Name, hs[0].PID
		if plugin != "" {
			ev.Generation = hs[0].slot(plugin).generation
		}
	}
	return ev
}

// buildFailure puts an error of the builder into an event.
func buildFailure(plugin string, err error) control.Event {
	ev := control.Event{Event: control.KindFailed, Verdict: control.Failed, Plugin: plugin, Reason: err.Error(), Next: builder.OutOfSpace(err)}
	if be, ok := errors.AsType[*builder.BuildError](err); ok {
		for _, d := range be.Diagnostics {
			ev.Diagnostics = append(ev.Diagnostics, control.Diagnostic(d))
		}
	}
	if ce, ok := errors.AsType[*builder.ConflictError](err); ok {
		ev.Event, ev.Verdict, ev.Code = control.KindRestart, control.RestartRequired, ruleFlags
		ev.Next = ce.Next
		for _, m := range ce.Evidence {
			ev.Evidence = append(ev.Evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
		}
		// The builder knows better than "something differs": HG0090 for sources.
		if len(ce.Evidence) > 0 && ce.Evidence[0].Rule != "" {
			ev.Code = ce.Evidence[0].Rule
		}
		if ev.Code == ruleThin {
			ev.Event, ev.Verdict = control.KindFailed, control.Failed
		}
	}
	return ev
}

// loadFailure puts an error of a load into an event.
func loadFailure(h Host, plugin string, generation int, err error) control.Event {
	ev := control.Event{
		Event: control.KindFailed, Verdict: control.Failed,
		Host: h.Name, PID: h.PID, Plugin: plugin, Generation: generation, Reason: err.Error(),
	}
	ce, ok := errors.AsType[*control.Error](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			ev.Code = control.CodeTimeout
		}
		return ev
	}
	ev.Code, ev.Evidence, ev.Next = ce.Code, ce.Evidence, ce.Next
	if ce.Rule != "" {
		ev.Code = ce.Rule
	}
	if ce.Code == control.CodeIncompatible {
		ev.Event, ev.Verdict = control.KindRestart, control.RestartRequired
	}
	return ev
}

// hostChangeEvent says that an edit in the host itself needs a new process.
func hostChangeEvent(h *host, c builder.HostChange) control.Event {
	var files []string
	for _, f := range c.Files {
		files = append(files, shortPath(f))
	}
	where := strings.Join(files, ", ")
	if where == "" {
		where = c.ImportPath
	}
	ev := control.Event{
		Event: control.KindRestart, Verdict: control.RestartRequired,
		Host: h.Name, PID: h.PID, Files: c.Files,
		Reason: "changed in the host: " + where,
	}
	if c.Shared {
		ev.Code = choose.RuleShared
		ev.Reason = fmt.Sprintf("package %s is shared with the host and changed: %s", c.ImportPath, where)
	}
	return ev
}

// changeSignature tells changes in the host apart.
func changeSignature(c builder.HostChange) string {
	return fmt.Sprint(c.ImportPath, c.Shared, slices.Sorted(slices.Values(c.Files)))
}

// shortPath gives a file with its directory, enough to find it: server/main.go.
func shortPath(file string) string {
	dir, base := filepath.Split(file)
	return filepath.Join(filepath.Base(dir), base)
}

// unchangedEvent says that a host runs the wanted version already.
func unchangedEvent(h *host, w *want, total float64) control.Event {
	return control.Event{
		Event: control.KindUnchanged, Verdict: control.Unchanged,
		Host: h.Name, PID: h.PID, Plugin: w.plan.Plugin.Name,
		Generation: h.slot(w.slot).generation, Key: w.plan.Key, TotalMS: total,
	}
}

// builtEvent says that an artifact is ready for hosts.
func builtEvent(hosts []*host, w *want) control.Event {
	a, phases := w.artifact, w.phases
	ev := control.Event{
		Event: control.KindBuilt, Plugin: w.plan.Plugin.Name, Key: w.plan.Key,
		Digest: a.Digest, Artifact: a.Path, ArtifactBytes: a.Bytes,
		Link: w.plan.Link, LinkReason: w.plan.Reason, PhasesMS: &phases,
	}
	if len(hosts) == 1 {
		ev.Host, ev.PID = hosts[0].Name, hosts[0].PID
	}
	return ev
}

// loadedEvent completes the host's answer with what only the builder's side
// knows: the phases before the load and the user's whole wait.
func loadedEvent(h Host, plan *builder.Plan, a *builder.Artifact, ev control.Event, before control.Phases, total float64) control.Event {
	phases := control.Phases{}
	if ev.PhasesMS != nil {
		phases = *ev.PhasesMS
	}
	phases.Detect, phases.Plan = before.Detect, before.Plan
	phases.Compile, phases.Link = before.Compile, before.Link
	ev.Host, ev.PID = h.Name, h.PID
	ev.Plugin, ev.Key, ev.Link, ev.LinkReason = a.Manifest.Plugin, plan.Key, plan.Link, plan.Reason
	ev.Digest, ev.Artifact, ev.ArtifactBytes = a.Digest, a.Path, a.Bytes
	ev.PhasesMS, ev.TotalMS = &phases, total
	ev.Caller = nil // ourselves
	return ev
}

// sameFailure reports whether two events tell the user the same.
func sameFailure(a, b control.Event) bool {
	return a.Reason == b.Reason && a.Code == b.Code && slices.Equal(a.Diagnostics, b.Diagnostics)
}

// emitDetected reports the files of an edit that count, a line for each plugin
// that they are about.
func (l *Loop) emitDetected(files []string, counts func(string) bool) {
	rest := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !counts(f) })
	named := len(rest) > 0
	for _, id := range l.order {
		for _, p := range l.groups[id].plugins {
			var own, others []string
			for _, f := range rest {
				if within(f, p.Dir) {
					own = append(own, f)
				} else {
					others = append(others, f)
				}
			}
			if rest = others; len(own) > 0 {
				l.emit(control.Event{Event: control.KindDetected, Plugin: p.Name, Files: own})
			}
		}
	}
	if len(rest) > 0 || !named && len(files) == 0 {
		l.emit(control.Event{Event: control.KindDetected, Files: rest})
	}
}

// unreachable reports whether an error means that nobody listens any more.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*control.UnreachableError](err); ok {
		return true
	}
	ce, ok := errors.AsType[*control.Error](err)
	return ok && ce.Code == control.CodeClosed
}
