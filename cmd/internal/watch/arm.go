package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// maxGone bounds how often in a row explore believes that a directory which is
// there when looked for is gone when watched.
const maxGone = 10

// explore watches what the scope asks for, and finds the directories below
// trees. A directory is always watched before it is listed.
//
// What changes between a look at the file system and the watch that follows
// from it has no event. So it looks again after every watch that it added,
// until there is nothing to add.
func (l *loop) explore() {
	l.gone = 0
	for again := true; again; {
		again = l.arm()
		for _, dir := range l.scope.dirs() {
			if in, _ := l.scope.of(dir); !in.deep || l.deep[dir] {
				continue
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue // missing: its coming is an event, or seen by a poll
			}
			l.deep[dir] = true
			for _, e := range entries {
				if path := filepath.Join(dir, e.Name()); e.IsDir() && l.scope.follows(path) && l.follow(path) {
					again = true
				}
			}
		}
	}
	l.unsettled = false
}

// follow adds a directory to the scope; all in it is new. It reports false for
// one that is followed already.
func (l *loop) follow(dir string) bool {
	if !l.scope.find(dir) {
		return false
	}
	l.dirtyDirs[dir] = true
	l.unsettled = true
	return true
}

// arm makes the kernel watch what it should, and nothing else, and reports
// whether it added a watch. Directories whose watch ends or begins, under one of
// their names at least, become dirty: what changed has no event.
//
// Watches are added from the top down: fsnotify says nothing of the end of a
// directory while it watches the one above, trusting that one's event. And with
// a new watch every watch below it is renewed, because events that waited for
// the old one are gone: they may have said that a directory below was removed,
// and the one that has its place now can have its inode number too.
func (l *loop) arm() (added bool) {
	if l.src == nil {
		return false
	}
	want := arrange(l.scope.dirs())
	for key, s := range l.spots {
		if w := want[key]; w == nil || !slices.Contains(w.views, s.path) {
			for _, view := range s.views {
				l.soil(view)
			}
			l.disarm(key)
		} else {
			w.path = s.path
		}
	}
	keys := slices.SortedFunc(maps.Keys(want), func(a, b spotKey) int { return strings.Compare(want[a].path, want[b].path) })
	fresh := map[string]bool{}
	for _, key := range keys {
		w, old := want[key], l.spots[key]
		if old != nil && (l.renew || below(fresh, w.path)) {
			l.disarm(key)
			old = nil
		}
		if old == nil {
			fresh[w.path] = true
			if err := l.src.add(w.path); err != nil {
				if errors.Is(err, fs.ErrNotExist) && l.gone < maxGone {
					l.gone++
					added = true // look again
				} else if l.cannotWatch(w.path, err); l.src == nil {
					return false
				}
				continue
			}
			added = true
		}
		for _, view := range w.views {
			if old == nil || !slices.Contains(old.views, view) {
				l.soil(view)
			}
		}
		if old != nil {
			for _, view := range old.views {
				if !slices.Contains(w.views, view) {
					l.soil(view)
				}
			}
		}
		l.spots[key], l.armed[w.path] = w, key
	}
	l.renew = false
	return added
}

// soil makes a directory dirty if it belongs to the scope.
func (l *loop) soil(dir string) {
	if _, ok := l.scope.of(dir); ok {
		l.dirtyDirs[dir] = true
	}
}

// below reports whether path lies below one of the directories.
func below(dirs map[string]bool, path string) bool {
	for above := filepath.Dir(path); above != path; path, above = above, filepath.Dir(above) {
		if dirs[above] {
			return true
		}
	}
	return false
}

// disarm ends a watch, if it has not ended already. No path is ever watched
// again before that: fsnotify 1.10.1 loses its way where the path leads to a
// directory that it watches under another name by now, and panics in the next
// Remove (backend_inotify.go, register and updatePath).
func (l *loop) disarm(key spotKey) {
	path := l.spots[key].path
	delete(l.armed, path)
	delete(l.spots, key)
	if err := l.src.remove(path); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) {
		l.opts.Logger.Debug("cannot end a watch", "dir", path, "error", err)
	}
}

// closeSource ends the events, if any.
func (l *loop) closeSource() error {
	if l.src == nil {
		return nil
	}
	src := l.src
	l.src = nil
	clear(l.spots)
	clear(l.armed)
	if err := src.close(); err != nil {
		return fmt.Errorf("close file events: %w", err)
	}
	return nil
}
