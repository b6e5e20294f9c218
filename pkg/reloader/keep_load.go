package reloader

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

// quarantined refuses what a process seems to have died of, or releases it.
func (t *transaction) quarantined() error {
	k := t.h.keeper
	if !k.on() {
		return nil
	}
	digest, key := t.file.digest, t.in.manifest.Key
	s := k.log.State()
	q, found := s.Quarantine(digest, key)
	switch {
	case !found:
		return nil
	case !t.req.release:
		return &control.Error{
			Code: control.CodeRefused, Rule: control.RuleQuarantined, Message: t.event.Plugin + " is quarantined: " + q.Reason,
			Evidence: []control.Evidence{{What: "digest", Host: "quarantined " + q.Since.UTC().Format(time.RFC3339), Artifact: digest}},
			Limit:    "hotgo: what a process may have died of is not loaded by itself", Next: k.nextRelease(digest),
		}
	case t.req.dryRun:
		return nil
	}
	k.wrote(k.log.Change(func(s *restore.State) { s.Release(digest, key) }), &t.notes)
	t.h.record(control.Event{
		Event: control.KindReleased, Plugin: t.event.Plugin, Key: key, Digest: digest, Caller: t.event.Caller,
		Reason: "was quarantined: " + q.Reason,
	})
	return nil
}

// try keeps the artifact, and writes down that it is about to be opened, or, if it
// was before, made live. Only what is restored needs that to be possible: nobody is
// there to see that a process dies of it again and again.
func (t *transaction) try(earlier *generation) error {
	k := t.h.keeper
	if !k.on() {
		return nil
	}
	trial := restore.Trial{Plugin: t.event.Plugin, Build: k.build, How: restore.HowLoaded}
	switch {
	case t.req.restore != nil:
		trial = *t.req.restore
	case earlier != nil:
		trial.Entry = entryOf(earlier)
	default:
		trial.Entry = restore.Entry{Digest: t.file.digest, Key: t.in.manifest.Key, Loaded: time.Now()}
	}
	t.tried = true
	if t.req.restore == nil && trial.Entry.Digest == t.file.digest {
		k.wrote(k.files.Keep(t.file.digest, t.file.path, t.signatureOf()), &t.notes)
	}
	err := k.log.Change(func(s *restore.State) { s.Try(trial) })
	if err != nil && t.req.restore != nil {
		return diskError(err)
	}
	k.wrote(err, &t.notes)
	return nil
}

// keepAgain makes good what could not be kept when it was loaded: somebody pushes
// again what is live.
func (t *transaction) keepAgain(live *generation) {
	k := t.h.keeper
	if !k.on() || t.req.dryRun || live.digest != t.file.digest {
		return
	}
	err := k.files.Keep(t.file.digest, t.file.path, t.signatureOf())
	if err == nil && k.log.Err() != nil {
		err = k.log.Change(func(*restore.State) {})
	}
	k.wrote(err, &t.event.Notes)
}

// signatureOf is the text that a copy came with.
func (t *transaction) signatureOf() string { return cmp.Or(t.req.signature, t.file.signature) }

// settle writes down how a trial ended.
func (t *transaction) settle(err error) {
	k := t.h.keeper
	switch {
	case !t.tried:
	case err != nil:
		k.gaveUp(&t.event.Notes)
	case t.req.restore != nil:
		k.wrote(k.log.Change(func(s *restore.State) {
			s.Watch(k.build, t.plugin.name, t.file.digest)
		}), &t.event.Notes)
		k.watch(t.plugin)
	default:
		k.settled(t.plugin, false, &t.event.Notes)
	}
}

// tryBack writes down that an earlier generation is about to be live again; nil is
// the built-in, which nothing has to be written for.
func (k *keeper) tryBack(g *generation, notes *[]control.Finding) {
	if !k.on() || g == nil {
		return
	}
	k.wrote(k.log.Change(func(s *restore.State) {
		s.Try(restore.Trial{Plugin: g.plugin, Build: k.build, Entry: entryOf(g), How: restore.HowRolledBack})
	}), notes)
}

// doubt writes down that what serves is unhealthy.
func (k *keeper) doubt(g *generation, notes *[]control.Finding) {
	if !k.on() {
		return
	}
	k.wrote(k.log.Change(func(s *restore.State) { s.Doubt(k.build, g.plugin, g.digest) }), notes)
	k.h.mu.Lock()
	g.proven = false
	k.h.mu.Unlock()
}

func (k *keeper) gaveUp(notes *[]control.Finding) {
	if k.on() {
		k.wrote(k.log.Change((*restore.State).GiveUp), notes)
	}
}

// wrote enters into an event that something could not be written. Once is enough.
func (k *keeper) wrote(err error, notes *[]control.Finding) {
	if err != nil && !slices.ContainsFunc(*notes, func(f control.Finding) bool { return f.Code == codeNotKept }) {
		*notes = append(*notes, control.Finding{Code: codeNotKept, Text: "a restart will not know of it: " + shortText(err.Error())})
	}
}

// settled writes down what serves of a plugin now.
func (k *keeper) settled(p *pluginState, back bool, notes *[]control.Finding) {
	if !k.on() {
		return
	}
	k.h.mu.Lock()
	live := p.standing()
	k.h.mu.Unlock()
	var entries []restore.Entry
	for _, g := range live {
		entries = append(entries, entryOf(g))
		if !k.files.Has(g.digest) { // it could not be kept, or had to make room
			k.wrote(errors.New("its artifact is not kept; push it again"), notes)
		}
	}
	k.wrote(k.log.Change(func(s *restore.State) { s.Settle(k.build, p.name, entries, back) }), notes)
	k.mu.Lock()
	k.missing = slices.DeleteFunc(k.missing, func(m control.NotRestored) bool { return m.Plugin == p.name })
	k.mu.Unlock()
	k.watch(p)
	k.trim()
}

// watch waits until what serves of a plugin has proved itself.
func (k *keeper) watch(p *pluginState) {
	k.h.mu.Lock()
	g := p.serving()
	k.h.mu.Unlock()
	if g == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.watches[g]; w != nil {
		w.Stop()
	}
	if !k.ended {
		k.watches[g] = time.AfterFunc(k.h.opts.ConfirmAfter, func() { k.confirm(g) })
	}
}

// confirm writes down that a generation has proved itself, or, if it does not serve
// any more, that it is nothing to suspect.
func (k *keeper) confirm(g *generation) {
	if !k.on() {
		return
	}
	k.mu.Lock()
	delete(k.watches, g)
	ended := k.ended
	k.mu.Unlock()
	if ended {
		return
	}
	k.h.mu.Lock()
	live := k.h.plugins[g.plugin].standing()
	serves := slices.Contains(live, g)
	observed := serves && k.h.open != nil && k.h.open.g == g
	k.h.mu.Unlock()
	if observed { // that it serves says nothing as long as somebody doubts it
		k.again(g)
		return
	}
	if !serves {
		live = []*generation{g} // only to be forgotten
	}
	err := k.files.Sync(digests(live)...)
	if err == nil {
		err = k.log.Change(func(s *restore.State) {
			for _, g := range live {
				s.Prove(k.build, g.plugin, g.digest)
			}
		})
	}
	if err != nil {
		k.h.opts.Logger.Error("what proved healthy is not written down", "plugin", g.plugin, "generation", g.number, "err", err)
		k.again(g)
		return
	}
	k.h.mu.Lock()
	for _, g := range live {
		g.proven = serves
	}
	k.h.mu.Unlock()
}

// again tries to confirm a generation once more: a disk may have room by then, and a
// health window be over.
func (k *keeper) again(g *generation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended && k.watches[g] == nil {
		k.watches[g] = time.AfterFunc(k.h.opts.ConfirmAfter, func() { k.confirm(g) })
	}
}

// trim keeps the files below Options.DirBudget: first go the copies that are mapped
// and not live, which nothing reads again, then artifacts that nothing refers to.
func (k *keeper) trim() {
	rank := k.log.State().Rank(k.build)
	copies, bytes := k.copies(rank)
	_, artifacts := k.files.Size()
	for _, g := range copies {
		if artifacts+bytes <= k.h.opts.DirBudget {
			break
		}
		if os.Remove(g.path) == nil {
			bytes -= g.bytes
			k.h.mu.Lock()
			g.gone = true
			k.h.mu.Unlock()
		}
	}
	if _, err := k.files.Trim(k.h.opts.DirBudget-bytes, func(digest string) int { return rank[digest] }); err != nil {
		k.h.opts.Logger.Error("artifacts that are not needed stay", "err", err)
	}
}

// copies gives the generations whose mapped file is there and could go, oldest
// first, and the bytes of all that are there. It raises the rank of what this
// process could roll back to by itself.
func (k *keeper) copies(rank map[string]int) (may []*generation, bytes int64) {
	k.h.mu.Lock()
	defer k.h.mu.Unlock()
	for _, p := range k.h.plugins {
		standing := p.standing()
		needed := standing
		if g := p.generation(p.previous()); g != nil {
			needed = append(needed[:len(needed):len(needed)], g)
			if root := g.root(); root != nil {
				needed = append(needed, root)
			}
		}
		for _, g := range needed {
			rank[g.digest] = restore.Needed
		}
		for _, g := range p.gens {
			if g.gone {
				continue
			}
			bytes += g.bytes
			if !slices.Contains(standing, g) {
				may = append(may, g)
			}
		}
	}
	slices.SortFunc(may, func(a, b *generation) int { return cmp.Compare(a.order, b.order) })
	return may, bytes
}
