package reloader

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// # State across a swap
//
// Package variables of the generation that serves become those of the next one,
// whichever way the change goes, before its HotMigrate and HotStart. They are read while the
// world stands still, and the new generation's are written when nobody uses it
// yet; the old one's memory is only read. If the new generation fails after that,
// the old one goes on with its state, but for what its HotStart did to objects
// that both share.

// stateEntry is the name under which an artifact's entry adds a stateFunc.
const stateEntry = "hotgo:state"

// stateFunc lists what a generation keeps, package by package.
type stateFunc = func(visit func(path string) bool, add func(kind, path, name string, value any))

// kept gives the state of a generation, nil where its artifact does not list it.
func (g *generation) kept() *carry.Generation {
	if g == nil || g.list == nil {
		return nil
	}
	k := &carry.Generation{Packages: map[string]string{}, Types: map[string]reflect.Type{}, Functions: map[string]reflect.Value{}}
	for user, fresh := range g.manifest.Private {
		k.Packages[fresh] = user
	}
	visited := map[string]bool{}
	g.list(func(path string) bool {
		first := !visited[path]
		visited[path] = true
		return first
	}, func(kind, path, name string, value any) {
		v := reflect.ValueOf(value)
		switch name = path + "." + name; {
		case kind == "type" && v.Kind() == reflect.Pointer:
			k.Types[name] = v.Type().Elem()
		case kind == "func" && v.Kind() == reflect.Func:
			k.Functions[name] = v
		case v.Kind() == reflect.Pointer && !v.IsNil():
			k.Variables = append(k.Variables, carry.Variable{Name: name, Pointer: v, Fresh: kind == "fresh"})
		}
	})
	return k
}

// longestBusy bounds the wait for locks that are held.
const longestBusy = time.Second

// carryState brings the state of what serves to what becomes live.
func (h *Host) carryState(c change, phases *control.Phases) (notes []control.Finding, err error) {
	from, to := c.from.root(), c.to.root()
	if from == to {
		return nil, nil
	}
	was, now := from.kept(), to.kept()
	if was == nil || now == nil {
		return nil, nil
	}
	start := time.Now()
	defer func() { phases.State = milliseconds(time.Since(start)) }()
	_, migrates := to.symbols[hookMigrate]
	plan := carry.Compare(was, now)
	opts := carry.Options{Migrate: migrates, Still: true, Apart: plan.Guarded()}
	var transfer *carry.Transfer
	if !raceDetector {
		transfer, err = h.prepareState(plan, opts, from)
	}
	if err != nil {
		return nil, stateError(err)
	}
	if transfer == nil {
		return []control.Finding{{Code: carry.CodeUnknown, Text: "package variables start anew: state is carried by hosts on linux/amd64 that were built without -race"}}, nil
	}
	transfer.Commit()
	for _, f := range transfer.Report.Findings {
		notes = append(notes, control.Finding{Code: f.Code, Symbol: shortText(f.Symbol), Text: shortText(f.Symbol + ": " + f.Text)})
	}
	return notes, nil
}

// prepareState gives nil where the process cannot stand still.
func (h *Host) prepareState(plan *carry.Plan, opts carry.Options, from *generation) (t *carry.Transfer, err error) {
	began := time.Now()
	for {
		_, stood := h.platform.still(func() { t, err = plan.Prepare(opts) }, from.list)
		var busy *livepatch.Error
		var why *carry.Refusal
		switch {
		case errors.As(stood, &busy) && busy.Reason == livepatch.Unsupported:
			return nil, nil
		case stood != nil && time.Since(began) > longestBusy:
			return nil, stood
		case stood != nil:
		case err == nil:
			return t, nil
		case errors.As(err, &why) && why.Unknown:
			plan.Learn()
			continue
		case errors.As(err, &why) && why.Busy && time.Since(began) < longestBusy:
		default:
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}

// stateError makes a refusal an error of the protocol.
func stateError(err error) error {
	var why *carry.Refusal
	if !errors.As(err, &why) {
		return &control.Error{Code: control.CodeRefused, Message: "the state of the plugin cannot be read", Err: err, Next: "try again"}
	}
	e := &control.Error{
		Code: control.CodeIncompatible, Rule: why.Code, Message: fmt.Sprintf("state cannot be carried over: %s%s: %s", why.Variable, why.Path, why.Reason),
		Limit: "hotgo: state is carried whole and without loss, or not at all",
		Next:  "give the plugin a HotMigrate, mark the variable //hotgo:fresh, or restart the host",
	}
	if why.Busy {
		e.Code, e.Next = control.CodeRefused, "try again"
	}
	if why.Old != "" && why.New != "" {
		e.Evidence = []control.Evidence{{What: why.Variable, Host: why.Old, Artifact: why.New}}
	}
	return e
}
