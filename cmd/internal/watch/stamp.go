package watch

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// A stamp is what is remembered of a file: enough to tell whether it changed,
// without reading it.
//
// Time stamps are coarse: Linux before 6.13 takes them from a clock that ticks
// every 1 to 10 ms, and FAT counts in steps of 2 s. Two writes within one tick
// that leave the size alone leave equal stamps, so a look between the two would
// hide the second. git calls such an entry "racily clean"
// (Documentation/technical/racy-git.adoc), and answers as we do: an entry that
// was young when it was looked at is compared by its contents.

// racy is the age below which a modification time proves nothing. It is the
// coarsest tick of a file system in use. A time in the future is racy as well.
const racy = 2 * time.Second

// maxSum is the size up to which contents are read to compare them. Go files
// are far smaller; for a larger file an event counts as a change.
const maxSum = 1 << 20

type kind uint8

const (
	absent kind = iota // nothing there, or nothing that counts: a socket, a link to a directory
	file
	directory
)

// fileID tells which file a path leads to. It is zero where the system has no
// such thing.
type fileID struct{ dev, ino uint64 }

type stamp struct {
	kind   kind
	linked bool // a symbolic link, or one of several names: others can change it unseen
	mtime  int64
	size   int64
	id     fileID
	sum    uint64 // of the contents, where summed
	summed bool
}

// sums makes content sums comparable within one process.
var sums = maphash.MakeSeed()

// look takes the stamp of a path; a symbolic link is followed to a file, never
// to a directory. Errors are those that leave it open what is there.
func look(path string, now time.Time) (stamp, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return stamp{}, unlessGone(err)
	}
	return lookAt(path, fi, now)
}

// lookAt is look for a path with a known Lstat.
func lookAt(path string, fi fs.FileInfo, now time.Time) (stamp, error) {
	link := fi.Mode()&fs.ModeSymlink != 0
	if link {
		var err error
		if fi, err = os.Stat(path); err != nil {
			return stamp{}, unlessGone(err)
		}
	}
	switch {
	case fi.IsDir() && !link:
		return stamp{kind: directory}, nil
	case !fi.Mode().IsRegular():
		return stamp{}, nil
	}
	id, names := identify(fi)
	st := stamp{
		kind: file, linked: link || names > 1,
		mtime: fi.ModTime().UnixNano(), size: fi.Size(), id: id,
	}
	if now.Sub(fi.ModTime()) < racy {
		st.readSum(path)
	}
	return st, nil
}

// readSum reads the contents, where that is cheap and possible.
func (s *stamp) readSum(path string) {
	if s.size > maxSum {
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return // the stamp counts then, and an event
	}
	s.sum, s.summed = maphash.Bytes(sums, b), true
}

// equal reports whether the stamps prove no change. Contents aside, that is.
func (s stamp) equal(t stamp) bool {
	return s.kind == t.kind && s.mtime == t.mtime && s.size == t.size && s.id == t.id
}

// changed reports whether the file at path, of which was is remembered and now
// is seen, has changed. told means that an event said so.
//
// A file that is touched has changed: people do that to ask for another build.
// Equal stamps with known contents are no change, told or not: the event then
// belongs to a write that was already seen. Equal stamps alone are no change
// either, unless an event says otherwise: cp -p and rsync can write new
// contents under an old time.
func changed(path string, was, now stamp, told bool) bool {
	switch {
	case !was.equal(now):
		return true
	case now.kind != file:
		return false
	case was.summed:
		sum := now
		if !sum.summed {
			sum.readSum(path) // to compare only: now is old enough to be remembered without
		}
		if sum.summed {
			return sum.sum != was.sum
		}
	}
	return told
}

// unlessGone drops errors that say that nothing is there.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil
	}
	return err
}
