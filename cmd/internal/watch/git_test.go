package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@t", "-c", "gc.auto=0"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func TestCheckoutOf500FilesIsOneBatch(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "one")
	var names []string
	commit := func(branch string) {
		for i := range 500 {
			name := fmt.Sprintf("p%d/f%d.go", i%10, i)
			if branch == "two" && i%5 == 0 {
				name = fmt.Sprintf("q%d/f%d.go", i%10, i) // a file moves to a new directory
			}
			names = append(names, name)
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(branch), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git(t, root, "add", ".")
		git(t, root, "commit", "-q", "-m", branch)
	}
	commit("one")
	git(t, root, "rm", "-r", "-q", ".")
	git(t, root, "checkout", "-q", "-b", "two")
	commit("two")
	git(t, root, "checkout", "-q", "one")
	slices.Sort(names)
	names = slices.Compact(names)

	// The lock is all that holds a batch together here: the checkout takes
	// longer than MaxWait.
	quiet := 10 * time.Millisecond
	tr := watchDirAt(t, root, Options{Quiet: quiet, MaxWait: quiet}, Set{Trees: []string{"."}})
	git(t, root, "checkout", "-q", "two")
	if got := tr.next(); !slices.Equal(got.Files, names) {
		t.Errorf("first batch has %d files, want all %d", len(got.Files), len(names))
	}
}

func TestRepositoryIsFoundAboveAndThroughWorktreeFiles(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"main/.git/worktrees/side", "main/p/q", "side/p", "sub/p", "none", "bad"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{
		"side/.git": "gitdir: " + filepath.Join(root, "main/.git/worktrees/side") + "\n",
		"sub/.git":  "gitdir: ../main/.git/modules/sub\n",
		"bad/.git":  "what is this",
	} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{
		"main/p/q": "main/.git",
		"main":     "main/.git",
		"side/p":   "main/.git/worktrees/side",
		"sub/p":    "main/.git/modules/sub",
		"none":     "",
		"bad":      "",
	} {
		got := repositories([]string{filepath.Join(root, dir), filepath.Join(root, dir)})
		got = slices.DeleteFunc(got, func(repo string) bool { return !within(repo, root) }) // the temporary directory's own, if any
		if want == "" && len(got) == 0 || len(got) == 1 && got[0] == filepath.Join(root, want) {
			continue
		}
		t.Errorf("repositories above %s: %q, want %q", dir, got, want)
	}
}

func TestStaleLockHoldsNothing(t *testing.T) {
	repo := t.TempDir()
	lock := filepath.Join(repo, "index.lock")
	now := time.Now()
	if busy([]string{repo}, now) {
		t.Error("busy without a lock")
	}
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !busy([]string{t.TempDir(), repo}, now) {
		t.Error("not busy with a fresh lock")
	}
	old := now.Add(-lockPatience)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	if busy([]string{repo}, now) {
		t.Error("busy with a lock that was left behind")
	}
}

func FuzzParseGitFile(f *testing.F) {
	for _, s := range []string{"gitdir: /r/.git/worktrees/w\n", "gitdir: ../.git/modules/m\r\n", "gitdir: \n", "gitdir:/x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, ok := parseGitFile(s)
		if !ok {
			return
		}
		if again, ok := parseGitFile("gitdir: " + target + "\n"); !ok || again != target {
			t.Errorf("%q reads as %q, and that as %q", s, target, again)
		}
	})
}
