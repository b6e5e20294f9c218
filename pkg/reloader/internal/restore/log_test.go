package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, problem, err := Open(dir)
	if err != nil || problem != "" {
		t.Fatalf("open: %q, %v", problem, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// unsynced gives a disk for tests that only look at what is written.
func unsynced() Disk {
	d := System
	d.Sync = func(*os.File) error { return nil }
	d.SyncDir = func(string) error { return nil }
	return d
}

// step makes a change that can be told from others.
func step(l *Log, n int) error {
	return l.Change(func(s *State) {
		s.Settle(build, "plugin", []Entry{entry(fmt.Sprintf("v%03d", n), n)}, false)
	})
}

// at tells after which step a state is; 0 is none.
func at(s State) int {
	w := s.Wanted(build)
	if len(w) == 0 {
		return 0
	}
	return w[0].Entry.Order
}

// TestLogCutAtEveryOffsetIsTheStateBefore: wherever a write ends, what was written
// before it counts, and the next process goes on from there.
func TestLogCutAtEveryOffsetIsTheStateBefore(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	var ends []int64 // of the records
	for n := 1; n <= 4; n++ {
		if err := step(l, n); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, l.size)
	}
	path := filepath.Join(dir, logName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		want := 0
		for n, end := range ends {
			if int64(cut) >= end {
				want = n + 1
			}
		}
		for name, tail := range map[string][]byte{"": nil, " and zeros": make([]byte, 100), " and noise": []byte("\x80{\"v\"")} {
			part := append(bytes.Clone(whole[:cut]), tail...)
			if err := os.WriteFile(path, part, 0o600); err != nil {
				t.Fatal(err)
			}
			l, problem, err := Open(dir)
			if err != nil {
				t.Fatalf("cut at %d%s: %v", cut, name, err)
			}
			if got := at(l.State()); got != want {
				t.Fatalf("cut at %d%s: the state after change %d, want %d", cut, name, got, want)
			}
			if problem != "" && want > 0 {
				t.Fatalf("cut at %d%s: %s", cut, name, problem)
			}
			if l.Close(); name != "" {
				continue
			}
			l = open(t, dir)
			l.disk = unsynced()
			if err := step(l, 9); err != nil {
				t.Fatal(err)
			}
			l.Close()
			if got := at(open(t, dir).State()); got != 9 {
				t.Fatalf("cut at %d%s: after one more change it is at %d", cut, name, got)
			}
		}
	}
}

func TestDamagedRecordsAreSkippedAndNamed(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for n := 1; n <= 3; n++ {
		if err := step(l, n); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, logName)
	whole, _ := os.ReadFile(path)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for bad, want := range map[int]int{0: 3, 1: 3, 2: 2} {
		damaged := bytes.Clone(whole)
		damaged[len(bytes.Join(lines[:bad], nil))+len(lines[bad])/2] ^= 4
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		l, problem, err := Open(dir)
		if err != nil || at(l.State()) != want || !strings.Contains(problem, "1 damaged record") {
			t.Errorf("record %d is damaged: state %d, %q, %v", bad, at(l.State()), problem, err)
		}
	}
}

func TestLogThatMakesNoSenseIsSetAside(t *testing.T) {
	future, _ := encode(State{})
	future = bytes.Replace(future, []byte(`"v":1`), []byte(`"v":2`), 1)
	future = append([]byte(fmt.Sprintf("%08x", crc(future[9:len(future)-1]))), future[8:]...)
	for name, content := range map[string]string{
		"text": "hello\n", "json": "{\"v\":1}\n", "zeros": string(make([]byte, 5000)), "newer": string(future),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, logName)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		l, problem, err := Open(dir)
		if err != nil || !strings.Contains(problem, "cannot be used") || at(l.State()) != 0 {
			t.Errorf("%s: %q, %v", name, problem, err)
			continue
		}
		if name == "newer" && !strings.Contains(problem, "version 2") {
			t.Errorf("%s: %q", name, problem)
		}
		if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != content {
			t.Errorf("%s: what was set aside: %q, %v", name, kept, err)
		}
	}
}

func TestLogIsWrittenAnewBeforeItGrowsLarge(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.disk = unsynced()
	for n := 1; n <= 3000; n++ {
		if err := step(l, n%900+1); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, logName))
	if err != nil || info.Size() > logSize || info.Size() != l.size {
		t.Errorf("the log has %d bytes, and is thought to have %d (%v)", info.Size(), l.size, err)
	}
	if got := at(open(t, dir).State()); got != 3000%900+1 {
		t.Errorf("state %d", got)
	}
}

// failing gives a disk that fails at the operations for which fail says so.
func failing(fail func(op string) error) Disk {
	d := System
	d.Create = func(path string) (*os.File, error) {
		if err := fail("create"); err != nil {
			return nil, err
		}
		return System.Create(path)
	}
	d.Write = func(f *os.File, b []byte) (int, error) {
		if err := fail("write"); err != nil {
			n, _ := System.Write(f, b[:len(b)/2])
			return n, err
		}
		return System.Write(f, b)
	}
	d.Sync = func(f *os.File) error {
		if err := fail("sync"); err != nil {
			return err
		}
		return System.Sync(f)
	}
	d.Rename = func(from, to string) error {
		if err := fail("rename"); err != nil {
			return err
		}
		return System.Rename(from, to)
	}
	d.SyncDir = func(dir string) error {
		if err := fail("syncdir"); err != nil {
			return err
		}
		return System.SyncDir(dir)
	}
	return d
}

// TestFailedWriteIsMadeGoodByTheNext: with each operation failing once, in turn, the
// log is at the change before or after, and after one more change at that.
func TestFailedWriteIsMadeGoodByTheNext(t *testing.T) {
	for turn := 0; ; turn++ {
		dir := t.TempDir()
		ops, failed := 0, ""
		l := open(t, dir)
		l.disk = failing(func(op string) error {
			if ops++; ops == turn+1 {
				failed = op
				return syscall.ENOSPC
			}
			return nil
		})
		for n := 1; n <= 3; n++ {
			err := step(l, n)
			now := at(open(t, dir).State())
			switch {
			case err == nil && now != n:
				t.Fatalf("operation %d (%s) failed: change %d was written, and the log is at %d", turn, failed, n, now)
			case err != nil && now != n && now != n-1:
				t.Fatalf("operation %d (%s) failed: the log is at %d after change %d", turn, failed, now, n)
			case err != nil && !errors.Is(l.Err(), syscall.ENOSPC):
				t.Fatalf("operation %d (%s) failed: Err is %v", turn, failed, l.Err())
			}
		}
		if l.Err() != nil && failed != "" && ops > turn+2 {
			t.Fatalf("operation %d (%s) failed: it was not made good: %v", turn, failed, l.Err())
		}
		if failed == "" {
			if turn < 6 {
				t.Fatalf("only %d operations", turn)
			}
			return
		}
	}
}

func artifacts(t *testing.T, dir string) *Artifacts {
	t.Helper()
	a, err := OpenArtifacts(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// keep keeps a file of that many bytes under a made-up digest.
func keep(t *testing.T, a *Artifacts, name string, bytes int) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "a.so")
	if err := os.WriteFile(from, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Keep(digest(name), from, "signature of "+name); err != nil {
		t.Fatal(err)
	}
}

func TestTrimRemovesWhatIsNeededLeast(t *testing.T) {
	a := artifacts(t, t.TempDir())
	rank := map[string]int{digest("live"): Needed, digest("held"): Held}
	for _, name := range []string{"live", "held", "old", "new"} {
		keep(t, a, name, 100)
	}
	for _, step := range []struct {
		budget int64
		gone   []string
	}{
		{400, nil},
		{399, []string{"old"}},
		{150, []string{"new", "held"}},
		{0, nil},
	} {
		var want []string
		for _, name := range step.gone {
			want = append(want, digest(name))
		}
		gone, err := a.Trim(step.budget, func(d string) int { return rank[d] })
		if err != nil || !slices.Equal(gone, want) {
			t.Errorf("to %d bytes: %q went, want %q (%v)", step.budget, gone, want, err)
		}
	}
	left, _ := os.ReadDir(a.dir)
	if len(left) != 2 || !a.Has(digest("live")) || a.Has(digest("old")) {
		t.Errorf("left: %v", left)
	}
}

func TestKeptArtifactsAreFoundAgainAndHalfOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	a := artifacts(t, dir)
	keep(t, a, "one", 10)
	if err := a.Sync(digest("one"), digest("none")); err != nil {
		t.Error(err)
	}
	for _, junk := range []string{"x.so", "y", filepath.Base(a.Path(digest("half"))) + tempSuffix} {
		if err := os.WriteFile(filepath.Join(dir, junk), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a = artifacts(t, dir)
	if n, bytes := a.Size(); n != 1 || bytes != 10 || !a.Has(digest("one")) {
		t.Errorf("%d artifacts, %d bytes", n, bytes)
	}
	if _, err := os.Stat(a.Path(digest("half")) + tempSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an artifact is left: %v", err)
	}
	if b, err := os.ReadFile(a.Path(digest("one")) + ".minisig"); err != nil || string(b) != "signature of one" {
		t.Errorf("signature %q, %v", b, err)
	}
}

func TestArtifactThatCannotBeKeptLeavesNothing(t *testing.T) {
	for _, op := range []string{"create", "write", "rename"} {
		dir := t.TempDir()
		a := artifacts(t, dir)
		a.disk = failing(func(o string) error {
			if o == op {
				return syscall.ENOSPC
			}
			return nil
		})
		from := filepath.Join(t.TempDir(), "a.so")
		if err := os.WriteFile(from, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Keep(digest("x"), from, ""); !errors.Is(err, syscall.ENOSPC) || a.Has(digest("x")) {
			t.Errorf("%s fails: %v", op, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s fails: left %v", op, left)
		}
	}
}

// FuzzNewest: whatever a file holds, it is read without a crash, what is read is
// sound, and what is appended as a whole line after it counts.
func FuzzNewest(f *testing.F) {
	good, err := encode(newHistory().State)
	if err != nil {
		f.Fatal(err)
	}
	h := newHistory()
	h.load("a", "a1")
	h.try("a", "a1", "patch")
	rich, err := encode(h.State)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add(good)
	f.Add(rich)
	f.Add(append(bytes.Clone(rich), good[:len(good)/2]...))
	f.Add([]byte("00000000 \n"))
	f.Add([]byte("00000000 {}"))
	f.Fuzz(func(t *testing.T, junk []byte) {
		s, found, damaged := newest(junk)
		if found && s.V == Version && !s.sound() {
			t.Errorf("read as %+v", s)
		}
		if damaged > bytes.Count(junk, []byte("\n")) {
			t.Errorf("%d damaged", damaged)
		}
		s, found, _ = newest(append(append(bytes.Clone(junk), '\n'), rich...))
		if !found || len(s.Wanted(build)) != 1 {
			t.Errorf("what follows is read as %+v, %v", s, found)
		}
		// The same with a sum that fits: the JSON is what is left to be wrong.
		if line, ok := sealed(junk); ok {
			if s, found, _ := newest(line); found && s.V == Version && !s.sound() {
				t.Errorf("sealed: read as %+v", s)
			}
		}
	})
}

// sealed makes a record of what may be no state.
func sealed(b []byte) ([]byte, bool) {
	if bytes.Contains(b, []byte("\n")) {
		return nil, false
	}
	return append([]byte(fmt.Sprintf("%08x %s", crc(b), b)), '\n'), true
}
