package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Names of the log's files, and its limits in bytes.
const (
	logName  = "restore.log"
	tempName = logName + ".new"
	logSize  = 256 << 10 // then it is written anew, with its last record alone
	mostLog  = 16 << 20  // more is read of no log
)

// Log is a state on disk. It may be used concurrently. Whoever opens it has to see
// to it that no other process does.
type Log struct {
	path string
	disk Disk

	mu     sync.Mutex
	state  State
	file   *os.File // nil: the next record begins a new file
	size   int64
	err    error // of the last write; nil if the state is on disk
	closed bool
}

// Open reads the log in dir, which has to exist, and writes nothing. A log that
// makes no sense is no error: it is set aside, and problem says so. Nothing is
// restored then, and nothing is lost that somebody could want to look at.
//
// Errors: those of the file system.
func Open(dir string) (l *Log, problem string, err error) {
	l = &Log{path: filepath.Join(dir, logName), disk: System}
	b, err := readLog(l.path)
	if err != nil {
		return nil, "", fmt.Errorf("read state: %w", err)
	}
	s, found, damaged := newest(b)
	switch {
	case !found && len(b) > 0:
		problem = "it is damaged"
	case found && s.V != Version:
		problem = fmt.Sprintf("it is of version %d, and this host knows %d", s.V, Version)
	case damaged > 0:
		l.state = s
		return l, fmt.Sprintf("%s has %d damaged records; the last sound one counts", l.path, damaged), nil
	default:
		l.state = s
		return l, "", nil
	}
	aside := l.path + ".damaged"
	if err := l.disk.Rename(l.path, aside); err != nil {
		return nil, "", fmt.Errorf("set aside state: %w", err)
	}
	return l, fmt.Sprintf("%s cannot be used: %s; it is kept as %s", l.path, problem, aside), nil
}

// readLog gives the end of the log; nothing where there is none.
func readLog(path string) (_ []byte, err error) {
	// O_NONBLOCK: opening a FIFO would wait for its other end.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-mostLog), mostLog))
}

// State gives a copy of the state.
func (l *Log) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone()
}

// Err gives why the state is not on disk as it is; nil where it is.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Change changes the state, and returns when that is on disk. Where it cannot be
// written the state has changed all the same, and the next change writes both.
func (l *Log) Change(edit func(*State)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.state.clone()
	edit(&next)
	l.state = next
	if l.closed {
		return nil
	}
	if l.err = l.write(); l.err != nil {
		l.drop()
		l.err = fmt.Errorf("write state: %w", l.err)
	}
	return l.err
}

// write appends a record, or begins a new file with it. After an error it is
// unknown what of a file is on disk, so nothing is appended to it any more.
func (l *Log) write() error {
	record, err := encode(l.state)
	if err != nil {
		return err
	}
	if l.file == nil || l.size+int64(len(record)) > logSize {
		return l.rewrite(record)
	}
	if _, err := l.disk.Write(l.file, record); err != nil {
		return err
	}
	l.size += int64(len(record))
	return l.disk.Sync(l.file)
}

func (l *Log) rewrite(record []byte) error {
	l.drop()
	temp := filepath.Join(filepath.Dir(l.path), tempName)
	if err := l.disk.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.disk.Create(temp)
	if err != nil {
		return err
	}
	if _, err = l.disk.Write(f, record); err == nil {
		err = l.disk.Sync(f)
	}
	if err == nil {
		err = l.disk.Rename(temp, l.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.disk.Remove(temp))
	}
	l.file, l.size = f, int64(len(record))
	return l.disk.SyncDir(filepath.Dir(l.path))
}

func (l *Log) drop() {
	if l.file != nil {
		_ = l.file.Close() // it was synced, or has failed before
		l.file = nil
	}
}

// Close closes the file; changes are not written any more.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.drop()
	return nil
}
