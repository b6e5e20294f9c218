package watch

import (
	"os"
	"testing"
)

// each runs a test with events and with polling. Where a batch ends does not
// matter to these tests, so they need no wide quiet time.
func each(t *testing.T, f func(t *testing.T, opts Options)) {
	t.Parallel()
	t.Run("events", func(t *testing.T) { t.Parallel(); f(t, Options{}) })
	t.Run("poll", func(t *testing.T) {
		t.Parallel()
		f(t, Options{Poll: true, PollInterval: defaultQuiet / 2})
	})
}

func TestFilesInDirectoriesMadeQuicklyAreReported(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		for _, set := range []Set{{Dirs: []string{"p", "end"}}, {Trees: []string{"p"}, Dirs: []string{"end"}}} {
			tr := watchDir(t, opts, set, "p/a.go")
			tr.write("p/x/y/z/a.go", "x")
			tr.write("p/x/b.go", "x")
			tr.expect("p/x/b.go", "p/x/y/z/a.go")
			tr.write("p/x/y/z/a.go", "later")
			tr.expect("p/x/y/z/a.go")
		}
	})
}

func TestTreeIncludesWhatIsThereAndWhatComes(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Trees: []string{"p"}, Dirs: []string{"end"}}, "p/x/y/a.go", "p/.git/config", "p/x/b.go")
		tr.write("p/x/y/a.go", "changed")
		tr.write("p/.git/config", "changed")
		tr.expect("p/x/y/a.go")
	})
}

func TestDirsDoNotIncludeDirectoriesThatWereThere(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}}, "p/a.go", "p/x/b.go")
		tr.write("p/x/b.go", "changed")
		tr.write("p/a.go", "changed")
		tr.expect("p/a.go")
	})
}

func TestRemovedDirectoryReportsItsFiles(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Trees: []string{"p"}, Dirs: []string{"end"}}, "p/x/y/a.go", "p/x/b.go", "p/c.go")
		tr.remove("p/x")
		tr.expect("p/x/b.go", "p/x/y/a.go")
	})
}

func TestDirectoryRemovedAndMadeAgainIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		for _, set := range []Set{{Dirs: []string{"p/x", "end"}}, {Trees: []string{"p"}, Dirs: []string{"end"}}} {
			tr := watchDir(t, opts, set, "p/x/a.go", "p/x/gone.go")
			tr.remove("p/x")
			tr.write("p/x/a.go", "again")
			tr.expect("p/x/a.go", "p/x/gone.go")
			for _, content := range []string{"later", "at last"} {
				tr.write("p/x/a.go", content)
				tr.expect("p/x/a.go")
			}
		}
	})
}

func TestRootThatGoesAndComesBackIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}, Files: []string{"p/go.mod"}}, "p/a.go", "p/go.mod")
		tr.remove("p")
		tr.expect("p/a.go", "p/go.mod")
		tr.write("p/a.go", "again")
		tr.expect("p/a.go")
		tr.write("p/go.mod", "again")
		tr.expect("p/go.mod")
	})
}

func TestRootThatDoesNotExistYetIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p/q/r", "end"}, Files: []string{"w/go.work"}})
		tr.mkdir("p")
		tr.expect()
		tr.write("p/q/r/a.go", "x")
		tr.expect("p/q/r/a.go")
		tr.write("w/go.work", "x")
		tr.expect("w/go.work")
		tr.write("p/q/r/a.go", "y")
		tr.expect("p/q/r/a.go")
	})
}

func TestRenamedDirectoryReportsBothNames(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Trees: []string{"p"}, Dirs: []string{"end"}}, "p/x/a.go", "p/x/y/b.go")
		tr.rename("p/x", "p/z")
		tr.expect("p/x/a.go", "p/x/y/b.go", "p/z/a.go", "p/z/y/b.go")
		tr.write("p/z/y/b.go", "changed")
		tr.expect("p/z/y/b.go")
		tr.write("p/z/a.go", "changed")
		tr.expect("p/z/a.go")
	})
}

// The directory that is renamed is not in the set; the one below it is, and so
// is the module's root above.
func TestRenamedDirectoryAboveIsNoticed(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"m/p/x", "end"}, Files: []string{"m/go.mod"}}, "m/p/x/a.go", "m/go.mod")
		tr.rename("m/p", "m/q")
		tr.expect("m/p/x/a.go")
		tr.write("m/q/x/a.go", "moved away") // under another name now: not ours
		tr.expect()
		tr.rename("m/q", "m/p")
		tr.expect("m/p/x/a.go")
		tr.write("m/p/x/a.go", "back")
		tr.expect("m/p/x/a.go")
	})
}

func TestSwappedDirectoriesAreFollowed(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p/x", "end"}, Files: []string{"p/go.mod"}}, "p/x/a.go", "p/new/a.go", "p/new/b.go")
		tr.rename("p/x", "p/old")
		tr.rename("p/new", "p/x")
		tr.expect("p/x/a.go", "p/x/b.go")
		tr.write("p/old/a.go", "not watched any more")
		tr.write("p/x/b.go", "changed")
		tr.expect("p/x/b.go")
	})
}

func TestSymlinkedDirectoryIsFollowedUnderItsOwnName(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		root := t.TempDir()
		for _, rel := range []string{"real/a.go", "next/a.go"} {
			if err := os.MkdirAll(root+"/"+rel[:4], 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+"/"+rel, []byte(rel), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("real", root+"/link"); err != nil {
			t.Skip(err)
		}
		// Both names of one directory are in the set: each is reported.
		tr := watchDirAt(t, root, opts, Set{Dirs: []string{"link", "real", "end"}})
		tr.write("real/a.go", "one")
		tr.expect("link/a.go", "real/a.go")
		tr.write("link/a.go", "two")
		tr.expect("link/a.go", "real/a.go")
		// Only one is left.
		tr.update(Set{Dirs: []string{"link", "end"}})
		tr.write("real/a.go", "three")
		tr.expect("link/a.go")
		// The link is made to lead elsewhere, in one step.
		tr.do(os.Symlink("next", tr.path("link.new")))
		tr.rename("link.new", "link")
		tr.expect("link/a.go")
		tr.write("next/a.go", "four")
		tr.expect("link/a.go")
		tr.write("real/a.go", "nobody's")
		tr.expect()
	})
}

func TestUpdateChangesWhatIsReported(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}}, "p/a.go", "q/a.go", "q/go.mod")
		tr.write("q/a.go", "before")
		tr.update(Set{Dirs: []string{"q", "end"}})
		tr.write("p/a.go", "after")
		tr.write("q/a.go", "after")
		tr.expect("q/a.go")
		tr.update(Set{Files: []string{"q/go.mod"}, Dirs: []string{"end"}})
		tr.write("q/a.go", "again")
		tr.write("q/go.mod", "again")
		tr.expect("q/go.mod")
		tr.update(Set{Dirs: []string{"q", "end"}, Files: []string{"q/go.mod"}})
		tr.write("q/a.go", "and again")
		tr.expect("q/a.go")
	})
}

// An edit must survive an update that keeps its directory: the consumer updates
// the set in the middle of a burst of edits.
func TestEditBeforeAnUpdateThatKeepsItsDirectoryIsReported(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}}, "p/a.go", "q/b.go")
		tr.write("p/a.go", "x")
		tr.write("p/new/c.go", "x")
		tr.update(Set{Dirs: []string{"p", "q", "end"}})
		tr.expect("p/a.go", "p/new/c.go")
	})
}

// The directory of a package that is to be imported exists before the file that
// makes the import work: the build knows nothing of it.
func TestNewDirectoryIsFollowedAcrossUpdates(t *testing.T) {
	each(t, func(t *testing.T, opts Options) {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}}, "p/a.go")
		tr.mkdir("p/rules")
		tr.write("p/a.go", "import rules")
		tr.expect("p/a.go")
		tr.update(Set{Dirs: []string{"p", "end"}})
		tr.write("p/rules/rules.go", "package rules")
		tr.expect("p/rules/rules.go")
	})
}
