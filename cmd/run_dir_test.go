//go:build unix

package cmd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRunRemovesWhatKilledRunsHaveLeftAndNothingElse(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"hotgo-run-123/1", "other/1", "hotgo-new-5"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	target := t.TempDir()
	if err := os.Symlink(target, filepath.Join(base, "hotgo-run-link")); err != nil {
		t.Fatal(err)
	}
	one, removeOne, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	two, removeTwo, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{
		one: true, two: true, filepath.Join(base, "hotgo-run-123"): false, filepath.Join(base, "other", "1"): true, target: true,
		filepath.Join(base, "hotgo-new-5"): true, filepath.Join(base, "hotgo-run-link"): true,
	} {
		if _, err := os.Lstat(path); (err == nil) != there {
			t.Errorf("%s: %v, there has to be %v", path, err, there)
		}
	}
	removeOne()
	removeTwo()
	for _, dir := range []string{one, two} {
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}
