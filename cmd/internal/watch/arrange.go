package watch

import (
	"os"
	"path/filepath"
)

// The kernel watches directories by identity, not by name: a watch follows a
// directory that is renamed, dies with one that is removed, and knows nothing
// of a directory that takes the old name. So beside the directories of the
// scope their surroundings are watched ("guards"), where a name that leads to
// one of them is made, moved or removed:
//
//   - the directories between one of the scope and the topmost one of the scope
//     above it (the module's root, usually);
//   - the directory that holds a symbolic link on the way;
//   - for a directory that does not exist, the nearest one above it that does.
//
// What happens further up is noticed when everything is compared (poll.go).

// spot is one directory that the kernel watches.
type spot struct {
	path  string   // as given to the source
	views []string // every path under which the scope or a guard reaches it
}

// spotKey is a directory's identity. Two watches of one directory are one watch
// for inotify, which then speaks of the first path only, so both paths have to
// be views of one spot. Where the system gives no identity, the path has to do.
type spotKey struct {
	id   fileID
	path string
}

// arrange says which directories to watch for the sake of dirs. It reads the
// file system and changes nothing.
func arrange(dirs []string) map[spotKey]*spot {
	a := arrangement{spots: map[spotKey]*spot{}, done: map[string]bool{}, links: map[string]bool{}}
	inScope := map[string]bool{}
	for _, dir := range dirs {
		inScope[dir] = true
	}
	for _, dir := range dirs {
		for at := dir; !a.view(at); {
			above := filepath.Dir(at)
			if above == at {
				break
			}
			at = above
		}
		top := dir
		for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
			if inScope[above] {
				top = above
			}
			if above == filepath.Dir(above) {
				break
			}
		}
		for at := dir; at != top; {
			at = filepath.Dir(at)
			a.view(at)
		}
		for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
			if a.link(at) {
				a.view(filepath.Dir(at))
			}
		}
	}
	return a.spots
}

type arrangement struct {
	spots map[spotKey]*spot
	done  map[string]bool // path -> there is a directory
	links map[string]bool
}

// view adds a directory under the given path; false if there is none.
func (a *arrangement) view(path string) bool {
	if exists, ok := a.done[path]; ok {
		return exists
	}
	fi, err := os.Stat(path)
	exists := err == nil && fi.IsDir()
	a.done[path] = exists
	if !exists {
		return false
	}
	key := spotKey{}
	if key.id, _ = identify(fi); key.id == (fileID{}) {
		key.path = path
	}
	s := a.spots[key]
	if s == nil {
		s = &spot{path: path}
		a.spots[key] = s
	}
	s.views = append(s.views, path)
	return true
}

func (a *arrangement) link(path string) bool {
	is, ok := a.links[path]
	if !ok {
		fi, err := os.Lstat(path)
		is = err == nil && fi.Mode()&os.ModeSymlink != 0
		a.links[path] = is
	}
	return is
}
