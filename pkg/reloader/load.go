package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

// Load makes the artifact in a file live, as POST /v1/load does, and gives the
// event that tells how: the verdict is swapped, or patched where the artifact is
// a patch, or unchanged where the same version is live already. The file may be
// changed or removed afterwards. With Options.TrustedKeys its signature is taken from
// path + ".minisig".
//
// With Options.Window it is observed from then on, and Load does not wait for the end of
// that; see [Host.AwaitWindow]. A load that comes while another one's window is open
// waits until it is over.
//
// ctx bounds the copying, the wait for other loads and the preflight. From
// then on a load runs to its end, within the limits of Options: half a load
// helps nobody.
//
// Errors: always a *control.Error. The generation that served before still
// does.
func (h *Host) Load(ctx context.Context, path string) (control.Event, error) {
	return h.LoadAs(ctx, "", path)
}

// LoadAs is Load for a Go plugin that hotgo did not build, where its file does
// not tell which plugin of the host it is, and the caller does. Of an artifact
// that hotgo built it has to be the name that it was built for.
func (h *Host) LoadAs(ctx context.Context, plugin, path string) (control.Event, error) {
	return h.load(ctx, loadRequest{plugin: plugin, receive: func() (*copied, error) { return h.receiveFile(ctx, path) }})
}

// loadRequest is one load, however it arrived.
type loadRequest struct {
	receive   func() (*copied, error)
	digest    string                // what the bytes must have; "" compares nothing
	plugin    string                // which plugin it is; "" asks the artifact
	signature string                // text of the signature file; "" leaves it to receive
	downgrade bool                  // take also what was signed earlier
	release   bool                  // take it out of quarantine
	window    *control.Window       // how it is observed; nil: as Options.Window says
	waits     func(control.Waiting) // told what the load waits for; may be nil
	dryRun    bool
	list      bool           // it is to be a list of variables, and no code: see state_list.go
	restore   *restore.Trial // it was live in the process before; else nil
	caller    *control.Caller
}

// receiveFile copies an artifact that is a file here.
func (h *Host) receiveFile(ctx context.Context, path string) (*copied, error) {
	// O_NONBLOCK: opening a FIFO would wait for its other end.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		e := &control.Error{Code: control.CodeBadRequest, Message: "cannot read the artifact", Err: err}
		if errors.Is(err, os.ErrNotExist) {
			e.Code = control.CodeNotFound
		}
		return nil, e
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &control.Error{Code: control.CodeBadRequest, Message: "cannot read the artifact", Err: err}
	}
	if !info.Mode().IsRegular() {
		return nil, &control.Error{Code: control.CodeBadRequest, Message: path + " is not a regular file"}
	}
	if info.Size() > h.opts.MaxArtifactBytes {
		return nil, tooLarge(h.opts.MaxArtifactBytes)
	}
	c, err := h.copies.receive(ctx, f)
	if err == nil && h.trust != nil {
		c.signature = signatureBeside(path)
	}
	return c, err
}

// transaction is one load under way. Each step either succeeds or gives a
// *control.Error and has left nothing behind but, past open, mapped code.
type transaction struct {
	h      *Host
	req    loadRequest
	file   *copied
	in     *inspection
	plugin *pluginState
	mapped bool
	event  control.Event // grows with what is known
	phases control.Phases
	told   chan struct{}     // closed when the event is recorded
	base   *patchBase        // of a patch that was not opened before
	notes  []control.Finding // on what is opened, if it goes live
	signed *accepted         // what its signature says; nil where none is asked for
	tried  bool              // that it is tried is written down
	listed *builtinList      // of a list that was opened before
}

// load runs a transaction and records how it ended.
func (h *Host) load(ctx context.Context, req loadRequest) (control.Event, error) {
	began := time.Now()
	t := &transaction{h: h, req: req, event: control.Event{Caller: req.caller, DryRun: req.dryRun}, told: make(chan struct{})}
	defer close(t.told)
	err := t.run(ctx)
	if t.file != nil && !(t.mapped && t.file.keep) {
		t.file.discard()
	}
	t.event.PhasesMS = &t.phases
	t.event.TotalMS = milliseconds(time.Since(began))
	if err != nil {
		e := asControlError(err)
		t.event.Event, t.event.Verdict = control.KindFailed, control.Failed
		if e.Code == control.CodeIncompatible {
			t.event.Event, t.event.Verdict = control.KindRestart, control.RestartRequired
		}
		if req.restore != nil {
			t.event.Event = control.KindNotRestored
		}
		t.event.Code, t.event.Reason, t.event.Evidence, t.event.Next = e.Code, e.Error(), e.Evidence, e.Next
		if e.Rule != "" {
			t.event.Code = e.Rule
		}
		h.logPanic(err)
		h.metrics.loaded(t.event, req.dryRun)
		return h.record(t.event), e
	}
	h.metrics.loaded(t.event, req.dryRun)
	return h.record(t.event), nil
}

func (t *transaction) run(ctx context.Context) (err error) {
	h := t.h
	if err := h.platform.support(); err != nil {
		return err
	}
	if t.file, err = t.req.receive(); err != nil {
		return err
	}
	t.event.Digest, t.event.ArtifactBytes = t.file.digest, t.file.size
	if t.req.digest != "" && t.req.digest != t.file.digest {
		return &control.Error{
			Code: control.CodeDigest, Message: "the artifact is not the one that was announced",
			Evidence: []control.Evidence{{What: "digest", Host: t.file.digest, Artifact: t.req.digest}},
		}
	}
	if t.req.restore == nil { // else whoever restores has it
		release, err := t.turn(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	defer func() { t.settle(err) }()

	g, err := t.openOrFind(ctx)
	if err != nil {
		return err
	}
	if g == nil {
		_, err := t.accept()
		return err
	}
	return t.activate(g)
}

// openOrFind gives the generation that the artifact is, opening it if need
// be; none where there is nothing to switch to. The process-wide lock keeps
// another host's load from coming between the check and the opening.
func (t *transaction) openOrFind(ctx context.Context) (*generation, error) {
	t.h.platform.lock.Lock()
	defer t.h.platform.lock.Unlock()
	if err := context.Cause(ctx); err != nil {
		return nil, &control.Error{Code: control.CodeTimeout, Message: "the caller gave up", Err: err}
	}
	start := time.Now()
	earlier, err := t.preflight()
	t.phases.Verify = milliseconds(time.Since(start))
	if err != nil {
		return nil, err
	}
	switch {
	case earlier != nil && earlier.state == control.StateLive:
		t.keepAgain(earlier)
		t.event.Event, t.event.Verdict, t.event.Generation = control.KindUnchanged, control.Unchanged, earlier.number
		t.event.Health = t.h.observing(t.plugin)
		return nil, nil
	}
	if err := t.quarantined(); err != nil {
		return nil, err
	}
	switch {
	case earlier != nil && t.req.dryRun:
		t.event.Event = control.KindVerified
		return nil, nil
	case earlier != nil:
		if err := t.try(earlier); err != nil {
			return nil, err
		}
		t.event.Reason = fmt.Sprintf("generation %d was opened before and is live again", earlier.number)
		return earlier, nil
	}
	if err := t.withinLimits(); err != nil {
		return nil, err
	}
	if t.req.dryRun {
		t.event.Event, t.event.Notes = control.KindVerified, append(t.event.Notes, t.notes...)
		return nil, nil
	}
	t.h.record(control.Event{
		Event: control.KindVerified, Plugin: t.event.Plugin, Key: t.event.Key, Digest: t.event.Digest,
		ArtifactBytes: t.event.ArtifactBytes, Link: t.event.Link, LinkReason: t.event.LinkReason, Foreign: t.event.Foreign,
		Signer: t.event.Signer, Caller: t.event.Caller,
	})
	if err := t.try(nil); err != nil {
		return nil, err
	}
	start = time.Now()
	g, err := t.open()
	t.phases.Load = milliseconds(time.Since(start))
	return g, err
}

// open maps the artifact and runs its initialisers: from here on the process
// has changed, whatever happens.
func (t *transaction) open() (*generation, error) {
	h := t.h
	number, loaded := len(t.plugin.gens)+1, time.Now()
	by := fmt.Sprintf("%s generation %d", t.plugin.name, number)
	m, err := t.mapFile(by)
	if m == nil {
		return nil, err
	}
	g := &generation{
		number: number, plugin: t.plugin.name, manifest: t.in.manifest,
		digest: t.file.digest, bytes: t.file.size, path: t.file.path, loaded: loaded, state: control.StateFailed,
		restored: t.req.restore != nil, order: h.keeper.orderOf(t.req.restore),
	}
	g.tally = &tally{host: h, plugin: g.plugin, generation: g.number}
	if m.how == opened {
		g.bias, g.symbols = h.platform.patches.loaded(t.in, m.entry), m.symbols
		if err == nil && t.base != nil {
			err = t.becomePatch(g)
		}
		g.list, _ = g.symbols[stateEntry].(stateFunc)
		g.builtin, _ = g.symbols[builtinEntry].(stateFunc)
		delete(g.symbols, stateEntry)
		delete(g.symbols, builtinEntry)
	}
	if err != nil {
		err = t.openError(err, m.how)
		g.reason, g.ended = shortText(err.Error()), time.Now()
	}
	if g.gone = !t.file.keep; g.gone {
		t.file.discard() // what is mapped stays mapped; after a crash nothing is left
	}
	if m.mapped {
		h.mu.Lock()
		t.plugin = h.plugin(g.plugin)
		t.plugin.gens = append(t.plugin.gens, g)
		if t.base != nil {
			t.enterPatch(g)
		}
		h.mu.Unlock()
		t.mapped, t.event.Generation = true, g.number
	}
	return g, err
}

// mapping is what became of a copy that the runtime was given.
type mapping struct {
	how     outcome
	mapped  bool // it stays in memory
	entry   goplugin.Symbols
	symbols map[string]any // nil where it did not give them
}

// mapFile has the runtime map the copy, and asks it for its symbols. by is what the
// process's account calls it. There is a mapping, with an error or without, as soon as
// the runtime was asked.
func (t *transaction) mapFile(by string) (*mapping, error) {
	h := t.h
	if err := h.copies.named(t.file, t.plugin.name, t.in.manifest.Key); err != nil {
		return nil, err
	}
	if err := t.hideItabs(); err != nil {
		return nil, err
	}
	path := t.file.path
	m := new(mapping)
	var entry goplugin.Symbols
	err := h.supervise(h.opts.OpenTimeout, func() (err error) {
		entry, err = h.platform.open(t.in, path)
		return err
	}, func(late error) {
		if late == nil {
			h.platform.record(t.in, path, by, initLate)
		}
	})
	m.how = howItOpened(err)
	if m.mapped = h.platform.record(t.in, path, by, m.how); m.mapped {
		h.platform.patches.ledger.enter(t.in, by)
	}
	if m.how == opened {
		m.entry = entry
		m.symbols, err = collect(h, entry)
	}
	return m, err
}

func howItOpened(err error) outcome {
	var p *panicError
	switch {
	case err == nil:
		return opened
	case errors.Is(err, errHung):
		return initHung
	case errors.As(err, &p), errors.Is(err, errGoexit):
		return initFailed
	}
	return refused
}

// collect asks an opened artifact for its symbols. The entry is generated, but
// the file that has it came from outside.
func collect(h *Host, entry goplugin.Symbols) (map[string]any, error) {
	symbols := map[string]any{}
	err := h.supervise(h.opts.HookTimeout, func() error {
		entry(func(name string, value any) { symbols[name] = value })
		return nil
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", goplugin.Entry, err) // symbols may still be written to
	}
	return symbols, nil
}

func (t *transaction) openError(err error, how outcome) error {
	e := &control.Error{Code: control.CodeRefused, Err: err}
	switch how {
	case initHung:
		e.Message = "an initialiser of " + t.plugin.name + " hangs; its goroutine cannot be ended"
	case initFailed:
		e.Message = "an initialiser of " + t.plugin.name + " failed"
	case refused:
		e.Message = "the system refused to open " + t.plugin.name
		e.Limit = "the Go runtime and the dynamic linker"
		if strings.Contains(err.Error(), "failed to map segment") { // glibc, of a file on a noexec mount
			e.Next = fmt.Sprintf("set TMPDIR or Options.Dir to a directory that is not mounted noexec (%s is)", filepath.Dir(t.file.path))
		}
		t.adviseOpened(e)
	default:
		var ce *control.Error
		if errors.As(err, &ce) {
			return ce
		}
		e.Message = t.plugin.name + " was opened, but does not give its symbols"
	}
	return e
}

// activate checks an opened generation against what is bound and makes it
// live.
func (t *transaction) activate(g *generation) error {
	t.event.Generation = g.number
	takeBack, err := t.accept()
	if err != nil {
		return t.h.fail(g, err)
	}
	change, err := t.h.activate(t.plugin, g, &t.phases, t.told)
	if err != nil {
		takeBack()
		return err
	}
	t.noteSigner(g)
	t.event.Event, t.event.Verdict = control.KindLoaded, change.verdict()
	if t.req.restore != nil {
		t.event.Event = control.KindRestored
	}
	t.h.tell(&t.event, change)
	t.event.Notes = append(t.event.Notes, t.notes...)
	t.event.Health = t.h.observe(t.plugin, change, t.rules(), t.event.Caller, t.told)
	return nil
}

// rules says how a generation that is live now is observed.
func (t *transaction) rules() control.Window {
	switch {
	case t.req.restore != nil:
		return control.Window{} // it was healthy in the process before; ConfirmAfter watches it
	case t.req.window != nil:
		return *t.req.window
	}
	return t.h.opts.Window
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
