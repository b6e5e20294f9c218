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

// # A moment for state
//
// Variables of a plugin are read and written at a moment at which nobody is half way
// through a change of them: its handles wait, calls that were under way have returned,
// nothing of the process runs, and nobody was stopped in its code. Such a moment may
// have to be tried for, and what was found then may have to be looked at again: a lock
// was held, or a type has to be made first. All of that has its limits.

var errNoStandstill = errors.New("this process cannot stand still")

// longestBusy bounds the wait for locks that are held.
const longestBusy = time.Second

// quiet is the wait of a plugin's handles for such a moment.
type quiet struct {
	h      *Host
	hold   *hold
	moment livepatch.Moment // with the code of all generations concerned, and of their patches
	phases *control.Phases
	inside string // a function of that code which did not return in time
}

// quiet has the plugin's handles wait until end is called. from and to are whose code
// has to be out of the way, and builtin is the state of the built-in, where that is.
func (h *Host) quiet(p *pluginState, from, to *generation, builtin *carry.Generation, phases *control.Phases) (q quiet, end func()) {
	start := time.Now()
	q = quiet{h: h, phases: phases}
	q.moment.Code = h.codeOf(p, from, to)
	if builtin != nil {
		q.moment.Packages, q.moment.Functions = h.builtinCode(builtin)
	}
	q.hold, end = h.hold(p, h.opts.HoldCalls, q.moment.Packages)
	phases.State = milliseconds(time.Since(start))
	return q, end
}

// codeOf gives addresses in the code of two generations, and of their patches.
func (h *Host) codeOf(p *pluginState, from, to *generation) (code []uintptr) {
	for _, g := range p.gens {
		switch root := g.root(); {
		case root != from && root != to:
		case g == root:
			code = append(code, reflect.ValueOf(g.list).Pointer())
		case len(g.manifest.Patch.Functions) > 0:
			code = append(code, g.bias+uintptr(g.manifest.Patch.Functions[0].New))
		}
	}
	return code
}

// at has do run at such a moment. What do refuses with a *carry.Refusal is tried again
// where that says that it may go better, after learn where it says so. around is given
// each attempt, to make it while it holds what do needs.
//
// Errors: errNoStandstill where this process cannot stand still at all; around's;
// *control.Error.
func (q *quiet) at(do func(expired func() bool) error, learn func(), around func(attempt func()) error) error {
	start := time.Now()
	defer func() { q.phases.State += milliseconds(time.Since(start)) }()
	for {
		var err, refused error
		m := q.moment
		m.NoCalls = !q.hold.over()
		if failed := around(func() { err, refused = q.once(m, do) }); failed != nil {
			return failed
		}
		var busy *livepatch.Error
		var why *carry.Refusal
		switch {
		case errors.As(err, &busy) && busy.Reason == livepatch.Unsupported:
			return fmt.Errorf("%w: %w", errNoStandstill, err)
		case errors.As(err, &busy) && m.NoCalls:
			q.inside = busy.Function
		case err != nil && time.Since(start) > q.h.opts.HoldCalls+longestBusy:
			return stateError(err)
		case err != nil:
		case refused == nil:
			if m.NoCalls {
				q.inside = ""
			}
			return nil
		case errors.As(refused, &why) && why.Unknown:
			learn()
			continue
		case errors.As(refused, &why) && why.Busy && time.Since(start) < longestBusy:
		default:
			return stateError(refused)
		}
		time.Sleep(time.Millisecond)
	}
}

// once makes one attempt.
func (q *quiet) once(m livepatch.Moment, do func(expired func() bool) error) (stood, refused error) {
	pause, stood := q.h.platform.still(m, func() {
		began := time.Now()
		refused = do(func() bool { return time.Since(began) > q.h.opts.MaxPause })
	})
	q.phases.Pause += milliseconds(pause)
	q.h.metrics.paused(pause)
	return stood, refused
}

// standStill has the process stand still, unless it was built with -race.
func standStill(m livepatch.Moment, f func()) (time.Duration, error) {
	if raceDetector {
		return 0, &livepatch.Error{Reason: livepatch.Unsupported, Detail: "this program was built with -race"}
	}
	return livepatch.New().Still(m, f)
}
