package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Lookup gives the artifact with that key, and marks it as used now. It reads
// the whole file: one that is damaged is removed and reported as not found, so
// that it is built again.
//
// Errors: [ErrNotFound]; otherwise what kept it from looking.
func (s *Store) Lookup(plugin, key string) (Entry, error) {
	if err := validate(plugin, key); err != nil {
		return Entry{}, s.fail("look into store", err)
	}
	path := s.path(artifact.FileName(plugin, key))
	entry, err := s.inspect(path)
	switch {
	case missing(err), errors.Is(err, artifact.ErrNewer):
		return Entry{}, fmt.Errorf("%s with key %.12s: %w", plugin, key, ErrNotFound)
	case isBad(err):
		if err := s.discard(path); err != nil {
			return Entry{}, s.fail("remove damaged artifact from store", err)
		}
		return Entry{}, fmt.Errorf("%s with key %.12s: %w: removed: %w", plugin, key, ErrNotFound, err)
	case err != nil:
		return Entry{}, s.fail("look into store", err)
	case entry.Key != key || entry.Plugin != plugin:
		return Entry{}, fmt.Errorf("%s with key %.12s: %w", plugin, key, ErrNotFound)
	}
	if err := s.use(&entry); missing(err) {
		return Entry{}, fmt.Errorf("%s with key %.12s: %w", plugin, key, ErrNotFound)
	} else if err != nil {
		return Entry{}, s.fail("look into store", err)
	}
	return entry, nil
}

// List gives the artifacts of a plugin, "" meaning all, most recently used
// first. Damaged ones are left out. It reads every file whole, which takes about
// a second for a gigabyte.
func (s *Store) List(plugin string) ([]Entry, error) {
	found, err := s.scan(plugin)
	if err != nil {
		return nil, s.fail("list store", err)
	}
	entries := found[:0]
	for _, f := range found {
		entry, err := s.inspect(f.Path)
		switch {
		case missing(err), isBad(err), errors.Is(err, artifact.ErrNewer):
			continue // another process cleaned, Lookup will, or it is not ours
		case err != nil:
			return nil, s.fail("list store", err)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// scan finds artifacts by their names alone, most recently used first. Digest,
// Key and Manifest are not set.
func (s *Store) scan(plugin string) ([]Entry, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var found []Entry
	for _, file := range files {
		name, _, ok := artifact.ParseFileName(file.Name())
		if !ok || !file.Type().IsRegular() || plugin != "" && name != plugin {
			continue
		}
		info, err := file.Info()
		if missing(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		found = append(found, Entry{
			Path: s.path(file.Name()), Plugin: name,
			Bytes: info.Size(), ModTime: info.ModTime(),
		})
	}
	slices.SortStableFunc(found, func(a, b Entry) int { return b.ModTime.Compare(a.ModTime) })
	return found, nil
}

// inspect reads one file and checks all of it.
func (s *Store) inspect(path string) (Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Path: path, Bytes: info.Size(), ModTime: info.ModTime()}
	entry.Manifest, entry.Digest, err = artifact.VerifyPayload(file, info.Size())
	if err != nil {
		return Entry{}, err
	}
	entry.Plugin, entry.Key = entry.Manifest.Plugin, entry.Manifest.Key
	return entry, nil
}

// isBad reports whether an error is about the content of an artifact.
func isBad(err error) bool {
	return errors.Is(err, artifact.ErrDamaged) || errors.Is(err, artifact.ErrNoManifest)
}

// use marks an artifact as used now, for Clean to see: under the lock, because
// Clean may have made up its mind to remove it.
func (s *Store) use(e *Entry) error {
	unlock, err := s.lockBriefly()
	if err != nil {
		return err
	}
	defer unlock()
	return s.touch(e)
}

// touch marks an artifact as used now. The lock is held.
func (s *Store) touch(e *Entry) error {
	e.ModTime = s.now()
	return os.Chtimes(e.Path, e.ModTime, e.ModTime)
}

// discard removes a damaged artifact, unless another process has put a good
// one in its place.
func (s *Store) discard(path string) error {
	unlock, err := s.lockBriefly()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.inspect(path); !isBad(err) {
		return nil
	}
	if err := os.Remove(path); err != nil && !missing(err) {
		return err
	}
	return nil
}

// lockBriefly takes the lock on the final names, which others hold for as long
// as it takes to check one file.
func (s *Store) lockBriefly() (unlock func(), err error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.lock(ctx, storeLock)
}
