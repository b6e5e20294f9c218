package devloop

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// group is the hosts that run one binary, and what is wanted in them.
type group struct {
	host    builder.Host
	names   []string // that plugins was found for
	plugins []builder.Plugin
	want    map[string]*want          // by plugin
	errs    map[string]*control.Event // by plugin: why it has no plan; "" for the group as a whole
	changes map[string]bool           // changes in the host that the user knows of
	dirs    []string                  // what its snapshot read, sorted
	files   []string
}

// want is the version of a plugin that the sources ask for.
type want struct {
	plan     *builder.Plan
	since    time.Time // the last file event of the edit
	phases   control.Phases
	artifact *builder.Artifact // once built
}

func newGroup(h builder.Host) *group {
	return &group{
		host: h, want: map[string]*want{}, errs: map[string]*control.Event{}, changes: map[string]bool{},
	}
}

// planRequest is what one look at the sources is for. It shares nothing with
// the owner's state.
type planRequest struct {
	groups []planGroup
	batch  *watch.Batch
	edits  int
	since  time.Time
	start  time.Time
	fresh  string
}

// planGroup is one binary's part of a look: request and answer.
type planGroup struct {
	id      string
	host    builder.Host
	names   []string
	plugins []builder.Plugin // nil: to be found

	snapshot *builder.Snapshot
	err      error
	elapsed  time.Duration
}

// startPlan looks at the sources when something asked for it.
func (l *Loop) startPlan() {
	if !l.look || l.planning {
		return
	}
	req := planRequest{batch: l.batch, edits: l.edits, since: l.since, start: l.fx.Now(), fresh: l.fresh}
	for _, id := range l.order {
		g := l.groups[id]
		members := l.members(g)
		if len(members) == 0 {
			continue
		}
		var names []string
		for _, h := range members {
			names = union(names, h.names())
		}
		pg := planGroup{id: id, host: g.host, names: names}
		if !l.refind && slices.Equal(names, g.names) {
			pg.plugins = g.plugins
		}
		req.groups = append(req.groups, pg)
	}
	if len(req.groups) == 0 {
		return // the first host to come up looks
	}
	l.look, l.lookLater, l.refind, l.batch, l.since = false, false, false, nil, time.Time{}
	l.planning = true
	l.async(func() func() {
		for i := range req.groups {
			l.plan(l.ctx, &req.groups[i], req.fresh)
		}
		return func() {
			l.planning = false
			l.planned(req)
		}
	})
}

// plan takes one snapshot. It runs outside the owner's goroutine.
func (l *Loop) plan(ctx context.Context, pg *planGroup, fresh string) {
	start := l.fx.Now()
	if pg.plugins == nil {
		found, err := l.fx.Find(ctx, pg.names)
		if err != nil {
			pg.err = err
			return
		}
		pg.plugins = slices.Clip(append([]builder.Plugin{}, found...))
	}
	held := slices.DeleteFunc(slices.Clone(pg.plugins), func(p builder.Plugin) bool {
		return !slices.Contains(pg.names, p.Name)
	})
	pg.snapshot, pg.err = l.fx.Snapshot(ctx, pg.host, held, fresh)
	pg.elapsed = l.fx.Now().Sub(start)
}

// planned takes over what the sources ask for now, and answers the edit where
// there is nothing to build.
func (l *Loop) planned(req planRequest) {
	// A later edit is waiting: what this look found may be half an edit. Its
	// plans are good (a build checks that nothing changed), its complaints
	// are not.
	stale := l.batch != nil && hasSources(*l.batch)
	answered := false
	for i := range req.groups {
		pg := &req.groups[i]
		if _, ok := errors.AsType[*builder.ChangedError](pg.err); ok {
			l.lookAgain(req)
			continue
		}
		g := l.groups[pg.id]
		if l.plannedGroup(g, pg, req, stale) {
			answered = true
		}
	}
	l.rewatch()
	switch {
	case req.batch == nil:
	case stale:
		l.pend(*req.batch)
	case answered:
		l.idle = 0
	case !hasSources(*req.batch):
		l.idle++
	case len(l.hosts) > 0:
		l.answer(req)
	}
}

// plannedGroup takes over one binary's snapshot. It reports whether the user
// has been, or is going to be, told something about the edit.
func (l *Loop) plannedGroup(g *group, pg *planGroup, req planRequest, stale bool) (answered bool) {
	if pg.err != nil {
		if stale {
			return false
		}
		g.names = nil // look for the plugins again, too
		return l.planFailed(g, "", pg.err, req)
	}
	delete(g.errs, "")
	g.names, g.plugins = pg.names, pg.plugins
	snap := pg.snapshot
	g.dirs, g.files = union(snap.WatchDirs, nil), union(snap.WatchFiles, nil)

	for _, h := range l.members(g) {
		h.looked = true
	}
	planned := map[string]bool{}
	for _, plan := range snap.Plans {
		if plan == nil {
			continue
		}
		name := plan.Plugin.Name
		planned[name] = true
		delete(g.errs, name)
		if l.wanted(g, plan, pg, req) {
			answered = true
		}
	}
	reported := l.hostChanged(g, snap.HostChanges, req)
	answered = answered || reported
	for _, name := range slices.Sorted(maps.Keys(snap.Errors)) {
		planned[name] = true
		if reported && isShared(snap.Errors[name]) {
			delete(g.want, name) // the same news: the host's package changed
			continue
		}
		if !stale && l.planFailed(g, name, snap.Errors[name], req) {
			answered = true
		}
	}
	for name := range g.want {
		if !planned[name] {
			delete(g.want, name) // the package is gone, or no host holds it any more
		}
	}
	l.noteUnbound(pg)
	if b := l.building; b != nil && b.group == g {
		if w := g.want[b.plugin]; w == nil || w.plan.Key != b.key {
			b.cancel() // nobody wants it any more
		}
	}
	return answered
}

// wanted takes over one plan. Where the hosts have its key already, it says so
// if the edit was about this plugin.
func (l *Loop) wanted(g *group, plan *builder.Plan, pg *planGroup, req planRequest) (answered bool) {
	name := plan.Plugin.Name
	old := g.want[name]
	w := &want{plan: plan, since: req.since, artifact: plan.Cached}
	w.phases.Plan = ms(pg.elapsed)
	if w.since.IsZero() {
		w.since = req.start
	} else {
		w.phases.Detect = ms(req.start.Sub(w.since))
	}
	if old != nil && old.plan.Key != plan.Key && req.batch != nil && !hasSources(*req.batch) {
		// An embedded file: only the key says that it matters.
		l.emitDetected(req.batch.Files, func(f string) bool { return within(f, plan.Plugin.Dir) })
	}
	if old != nil && old.plan.Key == plan.Key {
		// The same version: the clock of the edit that made it keeps running.
		w.since, w.phases = old.since, old.phases
		if old.artifact != nil {
			w.artifact = old.artifact
		}
	}
	g.want[name] = w

	touched := l.touched(g, name, req)
	for _, h := range l.members(g) {
		if !h.holds(name) {
			continue
		}
		s := h.slot(name)
		switch {
		case s.loading || s.settled != plan.Key && !s.runs(plan):
			answered = true // the load will tell
		case s.runs(plan):
			if s.settled != plan.Key || touched {
				fresh := s.settled == "" && req.batch == nil // a host that has it already: no news
				s.settled, s.failure = plan.Key, nil
				if !fresh {
					answered = true
					l.emit(unchangedEvent(h, plan, l.total(req)))
				}
			}
		case touched && s.failure != nil:
			answered = true
			l.emit(*s.failure) // the edit changed nothing: it fails as it did
		}
	}
	return answered
}

// planFailed reports that a plugin (or with "", all of them) has no plan. The
// same message is not repeated for edits elsewhere.
func (l *Loop) planFailed(g *group, plugin string, err error, req planRequest) (answered bool) {
	delete(g.want, plugin)
	if plugin == "" {
		clear(g.want)
	}
	if b := l.building; b != nil && b.group == g && (plugin == "" || b.plugin == plugin) {
		b.cancel()
	}
	ev := l.failure(g, plugin, err)
	ev.TotalMS = l.total(req)
	known := l.known(plugin, ev)
	g.errs[plugin] = &ev
	if known && !l.touched(g, plugin, req) {
		return false
	}
	if ev.Event == control.KindRestart {
		l.needRestart(ev, req.edits)
	} else {
		l.fail(ev)
	}
	return true
}

// known reports whether the user has been told this about the plugin: before,
// or on behalf of a host with another binary.
func (l *Loop) known(plugin string, ev control.Event) bool {
	for _, g := range l.groups {
		if old := g.errs[plugin]; old != nil && sameFailure(*old, ev) {
			return true
		}
	}
	return false
}

// touched reports whether the edit was of a source in the plugin's own
// directory.
func (l *Loop) touched(g *group, plugin string, req planRequest) bool {
	return req.batch != nil && slices.ContainsFunc(g.plugins, func(p builder.Plugin) bool {
		return p.Name == plugin && slices.ContainsFunc(req.batch.Files, func(f string) bool {
			return isSource(f) && within(f, p.Dir)
		})
	})
}

// lookAgain asks for another look in place of one that came to nothing.
func (l *Loop) lookAgain(req planRequest) {
	l.look = true
	if l.since.IsZero() {
		l.since = req.since
	}
	if req.batch != nil {
		l.pend(*req.batch)
	}
}

// answer tells the user that an edit was seen and changed nothing: each edit
// gets an answer. Standing failures are the better one.
func (l *Loop) answer(req planRequest) {
	if standing := l.standing(); len(standing) > 0 {
		for _, ev := range standing {
			l.emit(*ev)
		}
		return
	}
	ev := control.Event{
		Event: control.KindUnchanged, Verdict: control.Unchanged, TotalMS: l.total(req), Files: req.batch.Files,
	}
	if hs := l.all(); len(hs) == 1 {
		ev.Host, ev.PID = hs[0].Name, hs[0].PID
	}
	l.emit(ev)
}

// standing lists the failures that no edit has mended yet.
func (l *Loop) standing() []*control.Event {
	var evs []*control.Event
	add := func(ev *control.Event) {
		if ev != nil && !slices.Contains(evs, ev) {
			evs = append(evs, ev)
		}
	}
	for _, id := range l.order {
		g := l.groups[id]
		for _, name := range slices.Sorted(maps.Keys(g.errs)) {
			add(g.errs[name])
		}
		for _, h := range l.members(g) {
			for _, name := range slices.Sorted(maps.Keys(h.slots)) {
				add(h.slots[name].failure)
			}
		}
	}
	return evs
}

// hostChanged reports edits that no plugin can carry: each once, and again
// when the files are edited again.
func (l *Loop) hostChanged(g *group, changes []builder.HostChange, req planRequest) (answered bool) {
	known := map[string]bool{}
	for _, c := range changes {
		sig := changeSignature(c)
		known[sig] = true
		again := req.batch != nil && slices.ContainsFunc(c.Files, func(f string) bool {
			return slices.Contains(req.batch.Files, f)
		})
		if g.changes[sig] && (!again || l.restarting()) {
			continue
		}
		answered = true
		for _, h := range l.members(g) {
			ev := hostChangeEvent(h, c)
			ev.TotalMS = l.total(req)
			l.needRestart(ev, req.edits)
		}
	}
	g.changes = known
	return answered
}

// noteUnbound says once which of the plugins no host binds.
func (l *Loop) noteUnbound(pg *planGroup) {
	for _, p := range pg.plugins {
		held := slices.ContainsFunc(l.all(), func(h *host) bool { return h.holds(p.Name) })
		if held || l.unbound[p.Name] {
			continue
		}
		l.unbound[p.Name] = true
		l.emit(control.Event{
			Event: control.KindNote, Plugin: p.Name,
			Reason: "no host binds this plugin, so nothing is loaded",
			Next:   `reloader.Bind(h, "` + p.Name + `", …) in the host`,
		})
	}
}

// total is the time from the last file event to now, in milliseconds.
func (l *Loop) total(req planRequest) float64 {
	if req.since.IsZero() {
		return 0
	}
	return ms(l.fx.Now().Sub(req.since))
}

// all lists the hosts, in a stable order.
func (l *Loop) all() []*host {
	return slices.SortedFunc(maps.Values(l.hosts), func(a, b *host) int { return a.PID - b.PID })
}

// rewatch watches what the snapshots read. While there is none, or something
// failed that may be mended in a file that no snapshot has read, it watches
// the whole tree as well.
//
// Whatever is watched from now on may have been edited between the snapshot
// and this moment, so an addition asks for another look.
func (l *Loop) rewatch() {
	var set watch.Set
	wide := l.owned() && len(l.hosts) == 0
	for _, id := range l.order {
		g := l.groups[id]
		if len(l.members(g)) == 0 && len(l.hosts) > 0 {
			continue // a binary that runs no more
		}
		set.Dirs, set.Files = union(set.Dirs, g.dirs), union(set.Files, g.files)
		wide = wide || len(g.errs) > 0
	}
	if wide && l.opt.Root != "" {
		set.Trees = []string{l.opt.Root}
	}
	old := l.watched
	if slices.Equal(set.Dirs, old.Dirs) && slices.Equal(set.Files, old.Files) && slices.Equal(set.Trees, old.Trees) {
		return
	}
	if !subset(set.Dirs, old.Dirs) || !subset(set.Files, old.Files) || !subset(set.Trees, old.Trees) {
		l.look = true
	}
	l.watched = set
	l.fx.Watch(set)
}

// union gives the sorted union of two lists.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// subset reports whether all of a is in b; b is sorted.
func subset(a, b []string) bool {
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); !ok {
			return false
		}
	}
	return true
}

// idleLimit is after how many fruitless looks files that are no sources lose
// their urgency. They may be embedded, and then an edit should show at once;
// but they may as well be a log that the host writes beside its sources, ten
// times a second, and a look is a run of the go command.
const idleLimit = 3

// hasSources reports whether a batch has files that the go command reads
// whatever the packages say, or stands for a look at everything. What else
// lies in a watched directory matters if it is embedded, which only a look
// tells, and is nothing to talk about before.
func hasSources(b watch.Batch) bool {
	return b.Rescan || len(b.Files) == 0 || slices.ContainsFunc(b.Files, isSource)
}

// isSource knows the extensions that go/build takes for sources (Go 1.26,
// build.go, fileListForExt), and the files that choose modules.
func isSource(path string) bool {
	switch filepath.Base(path) {
	case "go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt":
		return true
	}
	switch filepath.Ext(path) {
	case ".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx",
		".f", ".F", ".for", ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso":
		return true
	}
	return false
}

// within reports whether a file lies below dir.
func within(file, dir string) bool {
	return strings.HasPrefix(file, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// ms converts for events, where every figure is in milliseconds.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
