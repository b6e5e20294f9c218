// Package journal remembers what happened to a host: the last events in
// memory, and every event in a file where there is one.
//
// Readers pull. An event is stored once in a ring and each reader keeps its own
// position, so that a reader who is slow, or gone, costs the host nothing: it
// is told how many events it missed.
//
// The file is NDJSON and only ever appended to, so that after a crash at most
// its last line is damaged; Open skips lines that do not parse. Restoring what
// was live after a restart can be built on it: every loaded event carries
// plugin, generation, key and digest.
package journal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const (
	fileName = "history.ndjson"
	kept     = 1000    // events in memory
	maxFile  = 8 << 20 // bytes, then the file is moved to history.ndjson.1
	maxLine  = 1 << 20
)

// Entry is an event and its place in the journal.
type Entry struct {
	ID    string // opaque, for Since
	Event control.Event
}

// Journal is safe for concurrent use.
type Journal struct {
	boot string // tells this journal's ids from those of an earlier process

	mu      sync.Mutex
	ring    []control.Event // the last events, oldest first; the newest has number last
	last    uint64
	changed chan struct{} // closed and replaced with each event
	file    *os.File      // nil: memory only
	size    int64
	fileErr error // the first failed write, after which the file is left alone
}

// Open gives a journal. With dir "" it lives in memory. Otherwise it continues
// the file in dir, whose last events become the history. The directory has to
// exist.
func Open(dir string) (*Journal, error) {
	j := &Journal{boot: bootID(), changed: make(chan struct{})}
	if dir == "" {
		return j, nil
	}
	path := filepath.Join(dir, fileName)
	if info, err := os.Stat(path); err == nil && info.Size() > maxFile {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotate journal: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.replay(f); err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), f.Close())
	}
	j.file = f
	return j, nil
}

// replay reads the events of earlier processes and ends a torn last line.
func (j *Journal) replay(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	j.size = info.Size()
	events, torn, err := parse(f)
	if err != nil {
		return err
	}
	for _, ev := range events {
		j.push(ev)
	}
	if torn {
		n, err := f.WriteString("\n")
		j.size += int64(n)
		return err
	}
	return nil
}

// parse reads NDJSON and skips what does not parse. torn says that the last
// line has no end.
func parse(r io.Reader) (events []control.Event, torn bool, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, tooLong, err := readLine(br)
		if len(line) > 0 && !tooLong {
			var ev control.Event
			if json.Unmarshal(line, &ev) == nil && ev.V == control.EventVersion {
				if events = append(events, ev); len(events) > 2*kept {
					events = append(events[:0], events[len(events)-kept:]...)
				}
			}
		}
		if err == io.EOF {
			return events, len(line) > 0, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// readLine reads up to the next newline; of a line longer than maxLine it
// gives the beginning.
func readLine(br *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			tooLong = true
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		return bytes.TrimSuffix(line, []byte("\n")), tooLong, err
	}
}

// push adds to the ring. The caller holds the lock or owns j.
func (j *Journal) push(ev control.Event) {
	j.last++
	if len(j.ring) == kept {
		copy(j.ring, j.ring[1:])
		j.ring = j.ring[:kept-1]
	}
	j.ring = append(j.ring, ev)
}

// Append records an event and wakes the readers. It never fails: the error is
// that of the file, given once, and the events stay in memory.
func (j *Journal) Append(ev control.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.push(ev)
	close(j.changed)
	j.changed = make(chan struct{})
	if j.file == nil || j.fileErr != nil {
		return nil
	}
	line, err := json.Marshal(ev)
	if err == nil {
		var n int
		n, err = j.file.Write(append(line, '\n'))
		j.size += int64(n)
	}
	if err != nil {
		j.fileErr = fmt.Errorf("write journal: %w", err)
	}
	return j.fileErr
}

// All gives the events in memory, oldest first.
func (j *Journal) All() []control.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]control.Event(nil), j.ring...)
}

// Last gives the id of the newest event: Since it, there is nothing yet.
func (j *Journal) Last() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.id(j.last)
}

// Since gives the events after an id, and how many came after it and are
// forgotten. An id of another process, or one that makes no sense, gives all
// events in memory. changed is closed when there is more.
func (j *Journal) Since(id string) (entries []Entry, missed uint64, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	oldest := j.last - uint64(len(j.ring)) // number before the ring's first
	from, ok := j.number(id)
	switch {
	case !ok:
		from = oldest
	case from < oldest:
		missed, from = oldest-from, oldest
	}
	for n := from + 1; n <= j.last; n++ {
		entries = append(entries, Entry{ID: j.id(n), Event: j.ring[n-oldest-1]})
	}
	return entries, missed, j.changed
}

func (j *Journal) id(n uint64) string { return j.boot + "-" + strconv.FormatUint(n, 10) }

func (j *Journal) number(id string) (uint64, bool) {
	boot, digits, ok := strings.Cut(id, "-")
	if !ok || boot != j.boot {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n <= j.last
}

// Close closes the file. Events go on being kept in memory.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

func bootID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b[:])
}
