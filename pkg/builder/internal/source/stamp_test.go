package source

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestStampTellsFilesApart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.go")
	stamp := func() Stamp {
		t.Helper()
		s, err := StampOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if stamp() != (Stamp{}) {
		t.Error("what is not there has a stamp")
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", "one")
	was := stamp()
	if was.Kind != Regular || was != stamp() {
		t.Errorf("a file at rest: %+v, then %+v", was, stamp())
	}
	if runtime.GOOS == "windows" {
		return
	}
	// The same size under the same time: another file all the same.
	write("b.go", "two")
	when := time.Unix(0, was.ModTime)
	if err := os.Chtimes(filepath.Join(dir, "b.go"), when, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "b.go"), path); err != nil {
		t.Fatal(err)
	}
	if now := stamp(); now == was {
		t.Errorf("a file renamed over another has its stamp: %+v", now)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if stamp().Kind != Directory {
		t.Errorf("a directory: %+v", stamp())
	}
}

func TestYoungStampsProveNothing(t *testing.T) {
	changed := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	s := Stamp{Kind: Regular, Change: changed.UnixNano()}
	whole := Stamp{Kind: Regular, ModTime: changed.Truncate(time.Second).UnixNano()}
	for _, c := range []struct {
		name  string
		stamp Stamp
		after time.Duration
		want  bool
	}{
		{"at once", s, 0, false},
		{"within a tick", s, tick, false},
		{"after a tick", s, tick + time.Millisecond, true},
		{"from the future", s, -time.Hour, false},
		{"whole seconds, after a tick", whole, tick + time.Millisecond, false},
		{"whole seconds, after two", whole, coarseTick + time.Millisecond, true},
		{"nothing there", Stamp{}, 0, true},
	} {
		if got := c.stamp.Settled(changed.Add(c.after)); got != c.want {
			t.Errorf("%s: settled is %v", c.name, got)
		}
	}
}

func TestChangedIgnoresATouch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.go")
	if err := os.WriteFile(path, []byte("package a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path, asSource)
	if err != nil {
		t.Fatal(err)
	}
	units := []*Unit{{Files: []File{f}}}
	when := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
	if _, changed := Changed(units); changed {
		t.Error("a touch is a change")
	}
	if err := os.WriteFile(path, []byte("package b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if at, changed := Changed(units); !changed || at != path {
		t.Error("other bytes are no change")
	}
}
