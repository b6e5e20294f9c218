package journal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func event(generation int) control.Event {
	return control.Event{V: control.EventVersion, Event: control.KindLoaded, Plugin: "pricing", Generation: generation}
}

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func generations(events []control.Event) (out []int) {
	for _, ev := range events {
		out = append(out, ev.Generation)
	}
	return out
}

func TestReaderContinuesWhereItStopped(t *testing.T) {
	j := open(t, "")
	j.Append(event(1))
	id := j.Last()
	entries, _, changed := j.Since(id)
	if len(entries) != 0 {
		t.Fatalf("%d entries after the last", len(entries))
	}
	j.Append(event(2))
	<-changed
	j.Append(event(3))
	entries, missed, _ := j.Since(id)
	if len(entries) != 2 || missed != 0 || entries[0].Event.Generation != 2 {
		t.Fatalf("Since = %v, missed %d", entries, missed)
	}
	if rest, _, _ := j.Since(entries[0].ID); len(rest) != 1 || rest[0].Event.Generation != 3 {
		t.Errorf("Since(%s) = %v", entries[0].ID, rest)
	}
}

func TestSlowReaderIsToldWhatItMissed(t *testing.T) {
	j := open(t, "")
	j.Append(event(0))
	id := j.Last()
	for i := range kept + 5 {
		j.Append(event(i + 1))
	}
	entries, missed, _ := j.Since(id)
	if missed != 5 || len(entries) != kept || entries[0].Event.Generation != 6 {
		t.Errorf("missed %d, %d entries, first is %d", missed, len(entries), entries[0].Event.Generation)
	}
}

func TestForeignIDReplaysEverything(t *testing.T) {
	j := open(t, "")
	j.Append(event(1))
	j.Append(event(2))
	for _, id := range []string{"", "x", "0123456789ab-1", j.boot + "-99", j.boot + "-x"} {
		if entries, _, _ := j.Since(id); len(entries) != 2 {
			t.Errorf("Since(%q) gives %d entries, want 2", id, len(entries))
		}
	}
}

func TestHistorySurvivesRestartAndTornLine(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	first.Append(event(1))
	first.Append(event(2))
	first.Close()
	path := filepath.Join(dir, fileName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("not json\n{\"v\":1,\"event\":\"loa"); err != nil {
		t.Fatal(err)
	}
	f.Close()

	second := open(t, dir)
	second.Append(event(3))
	second.Close()
	third := open(t, dir)
	if got := generations(third.All()); len(got) != 3 || got[0] != 1 || got[2] != 3 {
		t.Errorf("generations after a crash: %v, want [1 2 3]", got)
	}
}

func TestFailedWriteIsReportedOnceAndKeepsEvents(t *testing.T) {
	j := open(t, t.TempDir())
	j.file.Close()
	if err := j.Append(event(1)); err == nil {
		t.Error("a write to a closed file gave no error")
	}
	if err := j.Append(event(2)); err != nil {
		t.Errorf("the error came twice: %v", err)
	}
	if got := generations(j.All()); len(got) != 2 {
		t.Errorf("events in memory: %v", got)
	}
}

func TestLargeFileIsRotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	if err := os.WriteFile(path, bytes.Repeat([]byte("x\n"), maxFile/2+1), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("journal after rotation: %v, %v", info, err)
	}
	if _, err := os.Stat(path + ".1"); err != nil {
		t.Error(err)
	}
}

// FuzzParse: whatever a file holds, what was appended as whole lines after it
// is read back.
func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("{\"v\":1}\n"))
	f.Add([]byte("\n\n{\"v\":2}\n[]"))
	f.Add([]byte(strings.Repeat("x", maxLine+1)))
	good, err := json.Marshal(event(7))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, junk []byte) {
		_, torn, err := parse(bytes.NewReader(junk))
		if err != nil {
			t.Fatal(err)
		}
		if torn {
			junk = append(junk, '\n')
		}
		events, torn, err := parse(bytes.NewReader(append(append(junk, good...), '\n')))
		if err != nil || torn || len(events) == 0 || events[len(events)-1].Generation != 7 {
			t.Errorf("parse gave %d events, torn %v, %v", len(events), torn, err)
		}
	})
}
