package devloop

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// silence is how long a host that was started may take to open its control
// socket before the user hears about it.
const silence = 5 * time.Second

// runState is the host's process under run.
//
//	edit ──> building ──ok──> stopping the old one ──> running ──exit──> down
//	            │                                         │                │
//	            └─fails: the old one keeps running        └─ restart ──────┴─> building
type runState struct {
	proc      *Process
	binary    string // of the process that was started last
	started   time.Time
	starts    int
	wanted    bool // a host build is asked for
	building  bool
	stopping  bool
	restarted bool      // the next host to answer is a restarted one
	edits     int       // Loop.edits when the last host build began
	edited    time.Time // the edit that it answers
	judged    time.Time // the edit that needs the process which is asked for
	state     []legacy  // of a process that was stopped, until another has gone on with it
	recalls   int       // of how many plugins the process was given state
}

// owned reports whether the loop owns the host's process.
func (l *Loop) owned() bool { return l.fx.StartHost != nil }

// restarting reports whether the host is being replaced, or is about to be:
// what would be loaded into it now is wasted.
func (l *Loop) restarting() bool { return l.run.wanted || l.run.building || l.run.stopping }

// hostEdited asks for a host where there is none: what is edited may be what
// kept it from building, or from living.
func (l *Loop) hostEdited() {
	if l.run.proc == nil || l.run.building {
		l.run.wanted = true
	}
}

// needRestart reports a change that no plugin can carry, and acts on it where
// the loop owns the process. edits says which edits the verdict is about: a
// binary that was built after them would come out the same once more. since is the
// last of them; where a question comes between, how long its answer takes is nobody's
// wait for new code.
func (l *Loop) needRestart(ev control.Event, edits int, since time.Time) {
	l.fail(ev)
	if !l.owned() || edits <= l.run.edits || l.restarting() {
		return
	}
	switch l.opt.Restart {
	case RestartAlways:
		l.run.wanted, l.run.judged = true, since
	case RestartAsk:
		l.offer(ev)
	case RestartNever:
	}
}

// startHostBuild builds the host when that was asked for. The old process runs
// on until the new binary is there.
func (l *Loop) startHostBuild() {
	if !l.run.wanted || l.run.building || l.run.stopping {
		return
	}
	l.run.wanted, l.run.building, l.asking, l.open = false, true, nil, false
	l.run.edits, l.run.edited = l.edits, l.since
	if l.since.IsZero() {
		l.run.edited = l.run.judged // the look that judged it has taken it
	}
	l.run.judged = time.Time{}
	if b := l.building; b != nil {
		b.cancel()
	}
	if l.run.proc == nil {
		l.emit(control.Event{Event: control.KindNote, Reason: "building the host"})
	}
	v := l.leaver()
	l.async(func() func() {
		var lists sync.WaitGroup
		if v != nil {
			lists.Go(func() { v.prepare(l.ctx) })
		}
		hb, err := l.fx.BuildHost(l.ctx)
		lists.Wait()
		return func() {
			l.run.building = false
			if err != nil {
				l.hostBuildFailed(err)
				return
			}
			l.replaceHost(hb.Binary)
		}
	})
}

// hostBuildFailed reports that the host does not build, unless it was edited
// meanwhile and is built once more anyway.
func (l *Loop) hostBuildFailed(err error) {
	if _, changed := errors.AsType[*builder.ChangedError](err); changed {
		l.run.wanted = true
	}
	if l.run.wanted {
		return
	}
	ev := buildFailure("", err)
	if p := l.run.proc; p != nil {
		ev.PID = p.PID
	}
	l.fail(ev)
}

// replaceHost stops the old process, if there is one, and starts binary with its
// state. An edit that came during the build is for the next snapshot to judge.
func (l *Loop) replaceHost(binary string) {
	l.run.wanted = false
	old, v, state := l.run.proc, l.leaver(), l.run.state
	if old == nil && state == nil {
		l.startHost(binary, "")
		return
	}
	name := strconv.Itoa(l.run.starts)
	l.run.stopping = true
	l.async(func() func() {
		if v != nil {
			state = v.leaves()
		}
		l.fx.expect(l.ctx, state, binary) // first: what the process does after it has saved is lost
		if v != nil {
			v.save(l.ctx, state, name)
		}
		recall, n := l.fx.handOver(state, name)
		if old != nil {
			old.Stop()
		}
		return func() {
			l.run.stopping = false
			l.tell(state, false)
			lost := func(g legacy) bool { return g.saved == nil }
			l.run.state, l.run.recalls = slices.DeleteFunc(state, lost), n
			l.startHost(binary, recall)
		}
	})
}

// startHost starts binary; recall is the file that says where its state is.
func (l *Loop) startHost(binary, recall string) {
	clear(l.hosts)
	p, err := l.fx.StartHost(binary, recall)
	if err != nil {
		l.run.proc = nil
		l.fail(control.Event{Event: control.KindFailed, Verdict: control.Failed, Reason: err.Error()})
		return
	}
	l.run.proc, l.run.binary, l.run.started, l.waiting = p, binary, l.fx.Now(), false
	l.run.restarted = l.run.starts > 0
	l.run.starts++
	l.poll.Reset(firstLook)
	l.async(func() func() {
		exit := p.Wait()
		return func() { l.exited(p, exit) }
	})
}

// exited takes note of a process that ended. By itself is by itself: it is
// started again after an edit, for what ended it is still in the sources. An edit
// that had not got as far as this process is one after it.
func (l *Loop) exited(p *Process, exit Exit) {
	if l.run.proc != p {
		return
	}
	l.run.proc = nil
	name := ""
	for _, h := range l.hosts {
		name = h.Name
	}
	clear(l.hosts)
	l.rewatch()
	if l.restarting() {
		return
	}
	then := "it is built and started again after the next edit"
	if l.open {
		l.run.wanted, then = true, "it is built and started again, with the edit that came before that"
	}
	l.emit(control.Event{
		Event: control.KindHostGone, Host: name, PID: p.PID,
		Reason: "the host ended (" + exit.Reason + "); " + then,
	})
}
