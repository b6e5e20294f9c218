package reloader

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
)

// # State of the process before
//
// Who restarts a program has asked the process before for its state (state_save.go) and
// starts the next one with an environment variable that says where it is. The host goes
// on with it once what was live is restored, and before New returns: nothing is bound
// then, and the program has hardly begun. So hooks have nothing to do with it. The
// initialisers have run and HotStart of what was restored has; then the variables that
// were written get their values, at a moment at which nobody is in the plugin's code.
//
// Nothing that can be wrong with it is an error of New. State starts anew then, as in
// any new process, and an event says why.

// maxRecall bounds the file that says where state is.
const maxRecall = 1 << 20

// recallMutex has one host of the process find the variable.
var recallMutex sync.Mutex

// takeRecall gives the file that control.RecallVariable names, and takes that out of the
// environment; "" where there is none, or another host of the process has it.
func takeRecall() string {
	recallMutex.Lock()
	defer recallMutex.Unlock()
	file := os.Getenv(control.RecallVariable)
	_ = os.Unsetenv(control.RecallVariable) // also where it is empty
	return file
}

// recallAll goes on with all the state that there is, as long as it is early enough. The
// caller holds the queue.
func (h *Host) recallAll(until time.Time) {
	if h.recall == "" {
		return
	}
	ctx, cancel := context.WithDeadline(h.ctx, until)
	defer cancel()
	all, err := readRecall(h.recall)
	if err != nil {
		h.recalled(control.Event{}, err)
	}
	for _, want := range all.Plugins {
		if h.ctx.Err() != nil {
			return
		}
		ev, err := h.recallOne(ctx, want)
		ev.Plugin = want.Plugin
		h.recalled(ev, err)
	}
}

// recalled tells what became of it.
func (h *Host) recalled(ev control.Event, err error) {
	ev.Event, ev.Plugin = control.KindRecalled, shortText(ev.Plugin)
	if err != nil {
		e := asControlError(err)
		ev.Code, ev.Reason, ev.Evidence, ev.Next = cmp.Or(e.Rule, e.Code), "state starts anew: "+e.Error(), e.Evidence, e.Next
	}
	h.record(ev)
}

// recallOne gives one plugin its state.
//
// Errors: *control.Error. Then nothing has changed.
func (h *Host) recallOne(ctx context.Context, want control.RecalledPlugin) (control.Event, error) {
	began := time.Now()
	var ev control.Event
	if err := h.platform.support(); err != nil {
		return ev, err
	}
	data, err := readBounded(want.File, maxState)
	if err != nil {
		return ev, err
	}
	h.mu.Lock()
	p := h.plugins[want.Plugin]
	self := p != nil && p.self
	h.mu.Unlock()
	if self {
		return ev, &control.Error{Code: control.CodeNotFound, Message: want.Plugin + " is the host itself"}
	}
	to, err := h.holding(ctx, want.Plugin, want.List, nil)
	if err != nil {
		return ev, err
	}
	ev.Generation = to.generation()
	for i := range to.state.Variables {
		v := &to.state.Variables[i]
		v.Fresh = v.Fresh || slices.Contains(want.Anew, v.Name)
	}
	var x *carry.Transfer
	late := &control.Error{
		Code: control.CodeTimeout, Message: fmt.Sprintf("it could not be recalled within %v", h.opts.RestoreTimeout), Limit: "the host's Options.RestoreTimeout",
	}
	deadline, _ := ctx.Deadline()
	err = h.supervise(max(time.Until(deadline), time.Millisecond), func() error {
		made, err := carry.Recall(data, to.state)
		x = made
		return err
	}, nil)
	switch {
	case errors.Is(err, errHung), err == nil && ctx.Err() != nil:
		return ev, late
	case err != nil:
		h.logPanic(err)
		return ev, &control.Error{Code: control.CodeBadRequest, Message: "the file " + want.File + " cannot be recalled", Err: err, Limit: "hotgo"}
	case x.Plugin != want.Plugin:
		return ev, &control.Error{
			Code: control.CodeBadRequest, Message: "the file has the state of another plugin", Limit: "hotgo",
			Evidence: []control.Evidence{{What: "plugin", Host: want.Plugin, Artifact: shortText(x.Plugin)}},
		}
	}
	stored, err := h.store(ctx, to, x, &ev)
	if err != nil {
		return ev, err
	}
	if !stored {
		return ev, late
	}
	ev.TotalMS = milliseconds(time.Since(began))
	ev.Reason = variableCount(x.Report.Carried) + " of the process before"
	switch n := x.Report.Fresh; n {
	case 0:
	case 1:
		ev.Reason += ", 1 starts anew"
	default:
		ev.Reason += fmt.Sprintf(", %d start anew", n)
	}
	ev.Notes = reported(x.Report)
	return ev, nil
}

// store gives the variables their values, at a moment for that. stored is false where
// ctx ended before it came.
func (h *Host) store(ctx context.Context, to *holding, x *carry.Transfer, ev *control.Event) (stored bool, err error) {
	ev.PhasesMS = new(control.Phases)
	q, end := to.quiet(h, ev.PhasesMS)
	defer end()
	deadline, _ := ctx.Deadline()
	err = q.at(func(func() bool) error {
		if stored = time.Now().Before(deadline); stored { // no lock is taken here, as ctx.Err would
			x.Commit()
		}
		return nil
	}, func() {}, func(attempt func()) error { attempt(); return nil })
	if errors.Is(err, errNoStandstill) {
		err = &control.Error{Code: control.CodeUnsupported, Message: "the state cannot be stored", Err: err, Limit: "hotgo"}
	}
	return stored, err
}

// readRecall reads the file that says where state is.
func readRecall(path string) (all control.Recall, err error) {
	data, err := readBounded(path, maxRecall)
	if err != nil {
		return all, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err = d.Decode(&all); err == nil {
		if _, err = d.Token(); err == io.EOF {
			err = nil
		} else {
			err = errors.New("there is more behind it")
		}
	}
	switch {
	case err != nil:
		return control.Recall{}, &control.Error{Code: control.CodeBadRequest, Message: path + " does not say where state is", Err: err}
	case all.V != control.RecallVersion:
		return control.Recall{}, &control.Error{
			Code: control.CodeUnsupported, Message: path + " was written by another version of hotgo", Limit: "hotgo",
			Evidence: []control.Evidence{{What: "version", Host: fmt.Sprint(control.RecallVersion), Artifact: fmt.Sprint(all.V)}},
			Next:     "go get github.com/hotgo/hotgo, in the version of the command",
		}
	}
	return all, nil
}

// readBounded reads a whole regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	failed := func(err error) error {
		e := &control.Error{Code: control.CodeBadRequest, Message: "cannot read the state", Err: err}
		if errors.Is(err, os.ErrNotExist) {
			e.Code = control.CodeNotFound
		}
		return e
	}
	if !filepath.IsAbs(path) {
		return nil, &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("the path has to be absolute: %.200q", path)}
	}
	// O_NONBLOCK: opening a FIFO would wait for its other end.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, failed(err)
	case !info.Mode().IsRegular():
		return nil, &control.Error{Code: control.CodeBadRequest, Message: path + " is not a regular file"}
	case info.Size() > limit:
		return nil, &control.Error{Code: control.CodeTooLarge, Message: fmt.Sprintf("%s has %s, and at most %s are read", path, control.SizeText(info.Size()), control.SizeText(limit)), Limit: "hotgo"}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, failed(err)
	}
	return data, nil
}
