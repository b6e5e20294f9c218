package reloader

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

// sequencesFile lies beside the journal. Removing it takes no code away from the
// process; it lets older artifacts in.
const sequencesFile = "signatures.json"

// maxSequences bounds what is read of it: some thousand plugins.
const maxSequences = 1 << 20

// accepted is a signed artifact that was taken.
type accepted struct {
	Sequence uint64 `json:"sequence"`
	Digest   string `json:"digest"`
	Signer   string `json:"signer"`
	// Meant is the digest of an older one that was taken since, because the caller
	// meant it. It is no downgrade any more; whatever else is older still is.
	Meant string `json:"meant,omitempty"`

	plugin string
	claims minisign.Claims
}

// before reports whether next may follow a. What was signed later may, and the
// same bytes, whatever their signature says: they were taken before.
func (a accepted) before(next accepted) bool {
	return a.Digest == "" || next.Sequence > a.Sequence || next.Digest == a.Digest || next.Digest == a.Meant
}

// after gives the entry once next has followed a, which it may or is meant to.
func (a accepted) after(next accepted) accepted {
	switch {
	case a.Digest == "" || next.Sequence > a.Sequence:
		next.Meant = ""
		return next
	case next.Digest == a.Digest:
		a.Meant = "" // back on top
	default:
		a.Meant = next.Digest
	}
	return a
}

// same reports whether two entries say the same.
func (a accepted) same(b accepted) bool {
	return a.Sequence == b.Sequence && a.Digest == b.Digest && a.Meant == b.Meant
}

// downgradeError says that something newer than what is to be taken was taken.
type downgradeError struct{ last accepted }

func (e *downgradeError) Error() string {
	return fmt.Sprintf("sequence %d was taken already", e.last.Sequence)
}

// sequences remembers, for each plugin, the artifact with the highest sequence
// that became live. In a file it may be shared by the processes of one Dir, which
// then agree on what is old; each access reads it anew.
type sequences struct {
	path string // "" keeps them in memory

	mu     sync.Mutex
	memory map[string]accepted
}

// openSequences takes the directory without symbolic links in its path, as the one
// of which it was checked who can exchange it; "" keeps them in memory.
func openSequences(dir string) *sequences {
	s := &sequences{memory: map[string]accepted{}}
	if dir != "" {
		s.path = filepath.Join(dir, sequencesFile)
		s.sweep()
	}
	return s
}

// sweep removes what a process left that was killed while it wrote. Nobody else
// writes meanwhile; where the lock is not to be had, the next start tries again.
func (s *sequences) sweep() {
	unlock, err := lockDir(filepath.Dir(s.path))
	if err != nil {
		return
	}
	defer unlock()
	entries, _ := os.ReadDir(filepath.Dir(s.path))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sequencesFile+"-") && e.Type().IsRegular() {
			_ = os.Remove(filepath.Join(filepath.Dir(s.path), e.Name()))
		}
	}
}

// sequencesError says that the file is there and cannot be read. Going on without
// it would let in what it is there to keep out.
type sequencesError struct {
	path string
	err  error
}

func (e *sequencesError) Error() string { return fmt.Sprintf("read %s: %v", e.path, e.err) }

func (e *sequencesError) Unwrap() error { return e.err }

// last gives what was taken of a plugin; the zero value where nothing was.
func (s *sequences) last(plugin string) (accepted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.read()
	return all[plugin], err
}

// raise enters what is taken: if it may follow what is there by now, which another
// process may have changed since it was looked at, or if it is meant anyway.
// takeBack restores what was before, unless somebody has entered something else
// meanwhile; where it cannot, what is older stays out.
//
// Errors: *downgradeError; those of reading and writing the file.
func (s *sequences) raise(plugin string, next accepted, anyway bool) (takeBack func(), err error) {
	var earlier, entered accepted
	var newer *downgradeError
	err = s.change(func(all map[string]accepted) bool {
		earlier = all[plugin]
		if !anyway && !earlier.before(next) {
			newer = &downgradeError{earlier}
			return false
		}
		entered = earlier.after(next)
		all[plugin] = entered
		return !entered.same(earlier)
	})
	if err == nil && newer != nil {
		err = newer
	}
	if err != nil {
		return nil, err
	}
	return func() {
		if entered.same(earlier) {
			return
		}
		_ = s.change(func(all map[string]accepted) bool {
			if !all[plugin].same(entered) {
				return false
			}
			if all[plugin] = earlier; earlier.Digest == "" {
				delete(all, plugin)
			}
			return true
		})
	}, nil
}

// change edits the entries where edit says that it did.
func (s *sequences) change(edit func(map[string]accepted) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path != "" {
		unlock, err := lockDir(filepath.Dir(s.path))
		if err != nil {
			return fmt.Errorf("lock %s: %w", s.path, err)
		}
		defer unlock()
	}
	all, err := s.read()
	if err != nil {
		return err
	}
	if !edit(all) {
		return nil
	}
	return s.write(all)
}

// read gives all entries. The caller holds s.mu.
func (s *sequences) read() (map[string]accepted, error) {
	if s.path == "" {
		return s.memory, nil
	}
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]accepted{}, nil
	}
	if err != nil {
		return nil, &sequencesError{s.path, err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSequences+1))
	if err != nil {
		return nil, &sequencesError{s.path, err}
	}
	all, err := parseSequences(b)
	if err != nil {
		return nil, &sequencesError{s.path, err}
	}
	return all, nil
}

// sequencesForm is the file.
type sequencesForm struct {
	V       int                 `json:"v"`
	Plugins map[string]accepted `json:"plugins"`
}

// parseSequences refuses everything that the file could not be: what is taken for
// nothing lets everything in.
func parseSequences(b []byte) (map[string]accepted, error) {
	if len(b) > maxSequences {
		return nil, fmt.Errorf("more than %d bytes", maxSequences)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var form sequencesForm
	if err := dec.Decode(&form); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more behind it")
	}
	if form.V != 1 || form.Plugins == nil {
		return nil, fmt.Errorf("version %d, this one knows 1", form.V)
	}
	for name, a := range form.Plugins {
		if a.Digest == "" {
			return nil, fmt.Errorf("%q has no digest", name)
		}
	}
	return form.Plugins, nil
}

// write replaces the file: whoever reads it sees the old entries or the new ones,
// after a crash as well. The caller holds s.mu.
func (s *sequences) write(all map[string]accepted) (err error) {
	if s.path == "" {
		return nil // all is s.memory
	}
	b, err := json.Marshal(sequencesForm{V: 1, Plugins: all})
	if err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	if len(b) > maxSequences {
		return fmt.Errorf("write %s: it would have more than %d bytes", s.path, maxSequences)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), sequencesFile+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}
