package watch

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// patience ends a test that waits for what never comes.
const patience = 20 * time.Second

// wide is a quiet time that no pause within one save reaches, even on a loaded
// machine, so that tests can tell what one batch holds.
const wide = 150 * time.Millisecond

// tree is a directory with a watcher on it.
type tree struct {
	t    *testing.T
	w    *Watcher
	root string
	end  int // files made in end/
}

// watchDir watches a temporary directory that has the given files (content:
// their own name); the set is made of paths relative to it.
func watchDir(t *testing.T, opts Options, set Set, files ...string) *tree {
	t.Helper()
	return watchDirAt(t, t.TempDir(), opts, set, files...)
}

func watchDirAt(t *testing.T, root string, opts Options, set Set, files ...string) *tree {
	t.Helper()
	tr := &tree{t: t, root: root}
	for _, f := range files {
		tr.write(f, f)
	}
	opts.lookEvery = time.Hour
	w, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	tr.w = w
	tr.update(set)
	return tr
}

func (tr *tree) update(set Set) {
	tr.t.Helper()
	abs := func(paths []string) (out []string) {
		for _, p := range paths {
			out = append(out, tr.path(p))
		}
		return out
	}
	if err := tr.w.Update(Set{Dirs: abs(set.Dirs), Files: abs(set.Files), Trees: abs(set.Trees)}); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) path(rel string) string { return filepath.Join(tr.root, filepath.FromSlash(rel)) }

func (tr *tree) write(rel, content string) {
	tr.t.Helper()
	tr.do(os.MkdirAll(filepath.Dir(tr.path(rel)), 0o755))
	tr.do(os.WriteFile(tr.path(rel), []byte(content), 0o644))
}

func (tr *tree) mkdir(rel string) { tr.t.Helper(); tr.do(os.MkdirAll(tr.path(rel), 0o755)) }
func (tr *tree) remove(rel string) {
	tr.t.Helper()
	tr.do(os.RemoveAll(tr.path(rel)))
}

func (tr *tree) rename(from, to string) {
	tr.t.Helper()
	tr.do(os.Rename(tr.path(from), tr.path(to)))
}

func (tr *tree) do(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// next gives the next batch, its files relative to the root.
func (tr *tree) next() Batch {
	tr.t.Helper()
	select {
	case b, ok := <-tr.w.Batches():
		if !ok {
			tr.t.Fatal("watcher closed")
		}
		if !slices.IsSorted(b.Files) {
			tr.t.Errorf("batch is not sorted: %q", b.Files)
		}
		if b.First.IsZero() || b.Last.Before(b.First) {
			tr.t.Errorf("batch from %v to %v", b.First, b.Last)
		}
		for i, f := range b.Files {
			rel, err := filepath.Rel(tr.root, f)
			tr.do(err)
			b.Files[i] = filepath.ToSlash(rel)
		}
		return b
	case note := <-tr.w.Notes():
		tr.t.Fatalf("unexpected note: %s", note)
	case <-time.After(patience):
		tr.t.Fatal("no batch")
	}
	panic("unreachable")
}

// reported collects batches until one has the file last, which the test
// changed last, and gives all files seen, without last.
func (tr *tree) reported(last string) []string {
	tr.t.Helper()
	files := map[string]bool{}
	for !files[last] {
		for _, f := range tr.next().Files {
			files[f] = true
		}
	}
	delete(files, last)
	return slices.Sorted(maps.Keys(files))
}

// expect waits until the files are reported, and fails if others are. It needs
// the directory "end" in the set: a file made there marks the end of the
// events so far, so that "nothing was reported" needs no waiting.
func (tr *tree) expect(files ...string) {
	tr.t.Helper()
	tr.end++
	last := "end/" + strconv.Itoa(tr.end)
	got := map[string]bool{}
	for missing := true; missing && len(files) > 0; {
		for _, f := range tr.next().Files {
			got[f] = true
		}
		missing = slices.ContainsFunc(files, func(f string) bool { return !got[f] })
	}
	tr.write(last, "end")
	for _, f := range tr.reported(last) {
		got[f] = true
	}
	slices.Sort(files)
	if d := cmp.Diff(files, slices.Sorted(maps.Keys(got))); d != "" && len(files)+len(got) > 0 {
		tr.t.Errorf("reported files (-want +got):\n%s", d)
	}
}

// fake is a source that a test drives.
type fake struct {
	events chan fsnotify.Event
	errors chan error
	refuse func(dir string) error // called for each add
	closed chan struct{}
}

func newFake() *fake {
	return &fake{
		events: make(chan fsnotify.Event, eventBuffer),
		errors: make(chan error, 1),
		refuse: func(string) error { return nil },
		closed: make(chan struct{}),
	}
}

func (f *fake) open() (*source, error) {
	return &source{
		events: f.events, errors: f.errors,
		add:    func(dir string) error { return f.refuse(dir) },
		remove: func(string) error { return nil },
		close:  func() error { close(f.closed); return nil },
	}, nil
}
