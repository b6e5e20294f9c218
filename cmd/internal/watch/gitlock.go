package watch

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// While git checkout, pull, stash or rebase write the working tree, git holds
// index.lock in its directory and renames it over the index as its last act.
// A build before that would read half of one commit and half of another.

const (
	// lockStep is the pause between two looks at a lock.
	lockStep = 20 * time.Millisecond
	// lockPatience bounds the wait for a lock. It also says which lock is
	// stale: one that has not been written for so long belongs to a git that
	// was killed, and must not delay every batch until somebody removes it.
	lockPatience = 10 * time.Second
)

// repositories finds the git directories of the working trees that the
// directories lie in: the nearest .git above each, be it a directory or, in a
// linked worktree or submodule, a file that names one.
func repositories(dirs []string) []string {
	var repos []string
	visited := map[string]bool{}
	for _, dir := range dirs {
		for !visited[dir] {
			visited[dir] = true
			if repo, ok := gitDir(dir); ok {
				repos = append(repos, repo)
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	return repos
}

// gitDir gives the git directory of the working tree whose top is dir.
func gitDir(dir string) (string, bool) {
	path := filepath.Join(dir, ".git")
	fi, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	if fi.IsDir() {
		return path, true
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	target, ok := parseGitFile(string(b))
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(dir, target)
	}
	return target, true
}

// parseGitFile reads "gitdir: PATH", the form of a .git file (gitrepository-layout(5)).
func parseGitFile(s string) (string, bool) {
	target, ok := strings.CutPrefix(s, "gitdir: ")
	target = strings.TrimRight(target, "\r\n")
	return target, ok && target != ""
}

// busy reports whether git is at work in one of the repositories.
func busy(repos []string, now time.Time) bool {
	for _, repo := range repos {
		fi, err := os.Stat(filepath.Join(repo, "index.lock"))
		if err == nil && now.Sub(fi.ModTime()) < lockPatience {
			return true
		}
	}
	return false
}
