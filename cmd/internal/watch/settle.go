package watch

import (
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// settle looks at everything dirty and makes a batch of what changed, unless
// someone is still writing.
func (l *loop) settle(now time.Time) {
	if busy(l.repos, now) {
		if l.rest.putOff(now, lockStep) {
			return
		}
	} else if l.rest.release(now) {
		return
	}
	if l.moving(now) && !l.rest.overdue(now) {
		return
	}
	files := l.take(now)
	first, last := l.rest.take()
	if len(files) == 0 && !l.rescan {
		return
	}
	l.merge(Batch{Files: files, Rescan: l.rescan, First: first, Last: last})
	l.rescan = false
}

// moving reports whether a file that a poll found changed has changed again:
// without events, rest has to be seen.
func (l *loop) moving(now time.Time) bool {
	moving := false
	for path, m := range l.dirty {
		if m.told {
			continue
		}
		st, err := look(path, now)
		if err == nil && !st.equal(m.seen) {
			m.seen = st
			l.dirty[path] = m
			moving = true
		}
	}
	if moving {
		l.rest.touch(now)
	}
	return moving
}

// take looks at all that is dirty, remembers what it sees and gives the files
// that changed, sorted.
func (l *loop) take(now time.Time) []string {
	files := map[string]bool{}
	for l.unsettled || len(l.dirtyDirs)+len(l.dirty) > 0 {
		if l.unsettled {
			l.explore()
		}
		dirs := l.dirtyDirs
		l.dirtyDirs = map[string]bool{}
		for dir := range dirs {
			for _, path := range l.takeDir(dir, now) {
				files[path] = true
			}
		}
		marks := l.dirty // not before: takeDir asks for them
		l.dirty = map[string]mark{}
		for path, m := range marks {
			if l.takeFile(path, m, now) {
				files[path] = true
			}
			if m.told && files[path] {
				l.proven = true
			}
		}
	}
	return slices.Sorted(maps.Keys(files))
}

func (l *loop) takeDir(dir string, now time.Time) (files []string) {
	in, ok := l.scope.of(dir)
	if !ok {
		return nil
	}
	was := l.seen[dir]
	got, exists, err := l.scope.list(dir, in, was, now)
	if err != nil {
		l.opts.Logger.Warn("cannot list a watched directory", "dir", dir, "error", err)
		return nil
	}
	for _, c := range diff(dir, was, got, func(path string) bool { return l.dirty[path].told }) {
		if c.now.kind == file || was[filepath.Base(c.path)].kind == file {
			files = append(files, c.path)
		}
		if c.now.kind == directory && l.scope.follows(c.path) {
			l.follow(c.path)
		}
	}
	l.seen[dir] = got
	if !exists {
		delete(l.deep, dir) // should it come back, all in it is new
		if l.scope.found[dir] {
			l.scope.lose(dir)
			delete(l.seen, dir)
			// Made again at this moment, it is to be found again.
			delete(l.seen[filepath.Dir(dir)], filepath.Base(dir))
		}
	}
	return files
}

func (l *loop) takeFile(path string, m mark, now time.Time) bool {
	dir, name := filepath.Dir(path), filepath.Base(path)
	seen, ok := l.seen[dir]
	if !ok {
		return false
	}
	was := seen[name]
	st, err := look(path, now)
	if err != nil {
		return m.told
	}
	if st.kind == directory && l.scope.follows(path) {
		l.follow(path)
	}
	if st.kind == absent {
		delete(seen, name)
	} else {
		seen[name] = st
	}
	return changed(path, was, st, m.told) && (was.kind == file || st.kind == file)
}

// merge adds a batch to the one that waits, if any.
func (l *loop) merge(b Batch) {
	l.opts.Logger.Debug("batch", "files", b.Files, "rescan", b.Rescan)
	if p := l.pending; p != nil {
		b.Files = slices.Concat(p.Files, b.Files)
		slices.Sort(b.Files)
		b.Files = slices.Compact(b.Files)
		b.Rescan = b.Rescan || p.Rescan
		b.First = p.First
	}
	l.pending = &b
}
