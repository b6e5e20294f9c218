// Package devloop is the state machine behind watch and run: files change,
// and the code of running hosts follows.
//
// It works as a reconciliation. A snapshot of the source tree says which key
// each plugin should have in each host (what is wanted); the hosts say which
// key is live (what is there). Whatever differs is built and loaded, and every
// difference is settled once: it ends in an event, whether the new code is
// live, the load was refused, or the sources do not compile. A file event only
// says "look again"; it decides nothing. That is what makes the hard cases
// fall out by themselves: the last edit wins because the last snapshot is what
// is wanted; a burst of edits coalesces because nothing queues up but one
// "look again"; a build is cancelled exactly when its key is no longer wanted,
// so that a log file written into a watched directory cannot starve the build
// beside it; a host that comes back is a host with another live key.
//
// One goroutine, the one that calls [Loop.Run], owns all state. Whatever may
// block runs in a goroutine of its own and sends back a closure that the owner
// runs (see [Loop.async]). At most one snapshot and one build run at a time.
//
// The host's own code is treated like one more plugin, whose versions are patches
// and whose built-in is what the binary holds. Of a plugin that was loaded, patches
// of the generations that hosts run are wanted beside the next one. Package choose decides, anew with
// each snapshot and for each host, which of the sources reach it as a patch and
// which as a swap.
//
// The files: hosts.go follows the hosts, files.go what is watched, plan.go turns
// snapshots into what is wanted, own.go does so for the host's own code and
// generation.go for loaded generations, build.go builds and loads it, verdict.go
// puts outcomes into events, run.go owns the host's process under hotgo run,
// state.go hands state over from one process to the next, command.go obeys keys.
package devloop

import (
	"context"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Host is a running process that embeds the reloader.
type Host struct {
	control.Status
	// Binary opens the binary that the process runs, even where the file at
	// its path was replaced since: /proc/812/exe.
	Binary string
}

// Effects is everything the loop does to the world. All but Emit, Watch, Ask
// and Now are called from goroutines of their own and have to return soon
// after their context ends.
type Effects struct {
	// Hosts lists the targets that answer now.
	Hosts func(ctx context.Context) ([]Host, error)
	// Find gives the plugins to follow. names are those that the hosts bind
	// or hold, sorted.
	Find func(ctx context.Context, names []string) ([]builder.Plugin, error)
	// Snapshot plans plugins for a host. With fresh not empty everything is
	// linked in full, under an identity that depends on it.
	Snapshot func(ctx context.Context, host builder.Host, plugins []builder.Plugin, fresh string) (*builder.Snapshot, error)
	// Build carries out a plan.
	Build func(ctx context.Context, plan *builder.Plan) (*builder.Artifact, error)
	// PlanPatch compares a host's own code with the sources; plugins are those of
	// the snapshot before it. It is not called where only swaps are allowed.
	PlanPatch func(ctx context.Context, host builder.Host, plugins []builder.Plugin) (*builder.PatchPlan, error)
	// PlanGenerationPatch does so for a loaded generation of a plugin, which has the
	// key.
	PlanGenerationPatch func(ctx context.Context, host builder.Host, plugin builder.Plugin, plugins []builder.Plugin, key string) (*builder.PatchPlan, error)
	// BuildPatch carries out the plan of a patch.
	BuildPatch func(ctx context.Context, plan *builder.PatchPlan) (*builder.Artifact, error)
	// Load gives an artifact to a host. The event is the host's answer.
	// Errors are those of [control.Client.Load].
	Load func(ctx context.Context, host Host, a *builder.Artifact) (control.Event, error)
	// Rollback makes an earlier generation live again: the one before the live
	// one, or that of to.
	Rollback func(ctx context.Context, host Host, plugin string, to *int) (control.Event, error)

	// Watch replaces what is watched, and returns when it is.
	Watch func(watch.Set)
	// Emit reports. It is called by the owner alone, in order.
	Emit func(control.Event)
	// Ask puts the question whether to restart to the user; the answer comes
	// as a command. Used with RestartAsk alone.
	Ask func(control.Event)
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// BuildHost builds the host's binary into a file that no process runs.
	// With it and StartHost the loop owns the host's process.
	BuildHost func(ctx context.Context) (*builder.HostBuild, error)
	// StartHost starts the binary. It must not block. recall is what
	// control.RecallVariable is to be in its environment; "" is not at all.
	StartHost func(binary, recall string) (*Process, error)
	StateEffects
}

// Process is a host that the loop started.
type Process struct {
	PID int
	// Wait blocks until the process has ended.
	Wait func() Exit
	// Stop ends the process and its children in order, and returns when none
	// is left. It may be called when the process has ended already.
	Stop func()
}

// Exit says how a process ended.
type Exit struct {
	Code   int    // -1 where a signal ended it
	Reason string // "exit status 2", "signal: killed"
}

// RestartPolicy says what run does with a change that needs a new process.
type RestartPolicy int

// The policies.
const (
	RestartNever RestartPolicy = iota
	RestartAsk
	RestartAlways
)

// Options configure a Loop.
type Options struct {
	Mode    choose.Mode // how code is replaced; "" is choose.Swap
	Restart RestartPolicy
	// Root is a directory that is watched as a whole until the first snapshot
	// says what is read, and while none can be taken.
	Root string
	// Poll is how often hosts are looked for; 0 means 500 ms.
	Poll time.Duration
	// Heartbeat is how often a note is emitted while the loop waits for a host
	// or a build; 0 means never.
	Heartbeat time.Duration
	// LoadTimeout bounds one load, HotStart and HotHealth included; 0 means a
	// minute. A host that hangs then holds up no other.
	LoadTimeout time.Duration
}

// Loop is the state machine. A Loop is used for one Run.
type Loop struct {
	opt Options
	fx  Effects

	ctx      context.Context // ends with Run
	inbox    chan func()
	inflight int // goroutines that will send to inbox
	done     bool

	hosts   map[string]*host  // by Host.id
	groups  map[string]*group // by binary
	order   []string          // keys of groups, in the order they were first seen
	polling bool
	polled  []func() // what waits for the next look for hosts
	unsure  int      // looks for hosts without which nothing can be decided: what one of them runs is not known
	poll    *time.Timer
	pulse   *time.Timer // of the heartbeat
	waits   string      // what the heartbeat says; "" is nothing
	waiting bool        // the note that no host is up was given

	look      bool         // a new snapshot is needed
	lookLater bool         // it is, but there is no hurry
	idle      int          // looks in a row, for files that are no sources, that found nothing
	refind    bool         // and the plugins are looked for again
	edits     int          // batches so far
	open      bool         // an edit of sources has got no further than a look or a build
	batch     *watch.Batch // what the next snapshot answers; nil where no edit asked for it
	since     time.Time    // the last file event that no snapshot has answered
	planning  bool
	building  *building
	paused    bool
	fresh     string // goes into every key; see Full

	watched watch.Set
	deaths  map[string]int  // plugin and key -> hosts that ended during its load
	unbound map[string]bool // plugins of which was said that no host binds them
	last    *control.Event  // the last failure
	loaded  string          // the plugin loaded last, or ownCode
	asking  *control.Event  // a question that the user has not answered
	run     runState        // the host's process, under run
}

// New gives a loop. Effects that its mode does not need may be nil.
func New(opt Options, fx Effects) *Loop {
	if opt.Mode == "" {
		opt.Mode = choose.Swap
	}
	if opt.Poll == 0 {
		opt.Poll = 500 * time.Millisecond
	}
	if opt.LoadTimeout == 0 {
		opt.LoadTimeout = time.Minute
	}
	if fx.Now == nil {
		fx.Now = time.Now
	}
	if fx.Ask == nil {
		fx.Ask = func(control.Event) {}
	}
	return &Loop{
		opt:     opt,
		fx:      fx,
		inbox:   make(chan func()),
		hosts:   map[string]*host{},
		groups:  map[string]*group{},
		deaths:  map[string]int{},
		unbound: map[string]bool{},
	}
}

// Run reloads until ctx ends (its cause is returned) or the user quits (nil).
// When it returns, nothing it started runs any more, the host's process under
// run included.
func (l *Loop) Run(ctx context.Context, batches <-chan watch.Batch, commands <-chan Command) error {
	var cancel context.CancelFunc
	l.ctx, cancel = context.WithCancel(ctx)
	defer cancel()

	l.poll = time.NewTimer(0)
	defer l.poll.Stop()
	l.pulse = time.NewTimer(time.Hour)
	l.pulse.Stop()
	defer l.pulse.Stop()

	l.rewatch()
	l.run.wanted = l.owned()
	l.step()
	for !l.done && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case b, ok := <-batches:
			if !ok {
				batches = nil
				continue
			}
			l.edited(b)
		case c, ok := <-commands:
			if !ok {
				commands = nil
				continue
			}
			l.command(c)
		case <-l.poll.C:
			l.look = l.look || l.lookLater
			l.pollHosts()
		case <-l.pulse.C:
			l.beat()
		case f := <-l.inbox:
			l.inflight--
			f()
		}
		if ctx.Err() == nil {
			l.step()
			l.listen()
		}
	}
	cancel()
	l.shutDown()
	return context.Cause(ctx)
}

// async runs work in a goroutine; the owner runs the closure that it returns.
func (l *Loop) async(work func() func()) {
	l.inflight++
	go func() { l.inbox <- work() }()
}

// shutDown waits for everything that was started, and lets its results fall.
func (l *Loop) shutDown() {
	if p := l.run.proc; p != nil {
		l.async(func() func() {
			p.Stop()
			return func() {}
		})
	}
	for l.inflight > 0 {
		<-l.inbox
		l.inflight--
	}
}

// step starts what the state asks for and nothing runs for yet.
func (l *Loop) step() {
	if l.paused {
		return
	}
	l.startHostBuild()
	l.startPlan()
	if !l.restarting() {
		l.reconcile()
	}
	l.open = l.open && (l.planning || l.building != nil || l.batch != nil && hasSources(*l.batch))
}

// edited takes note of a batch. What it means is for the next snapshot to say.
func (l *Loop) edited(b watch.Batch) {
	l.edits++
	sources := hasSources(b)
	l.open = l.open || sources
	if sources && (l.owned() || len(l.hosts) > 0) {
		l.emitDetected(b.Files, isSource)
	}
	if sources || l.since.IsZero() {
		l.since = b.Last
	}
	l.pend(b)
	l.refind = l.refind || b.Rescan
	if sources || l.idle < idleLimit {
		l.look = true
	} else {
		l.lookLater = true
	}
	if sources && l.owned() {
		l.hostEdited()
	}
}

// pend adds a batch to what the next look is to answer.
func (l *Loop) pend(b watch.Batch) {
	if l.batch != nil {
		b.Files = union(l.batch.Files, b.Files)
		b.Rescan = b.Rescan || l.batch.Rescan
	}
	l.batch = &b
}

// emit stamps an event and reports it.
func (l *Loop) emit(ev control.Event) {
	ev.V = control.EventVersion
	if ev.Time.IsZero() {
		ev.Time = l.fx.Now()
	}
	l.fx.Emit(ev)
}

func (l *Loop) note(reason string) {
	l.emit(control.Event{Event: control.KindNote, Reason: reason})
}

// waitsFor says what the loop waits for, if it is neither the user nor nothing.
func (l *Loop) waitsFor() string {
	switch {
	case l.run.building:
		return "still building the host"
	case l.building != nil:
		return "still building " + l.building.name
	case len(l.hosts) == 0 && !(l.owned() && l.run.proc == nil):
		return "still waiting for a host"
	}
	return ""
}

// beat gives a log that is read later, and a CI runner that ends what is
// silent, a line now and then while the loop waits.
func (l *Loop) beat() {
	if l.waits != "" {
		l.note(l.waits)
		l.pulse.Reset(l.opt.Heartbeat)
	}
}

// listen starts the clock anew when the loop waits for something else.
func (l *Loop) listen() {
	if waits := l.waitsFor(); l.opt.Heartbeat > 0 && waits != l.waits {
		l.waits = waits
		l.pulse.Reset(l.opt.Heartbeat)
	}
}
