package devloop

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/watch"
)

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
