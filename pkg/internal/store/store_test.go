package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// keyOf makes a key that begins with the digits of n.
func keyOf(n int) string { return fmt.Sprintf("%012x", n) + strings.Repeat("0", 52) }

// writeArtifact makes an artifact in a file: an ELF header, some content, two
// section headers, and a manifest.
func writeArtifact(path, plugin, key, content string) error {
	order := binary.LittleEndian
	names := "\x00.shstrtab\x00"
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	b = append(b, content...)
	namesAt := len(b)
	b = append(b, names...)
	order.PutUint64(b[40:], uint64(len(b)))
	for i, n := range []uint16{64, 2, 1} {
		order.PutUint16(b[58+2*i:], n)
	}
	section := make([]byte, 64)
	order.PutUint32(section, 1)
	order.PutUint32(section[4:], 3)
	order.PutUint64(section[24:], uint64(namesAt))
	order.PutUint64(section[32:], uint64(len(names)))
	b = append(append(b, make([]byte, 64)...), section...)
	if err := os.WriteFile(path, b, 0o700); err != nil {
		return err
	}
	return artifact.Append(path, artifact.Manifest{Plugin: plugin, Key: key})
}

// open opens a store in a directory of the test.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// publish makes an artifact in scratch and publishes it.
func publish(s *Store, plugin, key, content string) (Entry, error) {
	dir, cleanup, err := s.Temp(plugin)
	if err != nil {
		return Entry{}, err
	}
	defer cleanup()
	file := filepath.Join(dir, "x.so")
	if err := writeArtifact(file, plugin, key, content); err != nil {
		return Entry{}, err
	}
	return s.Publish(context.Background(), plugin, key, file)
}

func mustPublish(t testing.TB, s *Store, plugin, key, content string) Entry {
	t.Helper()
	e, err := publish(s, plugin, key, content)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// files lists what is in a directory of the store.
func files(t testing.TB, elem ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPublishedArtifactIsFound(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "not", "there", "yet"))
	key := keyOf(1)
	if _, err := s.Lookup("pricing", key); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Lookup before: %v", err)
	}
	published := mustPublish(t, s, "pricing", key, "code")
	if want := filepath.Join(s.Dir(), "pricing-000000000001.so"); published.Path != want {
		t.Errorf("path %s, want %s", published.Path, want)
	}
	found, err := open(t, s.Dir()).Lookup("pricing", key)
	if err != nil {
		t.Fatal(err)
	}
	if found.Path != published.Path || found.Digest != published.Digest || found.Key != key || found.Plugin != "pricing" || found.Manifest.Payload == "" {
		t.Errorf("found %+v, published %+v", found, published)
	}
	b, err := os.ReadFile(found.Path)
	if err != nil {
		t.Fatal(err)
	}
	if digest, _ := artifact.FileDigest(bytes.NewReader(b)); digest != found.Digest || found.Bytes != int64(len(b)) {
		t.Errorf("digest %s of %d bytes, want %s of %d", found.Digest, found.Bytes, digest, len(b))
	}
	if left := files(t, s.Dir(), tmpDir); len(left) > 0 {
		t.Errorf("scratch is left: %q", left)
	}
}

func TestStoreIsForThisUserAlone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"))
	info, err := os.Stat(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("store has mode %v", mode)
	}
}

func TestFirstPublisherOfAKeyWins(t *testing.T) {
	s := open(t, t.TempDir())
	first := mustPublish(t, s, "pricing", keyOf(1), "first")
	second := mustPublish(t, s, "pricing", keyOf(1), "second")
	if second.Digest != first.Digest {
		t.Errorf("second publisher got digest %s, first %s", second.Digest, first.Digest)
	}
}

func TestPublishChecksTheManifest(t *testing.T) {
	s := open(t, t.TempDir())
	dir, written := t.TempDir(), 0
	write := func(plugin, key string, change func([]byte) []byte) string {
		t.Helper()
		written++
		path := filepath.Join(dir, fmt.Sprint(written, ".so"))
		if err := writeArtifact(path, plugin, key, "code"); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for _, c := range []struct {
		name string
		path string
		want error
	}{
		{"of another plugin", write("shipping", keyOf(1), nil), nil},
		{"of another key", write("pricing", keyOf(2), nil), nil},
		{"damaged", write("pricing", keyOf(1), func(b []byte) []byte { b[65] ^= 1; return b }), artifact.ErrDamaged},
		{"truncated", write("pricing", keyOf(1), func(b []byte) []byte { return b[:len(b)-1] }), artifact.ErrDamaged},
		{"no artifact", write("pricing", keyOf(1), func([]byte) []byte { return []byte("text") }), artifact.ErrNoManifest},
		{"no file", filepath.Join(dir, "none"), os.ErrNotExist},
	} {
		if _, err := s.Publish(context.Background(), "pricing", keyOf(1), c.path); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, bad := range []struct{ plugin, key string }{{"../pricing", keyOf(1)}, {"", keyOf(1)}, {"pricing", "1"}} {
		if _, err := s.Publish(context.Background(), bad.plugin, bad.key, "x"); err == nil {
			t.Errorf("plugin %q with key %q: no error", bad.plugin, bad.key)
		}
		if _, err := s.Lookup(bad.plugin, bad.key); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("Lookup of plugin %q with key %q: %v", bad.plugin, bad.key, err)
		}
	}
	if found, err := s.List(""); err != nil || len(found) > 0 {
		t.Errorf("store has %v, %v", found, err)
	}
}

// The file name has 12 of 64 digits.
func TestKeyIsComparedWhole(t *testing.T) {
	s := open(t, t.TempDir())
	other := keyOf(1)[:63] + "f"
	mustPublish(t, s, "pricing", keyOf(1), "one")
	if _, err := s.Lookup("pricing", other); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup of a key with the same beginning: %v", err)
	}
	mustPublish(t, s, "pricing", other, "other")
	if e, err := s.Lookup("pricing", other); err != nil || e.Key != other {
		t.Errorf("Lookup: %v, %v", e.Key, err)
	}
}

func TestDamagedArtifactIsRemovedAndNotFound(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"truncated":      func(b []byte) []byte { return b[:len(b)/2] },
		"one bit":        func(b []byte) []byte { b[65] ^= 1; return b },
		"something else": func([]byte) []byte { return []byte("text") },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			e := mustPublish(t, s, "pricing", keyOf(1), "code")
			b, err := os.ReadFile(e.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(e.Path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := s.List("pricing"); err != nil || len(found) > 0 {
				t.Errorf("List: %v, %v", found, err)
			}
			if _, err := s.Lookup("pricing", keyOf(1)); !errors.Is(err, ErrNotFound) {
				t.Errorf("Lookup: %v", err)
			}
			if _, err := os.Stat(e.Path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there: %v", err)
			}
			mustPublish(t, s, "pricing", keyOf(1), "code")
			if _, err := s.Lookup("pricing", keyOf(1)); err != nil {
				t.Errorf("Lookup after it was built again: %v", err)
			}
		})
	}
}

func TestDiscardLeavesAGoodArtifactAlone(t *testing.T) {
	s := open(t, t.TempDir())
	e := mustPublish(t, s, "pricing", keyOf(1), "code")
	if err := s.discard(e.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup("pricing", keyOf(1)); err != nil {
		t.Error(err)
	}
}

// A store with a clock that the test moves.
func clocked(t *testing.T) (*Store, *time.Time) {
	s := open(t, t.TempDir())
	now := time.Now().Truncate(time.Second)
	s.now = func() time.Time { return now }
	return s, &now
}

func TestCleanKeepsTheMostRecentlyUsed(t *testing.T) {
	s, now := clocked(t)
	for i := range 5 {
		mustPublish(t, s, "pricing", keyOf(i), "code")
		*now = now.Add(time.Hour)
	}
	mustPublish(t, s, "shipping", keyOf(9), "code")
	if _, err := s.Lookup("pricing", keyOf(0)); err != nil { // the oldest, used again
		t.Fatal(err)
	}
	*now = now.Add(time.Hour)
	keys := func(entries []Entry, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, filepath.Base(e.Path))
		}
		return names
	}
	if got := keys(s.Clean("pricing", -1)); len(got) > 0 {
		t.Errorf("keep all: removed %q", got)
	}
	if got, want := keys(s.Clean("pricing", 2)), []string{"pricing-000000000003.so", "pricing-000000000002.so", "pricing-000000000001.so"}; !slices.Equal(got, want) {
		t.Errorf("removed %q, want %q", got, want)
	}
	if got, want := keys(s.List("pricing")), []string{"pricing-000000000000.so", "pricing-000000000004.so"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	if got := keys(s.List("shipping")); len(got) != 1 {
		t.Errorf("another plugin has %q", got)
	}
	if got := keys(s.List("")); len(got) != 3 {
		t.Errorf("all: %q", got)
	}
}

// Whoever has just built or found an artifact is about to push it.
func TestCleanLeavesWhatWasUsedAMomentAgo(t *testing.T) {
	s, now := clocked(t)
	for i := range 3 {
		mustPublish(t, s, "pricing", keyOf(i), "code")
	}
	if removed, err := s.Clean("pricing", 1); err != nil || len(removed) > 0 {
		t.Errorf("at once: removed %d, %v", len(removed), err)
	}
	*now = now.Add(s.grace)
	if _, err := s.Lookup("pricing", keyOf(1)); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Clean("pricing", 0); err != nil || len(removed) != 2 {
		t.Errorf("later: removed %d, %v; want 2", len(removed), err)
	}
	if _, err := s.Lookup("pricing", keyOf(1)); err != nil {
		t.Error(err)
	}
}

func TestCleanNeedsAPlugin(t *testing.T) {
	s := open(t, t.TempDir())
	for _, bad := range []string{"", "../x"} {
		if _, err := s.Clean(bad, 0); err == nil {
			t.Errorf("Clean(%q): no error", bad)
		}
	}
}

func TestStoreLeavesForeignFilesAlone(t *testing.T) {
	s, now := clocked(t)
	for _, name := range []string{"README", "pricing.so", "pricing-short.so", "pricing-000000000001.so.bak"} {
		if err := os.WriteFile(filepath.Join(s.Dir(), name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(s.Dir(), "pricing-000000000002.so"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := files(t, s.Dir())
	*now = now.Add(1000 * time.Hour)
	if removed, err := s.Clean("pricing", 0); err != nil || len(removed) > 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
	if found, err := s.List(""); err != nil || len(found) > 0 {
		t.Errorf("List: %v, %v", found, err)
	}
	if after := files(t, s.Dir()); !slices.Equal(before, after) {
		t.Errorf("had %q, has %q", before, after)
	}
}

func TestOpenSaysWhichDirectoryItCannotUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(taken, tmpDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below"), taken} {
		if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), "open store "+bad) {
			t.Errorf("Open(%s): %v", bad, err)
		}
	}
}

func TestScratchIsTheCallersOwn(t *testing.T) {
	s := open(t, t.TempDir())
	a, cleanA, err := s.Temp("pricing")
	if err != nil {
		t.Fatal(err)
	}
	b, cleanB, err := s.Temp("pricing")
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Fatal("two callers have one directory")
	}
	// As the go command leaves its module cache.
	locked := filepath.Join(a, "mod")
	if err := errors.Join(os.Mkdir(locked, 0o700), os.WriteFile(filepath.Join(locked, "f"), nil, 0o400), os.Chmod(locked, 0o500)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Clean("pricing", 0); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{locked, b} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("Clean took scratch from its living owner: %v", err)
		}
	}
	cleanA()
	cleanB()
	if left := files(t, s.Dir(), tmpDir); len(left) > 0 {
		t.Errorf("left after cleanup: %q", left)
	}
	if _, _, err := s.Temp("../x"); err == nil {
		t.Error("Temp(../x): no error")
	}
}

// Everything at once, from many goroutines and two stores on one directory;
// run it under the race detector. Whoever gets an entry can read its file.
func TestEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	stores := []*Store{open(t, dir), open(t, dir)}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			s := stores[worker%2]
			for i := range 10 {
				key := keyOf(i % 4)
				e, err := publish(s, "pricing", key, fmt.Sprint("from ", worker))
				if err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
				if err := whole(e); err != nil {
					t.Errorf("published: %v", err)
				}
				if e, err = s.Lookup("pricing", key); err != nil {
					t.Errorf("Lookup: %v", err)
				} else if err := whole(e); err != nil {
					t.Errorf("found: %v", err)
				}
				if _, err := s.List("pricing"); err != nil {
					t.Errorf("List: %v", err)
				}
				if _, err := s.Clean("pricing", 1); err != nil {
					t.Errorf("Clean: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if left := files(t, dir, tmpDir); len(left) > 0 {
		t.Errorf("scratch is left: %q", left)
	}
}

// whole reports how an entry's file differs from what the entry says.
func whole(e Entry) error {
	f, err := os.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m, digest, err := artifact.VerifyPayload(f, info.Size())
	if err != nil {
		return err
	}
	if m.Key != e.Key || digest != e.Digest {
		return fmt.Errorf("%s has key %s and digest %s, not %s and %s", e.Path, m.Key, digest, e.Key, e.Digest)
	}
	return nil
}
