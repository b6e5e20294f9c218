package reloader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/journal"
)

// Host is this process's end of hotgo: it loads artifacts, moves handles, and
// answers on the control socket. Its methods may be called concurrently, but
// not from a plugin's initialisers or hooks: Load, Rollback and Close wait for
// the load that is under way, which waits for them.
type Host struct {
	opts     Options
	started  time.Time
	platform *platform
	copies   *copies
	journal  *journal.Journal
	keeper   *keeper // nil: nothing is kept for a restart
	trust    *trust  // nil: signatures are not asked for
	server   *server // nil: no socket
	api      *api
	metrics  metrics
	refusals refusals

	retention retention

	// queue holds a token while a load or rollback is under way. Goroutines
	// blocked in a send are served in order (go1.26: runtime/chan.go, sendq).
	queue    chan struct{}
	loads    chan struct{} // holds a token while a load waits for its turn, or has it; see turn.go
	admitted atomic.Int64  // loads that wait for their turn
	stuck    atomic.Int64  // goroutines of plugins that were given up

	// ctx ends with Close; HotStart's contexts are its children.
	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup // HotStops under way
	restoring  sync.Once
	restored   chan struct{} // closed when the restoring is done
	recall     string        // the file that says where state of the process before is; "": there is none
	starting   atomic.Bool   // New has not returned
	closeOnce  sync.Once
	closeErr   error

	mu      sync.Mutex
	holder  *control.Waiting // who has loads
	open    *watch           // the health window that is open; nil: there is none
	plugins map[string]*pluginState
	lists   map[string][]*builtinList // artifacts without code that were opened, by plugin
	bases   map[string]*patchBase     // what was patched, by key; "" is the host itself
}

// New starts a host: it opens the journal, if there is a Dir, listens on the
// control socket, and loads again what was live in the process before (see
// Options.Restore): handles that are bound afterwards are on it at once. Where hotgo
// has restarted the program, variables of its plugins go on with the values of the
// process before ([control.RecallVariable]). A program that can do without a socket sets
// NoSocket, or goes on without on an error.
//
// Errors: options that make no sense, a Dir that cannot be used, a socket that
// cannot be bound. What cannot be restored is none, unless RestoreStrict asks for
// it: events and the status say what and why.
func New(opts Options) (*Host, error) { return newHost(opts, thisProcess()) }

func newHost(opts Options, p *platform) (_ *Host, err error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	h := &Host{
		opts: opts, started: time.Now(), platform: p,
		queue: make(chan struct{}, 1), loads: make(chan struct{}, 1), plugins: map[string]*pluginState{},
		lists: map[string][]*builtinList{}, bases: map[string]*patchBase{},
	}
	h.restored = make(chan struct{})
	h.starting.Store(true)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.api = newAPI(h)
	if h.copies, err = openCopies(opts.Dir, opts.MaxArtifactBytes); err != nil {
		return nil, err
	}
	if h.trust, err = newTrust(opts, h.copies.keptIn()); err != nil {
		return nil, errors.Join(err, h.copies.close())
	}
	if h.journal, err = journal.Open(opts.Dir); err != nil {
		return nil, errors.Join(err, h.copies.close())
	}
	if h.keeper, err = openKeeper(h); err != nil {
		return nil, errors.Join(err, h.journal.Close(), h.copies.close())
	}
	if !opts.NoSocket {
		if h.server, err = listen(h); err != nil {
			return nil, errors.Join(err, h.keeper.close(), h.journal.Close(), h.copies.close())
		}
	}
	if publish := opts.Publish; publish != nil {
		publish("hotgo", func() any { return variables(h.families()) })
	}
	h.record(control.Event{Event: control.KindStarted})
	if issue := abi.KnownIssue(runtime.Version()); issue != "" {
		h.record(control.Event{Event: control.KindNote, Reason: issue})
	}
	h.keeper.tell()
	h.recall = takeRecall()
	if opts.Restore != RestoreLater {
		h.restoreAtStart()
	}
	h.starting.Store(false)
	return h, nil
}

// Name is the host's name.
func (h *Host) Name() string { return h.opts.Name }

// Socket is the path of the control socket, "" where there is none.
func (h *Host) Socket() string {
	if h.server == nil {
		return ""
	}
	return h.server.listener.Path()
}

// History gives the last events, oldest first.
func (h *Host) History() []control.Event { return h.journal.All() }

// Close refuses further loads, waits for the one under way, closes the socket
// and removes it, ends the contexts of HotStart and runs HotStop of every live
// generation. Handles keep working, on the generations that were live last, and
// patches stay in force.
// It may be called more than once.
func (h *Host) Close() error {
	h.closeOnce.Do(func() { h.closeErr = h.close() })
	return h.closeErr
}

func (h *Host) close() error {
	h.cancel() // those who wait for the queue give up
	var errs []error
	h.queue <- struct{}{} // never released: nothing can load any more
	if h.server != nil {
		errs = append(errs, h.server.close())
	}
	errs = append(errs, h.keeper.end()) // before HotStop: that the end is meant is known
	h.mu.Lock()
	for _, p := range h.plugins {
		if g := p.serving().root(); g != nil {
			h.background.Go(func() {
				if err := h.stop(g); err != nil {
					h.logPanic(err)
					h.mu.Lock()
					errs = append(errs, fmt.Errorf("stop %s generation %d: %w", g.plugin, g.number, err))
					h.mu.Unlock()
				}
			})
		}
	}
	h.mu.Unlock()
	h.background.Wait()
	return errors.Join(append(errs, h.journal.Close(), h.copies.close())...)
}

// acquire waits for the queue. The release function has to be called once.
func (h *Host) acquire(ctx context.Context) (release func(), err error) {
	select {
	case h.queue <- struct{}{}:
	case <-h.ctx.Done():
		return nil, errClosed()
	case <-ctx.Done():
		return nil, &control.Error{Code: control.CodeTimeout, Message: "gave up waiting for the load that is under way", Err: context.Cause(ctx)}
	}
	release = func() { <-h.queue }
	if h.ctx.Err() != nil { // select picks at random where both are ready
		release()
		return nil, errClosed()
	}
	return release, nil
}

func errClosed() error {
	return &control.Error{Code: control.CodeClosed, Message: "this host is shutting down"}
}

// record completes an event, puts it into the journal and logs it. It gives
// the event as it was recorded.
func (h *Host) record(ev control.Event) control.Event {
	ev.V, ev.Time = control.EventVersion, time.Now()
	ev.Host, ev.PID = h.opts.Name, os.Getpid()
	ev.Reason, ev.Link = shortText(ev.Reason), shortText(ev.Link)
	if err := h.journal.Append(ev); err != nil {
		h.opts.Logger.Error("journal is kept in memory only from now on", "err", err)
	}
	level := slog.LevelInfo
	if ev.Code != "" {
		level = slog.LevelWarn
	}
	if h.logEnabled(level) {
		h.opts.Logger.LogAttrs(context.Background(), level, string(ev.Event), eventAttrs(ev)...)
	}
	return ev
}

func eventAttrs(ev control.Event) []slog.Attr {
	var attrs []slog.Attr
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("plugin", ev.Plugin)
	add("verdict", string(ev.Verdict))
	if ev.Generation != 0 {
		attrs = append(attrs, slog.Int("generation", ev.Generation))
	}
	add("digest", ev.Digest)
	add("code", ev.Code)
	add("signer", ev.Signer)
	add("reason", ev.Reason)
	if ev.Caller != nil {
		attrs = append(attrs, slog.Int("uid", ev.Caller.UID), slog.Int("peer_pid", ev.Caller.PID))
		add("who", ev.Caller.Name)
		add("remote", ev.Caller.Remote)
	}
	return attrs
}

// logPanic writes the stack of a plugin's panic, which no event carries.
func (h *Host) logPanic(err error) {
	var p *panicError
	if errors.As(err, &p) {
		h.opts.Logger.Error("panic in a plugin", "value", shortText(fmt.Sprint(p.value)), "stack", string(p.stack))
	}
}
