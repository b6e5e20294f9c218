package reloader

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/symname"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
)

// # State across a swap
//
// Package variables of the generation that serves become those of the next one,
// whichever way the change goes. They are read while the world stands still; the old
// one's memory is only read. Where the new one has no hooks, that is also the moment of
// the switch. Else its state moves first, for HotMigrate, HotStart and HotHealth to find it.
// If one of them fails, the old generation goes on with its state, but for what they did
// to objects that both share. In either case handles wait meanwhile: see hold.go.

// stateEntry is the name under which an artifact's entry adds a stateFunc.
const stateEntry = "hotgo:state"

// stateFunc lists what a generation keeps, package by package.
type stateFunc = func(visit func(path string) bool, add func(kind, path, name string, value any))

// kept gives the state of a generation, nil where its artifact does not list it.
func (g *generation) kept() *carry.Generation {
	if g == nil || g.list == nil {
		return nil
	}
	return stateOf(g.list, g.manifest.Private)
}

// stateOf asks a list. private are the packages: the user's import path to the one in
// the generation.
func stateOf(list stateFunc, private map[string]string) *carry.Generation {
	k := &carry.Generation{
		Packages: map[string]string{}, Types: map[string]reflect.Type{}, Functions: map[string]reflect.Value{}, Unused: map[string]bool{},
	}
	for user, fresh := range private {
		k.Packages[fresh] = user
	}
	visited := map[string]bool{}
	list(func(path string) bool {
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
		case kind == "unused":
			k.Unused[name] = true
		case v.Kind() == reflect.Pointer && !v.IsNil():
			k.Variables = append(k.Variables, carry.Variable{Name: name, Pointer: v, Fresh: kind == "fresh"})
		}
	})
	return k
}

// passage is the way of state from one generation to the next; nil where there is
// nothing to carry.
type passage struct {
	quiet
	plan     *carry.Plan
	opts     carry.Options
	hooked   bool // hooks of the new one have to find its state
	moved    bool
	transfer *carry.Transfer // nil after it moved: this process cannot carry state
}

// passage prepares one, and has the plugin's handles wait until end is called.
// What becomes of a built-in it notes in c.
func (h *Host) passage(p *pluginState, c *change, phases *control.Phases) (x *passage, end func()) {
	from, to := c.from.root(), c.to.root()
	if from == to {
		return nil, func() {}
	}
	was, now := from.kept(), to.kept()
	var builtin *carry.Generation
	switch {
	case from == nil:
		was = h.builtin(to)
		builtin, c.notes = was, h.builtinNotes(*c, was, now)
	case to == nil:
		now = h.builtin(from)
		builtin, c.notes = now, h.builtinNotes(*c, now, was)
	}
	if was == nil || now == nil {
		return nil, func() {}
	}
	start := time.Now()
	x = &passage{plan: carry.Compare(was, now), hooked: hooked(to)}
	migrates := false
	if to != nil {
		_, migrates = to.symbols[hookMigrate]
	}
	x.opts = carry.Options{Migrate: migrates, Still: true, Apart: x.plan.Guarded()}
	compared := milliseconds(time.Since(start))
	x.quiet, end = h.quiet(p, from, to, builtin, phases)
	phases.State += compared
	return x, end
}

// hooked reports whether a generation has hooks that run before it is live.
func hooked(g *generation) bool {
	if g == nil {
		return false
	}
	for hook := range hookTypes {
		if _, ok := g.symbols[hook]; ok && hook != hookStop {
			return true
		}
	}
	return false
}

// move carries the state, in one moment or not at all. With store it is the switch as
// well: what store is given runs while it holds what the switch needs, and stores the
// new table when it calls back.
func (x *passage) move(store func(func(now func()) error) error) error {
	if store == nil {
		store = func(with func(func()) error) error { return with(func() {}) }
	}
	var now func()
	err := x.at(func(expired func() bool) error {
		opts := x.opts
		opts.Expired = expired
		t, err := x.plan.Prepare(opts)
		if err == nil {
			t.Commit()
			now()
			x.transfer = t
		}
		return err
	}, x.plan.Learn, func(attempt func()) error {
		return store(func(n func()) error {
			now = n
			attempt()
			return nil
		})
	})
	if errors.Is(err, errNoStandstill) {
		x.hold.release()
		err = store(func(now func()) error { now(); return nil })
		x.moved = true
		return err
	}
	x.moved = err == nil
	return err
}

// notes says what became of the state, when the switch is made.
func (x *passage) notes() (notes []control.Finding) {
	if x == nil {
		return nil
	}
	if x.transfer == nil {
		return []control.Finding{{Code: carry.CodeUnknown, Text: "package variables are not carried over: that takes a host on linux/amd64 that was built without -race"}}
	}
	notes = reported(x.transfer.Report)
	switch {
	case x.inside != "":
		name, whose := shortName(x.inside), "the old generation"
		if slices.Contains(x.moment.Packages, symname.Package(x.inside)) {
			whose = "the built-in"
		}
		notes = append(notes, control.Finding{
			Code: noteStillInside, Symbol: shortText(name),
			Text: shortText(name + " of " + whose + " did not return in " + x.h.opts.HoldCalls.String() + ": what its call changes from now on in variables that were copied is lost"),
		})
	case x.hooked && x.hold.over():
		notes = append(notes, control.Finding{
			Code: noteStillInside,
			Text: "the hooks took longer than calls wait, which is " + x.h.opts.HoldCalls.String() + ": what calls changed meanwhile in variables that were copied is lost",
		})
	}
	return notes
}

// reported gives what was found as events have it.
func reported(r carry.Report) (notes []control.Finding) {
	for _, f := range r.Findings {
		notes = append(notes, control.Finding{Code: f.Code, Symbol: shortText(f.Symbol), Text: shortText(f.Symbol + ": " + f.Text)})
	}
	return notes
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
	switch {
	case why.Busy:
		e.Code, e.Next = control.CodeRefused, "try again"
	case why.Large:
		e.Message = fmt.Sprintf("the state is too large: %d values of it were looked at when the process had stood still for as long as it may", why.Visited)
		e.Limit = "Options.MaxPause of the host"
		e.Next = "give the host a larger MaxPause, mark what is large //hotgo:fresh, or restart the host"
	}
	if why.Old != "" && why.New != "" {
		e.Evidence = []control.Evidence{{What: why.Variable, Host: why.Old, Artifact: why.New}}
	}
	return e
}
