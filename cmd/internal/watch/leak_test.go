package watch

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Not parallel: it counts what the whole process has.
func TestCloseLeavesNoGoroutineAndNoDescriptor(t *testing.T) {
	dir := t.TempDir()
	for _, opts := range []Options{{Quiet: time.Millisecond}, {Poll: true, PollInterval: time.Millisecond}} {
		before := descriptors(t)
		for i := range 20 {
			w, err := New(opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Update(Set{Trees: []string{dir}, Files: []string{filepath.Join(dir, "missing", "go.mod")}}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte{byte(i)}, 0o644); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // otherwise a batch, or events, are under way
				<-w.Batches()
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if after := descriptors(t); after > before {
			t.Errorf("poll %v: %d descriptors before, %d after", opts.Poll, before, after)
		}
		// A goroutine that has announced its end may not have ended yet.
		for end := time.Now().Add(patience); ; runtime.Gosched() {
			stacks := goroutines()
			if !strings.Contains(stacks, "fsnotify") && !strings.Contains(stacks, "watch.(*loop)") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("goroutines left:\n%s", stacks)
			}
		}
	}
}

func goroutines() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// descriptors counts inotify's; the runtime opens and keeps others.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Log("descriptors are not counted:", err)
		return 0
	}
	n := 0
	for _, e := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.Contains(target, "inotify") {
			n++
		}
	}
	return n
}
