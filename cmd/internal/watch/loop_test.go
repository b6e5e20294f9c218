package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// These tests run on synctest's clock with real files and a source that says
// what the test makes it say.

// bubble is a watcher on the directory dir, inside a synctest bubble.
type bubble struct {
	t   *testing.T
	dir string
	src *fake
	w   *Watcher
}

// inBubble runs f with a watcher on a directory that holds a.go to d.go.
func inBubble(t *testing.T, opts Options, prepare func(*fake), f func(b *bubble)) {
	dir := t.TempDir()
	for _, name := range []string{"a.go", "b.go", "c.go", "d.go"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, dir: dir, src: newFake()}
		if prepare != nil {
			prepare(b.src)
		}
		var err error
		if b.w, err = start(opts, b.src.open); err != nil {
			t.Fatal(err)
		}
		defer b.w.Close()
		if err := b.w.Update(Set{Dirs: []string{dir}}); err != nil {
			t.Fatal(err)
		}
		f(b)
	})
}

// change writes a file without telling.
func (b *bubble) change(name, content string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// edit writes a file and tells.
func (b *bubble) edit(name, content string) {
	b.t.Helper()
	b.src.events <- fsnotify.Event{Name: b.change(name, content), Op: fsnotify.Write}
	synctest.Wait()
}

// received gives the batch that waits, or none.
func (b *bubble) received() (batch Batch, ok bool) {
	synctest.Wait()
	select {
	case batch = <-b.w.Batches():
		for i := range batch.Files {
			batch.Files[i] = filepath.Base(batch.Files[i])
		}
		return batch, true
	default:
		return Batch{}, false
	}
}

func (b *bubble) want(files ...string) Batch {
	b.t.Helper()
	batch, ok := b.received()
	if !ok {
		b.t.Fatalf("no batch, want %q", files)
	}
	if d := cmp.Diff(files, batch.Files); d != "" {
		b.t.Errorf("files (-want +got):\n%s", d)
	}
	return batch
}

func (b *bubble) wantNone() {
	b.t.Helper()
	if batch, ok := b.received(); ok {
		b.t.Fatalf("unexpected batch %q", batch.Files)
	}
}

func (b *bubble) wantNote(parts ...string) {
	b.t.Helper()
	synctest.Wait()
	select {
	case note := <-b.w.Notes():
		for _, part := range parts {
			if !strings.Contains(note, part) {
				b.t.Errorf("note %q lacks %q", note, part)
			}
		}
	default:
		b.t.Fatal("no note")
	}
}

func TestBatchComesWhenEventsRest(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		first := time.Now()
		b.edit("a.go", "1")
		time.Sleep(defaultQuiet - time.Millisecond)
		b.edit("b.go", "1")
		last := time.Now()
		time.Sleep(defaultQuiet - time.Millisecond)
		b.wantNone()
		time.Sleep(time.Millisecond)
		batch := b.want("a.go", "b.go")
		if !batch.First.Equal(first) || !batch.Last.Equal(last) {
			t.Errorf("batch from %v to %v, want %v to %v", batch.First, batch.Last, first, last)
		}
	})
}

// A save touches a file or two; a program that writes many is not done after
// the pause that ends a save.
func TestManyFilesMakeOneBatch(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		for _, name := range []string{"a.go", "b.go", "c.go"} {
			b.edit(name, "1")
		}
		for _, name := range []string{"d.go", "e.go"} {
			time.Sleep(burstQuiet - time.Millisecond)
			b.edit(name, "1")
		}
		b.wantNone()
		time.Sleep(burstQuiet)
		b.want("a.go", "b.go", "c.go", "d.go", "e.go")
		b.edit("a.go", "2") // and the next save is quick again
		time.Sleep(defaultQuiet)
		b.want("a.go")
	})
}

func TestStreamOfWritesCannotPostponeABatchForEver(t *testing.T) {
	const step = 10 * time.Millisecond
	inBubble(t, Options{Quiet: 2 * step}, nil, func(b *bubble) {
		batches := 0
		for i := range 500 { // 5 s
			b.edit("a.go", fmt.Sprint(i))
			if _, ok := b.received(); ok {
				batches++
			}
			time.Sleep(step)
		}
		if batches != 4 {
			t.Errorf("%d batches in five seconds of writes, want one a second", batches)
		}
		time.Sleep(2 * step)
		b.want("a.go") // the last write
	})
}

func TestEditsMergeIntoTheBatchThatWaits(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		first := time.Now()
		for _, name := range []string{"c.go", "a.go", "b.go", "a.go"} {
			b.edit(name, time.Now().String())
			time.Sleep(time.Second)
		}
		if batch := b.want("a.go", "b.go", "c.go"); !batch.First.Equal(first) || !batch.Last.Equal(first.Add(3*time.Second)) {
			t.Errorf("batch from %v to %v", batch.First, batch.Last)
		}
		time.Sleep(time.Second)
		b.wantNone()
	})
}

func TestEditWhileTheBatchIsHandedOverIsNotLost(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.edit("a.go", "1")
		time.Sleep(defaultQuiet / 2)
		b.edit("a.go", "2")
		time.Sleep(defaultQuiet)
		b.want("a.go")
		b.edit("a.go", "3")
		time.Sleep(defaultQuiet)
		b.want("a.go")
	})
}

// An event that arrives after its change was looked at is no second change.
func TestLateEventIsNotAChange(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.edit("a.go", "1")
		time.Sleep(defaultQuiet)
		b.want("a.go")
		b.src.events <- fsnotify.Event{Name: filepath.Join(b.dir, "a.go"), Op: fsnotify.Write}
		time.Sleep(defaultQuiet)
		b.wantNone()
	})
}

func TestOverflowComparesEverythingAndSaysSo(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.change("b.go", "untold")
		b.change("new.go", "untold")
		b.src.errors <- fmt.Errorf("read: %w", fsnotify.ErrEventOverflow)
		time.Sleep(defaultQuiet)
		if batch := b.want("b.go", "new.go"); !batch.Rescan {
			t.Error("batch does not say Rescan")
		}
		b.src.errors <- fsnotify.ErrEventOverflow
		time.Sleep(defaultQuiet)
		if batch, ok := b.received(); !ok || !batch.Rescan || len(batch.Files) != 0 {
			t.Errorf("after an overflow without a change: %v, %v", batch, ok)
		}
		b.edit("a.go", "1")
		time.Sleep(defaultQuiet)
		if batch := b.want("a.go"); batch.Rescan {
			t.Error("Rescan outlives its batch")
		}
	})
}

func TestOverflowRenewsEveryWatch(t *testing.T) {
	added := map[string]int{}
	inBubble(t, Options{}, func(f *fake) {
		f.refuse = func(dir string) error { added[dir]++; return nil }
	}, func(b *bubble) {
		b.src.errors <- fsnotify.ErrEventOverflow
		time.Sleep(defaultQuiet)
		synctest.Wait()
		if added[b.dir] != 2 {
			t.Errorf("directory watched %d times, want twice", added[b.dir])
		}
	})
}

// Watched at once, not when the batch is made: what is written into a new
// directory belongs to the batch that its making began.
func TestNewDirectoryIsWatchedAtOnce(t *testing.T) {
	inBubble(t, Options{lookEvery: time.Hour}, nil, func(b *bubble) {
		if err := os.Mkdir(filepath.Join(b.dir, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.src.events <- fsnotify.Event{Name: filepath.Join(b.dir, "x"), Op: fsnotify.Create}
		for i := range 5 {
			time.Sleep(defaultQuiet - time.Millisecond)
			b.wantNone()
			b.edit("x/a.go", fmt.Sprint(i))
		}
		time.Sleep(defaultQuiet)
		b.want("a.go")
	})
}

// A directory comes back after it was found missing and before the one above it
// is watched: there is no event for that.
func TestDirectoryMadeBeforeItsGuardWatchesIsNoticed(t *testing.T) {
	armed := func(dir string) {}
	inBubble(t, Options{lookEvery: time.Hour}, func(f *fake) {
		f.refuse = func(dir string) error { armed(dir); return nil }
	}, func(b *bubble) {
		if err := os.RemoveAll(b.dir); err != nil {
			t.Fatal(err)
		}
		again := 0
		armed = func(dir string) {
			switch dir {
			case filepath.Dir(b.dir):
				if err := os.Mkdir(b.dir, 0o755); err != nil {
					t.Error(err)
				}
				b.change("new.go", "made unseen")
			case b.dir:
				again++
			}
		}
		b.src.events <- fsnotify.Event{Name: b.dir, Op: fsnotify.Remove}
		time.Sleep(defaultQuiet)
		b.want("a.go", "b.go", "c.go", "d.go", "new.go")
		if again != 1 {
			t.Errorf("directory watched %d times after it came back, want once", again)
		}
	})
}

// Events that waited for a watch are gone with it. They may have said that a
// directory below was replaced.
func TestNewWatchRenewsTheWatchesBelow(t *testing.T) {
	added := map[string]int{}
	inBubble(t, Options{lookEvery: time.Hour}, func(f *fake) {
		f.refuse = func(dir string) error { added[filepath.Base(dir)]++; return nil }
	}, func(b *bubble) {
		for _, dir := range []string{"x", "x/y"} {
			if err := os.Mkdir(filepath.Join(b.dir, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.w.Update(Set{Trees: []string{b.dir}}); err != nil {
			t.Fatal(err)
		}
		b.change("x/y/a.go", "untold")
		b.src.events <- fsnotify.Event{Name: filepath.Join(b.dir, "x"), Op: fsnotify.Rename} // and back
		time.Sleep(defaultQuiet)
		b.want("a.go")
		if added["x"] != 2 || added["y"] != 2 {
			t.Errorf("watched %v times, want x and y twice", added)
		}
	})
}

func TestSourceThatOnlyFailsIsGivenUp(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		for range maxFaults + 1 {
			b.src.errors <- errors.New("bad file descriptor")
		}
		b.wantNote("bad file descriptor", "polling")
		b.received()
		b.change("a.go", "untold")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
	})
}

func TestEventStreamThatEndsIsReplacedByPolling(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		close(b.src.events)
		b.wantNote("event stream ended", "polling")
		b.change("a.go", "untold")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
	})
}

// The self-test: no event comes, and the change is reported all the same.
func TestFileSystemThatDoesNotTellIsNoticedAndPolled(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.change("a.go", "untold")
		time.Sleep(pauseUntold + 2*defaultQuiet)
		b.want("a.go")
		time.Sleep(grace)
		b.wantNote("a.go", "did not tell", "--poll")
		b.change("a.go", "untold again")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
		b.edit("b.go", "told") // events are still good
		time.Sleep(2 * defaultQuiet)
		b.want("b.go")
	})
}

func TestEventWithinGraceAcquits(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		path := b.change("a.go", "told late")
		time.Sleep(pauseUntold + 2*defaultQuiet)
		b.want("a.go")
		b.src.events <- fsnotify.Event{Name: path, Op: fsnotify.Write}
		time.Sleep(time.Minute)
		b.wantNone()
		select {
		case note := <-b.w.Notes():
			t.Errorf("unexpected note: %s", note)
		default:
		}
	})
}

func TestFullWatchTableIsExplainedAndPolled(t *testing.T) {
	inBubble(t, Options{}, func(f *fake) {
		f.refuse = func(dir string) error {
			return &os.PathError{Op: "inotify_add_watch", Path: dir, Err: syscall.ENOSPC}
		}
	}, func(b *bubble) {
		b.wantNote("polling", "max_user_watches", "sudo sysctl")
		<-b.src.closed // the watches are given back
		b.change("a.go", "untold")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
	})
}

func TestSourceThatCannotStartIsExplainedAndPolled(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, err := start(Options{}, func() (*source, error) {
			return nil, fmt.Errorf("initialize inotify: %w", syscall.EMFILE)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		b := &bubble{t: t, dir: dir, w: w}
		b.wantNote("polling", "max_user_instances", "sudo sysctl")
		if err := w.Update(Set{Dirs: []string{dir}}); err != nil {
			t.Fatal(err)
		}
		b.change("a.go", "new")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
	})
}

func TestDirectoryThatCannotBeWatchedIsPolled(t *testing.T) {
	inBubble(t, Options{}, func(f *fake) {
		f.refuse = func(dir string) error { return &os.PathError{Op: "add", Path: dir, Err: syscall.EACCES} }
	}, func(b *bubble) {
		b.wantNote(b.dir, "permission denied", "polling")
		b.change("a.go", "untold")
		time.Sleep(defaultPoll + 2*defaultQuiet)
		b.want("a.go")
	})
}

func TestPollWaitsUntilAFileIsWritten(t *testing.T) {
	inBubble(t, Options{Poll: true, Quiet: 100 * time.Millisecond}, nil, func(b *bubble) {
		b.change("a.go", "half")
		time.Sleep(defaultPoll + 50*time.Millisecond)
		b.change("a.go", "half and half")
		time.Sleep(60 * time.Millisecond) // quiet since the poll, not since the write
		b.wantNone()
		time.Sleep(100 * time.Millisecond)
		b.want("a.go")
		time.Sleep(time.Minute)
		b.wantNone()
	})
}

func TestBatchWaitsForGit(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		lock := b.lock()
		b.edit("a.go", "1")
		time.Sleep(5 * time.Second)
		b.edit("b.go", "1")
		time.Sleep(time.Second)
		b.wantNone()
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lockStep)
		b.wantNone()
		b.edit("c.go", "git's last, and its event was late")
		time.Sleep(burstQuiet)
		b.want("a.go", "b.go", "c.go")
	})
}

func TestBatchDoesNotWaitForGitForEver(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.lock()
		b.edit("a.go", "1")
		time.Sleep(lockPatience - time.Millisecond)
		b.wantNone()
		time.Sleep(lockStep)
		b.want("a.go")
	})
}

// lock makes git hold its lock in the watched directory.
func (b *bubble) lock() string {
	b.t.Helper()
	lock := filepath.Join(b.dir, ".git", "index.lock")
	if err := os.Mkdir(filepath.Dir(lock), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := b.w.Update(Set{Dirs: []string{b.dir}}); err != nil {
		b.t.Fatal(err)
	}
	return lock
}

func TestClosedWatcherRefusesUpdates(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		b.edit("a.go", "a batch that nobody receives")
		time.Sleep(time.Second)
		for range 2 {
			if err := b.w.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := b.w.Update(Set{}); !errors.Is(err, ErrClosed) {
			t.Errorf("update after close: %v", err)
		}
		if _, ok := <-b.w.Batches(); ok {
			t.Error("batch after close")
		}
		if _, ok := <-b.w.Notes(); ok {
			t.Error("note after close")
		}
	})
}

func TestRelativePathIsRefusedAndChangesNothing(t *testing.T) {
	inBubble(t, Options{}, nil, func(b *bubble) {
		if err := b.w.Update(Set{Dirs: []string{"p"}}); err == nil || !strings.Contains(err.Error(), `"p"`) {
			t.Errorf("update with a relative path: %v", err)
		}
		b.edit("a.go", "1")
		time.Sleep(defaultQuiet)
		b.want("a.go")
	})
}
