package restore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

const suffix = ".so"

// Artifacts are files named by their digest, each with its signature beside it
// where it had one. They may be used concurrently; no other process writes there.
type Artifacts struct {
	dir  string
	disk Disk

	mu    sync.Mutex
	files map[string]kept // by digest
}

type kept struct {
	size   int64
	used   time.Time
	synced bool
}

// OpenArtifacts opens the files in dir, which has to exist, and removes what was
// half written.
func OpenArtifacts(dir string) (*Artifacts, error) {
	a := &Artifacts{dir: dir, disk: System, files: map[string]kept{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list kept artifacts: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, tempSuffix) {
			_ = a.disk.Remove(filepath.Join(dir, name)) // the next start tries again
			continue
		}
		hex, ok := strings.CutSuffix(name, suffix)
		digest := "sha256:" + hex
		if info, err := e.Info(); ok && err == nil && info.Mode().IsRegular() && artifact.ValidDigest(digest) == nil {
			a.files[digest] = kept{size: info.Size(), used: info.ModTime(), synced: true}
		}
	}
	return a, nil
}

// tempSuffix ends the names of files that are being written.
const tempSuffix = ".new"

// Path is where an artifact is, or would be.
func (a *Artifacts) Path(digest string) string {
	return filepath.Join(a.dir, strings.TrimPrefix(digest, "sha256:")+suffix)
}

// Has reports whether an artifact is kept.
func (a *Artifacts) Has(digest string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.files[digest]
	return ok
}

// Keep copies the file at from, whose digest is given, and its signature, if it is
// not "". The copy is not on disk for certain before Sync.
func (a *Artifacts) Keep(digest, from, signature string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	to := a.Path(digest)
	if signature != "" {
		if _, err := a.write(to+minisign.Suffix, strings.NewReader(signature)); err != nil {
			return fmt.Errorf("keep signature: %w", err)
		}
	}
	if k, ok := a.files[digest]; ok {
		if info, err := os.Stat(to); err == nil && info.Size() == k.size {
			k.used, k.synced = time.Now(), k.synced && signature == ""
			a.files[digest] = k
			return nil
		}
	}
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("keep artifact: %w", err)
	}
	defer src.Close()
	n, err := a.write(to, src)
	if err != nil {
		return fmt.Errorf("keep artifact: %w", err)
	}
	a.files[digest] = kept{size: n, used: time.Now()}
	return nil
}

// write puts a file in its place whole, or not at all.
func (a *Artifacts) write(to string, r io.Reader) (n int64, err error) {
	temp := to + tempSuffix
	f, err := a.disk.Create(temp)
	if errors.Is(err, fs.ErrExist) { // of a process that was killed
		if err = a.disk.Remove(temp); err == nil {
			f, err = a.disk.Create(temp)
		}
	}
	if err != nil {
		return 0, err
	}
	n, err = io.CopyBuffer(writer{a.disk, f}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	if err = errors.Join(err, f.Close()); err == nil {
		err = a.disk.Rename(temp, to)
	}
	if err != nil {
		return n, errors.Join(err, a.disk.Remove(temp))
	}
	return n, nil
}

// copyBuffer is larger than io.Copy's: artifacts have megabytes in full.
const copyBuffer = 1 << 20

type writer struct {
	disk Disk
	f    *os.File
}

func (w writer) Write(b []byte) (int, error) { return w.disk.Write(w.f, b) }

// Sync returns when the artifacts are on disk. What is not kept is no error.
func (a *Artifacts) Sync(digests ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	synced := false
	for _, d := range digests {
		k, ok := a.files[d]
		if !ok || k.synced {
			continue
		}
		for _, path := range []string{a.Path(d), a.Path(d) + minisign.Suffix} {
			if err := a.syncFile(path); err != nil && !(path != a.Path(d) && errors.Is(err, fs.ErrNotExist)) {
				return fmt.Errorf("keep artifact: %w", err)
			}
		}
		k.synced, synced = true, true
		a.files[d] = k
	}
	if !synced {
		return nil
	}
	return a.disk.SyncDir(a.dir)
}

func (a *Artifacts) syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(a.disk.Sync(f), f.Close())
}

// Drop forgets an artifact that turned out to be damaged or gone, and removes what
// there is of it, so that it can be kept again.
func (a *Artifacts) Drop(digest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.disk.Remove(a.Path(digest))
	delete(a.files, digest)
}

// Size is how many artifacts are kept, and how many bytes they have.
func (a *Artifacts) Size() (n int, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.files {
		bytes += k.size
	}
	return len(a.files), bytes
}

// Trim removes artifacts until the rest has at most that many bytes: those of low
// rank before others, among them those that were used longest ago. None is removed
// whose rank is Needed. It gives the digests of those that went.
func (a *Artifacts) Trim(bytes int64, rank func(digest string) int) (removed []string, err error) {
	_, left := a.Size()
	if left <= bytes {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var may []string
	for d := range a.files {
		if rank(d) != Needed {
			may = append(may, d)
		}
	}
	slices.SortFunc(may, func(x, y string) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), a.files[x].used.Compare(a.files[y].used), cmp.Compare(x, y))
	})
	for _, d := range may {
		if left <= bytes {
			break
		}
		if e := a.disk.Remove(a.Path(d)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
			continue
		}
		_ = a.disk.Remove(a.Path(d) + minisign.Suffix) // few have one
		left -= a.files[d].size
		delete(a.files, d)
		removed = append(removed, d)
	}
	return removed, err
}

// The ranks of artifacts.
const (
	Unused = iota // nothing refers to it
	Held          // in quarantine, or of another build of the host
	Needed        // live, or what the host would go back to
)

// Rank gives the ranks of the artifacts that a state refers to: what is wanted in
// build is needed.
func (s State) Rank(build string) map[string]int {
	rank := map[string]int{}
	raise := func(digest string, to int) { rank[digest] = max(rank[digest], to) }
	for _, q := range s.Quarantined {
		raise(q.Digest, Held)
	}
	for _, b := range s.Builds {
		to := Held
		if b.ID == build {
			to = Needed
		}
		for _, p := range b.Plugins {
			for _, e := range append(p.Live[:len(p.Live):len(p.Live)], p.Before...) {
				raise(e.Digest, to)
			}
		}
	}
	if s.Run != nil && s.Run.Trying != nil {
		raise(s.Run.Trying.Entry.Digest, Needed)
	}
	return rank
}
