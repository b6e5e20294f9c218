package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// undoPatience is how long a host may take to go back. Going back takes no build and
// no load, only hooks.
const undoPatience = time.Minute

// UndoError says that a host should have gone back to what it ran before a rollout,
// and did not.
type UndoError struct {
	Plugin string
	Host   control.Status
	Err    error
}

// Error says where, and why.
func (e *UndoError) Error() string {
	return fmt.Sprintf("%s was not set back in %s: %v", e.Plugin, nameOfHost(e.Host), e.Err)
}

// Unwrap gives the cause.
func (e *UndoError) Unwrap() error { return e.Err }

// status is Status, where there is one.
func (fx Effects) status(ctx context.Context, st control.Status) (*control.Status, error) {
	if fx.Status == nil {
		return &st, nil
	}
	now, err := fx.Status(ctx, st)
	if err != nil {
		return nil, err
	}
	now.Socket = st.Socket // a host says where it listens as it sees it
	return now, nil
}

// undo sets back what apply has changed in a host, last first, and only what serves
// still: what somebody else has loaded since is theirs.
func (p *push) undo(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, undoPatience, fmt.Errorf("it took longer than %s", undoPatience))
	defer cancel()
	h := p.hosts[n]
	now, err := p.fx.status(ctx, h.before)
	var failed error
	for i, r := range slices.Backward(h.got) {
		switch {
		case r.State == rollout.Done && err != nil:
		case r.State == rollout.Done, r.State == rollout.Failed && r.Lost() && err == nil:
			err = p.setBack(ctx, h, r, *now)
		default:
			continue
		}
		if err == nil {
			if r.State == rollout.Done {
				h.got[i].State = rollout.Undone
			}
			continue
		}
		stuck := &UndoError{Plugin: cmp.Or(r.Event.Plugin, r.Change.Plugin), Host: h.before, Err: err}
		h.got[i].State, h.got[i].Err = rollout.Stuck, errors.Join(r.Err, stuck)
		p.tell(Result{Change: r.Change, Host: h.before, Err: stuck, State: rollout.Stuck})
		failed, err = err, nil
		if now == nil {
			err = failed // it cannot be asked about the others either
		}
	}
	return failed
}

// Lost reports whether nobody knows how a load ended that was begun: the host answered
// nothing, or nobody waited for the answer.
func (r Result) Lost() bool {
	_, answered := errors.AsType[*control.Error](r.Err)
	return r.Err != nil && r.Change.Err == nil && !answered && r.Change.Way != choose.Stay
}

// setBack makes what served before a change serve again. now is what the host runs.
func (p *push) setBack(ctx context.Context, h *pushed, r Result, now control.Status) error {
	plugin := cmp.Or(r.Event.Plugin, r.Change.Plugin)
	was, is := served(r.Change, h.before, plugin), served(r.Change, now, plugin)
	switch {
	case r.State == rollout.Done && is.Generation == was.Generation:
		return nil
	case r.State == rollout.Done && is.Generation != r.Event.Generation:
		return fmt.Errorf("v%d, which serves there, is not of this push", is.Generation)
	}
	// A load of which nobody knows may be under way: the host does one after the other.
	ev, err := p.fx.Restore(ctx, h.before, plugin, was.Generation)
	if err != nil {
		if now, lost := p.fx.status(ctx, h.before); lost == nil && served(r.Change, *now, plugin).Generation == was.Generation {
			return nil // it never left it
		}
		return err
	}
	ev = r.Change.complete(ev, h.before)
	// It is about what serves now, and not about what was pushed.
	ev.Plugin, ev.Key, ev.Digest, ev.Artifact, ev.ArtifactBytes, ev.Notes = plugin, was.Key, was.Digest, "", 0, nil
	ev.Link, ev.LinkReason, ev.Foreign = was.Link, "", was.Foreign
	ev.Reason = "the rollout has stopped"
	if ev.Event == control.KindRolledBack {
		p.tell(Result{Change: r.Change, Host: h.before, Event: ev, State: rollout.Undone})
	}
	return nil
}

// served gives what of a change's unit serves in a host.
func served(c *Change, st control.Status, plugin string) control.Generation {
	if c.Way == choose.ByPatch || c.Way == choose.Original {
		return hosts.Own(st)
	}
	return hosts.Live(st, plugin)
}

func nameOfHost(st control.Status) string { return fmt.Sprintf("%s (pid %d)", st.Name, st.PID) }
