package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

// Clean removes all artifacts of a plugin but the keep most recently used
// ones; a negative keep removes none. What was published or looked up within
// the last minute stays, for somebody may be about to push it. It also removes
// what processes that crashed have left, and side files of all plugins that
// nobody has asked for in a month.
//
// It gives what it removed, without key, digest and manifest. A file that
// cannot be removed is an error, but does not keep it from removing others.
func (s *Store) Clean(plugin string, keep int) ([]Entry, error) {
	const doing = "clean store"
	removed, err := s.cleanArtifacts(plugin, keep)
	_, swept := s.Sweep()
	err = errors.Join(err, swept, s.cleanSide())
	if err != nil {
		return removed, s.fail(doing, err)
	}
	return removed, nil
}

// cleanArtifacts holds the lock, so that nothing is looked up between the look
// at its age and its removal.
func (s *Store) cleanArtifacts(plugin string, keep int) ([]Entry, error) {
	if keep < 0 {
		return nil, nil
	}
	if err := artifact.ValidName(plugin); err != nil {
		return nil, err
	}
	unlock, err := s.lockBriefly()
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := s.scan(plugin)
	if err != nil {
		return nil, err
	}
	var removed []Entry
	var errs []error
	for _, entry := range found[min(keep, len(found)):] {
		if s.now().Sub(entry.ModTime) < s.grace {
			continue
		}
		if err := os.Remove(entry.Path); err != nil {
			errs = append(errs, err)
			continue
		}
		// A signature goes with what it is of: the next file of that name may have
		// other bytes.
		if err := os.Remove(entry.Path + minisign.Suffix); err != nil && !missing(err) {
			errs = append(errs, err)
		}
		removed = append(removed, entry)
	}
	return removed, errors.Join(errs...)
}

// sideAge is how long a side file stays that nobody recalls.
const sideAge = 30 * 24 * time.Hour

// cleanSide removes side files that are out of use.
func (s *Store) cleanSide() error {
	files, err := os.ReadDir(s.path(sideDir))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		info, err := file.Info()
		if err != nil || s.now().Sub(info.ModTime()) < sideAge {
			continue
		}
		if err := os.Remove(s.path(sideDir, file.Name())); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove side file: %w", err))
		}
	}
	return errors.Join(errs...)
}
