package doctor

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWatchesOfThisProcessAreCounted: what this user's processes hold of inotify is
// what /proc tells.
func TestWatchesOfThisProcessAreCounted(t *testing.T) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, dir := range []string{t.TempDir(), t.TempDir()} {
		if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
			t.Fatal(err)
		}
	}
	if got := watches(); got.Instances < 1 || got.Watches < 2 {
		t.Errorf("%+v, want at least one instance with two watches", got)
	}
}

// TestMountOptionsAreSeen compares with the kernel's own list of mounts.
func TestMountOptionsAreSeen(t *testing.T) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{} // directory -> noexec, of the last mount there
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 3 && !strings.Contains(f[1], `\`) {
			want[f[1]] = slices.Contains(strings.Split(f[3], ","), "noexec")
		}
	}
	for _, dir := range []string{"/", "/proc", "/sys", "/dev/shm"} {
		noexec, mounted := want[dir]
		if !mounted {
			continue
		}
		if on, err := fileSystem(dir); err != nil || on.NoExec != noexec {
			t.Errorf("%s: noexec is %t, want %t (%v)", dir, on.NoExec, noexec, err)
		}
	}
	if on, err := fileSystem(t.TempDir()); err != nil || on.Free == 0 {
		t.Errorf("free space: %+v, %v", on, err)
	}
	if _, err := fileSystem("/nowhere"); err == nil {
		t.Error("a directory that is not there is on a file system")
	}
}
