package deploy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// backToOriginal is why a patch is taken away.
const backToOriginal = "back to what the host was built from"

// Effects is what pushing does to the world. They are called concurrently.
type Effects struct {
	Build      func(context.Context, *builder.Plan) (*builder.Artifact, error)
	BuildPatch func(context.Context, *builder.PatchPlan) (*builder.Artifact, error)
	// Load loads and waits for the verdict, whatever belongs to it.
	Load func(context.Context, control.Status, *builder.Artifact) (control.Event, error)
	// Restore makes generation to of a plugin, or of the host's own code, serve again;
	// 0 is what the host was built with.
	Restore func(ctx context.Context, host control.Status, unit string, to int) (control.Event, error)
	// Status asks what a host runs now.
	Status func(ctx context.Context, host control.Status) (*control.Status, error)
}

// build builds what is not built yet. Errors go to Change.Err.
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

// Push builds the changes and loads them in the order of the rollout, one after the
// other in each host. It tells done what happens as it comes, from one goroutine at a
// time: each result, and each generation that is set back. The results say where
// everything stands at the end. Where a host does not take a patch, what can be
// swapped is.
//
// A rollout that stops at a failure does not begin where it is known already that
// something does not build or fit.
func Push(ctx context.Context, changes []*Change, o rollout.Options, fx Effects, done func(Result)) []Result {
	fx.build(ctx, changes)
	p := newPush(changes, fx, done)
	for _, r := range p.refused {
		p.tell(r)
	}
	plan := p.plan(o)
	p.stops, p.undoes = plan.Stop, plan.Undo
	if !plan.Stop || len(p.refused) == 0 {
		rollout.Run(ctx, plan, rollout.Effects{Apply: p.apply, Undo: p.undo})
	}
	return p.end()
}

// PlanOf says in what order Push would change the hosts.
func PlanOf(changes []*Change, o rollout.Options) (plan rollout.Plan, names []string) {
	p := newPush(changes, Effects{}, nil)
	for _, h := range p.hosts {
		names = append(names, h.name())
	}
	return p.plan(o), names
}

// push is one run of Push.
type push struct {
	fx      Effects
	done    func(Result)
	stops   bool       // at the first failure
	undoes  bool       // what was done, then
	mu      sync.Mutex // held while done runs
	hosts   []*pushed
	refused []Result // what is known to fail, and not tried
}

// pushed is one host of a push. One goroutine at a time has it.
type pushed struct {
	before control.Status // what it ran when its turn came
	want   []Result       // in order; what is tried is taken off
	got    []Result
}

func (h *pushed) name() string { return nameOfHost(h.before) }

func newPush(changes []*Change, fx Effects, done func(Result)) *push {
	p := &push{fx: fx, done: done}
	at := map[string]*pushed{}
	for _, r := range each(changes, nothing) {
		if r.Err != nil && r.refusal() == nil {
			r.State = rollout.Failed
			p.refused = append(p.refused, r)
			continue
		}
		if at[r.Host.Socket] == nil {
			at[r.Host.Socket] = &pushed{before: r.Host}
			p.hosts = append(p.hosts, at[r.Host.Socket])
		}
		at[r.Host.Socket].want = append(at[r.Host.Socket].want, r)
	}
	return p
}

func nothing(*Change, control.Status) (control.Event, error) { return control.Event{}, nil }

func (p *push) plan(o rollout.Options) rollout.Plan {
	return rollout.New(o, len(p.hosts), func(n int) bool {
		return !slices.ContainsFunc(p.hosts[n].want, func(r Result) bool { return r.predict().Event != control.KindUnchanged })
	})
}

func (p *push) tell(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done(r)
}

// apply brings all changes of a host, and gives what became of the host.
func (p *push) apply(ctx context.Context, n int) rollout.State {
	h := p.hosts[n]
	if p.undoes { // others may have pushed while it waited
		if st, err := p.fx.status(ctx, h.before); err == nil {
			h.before = *st
		}
	}
	state := rollout.Same
	for all := h.want; len(h.want) > 0 && (state != rollout.Failed || !p.stops); {
		r := h.want[0]
		h.want = h.want[1:]
		if r.Err == nil {
			r.push(ctx, p.fx)
		}
		tried := []Result{r}
		if refusal := r.refusal(); refusal != nil {
			more := r.instead(refusal, all)
			p.fx.build(ctx, more)
			tried = each(more, nothing)
			for i := range tried {
				if tried[i].Err == nil {
					tried[i].push(ctx, p.fx)
				}
			}
		}
		for _, r := range tried {
			switch p.got(h, r) {
			case rollout.Failed:
				state = rollout.Failed
			case rollout.Done:
				if state == rollout.Same {
					state = rollout.Done
				}
			}
		}
	}
	return state
}

func (p *push) got(h *pushed, r Result) rollout.State {
	r = NewResult(r.Change, r.Host, r.Event, r.Err)
	h.got = append(h.got, r)
	p.tell(r)
	return r.State
}

// end gives all results, with what was not tried.
func (p *push) end() []Result {
	results := p.refused
	for _, h := range p.hosts {
		results = append(results, h.got...)
		for _, r := range h.want {
			r.State = rollout.Skipped
			r.Event = r.Change.complete(control.Event{Event: control.KindSkipped, Reason: "the rollout had stopped"}, r.Host)
			results = append(results, r)
			p.tell(r)
		}
	}
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
	if ev.Event == control.KindNote { // it was only asked for
		ev.Reason = r.predict().Reason
	}
	if ev.TotalMS == 0 && r.Change.Way != choose.Stay {
		ev.TotalMS = float64(time.Since(start).Microseconds()) / 1000
	}
	r.Event, r.Err = r.Change.complete(ev, r.Host), err
}
