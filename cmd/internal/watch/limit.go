package watch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// explainLimit turns a full table of the system into one sentence: which limit,
// its value, how to raise it. It reports false for any other error.
//
// inotify_add_watch(2) fails with ENOSPC at fs.inotify.max_user_watches;
// inotify_init1(2) with EMFILE at fs.inotify.max_user_instances, and also when
// the process has no descriptor left. kqueue takes a descriptor for each file.
func explainLimit(err error, sysctl func(name string) (int, error)) (string, bool) {
	name, atLeast := "", 0
	switch {
	case errors.Is(err, syscall.ENOSPC):
		name, atLeast = "fs.inotify.max_user_watches", 524288
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		name, atLeast = "fs.inotify.max_user_instances", 512
	default:
		return "", false
	}
	value, serr := sysctl(name)
	switch {
	case errors.Is(serr, syscall.EMFILE), errors.Is(serr, syscall.ENFILE), runtime.GOOS != "linux" && name == "fs.inotify.max_user_instances":
		return "this process has no file descriptor left: polling instead; raise the limit with ulimit -n", true
	case serr != nil:
		return fmt.Sprintf("the system watches no more directories (%v): polling instead", err), true
	}
	return fmt.Sprintf("inotify limit reached (%s=%d): polling instead; raise it with sudo sysctl %s=%d",
		name, value, name, max(atLeast, 4*value)), true
}

// readSysctl reads a number from /proc/sys, which only Linux has.
func readSysctl(name string) (int, error) {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
