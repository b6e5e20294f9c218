package devloop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// world is everything around a loop, in memory: sources, a builder and hosts.
// Its clock is the bubble's.
type world struct {
	t *testing.T

	mu      sync.Mutex
	sources map[string]string // plugin -> key
	broken  map[string]error  // plugin -> why it has no plan
	loadErr map[string]error  // host name -> answer of its loads
	changes []builder.HostChange
	hosts   []Host
	gates   map[string]chan struct{} // key -> its build waits for this
	badKeys map[string]error         // key -> why it does not build
	unfit   map[string]bool          // thin key -> its build has shown that it must be linked in full
	snapped func()                   // runs at the end of a snapshot
	noPlan  error                    // why there can be no snapshot at all
	held    chan struct{}            // nil, or loads wait for it
	own     *ownSources              // nil: nothing is patched
	loaded  loadedSources            // of plugins that were loaded

	running   int
	peak      int
	snapshots int
	builds    []string // key for binary, in the order in which builds ended well
	cancelled []string
	loads     []string // key -> host pid
	events    []control.Event
	asked     int
	watched   []watch.Set

	// run mode
	owned      bool
	hostBuilds int
	hostErr    error
	hostGate   chan struct{}
	procs      []*fakeProc
	nextPID    int
	lingers    time.Duration // a process that is stopped: its socket is closed, and it goes on
	estate     *estate       // nil: state starts anew

	batches  chan watch.Batch
	commands chan Command
	result   chan error
	cancel   context.CancelFunc
}

type fakeProc struct {
	pid     int
	ended   chan struct{}
	exit    Exit
	stopped bool
}

// bubble runs f with a world whose time is fake.
func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(&world{
			t:       t,
			sources: map[string]string{}, broken: map[string]error{}, loadErr: map[string]error{},
			gates: map[string]chan struct{}{}, badKeys: map[string]error{}, unfit: map[string]bool{},
			batches: make(chan watch.Batch), commands: make(chan Command), result: make(chan error, 1),
			nextPID: 100,
		})
	})
}

// up adds a host with the given plugins, at their built-in versions.
func (w *world) up(name, buildID string, pid int, plugins ...string) {
	h := Host{Status: control.Status{
		Name: name, PID: pid, BuildID: buildID, Socket: "/run/" + name + ".sock",
	}, Binary: "/proc/" + fmt.Sprint(pid) + "/exe"}
	for _, p := range plugins {
		h.Plugins = append(h.Plugins, control.Plugin{Name: p})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts = append(w.hosts, h)
}

func (w *world) down(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts = slices.DeleteFunc(w.hosts, func(h Host) bool { return h.PID == pid })
}

// start runs a loop and waits until it is at rest.
func (w *world) start(opt Options) {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel = cancel
	fx := Effects{
		Hosts: w.list, Find: w.find, Snapshot: w.snapshot, Build: w.build, Load: w.load, Rollback: w.rollback,
		Watch: func(set watch.Set) { w.change(func() { w.watched = append(w.watched, set) }) },
		Emit: func(ev control.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, ev)
		},
		Ask: func(control.Event) { w.asked++ },
	}
	if w.own != nil {
		fx.PlanPatch, fx.PlanGenerationPatch, fx.BuildPatch = w.planPatch, w.planLoaded, w.buildPatch
		opt.Mode = choose.Auto
	}
	if w.owned {
		fx.BuildHost, fx.StartHost = w.buildHost, w.startHost
		if w.estate != nil {
			fx.StateEffects = w.stateEffects()
		}
	}
	loop := New(opt, fx)
	go func() { w.result <- loop.Run(ctx, w.batches, w.commands) }()
	w.t.Cleanup(func() { cancel() })
	w.pass(2 * time.Second)
}

// stop ends the loop and checks that nothing is left of it: a goroutine that
// is, deadlocks the bubble.
func (w *world) stop() error {
	w.cancel()
	return <-w.result
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

// edit changes a plugin's sources and tells the loop.
func (w *world) edit(plugin, key string) {
	w.mu.Lock()
	w.sources[plugin] = key
	w.mu.Unlock()
	w.touch("/src/" + plugin + "/" + plugin + ".go")
}

func (w *world) touch(files ...string) {
	w.batches <- watch.Batch{Files: files, Last: time.Now()}
	synctest.Wait()
}

func (w *world) press(c Command) {
	w.commands <- c
	synctest.Wait()
}

// gate holds up the build of key until the returned function is called.
func (w *world) gate(key string) (open func()) {
	c := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gates[key] = c
	return func() {
		close(c)
		synctest.Wait()
	}
}

func (w *world) list(context.Context) ([]Host, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var hs []Host
	for _, h := range w.hosts {
		h.Plugins = slices.Clone(h.Plugins)
		hs = append(hs, h)
	}
	return hs, nil
}

func (w *world) find(context.Context, []string) ([]builder.Plugin, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ps []builder.Plugin
	for _, name := range slices.Sorted(maps.Keys(w.sources)) {
		ps = append(ps, builder.Plugin{Name: name, Dir: "/src/" + name})
	}
	return ps, nil
}

func (w *world) snapshot(_ context.Context, h builder.Host, ps []builder.Plugin, _ string) (*builder.Snapshot, error) {
	w.mu.Lock()
	w.snapshots++
	s := &builder.Snapshot{Errors: map[string]error{}, HostChanges: w.changes, WatchDirs: []string{"/src"}}
	for _, p := range ps {
		if err := w.broken[p.Name]; err != nil {
			s.Errors[p.Name] = err
			s.Plans = append(s.Plans, nil)
			continue
		}
		s.WatchDirs = append(s.WatchDirs, p.Dir)
		plan := &builder.Plan{Plugin: p, Host: h, Key: w.sources[p.Name], Link: "full"}
		if w.own != nil {
			plan.Private, plan.Builtin = []string{"x/" + p.Name}, w.sources[p.Name] == asBuilt && !w.own.assumed
		}
		if unfit, thin := w.unfit[plan.Key]; thin && !unfit {
			plan.Link = "thin"
		} else if thin {
			plan.Key, plan.Reason = plan.Key+"-full", unfitReason
		}
		s.Plans = append(s.Plans, plan)
	}
	hook, err := w.snapped, w.noPlan
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (w *world) build(ctx context.Context, p *builder.Plan) (*builder.Artifact, error) {
	w.mu.Lock()
	w.running++
	w.peak = max(w.peak, w.running)
	gate, bad := w.gates[p.Key], w.badKeys[p.Key]
	delete(w.badKeys, p.Key)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.running--
		w.mu.Unlock()
	}()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			w.mu.Lock()
			w.cancelled = append(w.cancelled, p.Key)
			w.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	if bad != nil {
		return nil, bad
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key, link, reason := p.Key, p.Link, p.Reason
	if p.Link == "thin" { // as the builder falls back: to another key, which it plans from now on
		w.unfit[p.Key] = true
		key, link, reason = p.Key+"-full", "full", unfitReason
	}
	w.builds = append(w.builds, key+" for "+p.Host.Binary)
	a := &builder.Artifact{
		Path: "/store/" + key + ".so", Digest: "sha256:" + key, Bytes: 9,
		Compile: 60 * time.Millisecond, Link: 40 * time.Millisecond,
	}
	a.Manifest.Plugin, a.Manifest.Key, a.Manifest.Link, a.Manifest.Reason = p.Plugin.Name, key, link, reason
	return a, nil
}

const unfitReason = "it needs 120 packages that the host lacks or has in part"

func (w *world) load(_ context.Context, h Host, a *builder.Artifact) (control.Event, error) {
	w.mu.Lock()
	held := w.held
	w.mu.Unlock()
	if held != nil {
		<-held
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads = append(w.loads, fmt.Sprintf("%s into %d", a.Manifest.Key, h.PID))
	if err := w.loadErr[h.Name]; err != nil {
		return control.Event{}, err
	}
	switch {
	case w.own != nil && a.Manifest.Plugin == unit:
		return w.loadPatch(h, a)
	case strings.HasPrefix(a.Manifest.Key, "patch of "):
		return w.loadInPlace(h, a)
	}
	gen := w.put(h.PID, a.Manifest.Plugin, a.Manifest.Key)
	return control.Event{
		Event: control.KindLoaded, Verdict: control.Swapped, Generation: gen,
		PhasesMS: &control.Phases{Load: 1},
	}, nil
}

// change changes the world while a loop runs in it.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// put makes key live in a host and gives its generation.
func (w *world) put(pid int, plugin, key string) int {
	for i := range w.hosts {
		if w.hosts[i].PID != pid {
			continue
		}
		ps := slices.Clone(w.hosts[i].Plugins)
		w.hosts[i].Plugins = ps
		for j := range ps {
			if ps[j].Name == plugin {
				n := len(ps[j].Generations) + 1
				ps[j].Live = n
				ps[j].Generations = append(slices.Clone(ps[j].Generations), control.Generation{Generation: n, Key: key})
				return n
			}
		}
	}
	return 0
}

func (w *world) rollback(_ context.Context, h Host, plugin string, to *int) (control.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to != nil {
		return w.restore(h, plugin, *to)
	}
	for i := range w.hosts {
		for j := range w.hosts[i].Plugins {
			if p := &w.hosts[i].Plugins[j]; w.hosts[i].PID == h.PID && p.Name == plugin && p.Live > 1 {
				p.Live--
				g := p.Generations[p.Live-1]
				return control.Event{Event: control.KindRolledBack, Generation: g.Generation, Key: g.Key}, nil
			}
		}
	}
	return control.Event{}, &control.Error{Code: control.CodeNotFound, Message: "no earlier generation"}
}

func (w *world) buildHost(ctx context.Context) (*builder.HostBuild, error) {
	w.mu.Lock()
	w.hostBuilds++
	gate, err := w.hostGate, w.hostErr
	w.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	w.change(func() { w.changes = nil }) // the binary is what the sources say
	return &builder.HostBuild{Binary: fmt.Sprintf("/bin/host-%d", w.hostBuilds)}, nil
}

func (w *world) startHost(binary, recall string) (*Process, error) {
	w.mu.Lock()
	w.nextPID++
	p := &fakeProc{pid: w.nextPID, ended: make(chan struct{})}
	w.procs = append(w.procs, p)
	if w.estate != nil {
		w.estate.recalls = append(w.estate.recalls, recall)
	}
	w.mu.Unlock()
	w.up("shop", binary, p.pid, "pricing")
	return &Process{
		PID:  p.pid,
		Wait: func() Exit { <-p.ended; return p.exit },
		Stop: func() {
			w.mu.Lock()
			p.stopped = true
			w.mu.Unlock()
			if w.lingers > 0 {
				w.down(p.pid)
				<-time.After(w.lingers)
			}
			w.die(p, Exit{Code: -1, Reason: "signal: interrupt"})
		},
	}, nil
}

// die ends a process of the world.
func (w *world) die(p *fakeProc, exit Exit) {
	w.down(p.pid)
	select {
	case <-p.ended:
	default:
		p.exit = exit
		close(p.ended)
	}
}

// living lists the processes that have not ended.
func (w *world) living() []int {
	var pids []int
	for _, p := range w.procs {
		select {
		case <-p.ended:
		default:
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// of lists the events of a kind.
func (w *world) of(kind control.Kind) []control.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var evs []control.Event
	for _, ev := range w.events {
		if ev.Event == kind {
			evs = append(evs, ev)
		}
	}
	return evs
}

// only gives the one event of a kind, and forgets all events.
func (w *world) only(kind control.Kind) control.Event {
	w.t.Helper()
	evs := w.of(kind)
	if len(evs) != 1 {
		w.t.Fatalf("got %d %s events, want 1; all: %s", len(evs), kind, w.story())
	}
	w.forget()
	return evs[0]
}

// none fails where there is an event of a kind.
func (w *world) none(kind control.Kind) {
	w.t.Helper()
	if evs := w.of(kind); len(evs) > 0 {
		w.t.Fatalf("got %d %s events, want none; all: %s", len(evs), kind, w.story())
	}
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = nil
}

// story tells all events, for messages.
func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, ev := range w.events {
		fmt.Fprintf(&b, "\n  %s %s pid=%d v%d %s %s", ev.Event, ev.Plugin, ev.PID, ev.Generation, ev.Key, ev.Reason)
	}
	return b.String()
}

// live gives the key that serves in a host.
func (w *world) live(pid int, plugin string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		for _, p := range h.Plugins {
			if h.PID == pid && p.Name == plugin && p.Live > 0 {
				return p.Generations[p.Live-1].Key
			}
		}
	}
	return ""
}

func (w *world) wantLive(pid int, plugin, key string) {
	w.t.Helper()
	if got := w.live(pid, plugin); got != key {
		w.t.Errorf("%s in pid %d is %q, want %q; events: %s", plugin, pid, got, key, w.story())
	}
}

var errSyntax = &builder.BuildError{
	Plugin:      "pricing",
	Diagnostics: []builder.Diagnostic{{File: "/src/pricing/pricing.go", Line: 31, Col: 9, Message: "undefined: tax"}},
	Err:         errors.New("exit status 1"),
}
