package revision_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/revision"
)

// repository makes one with two commits of file.txt, and a tag on the first.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	for _, text := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sub", "file.txt"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "-q", "-m", text)
		if text == "one" {
			git("tag", "v1")
			if err := os.WriteFile(filepath.Join(dir, "late"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestExtractGivesTheTreeAsItWas(t *testing.T) {
	repo, into := repository(t), t.TempDir()
	tree, err := revision.Extract(t.Context(), filepath.Join(repo, "sub"), "v1", into)
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(repo)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Top != want || len(tree.Commit) < 40 {
		t.Errorf("tree %+v, want the repository %s", tree, want)
	}
	if data, err := os.ReadFile(filepath.Join(into, "sub", "file.txt")); err != nil || string(data) != "one" {
		t.Errorf("file.txt: %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(into, "late")); err == nil {
		t.Error("a file of a later commit is there")
	}
	if data, err := os.ReadFile(filepath.Join(repo, "sub", "file.txt")); err != nil || string(data) != "two" {
		t.Errorf("the work tree changed: %q, %v", data, err)
	}
}

func TestUnknownRevisionIsAnError(t *testing.T) {
	repo := repository(t)
	for _, rev := range []string{"v9", "--output=x", ""} {
		_, err := revision.Extract(t.Context(), repo, rev, t.TempDir())
		if e, ok := errors.AsType[*revision.Error](err); !ok || e.Error() == "" {
			t.Errorf("revision %q: %v", rev, err)
		}
	}
	if _, err := revision.Extract(t.Context(), t.TempDir(), "v1", t.TempDir()); err == nil {
		t.Error("a directory without a repository gives a tree")
	}
}
