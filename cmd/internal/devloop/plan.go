package devloop

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/watch"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// group is the hosts that run one binary, and what is wanted in them.
type group struct {
	host    builder.Host
	names   []string // that plugins was found for
	plugins []builder.Plugin
	want    map[string]*want          // by wantID
	errs    map[string]*control.Event // by plugin, or ownCode: why it has no plan; "" for the group as a whole
	changes map[string]bool           // changes in the host that the user knows of
	dirs    []string                  // what its snapshot read, sorted
	files   []string
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
	mode    choose.Mode
	hosts   []choose.Host // the processes that run it

	held     []builder.Plugin // those of plugins that the hosts bind or hold
	snapshot *builder.Snapshot
	patch    *builder.PatchPlan
	patchErr error
	err      error
	elapsed  time.Duration

	generations map[choose.Loaded]choose.GenerationPatch
}

// sources is what was found, as far as choices depend on it.
func (pg *planGroup) sources() choose.Sources {
	return choose.Sources{
		Mode: pg.mode, Plugins: pg.held, Snapshot: pg.snapshot, Patch: pg.patch, PatchErr: pg.patchErr, Generations: pg.generations,
	}
}

// startPlan looks at the sources when something asked for it.
func (l *Loop) startPlan() {
	if !l.look || l.planning || l.unsure > 0 {
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
		pg := planGroup{id: id, host: g.host, names: names, mode: l.opt.Mode}
		if l.fresh != "" {
			pg.mode = choose.Swap // what serves is what was asked for, whatever it was before
		}
		for _, h := range members {
			pg.hosts = append(pg.hosts, h.standing(nil))
		}
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
	pg.held = slices.DeleteFunc(slices.Clone(pg.plugins), func(p builder.Plugin) bool {
		return !slices.Contains(pg.names, p.Name)
	})
	pg.snapshot, pg.err = l.fx.Snapshot(ctx, pg.host, pg.held, fresh)
	if pg.err == nil {
		src := pg.sources()
		if choose.NeedsPatch(src, pg.hosts) {
			pg.patch, pg.patchErr = l.fx.PlanPatch(ctx, pg.host, pg.held)
		}
		src.PlanGenerations(pg.hosts, func(p builder.Plugin, key string) (*builder.PatchPlan, error) {
			return l.fx.PlanGenerationPatch(ctx, pg.host, p, pg.held, key)
		})
		pg.snapshot, pg.generations = src.Snapshot, src.Generations
	}
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
		if pg.sourcesChanged() || l.unsure > 0 {
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
		if g.names = nil; pg.plugins != nil { // look for them again, too
			g.plugins = pg.plugins // a restart takes the state of these
		}
		return l.planFailed(g, "", pg.err, req)
	}
	delete(g.errs, "")
	g.names, g.plugins = pg.names, pg.plugins
	snap := pg.snapshot
	g.dirs, g.files = union(snap.WatchDirs, nil), union(snap.WatchFiles, nil)

	if !l.decide(g, pg) {
		l.lookAgain(req)
		return true
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
		if l.patchesOf(g, plan, pg, req) {
			answered = true
		}
	}
	reported := l.wantedOwn(g, pg, req, stale)
	planned[ownCode] = g.want[ownCode] != nil
	answered = answered || reported
	for _, name := range slices.Sorted(maps.Keys(snap.Errors)) {
		planned[name] = true
		if l.sameNews(g, pg, name, req, reported) {
			g.drop(name, false)
			continue
		}
		if !stale && l.planFailed(g, name, snap.Errors[name], req) {
			answered = true
		}
	}
	for id, w := range g.want {
		if !planned[w.slot] {
			delete(g.want, id) // the package is gone, or no host holds it any more
		}
	}
	l.noteUnbound(pg)
	if b := l.building; b != nil && b.group == g {
		if w := g.want[wantID(b.slot, b.base)]; w == nil || w.plan.Key != b.key {
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
	if old != nil && old.plan.Key != plan.Key && req.batch != nil && !hasSources(*req.batch) {
		// An embedded file: only the key says that it matters.
		l.emitDetected(req.batch.Files, func(f string) bool { return within(f, plan.Plugin.Dir) })
	}
	w := &want{slot: name, plan: plan, artifact: plan.Cached}
	w.phases.Plan = ms(pg.elapsed)
	g.want[name] = w.after(old, req)

	touched := l.touched(g, name, req)
	for _, h := range l.members(g) {
		news := touched && h.decision.Own != choose.Original // else that is the news
		if h.holds(name) && (h.takes(w) || h.slot(name).runs(plan)) && l.settle(h, w, news, req) {
			answered = true
		}
	}
	return answered
}

// settle says what comes of a wanted version in one host that does not need, or
// get, it any more. It reports whether the user hears about the edit, now or when
// it is loaded.
func (l *Loop) settle(h *host, w *want, touched bool, req planRequest) (answered bool) {
	s, key := h.slot(w.slot), w.settles()
	switch {
	case s.loading || s.settled != key && !s.runs(w.plan):
		return true // the load will tell
	case s.runs(w.plan):
		if s.settled == key && !touched {
			return false
		}
		fresh := s.settled == "" && req.batch == nil // a host that has it already: no news
		s.settled, s.failure = key, nil
		if fresh {
			return false
		}
		l.emit(unchangedEvent(h, w, l.total(req)))
		return true
	case touched && s.failure != nil:
		l.emit(*s.failure) // the edit changed nothing: it fails as it did
		return true
	}
	return false
}

// planFailed reports that a plugin (or with "", all of them) has no plan. The
// same message is not repeated for edits elsewhere.
func (l *Loop) planFailed(g *group, plugin string, err error, req planRequest) (answered bool) {
	g.drop(plugin, false)
	if plugin == "" {
		clear(g.want)
	}
	if b := l.building; b != nil && b.group == g && (plugin == "" || b.slot == plugin) {
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
		l.needRestart(ev, req.edits, req.since)
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
	if plugin == ownCode {
		return l.ownTouched(g, req)
	}
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
	hs := l.all()
	if len(hs) == 1 {
		ev.Host, ev.PID = hs[0].Name, hs[0].PID
	}
	for _, h := range hs {
		for _, unit := range slices.Sorted(maps.Keys(h.decision.Kept)) {
			for _, note := range choose.Findings(h.decision.Kept[unit]) {
				if !slices.Contains(ev.Notes, note) {
					ev.Notes = append(ev.Notes, note)
				}
			}
		}
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

// noteUnbound says once which of the plugins no host binds.
func (l *Loop) noteUnbound(pg *planGroup) {
	for _, p := range pg.plugins {
		held := slices.ContainsFunc(l.all(), func(h *host) bool { return h.holds(p.Name) })
		if held || l.unbound[p.Name] {
			continue
		}
		l.unbound[p.Name] = true
		reason := "no host binds this plugin, so nothing is loaded"
		if l.opt.Mode != choose.Swap {
			reason = "no host binds this plugin, so it is patched where it is a part of the host, and never loaded"
		}
		l.emit(control.Event{
			Event: control.KindNote, Plugin: p.Name,
			Reason: reason,
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

// ms converts for events, where every figure is in milliseconds.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
