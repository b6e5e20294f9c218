package reloader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/noroom"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
)

// # State that leaves the process
//
// What serves of a plugin is asked for its variables, and these are read at a moment
// as for a swap. They are written down in memory then, and into the file once the
// process goes on, which it does with all it had: whoever asked decides when it ends.
// What becomes of it in the next process is in state_recall.go.

// holding is whose state it is, and where that is.
type holding struct {
	plugin *pluginState
	root   *generation // nil: the built-in
	state  *carry.Generation
}

func (s *holding) generation() int {
	if s.root == nil {
		return 0
	}
	return s.root.number
}

// quiet has the handles wait, for the state to be read or written.
func (s *holding) quiet(h *Host, phases *control.Phases) (quiet, func()) {
	var builtin *carry.Generation
	if s.root == nil {
		builtin = s.state
	}
	return h.quiet(s.plugin, s.root, s.root, builtin, phases)
}

// holding finds the state of what serves of a plugin. list is a file that lists the
// built-in, which is opened if it is needed; it may be "". The caller holds the queue.
//
// Errors: *control.Error.
func (h *Host) holding(ctx context.Context, plugin, list string, caller *control.Caller) (*holding, error) {
	h.mu.Lock()
	p := h.plugins[plugin]
	h.mu.Unlock()
	if p == nil {
		p = h.newPlugin(plugin) // nothing is bound yet, and no handle has to wait
	}
	s := &holding{plugin: p, root: p.serving().root()}
	if s.root != nil {
		if s.state = s.root.kept(); s.state == nil {
			return nil, &control.Error{
				Code: control.CodeUnsupported, Message: fmt.Sprintf("generation %d of %s does not list its variables", s.root.number, plugin),
				Limit: "hotgo", Next: "hotgo push " + plugin,
			}
		}
		return s, nil
	}
	lister, m := h.builtinLister(plugin, nil)
	if lister == nil && list != "" {
		if err := h.openList(ctx, plugin, list, caller); err != nil {
			return nil, err
		}
		lister, m = h.builtinLister(plugin, nil)
	}
	if lister == nil {
		return nil, h.unlisted(p)
	}
	s.state = h.builtinState(lister, m)
	return s, nil
}

// unlisted is the error for a built-in that nothing lists.
func (h *Host) unlisted(p *pluginState) error {
	for _, g := range slices.Backward(p.gens) {
		if b := g.manifest.Builtin; b != nil && b.Reason != "" {
			return notListed(&g.manifest)
		}
	}
	return &control.Error{
		Code: control.CodeUnsupported, Message: "nothing lists the variables of the built-in of " + p.name,
		Limit: "hotgo", Next: "give the artifact that lists them for this build of the host",
	}
}

// saveState answers POST /v1/state.
//
// Errors: *control.Error. Then there is no file.
func (h *Host) saveState(ctx context.Context, req control.StateRequest, caller *control.Caller) (*control.SavedState, error) {
	if err := h.platform.support(); err != nil {
		return nil, err
	}
	for _, path := range []string{req.List, req.File} {
		if path != "" && !filepath.IsAbs(path) {
			return nil, &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("the path has to be absolute: %.200q", path)}
		}
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	h.mu.Lock()
	p := h.plugins[req.Plugin]
	known := p != nil && !p.self
	h.mu.Unlock()
	if !known {
		return nil, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("this host has no plugin %.100q", req.Plugin), Next: "hotgo status"}
	}
	from, err := h.holding(ctx, req.Plugin, req.List, caller)
	if err != nil {
		return nil, asControlError(err)
	}
	var phases control.Phases
	began := time.Now()
	w, err := h.take(from, &phases)
	if err != nil {
		return nil, asControlError(err)
	}
	data := w.Bytes(req.Plugin)
	saved := &control.SavedState{
		Plugin: req.Plugin, Generation: from.generation(), File: req.File, Bytes: int64(len(data)),
		Variables: w.Variables, Fresh: w.Fresh, PauseMS: phases.Pause,
	}
	for _, l := range w.Lost {
		saved.Lost = append(saved.Lost, control.LostVariable{
			Symbol: shortText(l.Variable), Path: shortText(l.Path), Type: shortText(l.Type), Reason: shortText(l.Reason),
		})
	}
	saved.Lost = append(saved.Lost, h.patchedVariables(from)...)
	if req.File == "" {
		return saved, nil
	}
	if err := writeState(req.File, data); err != nil {
		return nil, err
	}
	h.record(control.Event{
		Event: control.KindSaved, Plugin: req.Plugin, Generation: saved.Generation, Caller: caller,
		PhasesMS: &phases, TotalMS: milliseconds(time.Since(began)),
		Reason: saved.Summary() + ", for a restart",
	})
	return saved, nil
}

// take reads the state at a moment for that.
func (h *Host) take(from *holding, phases *control.Phases) (w *carry.Saved, err error) {
	save := carry.NewSave(from.state)
	q, end := from.quiet(h, phases)
	defer end()
	began := time.Now()
	err = q.at(func(expired func() bool) error {
		taken, err := save.Take(carry.Options{Still: true, Expired: expired})
		if err != nil {
			return err
		}
		// A lock that is held costs its variable. It may be free in a moment.
		if taken.Busy && time.Since(began) < longestBusy/2 {
			return &carry.Refusal{Code: carry.CodeUnknown, Reason: "a lock is held", Busy: true}
		}
		w = taken
		return nil
	}, save.Learn, func(attempt func()) error { attempt(); return nil })
	var refused *control.Error
	switch {
	case errors.Is(err, errNoStandstill):
		return nil, &control.Error{Code: control.CodeUnsupported, Message: "the state cannot be read", Err: err, Limit: "hotgo"}
	case errors.As(err, &refused) && refused.Code == control.CodeIncompatible:
		refused.Code = control.CodeRefused // no artifact is concerned
	}
	return w, err
}

// patchedVariables gives the variables that patches of what serves have brought and do
// not list. They start anew.
func (h *Host) patchedVariables(from *holding) (lost []control.LostVariable) {
	var names []string
	if from.root == nil {
		names = h.patchedIn()
	} else if g := from.plugin.serving(); g != from.root && g.manifest.Patch != nil {
		for _, v := range g.manifest.Patch.Variables {
			names = append(names, v.Name)
		}
	}
	for _, name := range unlistedOf(from.state, names) {
		lost = append(lost, control.LostVariable{Symbol: shortText(name), Reason: "a patch brought it"})
	}
	return lost
}

// maxState bounds a file of state, whoever wrote it.
const maxState = 256 << 20

// writeState makes the file, or leaves none.
func writeState(path string, data []byte) error {
	if len(data) > maxState {
		return &control.Error{
			Code: control.CodeTooLarge, Message: fmt.Sprintf("the state has %s, and at most %s can be recalled", control.SizeText(int64(len(data))), control.SizeText(maxState)),
			Limit: "hotgo", Next: "mark what is large //hotgo:fresh",
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		e := &control.Error{Code: control.CodeBadRequest, Message: "cannot write the state", Err: err}
		if errors.Is(err, os.ErrExist) {
			e.Next = "name a file that does not exist"
		}
		return e
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		return nil
	}
	_ = os.Remove(path)
	e := &control.Error{Code: control.CodeInternal, Message: "cannot write the state", Err: err}
	if noroom.Is(err) {
		e.Status, e.Next = http.StatusInsufficientStorage, "free space where "+path+" is to be"
	}
	return e
}

func variableCount(n int) string {
	if n == 1 {
		return "1 variable"
	}
	return fmt.Sprintf("%d variables", n)
}
