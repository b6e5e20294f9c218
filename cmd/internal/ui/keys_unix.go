//go:build unix

package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// input reads a terminal and can be stopped.
//
// A read of a terminal cannot be interrupted: deadlines do not work on it (the
// runtime's poller does not take a descriptor that it did not open as
// non-blocking), closing it does not wake the reader, and making it non-blocking
// would do so for every process that shares it, the shell included. So input
// first waits for either the terminal or a pipe of its own, whose other end is
// closed by the context, and reads only what is there. select(2) rather than
// poll(2): macOS's poll does not support devices.
type input struct {
	in   *os.File
	stop *os.File // readable when the context has ended
	end  func()
}

// fdSetSize is FD_SETSIZE: what select(2) can watch.
const fdSetSize = 1024

// openInput prepares to read in until ctx ends.
func openInput(ctx context.Context, in *os.File) (*input, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe for keys: %w", err)
	}
	stopped := context.AfterFunc(ctx, func() { w.Close() })
	return &input{in: in, stop: r, end: func() {
		stopped()
		w.Close() // again, perhaps
		r.Close()
	}}, nil
}

func (i *input) close() { i.end() }

// Read gives what was entered, or io.EOF when the context has ended.
func (i *input) Read(p []byte) (int, error) {
	for {
		ready, stopped, err := i.wait(nil)
		switch {
		case err != nil:
			return 0, err
		case stopped:
			return 0, io.EOF
		case !ready:
			continue
		case i.inBackground():
			// What is typed now is for the shell, and a read would stop the
			// whole process group by SIGTTIN. Look again now and then.
			pause := unix.NsecToTimeval(int64(200 * time.Millisecond))
			if _, stopped, err = i.waitFor(&pause, false); stopped || err != nil {
				return 0, io.EOF
			}
			continue
		}
		return i.in.Read(p)
	}
}

func (i *input) wait(timeout *unix.Timeval) (ready, stopped bool, err error) {
	return i.waitFor(timeout, true)
}

// waitFor waits until the terminal (if withIn) or the pipe has something, or
// the timeout is over.
func (i *input) waitFor(timeout *unix.Timeval, withIn bool) (ready, stopped bool, err error) {
	err = withDescriptors(i.in, i.stop, func(in, stop int) error {
		if in >= fdSetSize || stop >= fdSetSize {
			return errors.New("descriptor is too large for select")
		}
		var set unix.FdSet
		set.Set(stop)
		if withIn {
			set.Set(in)
		}
		n, err := unix.Select(max(in, stop)+1, &set, nil, nil, timeout)
		if errors.Is(err, unix.EINTR) {
			return nil // the runtime preempts by signal; the caller asks again
		}
		if err != nil {
			return fmt.Errorf("wait for input: %w", err)
		}
		ready = n > 0 && withIn && set.IsSet(in)
		stopped = n > 0 && set.IsSet(stop)
		return nil
	})
	return ready, stopped, err
}

// inBackground says whether another process group owns the terminal.
func (i *input) inBackground() (background bool) {
	_ = withDescriptors(i.in, i.stop, func(in, _ int) error {
		owner, err := unix.IoctlGetInt(in, unix.TIOCGPGRP)
		background = err == nil && owner != unix.Getpgrp()
		return nil
	})
	return background
}

// withDescriptors calls do with the descriptors of two files, which stay open
// meanwhile. Fd would switch them to blocking mode.
func withDescriptors(a, b *os.File, do func(a, b int) error) error {
	rawA, err := a.SyscallConn()
	if err != nil {
		return fmt.Errorf("get descriptor: %w", err)
	}
	rawB, err := b.SyscallConn()
	if err != nil {
		return fmt.Errorf("get descriptor: %w", err)
	}
	var failed, errB error
	errA := rawA.Control(func(fdA uintptr) {
		errB = rawB.Control(func(fdB uintptr) { failed = do(int(fdA), int(fdB)) })
	})
	return errors.Join(errA, errB, failed)
}
