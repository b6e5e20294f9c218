package watch

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// scope says which directories and which names in them count: those of the
// [Set], and directories that were found below them since.
type scope struct {
	fixed  map[string]interest
	found  map[string]bool
	onPath map[string]bool // every directory of the scope and every directory above one
	ignore func(path string) bool
}

// interest is what counts in one directory.
type interest struct {
	all   bool            // every name but leftovers
	deep  bool            // the directories in it belong to the scope
	names map[string]bool // these, whatever they look like
}

func newScope(set Set, ignore func(string) bool) *scope {
	if ignore == nil {
		ignore = func(string) bool { return false }
	}
	s := &scope{fixed: map[string]interest{}, found: map[string]bool{}, onPath: map[string]bool{}, ignore: ignore}
	for _, dir := range set.Dirs {
		s.fix(dir, func(in *interest) { in.all = true })
	}
	for _, dir := range set.Trees {
		s.fix(dir, func(in *interest) { in.all, in.deep = true, true })
	}
	for _, path := range set.Files {
		s.fix(filepath.Dir(filepath.Clean(path)), func(in *interest) {
			if in.names == nil {
				in.names = map[string]bool{}
			}
			in.names[filepath.Base(path)] = true
		})
	}
	return s
}

func (s *scope) fix(dir string, widen func(*interest)) {
	dir = filepath.Clean(dir)
	in := s.fixed[dir]
	widen(&in)
	s.fixed[dir] = in
	s.mark(dir)
}

func (s *scope) mark(dir string) {
	for !s.onPath[dir] {
		s.onPath[dir] = true
		dir = filepath.Dir(dir)
	}
}

// adopt takes over what an earlier scope found, where the reason to follow it
// stands: a build that fails knows nothing of a directory that it is to import
// once there is a file in it.
func (s *scope) adopt(old *scope) {
	for dir := range old.found {
		for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
			if s.fixed[above].all {
				s.find(dir)
				break
			}
			if above == filepath.Dir(above) {
				break
			}
		}
	}
}

// of gives the interest in dir, and whether there is any.
func (s *scope) of(dir string) (interest, bool) {
	in, ok := s.fixed[dir]
	if s.found[dir] {
		in.all, in.deep, ok = true, true, true
	}
	return in, ok
}

// dirs gives all directories of the scope, sorted.
func (s *scope) dirs() []string {
	all := slices.Concat(slices.Collect(maps.Keys(s.fixed)), slices.Collect(maps.Keys(s.found)))
	slices.Sort(all)
	return slices.Compact(all)
}

// counts reports whether the file at path counts.
func (s *scope) counts(path string) bool {
	dir, name := filepath.Split(path)
	in, ok := s.of(filepath.Clean(dir))
	return ok && s.countsIn(in, path, name)
}

func (s *scope) countsIn(in interest, path, name string) bool {
	return in.names[name] || in.all && !leftover(name) && !s.ignore(path)
}

// follows reports whether a directory that is found at path belongs to the
// scope from now on.
func (s *scope) follows(path string) bool {
	in, _ := s.of(filepath.Dir(path))
	return in.all && !foreignDir(filepath.Base(path)) && !s.ignore(path)
}

// find adds a directory; it reports false for one that is followed already.
func (s *scope) find(dir string) bool {
	if in, _ := s.of(dir); in.deep {
		return false
	}
	s.found[dir] = true
	s.mark(dir)
	return true
}

// lose drops a directory that was found and is gone. What led to it stays in
// onPath: a few events more are looked at, until the next update.
func (s *scope) lose(dir string) { delete(s.found, dir) }

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(dir, string(filepath.Separator)))
}
