package source

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// care says which names in a directory matter.
type care struct {
	all     bool     // every name
	sources bool     // those that go/build looks into, and a profile
	modules bool     // those that end a module, or bring one
	globs   []string // those that match
}

// dirSet is the directories that packages depend on, by path.
type dirSet map[string]*care

func (s dirSet) at(dir string) *care {
	c := s[dir]
	if c == nil {
		c = &care{}
		s[dir] = c
	}
	return c
}

// add adds the directories of a package: its own, those up to the module's
// root, and those that are searched for files to embed or include.
func (s dirSet) add(p *gotool.Package) {
	own := s.at(p.Dir)
	own.sources = true
	if m := p.Module; m != nil && m.Dir != "" {
		for dir := p.Dir; ; dir = filepath.Dir(dir) {
			s.at(dir).modules = true
			if dir == m.Dir || dir == filepath.Dir(dir) {
				break
			}
		}
	}
	_, dirs := includable(p)
	for _, rel := range dirs {
		s.at(filepath.Join(p.Dir, rel)).all = true
	}
	for _, pattern := range p.EmbedPatterns {
		s.embed(p.Dir, strings.Split(strings.TrimPrefix(pattern, "all:"), "/"))
	}
}

// embed follows a pattern of //go:embed, element by element: what a name can
// be added to, so that the pattern gives another file, is what counts.
func (s dirSet) embed(dir string, pattern []string) {
	if len(pattern) == 0 {
		s.tree(dir)
		return
	}
	elem, rest := pattern[0], pattern[1:]
	if !strings.ContainsAny(elem, `*?[\`) {
		s.embed(filepath.Join(dir, elem), rest)
		return
	}
	c := s.at(dir)
	if !slices.Contains(c.globs, elem) {
		c.globs = append(c.globs, elem)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if ok, _ := path.Match(elem, e.Name()); ok && e.IsDir() && !repository(e.Name()) {
			s.embed(filepath.Join(dir, e.Name()), rest)
		}
	}
}

// tree adds a directory with all below. What is not a directory has no names.
func (s dirSet) tree(root string) {
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir():
			return nil
		case path != root && repository(e.Name()):
			return fs.SkipDir
		}
		s.at(path).all = true
		return nil
	})
}

// repository knows the directories that nothing is ever embedded from
// (cmd/go/internal/load/pkg.go, isBadEmbedName, Go 1.26). They change with
// every commit.
func repository(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", ".bzr":
		return true
	}
	return false
}

func (c *care) about(e fs.DirEntry) bool {
	name := e.Name()
	switch {
	case repository(name):
		return false
	case c.all:
		return true
	case c.modules && (name == "go.mod" || name == "vendor"):
		return true
	case c.sources && (goSource(name) && !e.IsDir() || name == "default.pgo"):
		return true
	}
	return slices.ContainsFunc(c.globs, func(glob string) bool {
		ok, _ := path.Match(glob, name)
		return ok
	})
}

// dirMark is a directory as it was seen last.
type dirMark struct {
	path  string
	care  *care
	stamp Stamp
	racy  bool     // equal stamps prove nothing
	names []string // sorted; directories end with a slash
}

// list gives the names that matter in a directory, sorted. One that cannot be
// read has none: then neither does the go command find any.
func (c *care) list(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		switch {
		case !c.about(e):
		case e.IsDir():
			names = append(names, e.Name()+"/")
		default:
			names = append(names, e.Name())
		}
	}
	return names
}

// markDirs takes stamps and names of directories.
func (l *Ledger) markDirs(dirs dirSet, old *Ledger, asked time.Time) {
	known := map[string]*dirMark{}
	for _, d := range old.dirs {
		known[d.path] = d
	}
	for path, c := range dirs {
		l.dirs = append(l.dirs, &dirMark{path: path, care: c})
	}
	stamps, errs := stampAll(len(l.dirs), func(i int) string { return l.dirs[i].path })
	inParallel(len(l.dirs), func(i int) {
		d := l.dirs[i]
		d.stamp = stamps[i]
		was := known[d.path]
		if was != nil && was.stamp == d.stamp && !was.racy && was.care.equal(d.care) {
			d.names = was.names
			return
		}
		d.names = d.care.list(d.path)
	})
	for i, d := range l.dirs {
		was := known[d.path]
		switch {
		case errs[i] != nil:
			l.doubt = errs[i].Error()
		case was != nil && was.stamp == d.stamp && !was.racy:
		case was != nil && was.care.equal(d.care) && slices.Equal(was.names, d.names):
			// Where a program writes its files all the time: what matters
			// there was the same before the go command ran and after.
			d.racy = true
		case !d.stamp.Settled(asked):
			l.doubt = d.path + " may have changed while the go command ran"
		}
	}
}

func (c *care) equal(o *care) bool {
	return c.all == o.all && c.sources == o.sources && c.modules == o.modules && slices.Equal(c.globs, o.globs)
}

// follow looks into a directory that is not what it was, or may not be. now
// is its stamp, taken at the given time or later.
func (d *dirMark) follow(now Stamp, at time.Time) (why string) {
	if now.Kind != Directory && now != d.stamp {
		return d.path + " is gone, or no directory any more"
	}
	names := d.care.list(d.path)
	if !slices.Equal(names, d.names) {
		return d.path + ": files came or went"
	}
	d.stamp, d.racy = now, !now.Settled(at)
	return ""
}
