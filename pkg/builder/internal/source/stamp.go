package source

import (
	"runtime"
	"sync"
	"time"
)

// # What a stamp proves
//
// Unequal stamps prove nothing: a touch changes one. Equal stamps prove that a
// file is still the one that was read, if it was at rest when it was read: two
// writes within one tick of the file system's clock can leave equal stamps, and
// a look between the two would hide the second. git calls such an entry racily
// clean (Documentation/technical/racy-git.adoc) and answers as we do: what was
// young when it was read has to be read again.
//
// Where the system has it, the time of the last change of the inode is part of
// the stamp. It comes from the kernel, and unlike the modification time nobody
// can set it: cp -p and rsync write new contents under an old time. The number
// of the inode tells a file from one that was renamed over it.
//
// A file system whose clock is not this machine's (a network mount) is judged
// by this machine's clock. If its clock is ahead, files stay young for longer
// and are read more often than needed. If it is behind by more than tick, two
// writes within one of its ticks can hide as described.

// tick is how long after its last change a file counts as young. Linux before
// 6.13 takes times from a clock that ticks every 1 to 10 ms.
const tick = 20 * time.Millisecond

// coarseTick is the same where times come in whole seconds (HFS+, ext3) or in
// two (FAT).
const coarseTick = 2 * time.Second

// Kind says what is at a path.
type Kind uint8

// The kinds. A symbolic link counts as what it leads to.
const (
	Absent Kind = iota
	Regular
	Directory
	Special // a socket, a device
)

// Stamp tells cheaply whether a file is still the one that was read. Stamps
// can be compared; the zero value says that there is nothing.
type Stamp struct {
	Kind     Kind
	Size     int64
	ModTime  int64  // nanoseconds
	Change   int64  // of the inode, nanoseconds; 0 where the system has no such time
	Dev, Ino uint64 // 0 where the system has no such numbers
}

// Changed gives when the file last changed, as far as the stamp knows.
func (s Stamp) Changed() time.Time {
	if s.Change != 0 {
		return time.Unix(0, s.Change)
	}
	return time.Unix(0, s.ModTime)
}

// Settled reports whether a stamp that was taken at the given time or later
// proves that the file has not changed as long as its stamp stays the same.
// Nothing is settled that seems to come from the future.
func (s Stamp) Settled(at time.Time) bool {
	if s.Kind == Absent {
		return true
	}
	t := s.Changed()
	window := tick
	if t.Nanosecond() == 0 {
		window = coarseTick
	}
	return t.Add(window).Before(at)
}

// stampAll takes the stamps of n paths, several at a time: a stat waits for
// the kernel, and for a network file system it waits long.
func stampAll(n int, path func(int) string) ([]Stamp, []error) {
	stamps, errs := make([]Stamp, n), make([]error, n)
	inParallel(n, func(i int) { stamps[i], errs[i] = StampOf(path(i)) })
	return stamps, errs
}

// inParallel calls work for 0 to n-1 from as many goroutines as there are
// processors, and returns when all is done.
func inParallel(n int, work func(int)) {
	const share = 64 // what a goroutine is worth starting for
	workers := min(runtime.GOMAXPROCS(0), n/share)
	if workers < 2 {
		for i := range n {
			work(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				work(i)
			}
		})
	}
	wg.Wait()
}
