package devloop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # State over a restart
//
// A process that is restarted because an edit asks for it hands the state of its plugins
// to the next one. It writes it into files, as the last thing before it is stopped, and
// the next one reads them before its main function goes on (package control, Recall).
// Whatever does not work out, the restart goes on, and state starts anew with the reason.
//
// Nothing in a binary lists the variables of its built-ins. An artifact does, which is
// made for the binary: of the old one while the new one is built, of the new one after
// that, so that little happens between the moment that the state is of and the end of the
// process. What it changes then is lost.
//
// Files are kept until a process has gone on with them: one that ends before that, or
// does not start, has a successor after the next edit.

// StateEffects are what handing state over takes of the world. Without SaveState state
// starts anew with every process.
type StateEffects struct {
	// BuildList builds the list of the variables that a binary has of a plugin; nil
	// where it has none, and no patch has brought one.
	BuildList func(ctx context.Context, host builder.Host, plugin builder.Plugin, plugins []builder.Plugin) (*builder.Artifact, error)
	// Reinitialised gives the variables that start anew because of an edit.
	Reinitialised func(ctx context.Context, before, after builder.Host, plugin builder.Plugin, plugins []builder.Plugin) ([]string, error)
	// SaveState has a host write the state of a plugin, or say what it would write.
	SaveState func(ctx context.Context, host Host, req control.StateRequest) (*control.SavedState, error)
	// Recalled gives what a host says of the state that it goes on with, as soon as it
	// has said so of n plugins.
	Recalled func(ctx context.Context, host Host, n int) ([]control.Event, error)
	// Settled is told the binary of a process that has gone on with what there was: no
	// other binary is needed any more, nor a file in StateDir. nil is nobody. The owner
	// calls it.
	Settled func(binary string)
	// StateDir is a directory for the files, which exists.
	StateDir string
}

// leaver is a process that is to be restarted, as far as its state goes.
type leaver struct {
	fx      *Effects
	host    Host
	binary  builder.Host     // by its file, which outlives the process
	plugins []builder.Plugin // all that the host may load
	held    []builder.Plugin // those whose state it has
}

// leaver gives the process that the loop owns, nil where it has no state to hand over.
func (l *Loop) leaver() *leaver {
	if l.fx.SaveState == nil || l.run.proc == nil {
		return nil
	}
	for _, h := range l.hosts {
		if h.PID != l.run.proc.PID {
			continue
		}
		binary := builder.Host{Binary: l.run.binary, Patched: h.slot(ownCode).generation > 0}
		v := &leaver{fx: &l.fx, host: h.Host, binary: binary, plugins: h.group.plugins}
		for _, p := range h.group.plugins {
			if h.holds(p.Name) {
				v.held = append(v.held, p)
			}
		}
		if len(v.held) > 0 {
			return v
		}
	}
	return nil
}

// legacy is the state of one plugin, on its way.
type legacy struct {
	plugin  builder.Plugin
	plugins []builder.Plugin // all of the program
	before  builder.Host     // whose it was
	host    Host
	next    arrival
	saved   *control.SavedState
	err     error // why there is none
}

// arrival is what the binary of the next process has of a plugin.
type arrival struct {
	list string   // file with the list of its variables
	anew []string // those that start anew
	err  error
}

// nothing reports whether the plugin keeps nothing.
func (g *legacy) nothing() bool {
	return g.err == nil && (g.saved == nil || g.saved.Variables == 0 && len(g.saved.Lost) == 0)
}

// prepare makes the lists of the process's own binary, for save to find them made.
func (v *leaver) prepare(ctx context.Context) {
	for _, p := range v.held {
		_, _ = v.fx.BuildList(ctx, v.binary, p, v.plugins) // save gets the error again
	}
}

// leaves gives what there is to save.
func (v *leaver) leaves() (all []legacy) {
	for _, p := range v.held {
		all = append(all, legacy{plugin: p, plugins: v.plugins, before: v.binary, host: v.host})
	}
	return all
}

// save has the process write the state of its plugins into files that begin with name;
// "" asks what it would write.
func (v *leaver) save(ctx context.Context, all []legacy, name string) {
	for i := range all {
		g := &all[i]
		g.saved, g.err = v.saveOne(ctx, g.plugin, name)
	}
}

func (v *leaver) saveOne(ctx context.Context, p builder.Plugin, name string) (*control.SavedState, error) {
	req := control.StateRequest{Plugin: p.Name}
	if name != "" {
		req.File = filepath.Join(v.fx.StateDir, name+"-"+p.Name+".state")
	}
	live := slices.ContainsFunc(v.host.Plugins, func(h control.Plugin) bool { return h.Name == p.Name && h.Live > 0 })
	if live { // what serves lists its own
		return v.fx.SaveState(ctx, v.host, req)
	}
	list, err := v.fx.BuildList(ctx, v.binary, p, v.plugins)
	if list == nil || err != nil {
		return nil, err
	}
	req.List = list.Path
	return v.fx.SaveState(ctx, v.host, req)
}

// expect finds out what the binary of the next process has of what is on its way.
func (fx *Effects) expect(ctx context.Context, all []legacy, binary string) {
	after := builder.Host{Binary: binary}
	for i := range all {
		g := &all[i]
		g.next = arrival{}
		if g.saved != nil {
			g.err = nil // it was about another binary
		}
		list, err := fx.BuildList(ctx, after, g.plugin, g.plugins)
		switch {
		case err != nil:
			g.next.err = err
		case list == nil:
			g.next.err = errors.New("the new binary has no variables of it")
		default:
			g.next.list = list.Path
			g.next.anew, g.next.err = fx.Reinitialised(ctx, g.before, after, g.plugin, g.plugins)
		}
	}
}

// handOver writes down, for the process that was expected, where the state is. It gives
// the file, "" where there is nothing to hand over, and for how many plugins.
func (fx *Effects) handOver(all []legacy, name string) (file string, n int) {
	r := control.Recall{V: control.RecallVersion}
	for i := range all {
		g := &all[i]
		if g.err != nil || g.nothing() || g.saved.File == "" {
			continue
		}
		if g.err = g.next.err; g.err != nil {
			continue
		}
		r.Plugins = append(r.Plugins, control.RecalledPlugin{Plugin: g.plugin.Name, List: g.next.list, File: g.saved.File, Anew: g.next.anew})
	}
	if len(r.Plugins) == 0 {
		return "", 0
	}
	file = filepath.Join(fx.StateDir, name+".json")
	if err := r.Write(file); err != nil {
		for i := range all {
			all[i].err = err
		}
		return "", 0
	}
	return file, len(r.Plugins)
}

// tell reports what becomes of state: what goes on in another process where something
// starts anew, or would, and why.
func (l *Loop) tell(all []legacy, would bool) {
	for i := range all {
		g := &all[i]
		ev := control.Event{Event: control.KindNote, Host: g.host.Name, PID: g.host.PID, Plugin: g.plugin.Name}
		switch {
		case g.nothing():
			continue
		case g.err != nil:
			g.explain(&ev)
		case len(g.saved.Lost) == 0 && !would:
			continue // the next process says what it got
		default:
			word := "goes on"
			if would {
				word = "would go on"
			}
			ev.Reason = fmt.Sprintf("state %s in the next process: %s", word, g.saved.Summary())
			for _, v := range g.saved.Lost {
				what := v.Symbol + v.Path
				if v.Type != "" {
					what += " (" + v.Type + ")"
				}
				ev.Notes = append(ev.Notes, control.Finding{Code: ruleLost, Symbol: v.Symbol, Text: what + " starts anew: " + v.Reason})
			}
		}
		l.emit(ev)
	}
}

// explain puts into an event why state starts anew.
func (g *legacy) explain(ev *control.Event) {
	reason := g.err.Error()
	var fault *control.Error
	var conflict *builder.ConflictError
	switch {
	case errors.As(g.err, &fault):
		ev.Code, ev.Evidence, ev.Next = cmp.Or(fault.Rule, fault.Code), fault.Evidence, fault.Next
	case unreachable(g.err):
		reason = "the process ended before it had written it (" + reason + ")"
	case errors.As(g.err, &conflict):
		failure := buildFailure(g.plugin.Name, g.err)
		ev.Code, ev.Evidence = failure.Code, failure.Evidence  // what to do is for artifacts
		if len(ev.Evidence) > 0 && ev.Evidence[0].Host == "" { // nothing is compared: it is the reason
			reason, ev.Evidence = ev.Evidence[0].Artifact, nil
		}
	default:
		ev.Next = builder.OutOfSpace(g.err)
	}
	ev.Reason = "state starts anew: " + reason
}

// ruleLost is the catalogue's code for a value that nothing goes on with.
const ruleLost = "HG0002"

// offer asks whether to restart, when it is known what that would cost.
func (l *Loop) offer(ev control.Event) {
	l.asking = &ev
	v := l.leaver()
	if v == nil {
		l.fx.Ask(ev)
		return
	}
	l.async(func() func() {
		all := v.leaves()
		v.save(l.ctx, all, "")
		return func() {
			if l.asking != &ev {
				return // another edit has answered
			}
			l.tell(all, true)
			l.fx.Ask(ev)
		}
	})
}

// awaitRecall reports what a host that was started says of the state that it was given.
func (l *Loop) awaitRecall(h *host) {
	n := l.run.recalls
	if n == 0 {
		l.settled()
		return
	}
	target := h.Host
	l.async(func() func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.opt.LoadTimeout)
		defer cancel()
		events, _ := l.fx.Recalled(ctx, target, n) // what it does not say it has not got
		return func() {
			for _, ev := range events {
				ev.Host, ev.PID = target.Name, target.PID
				l.emit(ev)
			}
			if p := l.run.proc; p != nil && p.PID == target.PID { // else its successor has it
				l.run.state, l.run.recalls = nil, 0
				l.settled()
			}
		}
	})
}

// settled lets go of what the processes before this one have left, unless one after it
// may need it.
func (l *Loop) settled() {
	if l.fx.Settled != nil && len(l.run.state) == 0 && !l.run.stopping {
		l.fx.Settled(l.run.binary)
	}
}
