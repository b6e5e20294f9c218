package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/devloop"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// live is what watch and run have in common: the loop's effects, put together
// from builder, watcher, client and printer.
type live struct {
	*session
	fx      devloop.Effects
	keys    bool // somebody can press them
	printer *ui.Printer
	watcher *watch.Watcher
	builder *builder.Builder
	sign    *signer
	again   string   // how the command is started with another setting
	ignored []string // directories of our own

	freshly sync.Mutex
	fresh   string           // the identity that anew is for
	anew    *builder.Builder // kept, because a builder knows the tree after its first snapshot

	mu      sync.Mutex
	up      []control.Status // the hosts that answered last
	plugins int              // followed
	primed  map[string]bool  // binaries whose first patch is prepared, or being prepared
	priming sync.WaitGroup   // ends with the loop's context
	headed  bool             // the header was shown
	first   []control.Event  // what came before it
	cancel  context.CancelCauseFunc
}

// live prepares a loop. The caller sets the effects that differ, runs it once,
// and closes it.
func (s *session) live(ctx context.Context, sel selection) (*live, error) {
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	l := &live{sign: signer, again: "hotgo watch", session: s, primed: map[string]bool{}, keys: !s.json() && ui.KeysWanted(s.stdio.In, os.Getenv)}
	if l.builder, err = s.builder(func(o *builder.Options) { o.Resident = true }); err != nil {
		return nil, err
	}
	if s.cfg.Dir != "" {
		l.ignored = append(l.ignored, s.cfg.Dir)
	}
	l.watcher, err = watch.New(watch.Options{
		Quiet: s.cfg.Debounce, Poll: s.cfg.Poll, Ignore: l.ignores, Logger: s.logger(),
	})
	if err != nil {
		return nil, err
	}
	l.printer = s.printer(l.keys)
	l.fx = devloop.Effects{
		Find: func(ctx context.Context, names []string) ([]builder.Plugin, error) {
			found, err := sel.find(ctx, l.builder, names)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.plugins = len(found)
			return found, err
		},
		Snapshot:   l.snapshot,
		Build:      l.builder.Build,
		PlanPatch:  l.builder.PlanPatch,
		BuildPatch: l.builder.BuildPatch,
		Load:       l.load,

		PlanGenerationPatch: l.builder.PlanGenerationPatch,
		Rollback: func(ctx context.Context, h devloop.Host, plugin string, to *int) (control.Event, error) {
			return l.session.rollbackHost(ctx, h.Status, plugin, to)
		},
		Watch: l.watch,
		Emit:  l.emit,
		Ask:   func(ev control.Event) { l.printer.Ask(ev) },
	}
	return l, nil
}

func (l *live) close() {
	l.priming.Wait()
	_ = l.watcher.Close()
	_ = l.builder.Close()
}

// ignores keeps artifacts that are written into the module from triggering.
func (l *live) ignores(path string) bool {
	for _, dir := range l.ignored {
		if strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// snapshot plans; a fresh identity is a builder's option.
func (l *live) snapshot(ctx context.Context, host builder.Host, plugins []builder.Plugin, fresh string) (*builder.Snapshot, error) {
	if fresh == "" {
		snap, err := l.builder.Snapshot(ctx, host, plugins)
		if err == nil {
			l.prime(ctx, snap)
			l.primePatch(ctx, host, plugins)
		}
		return snap, err
	}
	l.freshly.Lock()
	if l.fresh != fresh {
		b, err := l.session.builder(func(o *builder.Options) { o.Link, o.Salt = "full", fresh })
		if err != nil {
			l.freshly.Unlock()
			return nil, err
		}
		l.fresh, l.anew = fresh, b
	}
	b := l.anew
	l.freshly.Unlock()
	return b.Snapshot(ctx, host, plugins)
}

// prime prepares the first edit of plugins that there is nothing to build of.
func (l *live) prime(ctx context.Context, snap *builder.Snapshot) {
	for _, plan := range snap.Plans {
		if plan == nil || !plan.Builtin && plan.Cached == nil {
			continue
		}
		l.priming.Go(func() {
			if err := l.builder.Prime(ctx, plan); err != nil {
				l.session.logger().Debug("prepare the first edit", "plugin", plan.Plugin.Name, "err", err)
			}
		})
	}
}

// primePatch prepares the first edit of a host's own code, once for each binary.
func (l *live) primePatch(ctx context.Context, host builder.Host, plugins []builder.Plugin) {
	if l.session.mode() == choose.Swap || host.Binary == "" {
		return
	}
	l.mu.Lock()
	known := l.primed[host.Binary]
	l.primed[host.Binary] = true
	l.mu.Unlock()
	if known {
		return
	}
	l.priming.Go(func() {
		if err := l.builder.PrimePatch(ctx, host, plugins); err != nil {
			l.session.logger().Debug("prepare the first edit", "host", host.Binary, "err", err)
		}
	})
}

func (l *live) load(ctx context.Context, h devloop.Host, art *builder.Artifact) (control.Event, error) {
	client := control.NewClient(h.Socket)
	defer client.Close()
	sig, err := l.sign.signature(art)
	if err != nil {
		return control.Event{}, err
	}
	ev, err := client.LoadFile(ctx, art.Path, control.LoadOptions{
		Digest: art.Digest, Signature: sig,
		Waits: func(w control.Waiting) { _ = l.printer.Note(waitsFor(nameOf(art), h.Status, w)) },
	})
	if err != nil {
		return control.Event{}, signNext(err, l.again)
	}
	return *ev, nil
}

// signNext has a host's refusal of what no trusted key signed say what to do about
// it here, where artifacts come and go by themselves and nobody signs or pushes one.
func signNext(err error, again string) error {
	e, ok := errors.AsType[*control.Error](err)
	if !ok || e.Code != control.CodeSignature {
		return err
	}
	own := *e
	own.Next = ownSignNext(e.Next, again)
	return &own
}

// ownSignNext is signNext for the step alone, as an event has it.
func ownSignNext(next, again string) string {
	if !strings.Contains(next, "--sign-key") {
		return next
	}
	return "sign-key: FILE in hotgo.yaml, or " + again + " --sign-key FILE"
}

// seen takes note of the hosts that answer.
func (l *live) seen(all []control.Status) []devloop.Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = all
	var out []devloop.Host
	for _, st := range all {
		out = append(out, devloop.Host{Status: st, Binary: hosts.Binary(st)})
	}
	return out
}

// run runs the loop until the user or ctx ends it.
func (l *live) run(ctx context.Context, opt devloop.Options) error {
	ctx, l.cancel = context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.cancel(nil)
	wg.Go(func() {
		for note := range l.watcher.Notes() {
			_ = l.printer.Note(note)
		}
	})
	defer l.close() // ends the notes
	opt.Mode = l.mode()
	commands := make(chan devloop.Command)
	if l.keys {
		wg.Go(func() { l.obey(ctx, commands) })
	} else if !l.json() {
		opt.Heartbeat = heartbeat
	}
	return devloop.New(opt, l.fx).Run(ctx, l.watcher.Batches(), commands)
}

// obey turns keys into commands; what concerns the screen alone is done here.
func (l *live) obey(ctx context.Context, commands chan<- devloop.Command) {
	for key := range ui.Keys(ctx, l.stdio.In) {
		l.printer.Entered()
		var c devloop.Command
		switch key {
		case ui.KeyHelp:
			_ = l.printer.Help()
		case ui.KeyClear:
			_ = l.printer.Clear()
		case ui.KeyUnknown:
			_ = l.printer.Unknown()
		default:
			c = commandOf[key]
		}
		if c == 0 {
			continue
		}
		select {
		case commands <- c:
		case <-ctx.Done():
		}
	}
}

var commandOf = map[ui.Key]devloop.Command{
	ui.KeyReload: devloop.Rebuild, ui.KeyFull: devloop.Full, ui.KeyPause: devloop.Pause,
	ui.KeyRollback: devloop.Rollback, ui.KeyTargets: devloop.Targets, ui.KeyLastError: devloop.LastError,
	ui.KeyQuit: devloop.Quit, ui.KeyYes: devloop.Yes, ui.KeyAlways: devloop.Always,
	ui.KeyNo: devloop.No, ui.KeyEnter: devloop.No,
}

// watch follows the loop's wishes; the first time people are told what runs.
func (l *live) watch(set watch.Set) {
	if err := l.watcher.Update(set); err != nil {
		l.stop(err)
	}
	if len(set.Dirs) > 0 {
		l.header(len(set.Dirs))
	}
}

// emit shows an event. Hosts that were up from the start are in the header,
// which waits until it is known what is watched.
func (l *live) emit(ev control.Event) {
	if ev.Event == control.KindStarted || ev.Event == control.KindRestarted {
		l.seed(ev.PID)
		if !l.headed && ev.Event == control.KindStarted && !l.json() {
			l.first = append(l.first, ev)
			return
		}
	}
	l.show(ev)
}

// seed tells the printer what is live in a host, for "still running".
func (l *live) seed(pid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, st := range l.up {
		if st.PID == pid {
			l.printer.Seed(st)
		}
	}
}

func (l *live) header(dirs int) {
	if l.headed {
		return
	}
	l.headed, l.first = true, nil
	l.mu.Lock()
	up, plugins := l.up, l.plugins
	l.mu.Unlock()
	if err := l.printer.Header(ui.Header{
		Version: l.session.build.complete().Version, Plugins: plugins, Dirs: dirs, Hosts: up, Keys: l.keys,
	}); err != nil {
		l.stop(err)
	}
}

// show ends the loop when nobody can read what it says any more.
func (l *live) show(ev control.Event) {
	if err := l.printer.Event(ev); err != nil {
		l.stop(err)
	}
}

func (l *live) stop(err error) { l.cancel(err) }
