package watch

import (
	"testing"
	"testing/quick"
	"time"
)

var start0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start0.Add(time.Duration(ms) * time.Millisecond) }

func newDebounce() debounce {
	return debounce{quiet: 30 * time.Millisecond, burst: 50 * time.Millisecond, maxWait: time.Second, patience: 10 * time.Second}
}

func TestDebounceEndsAfterQuiet(t *testing.T) {
	d := newDebounce()
	if !d.idle() || d.due(at(0)) {
		t.Fatal("a new debounce waits for something")
	}
	d.touch(at(0))
	d.touch(at(20))
	if d.due(at(49)) {
		t.Error("due 29 ms after the last event")
	}
	if !d.due(at(50)) {
		t.Error("not due 30 ms after the last event")
	}
	if first, last := d.take(); !first.Equal(at(0)) || !last.Equal(at(20)) {
		t.Errorf("took %v, %v", first, last)
	}
	if !d.idle() {
		t.Error("not idle after take")
	}
}

// However events come, the wait ends: no later than maxWait after the first
// event, and no earlier than quiet after the last one before that.
func TestDebounceAlwaysEndsInTime(t *testing.T) {
	property := func(gaps []uint8) bool {
		d := newDebounce()
		now, first := 0, 0
		for i, gap := range gaps {
			d.touch(at(now))
			if i == 0 {
				first = now
			}
			if end := d.deadline(); end.After(at(first).Add(d.maxWait)) {
				t.Logf("deadline %v after the first event", end.Sub(at(first)))
				return false
			}
			now += int(gap)
			switch due := d.due(at(now)); {
			case due && now-first < 1000 && gap < 30:
				t.Logf("due %d ms after an event", gap)
				return false
			case !due && (gap >= 30 || now-first >= 1000):
				t.Logf("not due %d ms after an event, %d after the first", gap, now-first)
				return false
			case due:
				d.take()
				first = now
			}
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestManyFilesWaitForLongerQuiet(t *testing.T) {
	d := newDebounce()
	d.touch(at(0))
	d.crowd()
	d.touch(at(20))
	if d.due(at(69)) || !d.due(at(70)) {
		t.Errorf("many files: deadline %v after the last event", d.deadline().Sub(at(20)))
	}
	d.take()
	d.touch(at(100))
	if !d.due(at(130)) {
		t.Error("the next edit waits as long as the crowd before it")
	}
}

func TestHolderPutsTheEndOffWithinPatience(t *testing.T) {
	d := newDebounce()
	d.touch(at(0))
	for now := 30; now < 10000; now += 20 {
		if !d.putOff(at(now), 20*time.Millisecond) {
			t.Fatalf("refused after %d ms", now)
		}
		if d.due(at(now)) || !d.due(at(now+20)) {
			t.Fatalf("at %d ms: deadline %v", now, d.deadline().Sub(at(0)))
		}
	}
	if d.putOff(at(10000), 20*time.Millisecond) {
		t.Error("put off beyond patience")
	}
}

func TestReleasedHolderLeavesOneLongQuietTime(t *testing.T) {
	d := newDebounce()
	d.touch(at(0))
	if d.release(at(30)) {
		t.Error("released what nobody held")
	}
	d.putOff(at(30), 20*time.Millisecond)
	if !d.release(at(50)) || d.due(at(99)) || !d.due(at(100)) || d.release(at(100)) {
		t.Errorf("after release at 50 ms: deadline %v", d.deadline().Sub(at(0)))
	}
}
