package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Verdict is what became of the comparison with one host.
type Verdict struct {
	Subject Subject
	Report  *builder.Report
	Asked   bool   // the host was asked, and its answer is in the report
	Live    bool   // it runs this artifact already
	Next    string // the command that gets past what was found
}

// Effects are what Judge does beside reading files.
type Effects struct {
	// DryRun has a host run its own preflight.
	DryRun func(ctx context.Context, st control.Status, path string) (*control.Event, error)
	// Explain adds what the sources tell of what was found. It may be nil.
	Explain func(context.Context, *builder.Report)
	// CompareBodies adds what the sources alone tell of an artifact that fits
	// otherwise. It may be nil.
	CompareBodies func(context.Context, *builder.Report) error
}

// Judge holds the artifact at path against one host. plugin is its name in hosts,
// "" where it has none.
//
// Errors: *builder.HostError, those of reading the artifact, and what a host says
// that is no verdict: that it is busy, or forbids the question.
func Judge(ctx context.Context, path, plugin string, s Subject, fx Effects) (*Verdict, error) {
	host := s.host(plugin)
	r, err := builder.Verify(path, host)
	if _, unread := errors.AsType[*builder.HostError](err); unread && s.Status != nil {
		// Its binary is out of reach, as in a container. The host can be asked.
		host.Binary, host.PID = "", 0
		r, err = builder.Verify(path, host)
	}
	if err != nil {
		return nil, err
	}
	v := &Verdict{Subject: s, Report: r}
	next := ""
	if s.Status != nil {
		ev, err := fx.DryRun(ctx, *s.Status, path)
		if next, err = merge(r, err); err != nil {
			return nil, fmt.Errorf("ask %s (pid %d): %w", s.Name, s.PID, err)
		}
		v.Asked = true
		v.Live = ev != nil && ev.Event == control.KindUnchanged
	}
	switch {
	case !r.Fits() && fx.Explain != nil:
		fx.Explain(ctx, r)
	case r.Fits() && !v.Live && fx.CompareBodies != nil:
		if err := fx.CompareBodies(ctx, r); err != nil {
			return nil, err
		}
	}
	if v.Next = next; next == "" {
		v.Next = r.Next(s.Build)
	}
	return v, nil
}

// merge puts a host's own answer into what the files told. The host has the last
// word on all that it looks at, for it knows what it has loaded. next is its advice
// on what only it has found; the error is what was no answer.
func merge(r *builder.Report, answer error) (next string, err error) {
	if answer == nil {
		// What a host does not look at stays: its C library, and later sources.
		r.Mismatches = slices.DeleteFunc(r.Mismatches, func(m builder.Mismatch) bool {
			return m.Weight == builder.Refuses && m.Kind != builder.MismatchPlatform && m.Kind != builder.MismatchSource
		})
		return "", nil
	}
	ce, ok := errors.AsType[*control.Error](answer)
	if !ok {
		return "", answer
	}
	switch ce.Code {
	case control.CodeIncompatible, control.CodeNotArtifact, control.CodeRefused, control.CodeUnsupported, control.CodeSignature:
	default:
		return "", answer
	}
	known := func(what string) bool {
		return slices.ContainsFunc(r.Mismatches, func(m builder.Mismatch) bool {
			return m.Weight == builder.Refuses && m.What == what
		})
	}
	alone := r.Fits()
	said := false // the local findings have it, or it has been added
	for _, e := range ce.Evidence {
		if said = true; !known(e.What) {
			r.Add(answered(ce, e))
		}
	}
	if !said && alone {
		r.Add(answered(ce, control.Evidence{What: "the host's answer", Host: ce.Code}))
	}
	if alone {
		return ce.Next, nil
	}
	return "", nil
}

// answered makes a mismatch of what a host has found.
func answered(ce *control.Error, e control.Evidence) builder.Mismatch {
	return builder.Mismatch{
		Kind: builder.MismatchAnswer, What: e.What, Host: e.Host, Artifact: e.Artifact,
		Rule: ce.Rule, Limit: ce.Limit, Cause: ce.Error(), Way: ce.Next,
	}
}
