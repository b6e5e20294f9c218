package reloader

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// retireInBackground stops a generation that has been replaced: the load that
// replaced it is done. told is closed when that load's own event is recorded;
// the generation's end is told after it, however quick its HotStop is.
func (h *Host) retireInBackground(e *ending, told <-chan struct{}) {
	h.background.Go(func() {
		g := e.g
		ev := control.Event{Event: control.KindRetired, Plugin: g.plugin, Generation: g.number, Key: g.manifest.Key, Digest: g.digest}
		h.finish(e, func(err error) {
			if err != nil {
				ev.Code, ev.Reason = control.CodeRefused, err.Error()
				h.logPanic(err)
			}
			h.tellLeft(&ev, g, err)
			<-told
			h.record(ev)
		})
		h.lookForRetained()
	})
}

// settling is how long goroutines of a generation whose HotStop has returned get
// to end before they are told of: one that was woken by the end of HotStart's
// context has yet to run.
var settling = []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}

// tellLeft enters into the event of a retirement who still runs the generation, or
// patches of it, after HotStop returned or was given up.
func (h *Host) tellLeft(ev *control.Event, g *generation, stopped error) {
	wait := settling
	if errors.Is(stopped, errHung) {
		wait = nil // there is one at least
	}
	var left leftover
	known := true
	for {
		withText := len(wait) == 0
		left, known = h.leftInAll(g, withText)
		if !known || left.goroutines == 0 || withText {
			break
		}
		pause := time.NewTimer(wait[0])
		wait = wait[1:]
		select {
		case <-pause.C:
		case <-h.ctx.Done():
			pause.Stop()
			wait = nil
		}
	}
	if !known {
		ev.Notes = append(ev.Notes, control.Finding{Code: noteStillInside, Text: "there are too many goroutines to tell which of them are still in its code"})
	}
	ev.Goroutines = left.goroutines
	for _, at := range left.inside[:min(len(left.inside), shownEvidence)] {
		ev.Notes = append(ev.Notes, control.Finding{Code: noteStillInside, Symbol: at.Function, Text: stillInside(at)})
	}
}

// leftInAll is leftIn for a generation with its patches as one.
func (h *Host) leftInAll(root *generation, withText bool) (sum leftover, ok bool) {
	h.mu.Lock()
	var all []*generation
	for _, g := range h.plugins[root.plugin].gens {
		if g.root() == root {
			all = append(all, g)
		}
	}
	h.mu.Unlock()
	left, ok := h.leftIn(all, withText)
	for _, g := range all {
		sum.goroutines += left[g].goroutines
		sum.inside = append(sum.inside, left[g].inside...)
	}
	return sum, ok
}

// stillInside says where goroutines are: "2 goroutines are still in
// rules.(*Watcher).loop (rules.go:41, chan receive)".
func stillInside(at control.Goroutine) string {
	who := "1 goroutine is"
	if at.Goroutines != 1 {
		who = fmt.Sprintf("%d goroutines are", at.Goroutines)
	}
	where := ""
	if at.File != "" {
		where = fmt.Sprintf("%s:%d", filepath.Base(at.File), at.Line)
	}
	if at.State != "" {
		where += ", " + at.State
	}
	if where == "" {
		return who + " still in " + at.Function
	}
	return fmt.Sprintf("%s still in %s (%s)", who, at.Function, where)
}
