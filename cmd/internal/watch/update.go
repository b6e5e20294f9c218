package watch

import (
	"maps"
	"path/filepath"
	"time"
)

// update replaces the scope. What it adds is listed here and now, after it is
// watched; what was in the scope keeps its listing and its marks.
func (l *loop) update(set Set, now time.Time) {
	old := l.scope
	l.scope = newScope(set, l.opts.Ignore)
	l.scope.adopt(old)

	inScope := func(dir string) bool { _, ok := l.scope.of(dir); return ok }
	maps.DeleteFunc(l.seen, func(dir string, _ listing) bool { return !inScope(dir) })
	maps.DeleteFunc(l.dirtyDirs, func(dir string, _ bool) bool { return !inScope(dir) })
	maps.DeleteFunc(l.dirty, func(path string, _ mark) bool { return !l.scope.counts(path) })
	maps.DeleteFunc(l.suspects, func(path string, _ bool) bool { return !l.scope.counts(path) })
	maps.DeleteFunc(l.deep, func(dir string, _ bool) bool { in, _ := l.scope.of(dir); return !in.deep })

	l.unsettled = true
	l.explore()
	dirs := l.scope.dirs()
	found := map[string]bool{} // by the old scope's right, though only now
	for _, dir := range dirs { // from the top down
		in, _ := l.scope.of(dir)
		before, had := old.of(dir)
		above, _ := old.of(filepath.Dir(dir))
		switch {
		case !had && (above.deep || found[filepath.Dir(dir)]):
			found[dir] = true
		case !had:
			l.base(dir, in, now)
			delete(l.dirtyDirs, dir)
		case before.all != in.all || !maps.Equal(before.names, in.names):
			l.rebase(dir, in, old, now)
		}
	}
	if len(l.dirtyDirs) > 0 {
		l.rest.touch(now)
	}
	l.repos = repositories(dirs)
	l.nextLook = now.Add(l.pause(0))
}

// base takes a directory as it is.
func (l *loop) base(dir string, in interest, now time.Time) {
	got, _, err := l.scope.list(dir, in, nil, now)
	if err != nil {
		l.opts.Logger.Warn("cannot list a watched directory", "dir", dir, "error", err)
		return
	}
	l.seen[dir] = got
}

// rebase is base for the names that did not count before; the others keep
// their stamps.
func (l *loop) rebase(dir string, in interest, old *scope, now time.Time) {
	was, ok := l.seen[dir]
	if !ok {
		return // found just now, and everything in it is new
	}
	got, _, err := l.scope.list(dir, in, was, now)
	if err != nil {
		l.opts.Logger.Warn("cannot list a watched directory", "dir", dir, "error", err)
		return
	}
	for name := range got {
		if old.counts(filepath.Join(dir, name)) {
			delete(got, name)
		}
	}
	for name, st := range was {
		if l.scope.counts(filepath.Join(dir, name)) {
			got[name] = st
		}
	}
	l.seen[dir] = got
}
