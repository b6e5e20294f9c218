package watch

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The property that the package is for: whatever was done to the files, the
// union of all batches has every file whose contents differ from the start.
// Over-reporting is allowed, losing is not.
//
// Batches are as short as possible here, so that looks fall between the
// operations, and operations follow each other as fast as they can.

// A test run tries so many random sequences, or as many as it has time for: some
// disks are slow.
const (
	rounds = 100
	enough = 5 * time.Second
)

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	end := time.Now().Add(enough)
	for range rounds {
		if time.Now().After(end) {
			break
		}
		ops := make([]byte, 3*(10+r.IntN(60)))
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		checkNothingIsLost(t, ops)
		if t.Failed() {
			t.Fatalf("operations %q", ops)
		}
	}
}

func FuzzNothingIsLost(f *testing.F) {
	f.Add([]byte("\x06\x00\x01\x02\x00\x01\x00\x01\x02")) // make directories, rename one, write into it
	f.Add([]byte("\x03\x00\x00\x06\x00\x00\x00\x00\x00")) // remove a directory, make it again
	f.Add([]byte("\x08\x00\x00\x00\x00\x00\x08\x00\x00")) // move the root away and back
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 300 {
			return
		}
		checkNothingIsLost(t, ops)
	})
}

func checkNothingIsLost(t *testing.T, ops []byte) {
	t.Helper()
	poll := len(ops) > 0 && ops[0]&0x40 != 0
	// The last edit is made in a directory that nothing else touches, so its
	// event comes after all others. When polling, the directory that is looked
	// at first does the same; and the first is 001.
	last := filepath.Join(t.TempDir(), "last.go")
	w := world{t: t, base: t.TempDir()}
	for _, name := range worldFiles {
		w.write(filepath.Join(w.base, "root", name), "start "+name)
	}
	w.mkdir(filepath.Join(w.base, "side"))
	before := w.contents()

	watcher, err := New(Options{Quiet: time.Millisecond, Poll: poll, PollInterval: time.Millisecond, lookEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	set := Set{Trees: []string{filepath.Join(w.base, "root")}, Dirs: []string{filepath.Join(w.base, "side"), filepath.Dir(last)}}
	if err := watcher.Update(set); err != nil {
		t.Fatal(err)
	}

	got, sighted, collected := map[string]bool{}, make(chan bool, 16), make(chan struct{})
	go func() {
		defer close(collected)
		for b := range watcher.Batches() {
			for _, f := range b.Files {
				got[f] = true
			}
			if slices.Contains(b.Files, last) {
				sighted <- b.Rescan
			}
		}
	}()
	for ; len(ops) >= 3; ops = ops[3:] {
		if ops[0]%16 == 15 {
			if err := watcher.Update(set); err != nil {
				t.Fatal(err)
			}
			w.log = append(w.log, "update")
			continue
		}
		w.do(ops[0], ops[1], ops[2])
	}
	// Lost events make everything be compared, the last edit perhaps before the
	// others: then another edit is the last.
	for rescan, n := true, 0; rescan; n++ {
		w.write(last, fmt.Sprint("last ", n))
		select {
		case rescan = <-sighted:
		case <-time.After(patience):
			t.Fatal("the last edit was lost")
		}
	}
	if err := watcher.Close(); err != nil {
		t.Fatal(err)
	}
	<-collected

	after := w.contents()
	for _, path := range slices.Sorted(maps.Keys(union(before, after))) {
		if before[path] != after[path] && !got[path] {
			t.Errorf("poll %v: lost %s: %q at the start, %q at the end\n%s", poll, path, before[path], after[path],
				strings.ReplaceAll(strings.Join(w.log, "\n"), w.base, ""))
			return
		}
	}
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

var (
	worldFiles = []string{"a.go", "p/a.go", "p/b.go", "p/q/a.go", "r/s/t/a.go", "r/a.go"}
	worldDirs  = []string{"p", "p/q", "r", "r/s", "r/s/t", "new", "new/x", "new/x/y", "r/p"}
)

// world does things to the files below base/root.
type world struct {
	t    *testing.T
	base string
	log  []string
}

func (w *world) write(path, content string) {
	w.mkdir(filepath.Dir(path))
	os.WriteFile(path, []byte(content), 0o644) // fails where a directory has the name: fine
}

func (w *world) mkdir(path string) { os.MkdirAll(path, 0o755) }

// do carries out one operation. Operations may fail, as when there is nothing
// to rename; that is an operation too.
func (w *world) do(op, a, b byte) {
	root := filepath.Join(w.base, "root")
	file := filepath.Join(root, worldFiles[int(a)%len(worldFiles)])
	dirA := filepath.Join(root, worldDirs[int(a)%len(worldDirs)])
	dirB := filepath.Join(root, worldDirs[int(b)%len(worldDirs)])
	w.log = append(w.log, fmt.Sprintf("%d %s %s %s", op%16, file, dirA, dirB))
	switch op % 16 {
	case 0:
		w.write(file, fmt.Sprint("written ", len(w.log)))
	case 1: // in place, with the old length and the old time
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() {
			os.WriteFile(file, []byte(strings.Repeat(string('a'+b%26), int(fi.Size()))), 0o644)
			os.Chtimes(file, fi.ModTime(), fi.ModTime())
		}
	case 2:
		os.Rename(dirA, dirB)
	case 3:
		os.RemoveAll(dirA)
	case 4:
		os.Remove(file)
	case 5: // as editors save
		w.write(file+"~", fmt.Sprint("replaced ", len(w.log)))
		os.Rename(file+"~", file)
	case 6:
		w.write(filepath.Join(dirB, "n.go"), fmt.Sprint("made ", len(w.log)))
	case 7:
		os.Chmod(file, 0o600+fs.FileMode(b%8))
	case 8: // the root goes and comes back
		os.Rename(root, root+".away")
		if b%2 == 0 {
			w.write(filepath.Join(root+".away", "away.go"), fmt.Sprint("unseen ", len(w.log)))
		}
		os.Rename(root+".away", root)
	case 9: // another root
		os.RemoveAll(root)
		w.write(file, fmt.Sprint("new root ", len(w.log)))
	case 10: // two directories change places
		tmp := filepath.Join(w.base, "side", "tmp")
		os.Rename(dirA, tmp)
		os.Rename(dirB, dirA)
		os.Rename(tmp, dirB)
	case 11: // a file where a directory was
		os.RemoveAll(dirA)
		w.write(dirA, fmt.Sprint("file ", len(w.log)))
	case 12: // a directory that comes complete from elsewhere
		from := filepath.Join(w.base, "elsewhere")
		w.write(filepath.Join(from, "deep", "e.go"), fmt.Sprint("moved in ", len(w.log)))
		os.Rename(from, dirB)
		os.RemoveAll(from)
	case 13: // the same directory, again and again
		for range 3 {
			os.RemoveAll(dirA)
			w.write(filepath.Join(dirA, "again.go"), fmt.Sprint("again ", len(w.log)))
		}
	case 14:
		for i := range 50 {
			w.write(filepath.Join(dirB, fmt.Sprintf("burst%d.go", i)), fmt.Sprint("burst ", len(w.log)))
		}
	}
}

// contents reads every file that counts.
func (w *world) contents() map[string]string {
	all := map[string]string{}
	filepath.WalkDir(filepath.Join(w.base, "root"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !leftover(d.Name()) {
			b, err := os.ReadFile(path)
			if err != nil {
				w.t.Fatal(err)
			}
			all[path] = string(b)
		}
		return nil
	})
	return all
}
