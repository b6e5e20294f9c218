package watch

import (
	"os"
	"path/filepath"
	"testing"
)

// Each save below replays what the program does to the file system, in order:
// for vim in place, sed and gofmt as strace shows it, for the others as their
// sources and manuals say. What they do elsewhere (undo files, history) is left
// out.
var saves = []struct {
	name string
	save func(t *tree, path, content string)
}{
	// vim 9 without writebackup, or with backupcopy=yes: swap file beside the
	// file (with .swx made and removed to learn about the file system), then
	// truncate and write, fsync, attributes.
	{"vim in place", func(t *tree, path, content string) {
		dir, base := filepath.Split(path)
		swap := dir + "." + base + ".swp"
		t.put(swap, "b0VIM")
		t.put(dir+"."+base+".swx", "")
		t.do(os.Remove(dir + "." + base + ".swx"))
		t.rewrite(path, content)
		t.do(os.Chmod(path, 0o644))
		t.do(os.Remove(swap))
	}},
	// vim with writebackup and backupcopy=auto or no (src/bufwrite.c): probe 4913
	// made, owned and removed; the file renamed to its backup name; a new file
	// written, fsynced, chmodded; the backup unlinked.
	{"vim by rename", func(t *tree, path, content string) {
		probe := filepath.Join(filepath.Dir(path), "4913")
		t.put(probe, "")
		t.do(os.Chmod(probe, 0o644))
		t.do(os.Remove(probe))
		t.do(os.Rename(path, path+"~"))
		t.put(path, content)
		t.do(os.Chmod(path, 0o644))
		t.do(os.Remove(path + "~"))
	}},
	// VS Code: open with O_TRUNC, write, fsync, close, all in place.
	{"VS Code", func(t *tree, path, content string) { t.rewrite(path, content) }},
	// GoLand and its siblings, "safe write" on: the new text goes to
	// NAME___jb_tmp___, the file is renamed to NAME___jb_old___, the new one
	// takes its place, the old one is removed.
	{"GoLand", func(t *tree, path, content string) {
		t.put(path+"___jb_tmp___", content)
		t.do(os.Rename(path, path+"___jb_old___"))
		t.do(os.Rename(path+"___jb_tmp___", path))
		t.do(os.Remove(path + "___jb_old___"))
	}},
	// Emacs: lock (a dangling symbolic link), backup by rename, new file, lock
	// removed; an autosave file went before.
	{"Emacs", func(t *tree, path, content string) {
		dir, base := filepath.Split(path)
		lock := dir + ".#" + base
		t.do(os.Symlink("me@host.812:1", lock))
		t.put(dir+"#"+base+"#", content)
		t.do(os.Rename(path, path+"~"))
		t.put(path, content)
		t.do(os.Remove(dir + "#" + base + "#"))
		t.do(os.Remove(lock))
	}},
	// gedit and everything on GLib's g_file_replace: hidden temporary file,
	// renamed over the target.
	{"gedit", func(t *tree, path, content string) {
		tmp := filepath.Join(filepath.Dir(path), ".goutputstream-A1B2C3")
		t.put(tmp, content)
		t.do(os.Rename(tmp, path))
	}},
	// GNU sed 4.9 -i: a temporary file with an innocent name, renamed over.
	{"sed -i", func(t *tree, path, content string) {
		tmp := filepath.Join(filepath.Dir(path), "sedchsaxx")
		t.put(tmp, content)
		t.do(os.Rename(tmp, path))
	}},
	// gofmt -w: backup beside the file, overwritten in place, cut to length where
	// it got shorter, backup removed (cmd/gofmt/gofmt.go, writeFile, Go 1.26).
	{"gofmt -w", func(t *tree, path, content string) {
		backup := path + ".123456789"
		t.put(backup, "old")
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		t.do(err)
		_, err = f.WriteString(content)
		t.do(err)
		t.do(f.Truncate(int64(len(content))))
		t.do(f.Close())
		t.do(os.Remove(backup))
	}},
	{"cp", func(t *tree, path, content string) { t.rewrite(path, content) }},
	// cp -p, rsync -t --inplace: new contents under an old time.
	{"cp -p", func(t *tree, path, content string) {
		fi, err := os.Stat(path)
		t.do(err)
		t.rewrite(path, content)
		t.do(os.Chtimes(path, fi.ModTime(), fi.ModTime()))
	}},
	{"rm and write", func(t *tree, path, content string) {
		t.do(os.Remove(path))
		t.put(path, content)
	}},
	{"hard link over", func(t *tree, path, content string) {
		t.put(path+".new", content)
		t.do(os.Remove(path))
		t.do(os.Link(path+".new", path))
		t.do(os.Remove(path + ".new"))
	}},
	{"touch", func(t *tree, path, _ string) {
		fi, err := os.Stat(path)
		t.do(err)
		t.do(os.Chtimes(path, fi.ModTime().Add(1), fi.ModTime().Add(1)))
	}},
	{"rm", func(t *tree, path, _ string) { t.do(os.Remove(path)) }},
}

// put makes a file, or truncates one, and writes it.
func (tr *tree) put(path, content string) {
	tr.t.Helper()
	tr.do(os.WriteFile(path, []byte(content), 0o644))
}

// rewrite truncates in one system call and writes in two others, as programs
// do that stream.
func (tr *tree) rewrite(path, content string) {
	tr.t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	tr.do(err)
	for _, part := range []string{content[:len(content)/2], content[len(content)/2:]} {
		_, err := f.WriteString(part)
		tr.do(err)
	}
	tr.do(f.Sync())
	tr.do(f.Close())
}

func TestEverySaveReportsTheFileAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct {
		name string
		opts Options
	}{
		{"events", Options{Quiet: wide}},
		{"poll", Options{Quiet: wide, Poll: true, PollInterval: wide / 3}},
	} {
		for _, s := range saves {
			t.Run(mode.name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				tr := watchDir(t, mode.opts, Set{Dirs: []string{"p", "end"}}, "p/a.go", "p/b.go")
				// As long as the old text, so that only time or contents tell.
				s.save(tr, tr.path("p/a.go"), "P/A.GO")
				tr.expect("p/a.go")
			})
		}
	}
}

// Two saves in a row within one tick of the file system's clock, of equal
// length, the first of which was reported: the second must be too.
func TestSecondSaveOfEqualLengthAndTimeIsReported(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{}, {Poll: true, PollInterval: wide / 10}} {
		tr := watchDir(t, opts, Set{Dirs: []string{"p"}}, "p/a.go")
		fi, err := os.Stat(tr.path("p/a.go"))
		tr.do(err)
		for _, content := range []string{"P/a.go", "P/A.go", "P/A.GO"} {
			// A hidden file first, so that the new text comes with its old time
			// in one step: what a coarse clock does, on any clock.
			tr.write("p/.tmp", content)
			tr.do(os.Chtimes(tr.path("p/.tmp"), fi.ModTime(), fi.ModTime()))
			f, err := os.OpenFile(tr.path("p/a.go"), os.O_WRONLY, 0)
			tr.do(err)
			_, err = f.WriteAt([]byte(content), 0)
			tr.do(err)
			tr.do(f.Close())
			tr.do(os.Chtimes(tr.path("p/a.go"), fi.ModTime(), fi.ModTime()))
			if got := tr.next().Files; len(got) != 1 || got[0] != "p/a.go" {
				t.Errorf("poll %v: reported %q", opts.Poll, got)
			}
		}
	}
}

func TestLeftoversNeverTrigger(t *testing.T) {
	t.Parallel()
	tr := watchDir(t, Options{Quiet: wide}, Set{Dirs: []string{"p", "end"}}, "p/a.go")
	for _, name := range []string{
		"a_test.go", "a.go~", ".a.go.swp", "a.go.swp", "a.go.swo", "a.go.swx", "4913", ".#a.go", "#a.go#",
		".DS_Store", "a.go___jb_tmp___", "a.go___jb_old___", ".git/index", ".idea/workspace.xml", ".vscode/x.go",
		"node_modules/x/y.go", "testdata/x.go", "_x/x.go",
	} {
		tr.write("p/"+name, name)
	}
	tr.expect()
}

func TestIgnoredPathsNeverTrigger(t *testing.T) {
	t.Parallel()
	ignore := func(path string) bool { return filepath.Base(path) == "artifacts" || filepath.Ext(path) == ".log" }
	tr := watchDir(t, Options{Quiet: wide, Ignore: ignore}, Set{Trees: []string{"p"}, Dirs: []string{"end"}, Files: []string{"p/named.log"}})
	tr.write("p/host.log", "x")
	tr.write("p/artifacts/x.so", "x")
	tr.write("p/named.log", "x") // the set's word is stronger
	tr.expect("p/named.log")
}

func TestNamedFilesTriggerWhateverTheirName(t *testing.T) {
	t.Parallel()
	tr := watchDir(t, Options{Quiet: wide}, Set{Dirs: []string{"end"}, Files: []string{"m/go.mod", "m/.env", "m/x_test.go"}}, "m/go.mod", "m/go.sum")
	tr.write("m/go.sum", "changed")
	tr.write("m/main.go", "changed")
	tr.write("m/.env", "changed")
	tr.write("m/go.mod", "changed")
	tr.write("m/x_test.go", "changed")
	tr.expect("m/.env", "m/go.mod", "m/x_test.go")
}

func TestChangedModeAloneDoesNotTrigger(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{Quiet: wide}, {Quiet: wide, Poll: true, PollInterval: wide / 3}} {
		tr := watchDir(t, opts, Set{Dirs: []string{"p", "end"}}, "p/a.go", "p/b.go")
		tr.do(os.Chmod(tr.path("p/a.go"), 0o600))
		tr.write("p/b.go", "x")
		tr.expect("p/b.go")
	}
}

func TestFileThatCameAndWentIsNotReported(t *testing.T) {
	t.Parallel()
	tr := watchDir(t, Options{Quiet: wide}, Set{Dirs: []string{"p", "end"}}, "p/a.go")
	tr.write("p/tmp.go", "x")
	tr.remove("p/tmp.go")
	tr.expect()
}
