package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLeftoversAreKnownByName(t *testing.T) {
	for name, want := range map[string]bool{
		"a.go": false, "a.s": false, "a.swift": false, "a.swig": false, "page.html": false, "test.go": false,
		"a_test.go": true, "4913": true, "49130": false, "a~": true, "a.swp": true, "a.swx": true, "a.swz": false,
		".swp": true, ".env": true, "#a#": true, "#a": false, "a.go___jb_tmp___": true, "": false,
	} {
		if got := leftover(name); got != want {
			t.Errorf("leftover(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"rules": false, "internal": false, "vendor": false,
		".git": true, "_old": true, "testdata": true, "node_modules": true,
	} {
		if got := foreignDir(name); got != want {
			t.Errorf("foreignDir(%q) = %v", name, got)
		}
	}
}

func TestLimitsAreExplained(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the sysctls are Linux'")
	}
	has := func(n int) func(string) (int, error) { return func(string) (int, error) { return n, nil } }
	fails := func(err error) func(string) (int, error) { return func(string) (int, error) { return 0, err } }
	for _, tt := range []struct {
		err    error
		sysctl func(string) (int, error)
		want   string
	}{
		{
			syscall.ENOSPC, has(8192),
			"inotify limit reached (fs.inotify.max_user_watches=8192): polling instead; raise it with sudo sysctl fs.inotify.max_user_watches=524288",
		},
		{
			fmt.Errorf("add: %w", syscall.ENOSPC), has(524288),
			"inotify limit reached (fs.inotify.max_user_watches=524288): polling instead; raise it with sudo sysctl fs.inotify.max_user_watches=2097152",
		},
		{
			syscall.EMFILE, has(128),
			"inotify limit reached (fs.inotify.max_user_instances=128): polling instead; raise it with sudo sysctl fs.inotify.max_user_instances=512",
		},
		{
			syscall.EMFILE, fails(&fs.PathError{Op: "open", Path: "/proc", Err: syscall.EMFILE}),
			"this process has no file descriptor left: polling instead; raise the limit with ulimit -n",
		},
		{
			syscall.ENOSPC, fails(fs.ErrNotExist),
			"the system watches no more directories (no space left on device): polling instead",
		},
		{errors.New("other"), has(1), ""},
	} {
		if got, ok := explainLimit(tt.err, tt.sysctl); got != tt.want || ok != (tt.want != "") {
			t.Errorf("explainLimit(%v) = %q, %v\nwant %q", tt.err, got, ok, tt.want)
		}
	}
}

// The table of changed: what is remembered, what is seen, whether an event said
// so.
func TestStampsTellChangesApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.go")
	if err := os.WriteFile(path, []byte("contents"), 0o644); err != nil {
		t.Fatal(err)
	}
	young, err := look(path, time.Now())
	if err != nil || !young.summed {
		t.Fatalf("a young file is remembered without contents: %+v, %v", young, err)
	}
	old, err := look(path, time.Now().Add(time.Hour))
	if err != nil || old.summed {
		t.Fatalf("an old file is remembered with contents: %+v, %v", old, err)
	}
	other := young
	other.sum++
	touched := old
	touched.mtime++
	moved := old
	moved.id.ino++
	for _, tt := range []struct {
		name      string
		was, now  stamp
		told, not bool // changed with and without an event
	}{
		{"same, contents known", young, young, false, false},
		{"same, contents known of old", young, old, false, false},
		{"same stamp, other contents", other, young, true, true},
		{"same stamp, other contents read late", other, old, true, true},
		{"same stamp, contents unknown", old, old, true, false},
		{"touched", old, touched, true, true},
		{"another file", old, moved, true, true},
		{"made", stamp{}, old, true, true},
		{"removed", old, stamp{}, true, true},
		{"never there", stamp{}, stamp{}, false, false},
		{"directory", stamp{kind: directory}, stamp{kind: directory}, false, false},
	} {
		if got := changed(path, tt.was, tt.now, true); got != tt.told {
			t.Errorf("%s: changed = %v with an event", tt.name, got)
		}
		if got := changed(path, tt.was, tt.now, false); got != tt.not {
			t.Errorf("%s: changed = %v without an event", tt.name, got)
		}
	}
}

func TestWhatIsNoFileIsAbsent(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"to-dir": dir, "dangling": "nowhere", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	for _, name := range []string{"to-dir", "dangling", "loop", "missing", "missing/below"} {
		if st, err := look(filepath.Join(dir, name), time.Now()); err != nil || st.kind != absent {
			t.Errorf("look(%s) = %+v, %v", name, st, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "to-file")); err != nil {
		t.Fatal(err)
	}
	if st, err := look(filepath.Join(dir, "to-file"), time.Now()); err != nil || st.kind != file || !st.linked {
		t.Errorf("look(to-file) = %+v, %v", st, err)
	}
	if st, err := look(filepath.Join(dir, "file", "below"), time.Now()); err != nil || st.kind != absent {
		t.Errorf("look(file/below) = %+v, %v", st, err)
	}
}

func TestScopeSaysWhatCounts(t *testing.T) {
	s := newScope(Set{
		Dirs:  []string{"/m/p/", "/m/.hidden"},
		Trees: []string{"/m/t"},
		Files: []string{"/m/go.mod", "/m/p/.env"},
	}, func(path string) bool { return filepath.Base(path) == "out" })
	s.find("/m/t/found")
	for path, want := range map[string]bool{
		"/m/p/a.go": true, "/m/p/a_test.go": false, "/m/p/.env": true, "/m/p/.git": false, "/m/p/out": false,
		"/m/p/x/a.go": false, "/m/go.mod": true, "/m/main.go": false, "/m/.hidden/a": true,
		"/m/t/a": true, "/m/t/found/a": true, "/m/t/lost/a": false,
	} {
		if got := s.counts(filepath.FromSlash(path)); got != want {
			t.Errorf("counts(%s) = %v", path, got)
		}
	}
	for path, want := range map[string]bool{
		"/m/p/x": true, "/m/p/.x": false, "/m/p/out": false, "/m/x": false, "/m/t/found/x": true, "/m/t/testdata": false,
	} {
		if got := s.follows(filepath.FromSlash(path)); got != want {
			t.Errorf("follows(%s) = %v", path, got)
		}
	}
	next := newScope(Set{Dirs: []string{"/m/t"}}, nil)
	next.adopt(s)
	if d := cmp.Diff([]string{"/m/t", "/m/t/found"}, next.dirs()); d != "" {
		t.Errorf("after adoption (-want +got):\n%s", d)
	}
	last := newScope(Set{Dirs: []string{"/m"}, Files: []string{"/q/f"}}, nil)
	last.adopt(newScope(Set{}, nil))
	if !last.onPath["/"] || !last.onPath["/q"] || last.onPath["/q/f"] {
		t.Errorf("on path: %v", last.onPath)
	}
}

func TestSurroundingsOfTheScopeAreWatched(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"m/p/q/r", "m/other", "far/x", "real/sub"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real", filepath.Join(root, "link")); err != nil {
		t.Skip(err)
	}
	for name, tt := range map[string]struct{ dirs, want []string }{
		"between the module's root and a package": {[]string{"m", "m/p/q/r"}, []string{"m", "m/p", "m/p/q", "m/p/q/r"}},
		"nothing above the topmost":               {[]string{"far/x"}, []string{"far/x"}},
		"the nearest that exists":                 {[]string{"far/missing/a/b"}, []string{"far"}},
		"beside a link":                           {[]string{"link/sub"}, []string{".", "link/sub"}},
		"one spot for two names":                  {[]string{"link/sub", "real/sub"}, []string{".", "link/sub real/sub"}},
	} {
		t.Run(name, func(t *testing.T) {
			var dirs []string
			for _, d := range tt.dirs {
				dirs = append(dirs, filepath.Join(root, d))
			}
			var got []string
			for _, s := range arrange(dirs) {
				views := ""
				for _, v := range s.views {
					rel, err := filepath.Rel(root, v)
					if err != nil {
						t.Fatal(err)
					}
					if views != "" {
						views += " "
					}
					views += rel
				}
				if within(s.path, root) { // else the temporary directory's own links
					got = append(got, views)
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("watched (-want +got):\n%s", d)
			}
		})
	}
}
