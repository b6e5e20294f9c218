package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// listing is what was seen of a directory: the files that count and the
// directories in it, by name. What is absent is not in it.
type listing map[string]stamp

// change is one name of a directory that is no longer what it was.
type change struct {
	path string
	now  stamp
}

// list looks at a directory. What cannot be looked at keeps the stamp it had
// in was: an error is no proof of a change. exists reports whether there is a
// directory at all.
func (s *scope) list(dir string, in interest, was listing, now time.Time) (got listing, exists bool, err error) {
	got = listing{}
	if !in.all {
		for name := range in.names {
			st, err := look(filepath.Join(dir, name), now)
			got.put(name, st, err, was)
		}
		return got, true, nil
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return got, false, nil
	case err != nil:
		return was, true, err
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		if !s.countsIn(in, path, name) {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			got.put(name, stamp{}, unlessGone(err), was)
			continue
		}
		st, err := lookAt(path, fi, now)
		got.put(name, st, err, was)
	}
	return got, true, nil
}

// put records a look at name.
func (l listing) put(name string, st stamp, err error, was listing) {
	if err != nil {
		st = was[name]
	}
	if st.kind != absent {
		l[name] = st
	}
}

// diff gives what changed from was to now. told reports whether an event
// named the path.
func diff(dir string, was, now listing, told func(path string) bool) []change {
	var changes []change
	for name, st := range now {
		path := filepath.Join(dir, name)
		if changed(path, was[name], st, told(path)) {
			changes = append(changes, change{path, st})
		}
	}
	for name := range was {
		if _, ok := now[name]; !ok {
			changes = append(changes, change{path: filepath.Join(dir, name)})
		}
	}
	return changes
}
