package watch

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// loop is the state of a Watcher. Only its goroutine touches it.
type loop struct {
	w    *Watcher
	opts Options

	src   *source // nil when there are no events
	spots map[spotKey]*spot
	armed map[string]spotKey // path given to the source -> key in spots

	scope *scope
	seen  map[string]listing // by directory; no entry: never listed, so all in it is new
	deep  map[string]bool    // directories whose directories have been looked for
	repos []string           // git directories

	rest      debounce
	dirty     map[string]mark // files to look at
	dirtyDirs map[string]bool // directories to list
	unsettled bool            // directories came or went: arrange and explore anew
	renew     bool            // events were lost: every watch may be dead
	faults    int             // errors of the source since the last event
	gone      int             // directories in this explore that vanished before they were watched
	rescan    bool            // events were lost: say so in the next batch

	polling  bool
	proven   bool // an event announced a change: events do arrive
	nextLook time.Time
	suspects map[string]bool // changes that no event announced so far
	verdict  time.Time       // when the suspects are judged

	pending *Batch
	notes   []string
	noted   map[string]bool
}

// mark says why a file is dirty.
type mark struct {
	told bool  // an event named it
	seen stamp // otherwise: what was seen when it was marked
}

func newLoop(w *Watcher, opts Options) *loop {
	return &loop{
		w: w, opts: opts,
		spots: map[spotKey]*spot{}, armed: map[string]spotKey{},
		scope: newScope(Set{}, opts.Ignore), seen: map[string]listing{}, deep: map[string]bool{},
		rest:  debounce{quiet: opts.Quiet, burst: max(opts.Quiet, burstQuiet), maxWait: opts.MaxWait, patience: lockPatience},
		dirty: map[string]mark{}, dirtyDirs: map[string]bool{},
		suspects: map[string]bool{}, noted: map[string]bool{},
	}
}

// run is the goroutine.
func (l *loop) run() {
	defer close(l.w.stopped)
	defer close(l.w.batches)
	defer close(l.w.notes)
	defer func() { l.w.err = l.closeSource() }()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(l.wake()))
		var events <-chan fsnotify.Event
		var errs <-chan error
		if l.src != nil {
			events, errs = l.src.events, l.src.errors
		}
		var batches chan<- Batch
		var batch Batch
		if l.pending != nil {
			batches, batch = l.w.batches, *l.pending
		}
		var notes chan<- string
		var note string
		if len(l.notes) > 0 {
			notes, note = l.w.notes, l.notes[0]
		}
		select {
		case <-l.w.stop:
			return
		case u := <-l.w.updates:
			l.update(u.set, time.Now())
			close(u.done)
		case ev, ok := <-events:
			if !ok {
				l.fallBack(errors.New("event stream ended"))
				break
			}
			l.event(ev, time.Now())
		case err, ok := <-errs:
			if !ok {
				l.fallBack(errors.New("event stream ended"))
				break
			}
			l.fault(err, time.Now())
		case batches <- batch:
			l.pending = nil
		case notes <- note:
			l.notes = l.notes[1:]
		case <-timer.C:
		}
		l.step(time.Now())
	}
}

// wake is when to act next, without an event.
func (l *loop) wake() time.Time {
	t := l.nextLook
	if !l.rest.idle() {
		if d := l.rest.deadline(); d.Before(t) {
			t = d
		}
	}
	if len(l.suspects) > 0 && l.verdict.Before(t) {
		t = l.verdict
	}
	return t
}

// step does what is due. Directories are explored and batches made when no
// event waits, so that a storm is taken as one.
func (l *loop) step(now time.Time) {
	calm := l.src == nil || len(l.src.events) == 0
	if l.unsettled && calm {
		l.explore()
	}
	if len(l.dirty) > oneSave {
		l.rest.crowd()
	}
	if l.rest.due(now) && (calm || l.rest.overdue(now)) {
		l.settle(now)
	}
	if len(l.suspects) > 0 && !now.Before(l.verdict) {
		l.judge()
	}
	if !now.Before(l.nextLook) {
		l.lookAround(now)
	}
}

// event notes where to look.
func (l *loop) event(ev fsnotify.Event, now time.Time) {
	l.faults = 0
	l.opts.Logger.Debug("file event", "path", ev.Name, "op", ev.Op.String())
	moved := ev.Has(fsnotify.Create) || ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)

	// A watch that ended speaks of its own path.
	if key, ok := l.armed[ev.Name]; ok && (ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)) {
		views := l.spots[key].views
		l.disarm(key)
		for _, view := range views {
			l.acquit(view)
			l.lead(view, now)
		}
	}
	key, ok := l.armed[filepath.Dir(ev.Name)]
	if !ok {
		return
	}
	for _, view := range l.spots[key].views {
		path := filepath.Join(view, filepath.Base(ev.Name))
		l.acquit(path)
		if moved && l.scope.onPath[path] {
			l.lead(path, now)
		}
		if l.scope.counts(path) {
			l.hint(path, ev, now)
		}
	}
}

// lead follows an event about a path that leads to directories of the scope.
func (l *loop) lead(path string, now time.Time) {
	if !l.scope.onPath[path] {
		return
	}
	l.unsettled = true
	l.rest.touch(now)
	for _, dir := range l.scope.dirs() {
		if within(dir, path) {
			l.dirtyDirs[dir] = true
		}
	}
}

// hint follows an event about a path that counts.
func (l *loop) hint(path string, ev fsnotify.Event, now time.Time) {
	if ev.Op == fsnotify.Chmod {
		// Inode changes: mode, owner, links; but also times (touch) and, on
		// BSD, truncation. A change of the mode alone never triggers.
		st, err := look(path, now)
		if err == nil && st.equal(l.seen[filepath.Dir(path)][filepath.Base(path)]) {
			return
		}
		l.rest.touch(now)
		if _, ok := l.dirty[path]; !ok {
			l.dirty[path] = mark{seen: st}
		}
		return
	}
	if ev.Has(fsnotify.Create) && l.scope.follows(path) {
		if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
			// Watched at once: what is written into it now then extends the
			// wait for rest.
			l.follow(path)
		}
	}
	l.rest.touch(now)
	l.dirty[path] = mark{told: true}
}

// maxFaults is how many errors in a row a source may have before it is given up.
const maxFaults = 16

// fault follows an error of the source. Whatever it was, events may be lost:
// besides overflows fsnotify reports harmless errors, such as EINVAL for a
// directory that was renamed and removed before it could end the watch.
func (l *loop) fault(err error, now time.Time) {
	l.faults++
	if _, full := explainLimit(err, readSysctl); full || l.faults > maxFaults {
		l.fallBack(err)
		return
	}
	l.opts.Logger.Info("file events lost: comparing everything", "error", err)
	l.unsettled, l.renew, l.rescan = true, true, true
	for _, dir := range l.scope.dirs() {
		l.dirtyDirs[dir] = true
	}
	l.rest.touch(now)
}

// say gives a note, once.
func (l *loop) say(note string) {
	if l.noted[note] {
		return
	}
	l.noted[note] = true
	l.notes = append(l.notes, note)
	l.opts.Logger.Info(note)
}
