package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSide is the length of a side file's name, in bytes, with which it fits
// every file system.
const maxSide = 200

// Remember keeps data under a name until nobody has asked for it in a month.
// What was there before is replaced at once: others see the old bytes or the
// new ones. Names have letters and digits of any script and, behind the first
// one, . _ + - @ =; 200 bytes at most.
func (s *Store) Remember(name string, data []byte) error {
	const doing = "remember in store"
	if err := validSide(name); err != nil {
		return s.fail(doing, err)
	}
	file, err := os.CreateTemp(s.path(tmpDir), "side-*")
	if err != nil {
		return s.fail(doing, err)
	}
	sum := sha256.Sum256(data)
	_, err1 := file.Write(sum[:])
	_, err2 := file.Write(data)
	err = errors.Join(err1, err2, file.Sync(), file.Close())
	s.crash("side written")
	if err == nil {
		err = os.Rename(file.Name(), s.path(sideDir, name))
	}
	if err != nil {
		os.Remove(file.Name())
		return s.fail(doing, err)
	}
	if err := syncDir(s.path(sideDir)); err != nil {
		return s.fail(doing, err)
	}
	return nil
}

// Recall gives what was remembered under a name, and marks it as used.
//
// Errors: [ErrNotFound], also for a file that is damaged.
func (s *Store) Recall(name string) ([]byte, error) {
	const doing = "recall from store"
	if err := validSide(name); err != nil {
		return nil, s.fail(doing, err)
	}
	path := s.path(sideDir, name)
	b, err := os.ReadFile(path)
	if missing(err) {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	} else if err != nil {
		return nil, s.fail(doing, err)
	}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, fmt.Errorf("%s: %w: its file is damaged", name, ErrNotFound)
	}
	now := s.now()
	if err := os.Chtimes(path, now, now); err != nil && !missing(err) {
		return nil, s.fail(doing, err)
	}
	return b[sha256.Size:], nil
}

// validSide checks a name that becomes a file's.
func validSide(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > maxSide:
		return fmt.Errorf("name %.20q… has %d bytes: %d are the limit", name, len(name), maxSide)
	case !utf8.ValidString(name):
		return fmt.Errorf("name %q is not UTF-8", name)
	}
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (i == 0 || !unicode.IsMark(r) && !strings.ContainsRune("._+-@=", r)) {
			return fmt.Errorf("name %q: letters, digits and, behind the first one, . _ + - @ = are allowed", name)
		}
	}
	return nil
}
