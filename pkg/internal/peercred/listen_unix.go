//go:build unix

package peercred

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Listener is a bound socket. Closing it removes the file, unless another
// process has put its own there since.
type Listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

// Listen binds a Unix socket at path, creating its directory with mode 0700
// where it does not exist. With shared set, other users may connect (the
// caller is going to check who they are); otherwise the socket's mode is 0600.
//
// Errors: *AddressError where the path cannot be used.
func Listen(path string, shared bool) (*Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if limit := MaxPath(); len(path) > limit {
		return nil, &AddressError{
			Op: opListen, Path: path, Reason: fmt.Sprintf("the path has %d bytes, the system allows %d", len(path), limit),
			Next: "choose a shorter path by HOTGO_SOCKET or Options.Socket",
		}
	}
	dir := filepath.Dir(path)
	if err := EnsureDir(dir); err != nil {
		var ae *AddressError
		if errors.As(err, &ae) {
			ae.Op, ae.Path = opListen, path
		}
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, &AddressError{Op: opListen, Path: path, Reason: "the system refused", Next: ownDirectory, Err: err}
	}
	l.SetUnlinkOnClose(false) // Close decides by inode
	mode := fs.FileMode(0o600)
	if shared {
		mode = 0o666
	}
	err = os.Chmod(path, mode)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		os.Remove(path)
		return nil, fmt.Errorf("set mode of socket: %w", err)
	}
	return &Listener{UnixListener: l, path: path, info: info}, nil
}

// Path is where the socket is bound, absolute.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket file if it is still ours. A
// second Close gives net.ErrClosed and removes nothing.
func (l *Listener) Close() error {
	// The file goes first: while ours is open its inode cannot be given to a
	// successor's, so equal inodes mean that the file is ours.
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, l.UnixListener.Close())
		}
	}
	return l.UnixListener.Close()
}

// EnsureDir creates dir with mode 0700, or checks that an existing one belongs
// to this user and is writable by nobody else. The last element must not be a
// symbolic link. Missing parents are created with mode 0700 too.
//
// Errors: *AddressError with dir as its path.
func EnsureDir(dir string) error {
	// MkdirAll first: checking before would only open a gap between the two.
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return &AddressError{Op: opUse, Path: dir, Reason: "the directory cannot be created", Next: ownDirectory, Err: err}
	}
	return CheckDir(dir)
}

// CheckDir checks a directory as EnsureDir does, and makes none.
//
// Errors: *AddressError with dir as its path.
func CheckDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return &AddressError{Op: opUse, Path: dir, Reason: "the directory cannot be read", Next: ownDirectory, Err: err}
	}
	refuse := func(format string, args ...any) error {
		return &AddressError{Op: opUse, Path: dir, Reason: fmt.Sprintf(format, args...), Next: ownDirectory}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return refuse("the directory %s is a symbolic link", dir)
	}
	if !info.IsDir() {
		return refuse("%s is not a directory", dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return refuse("the directory %s belongs to uid %d, not to this process's %d", dir, st.Uid, os.Geteuid())
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return refuse("the directory %s has mode %04o: others can write there", dir, perm)
	} else if !Known && perm&0o077 != 0 {
		return refuse("the directory %s has mode %04o; where the system does not name the peer it must be 0700", dir, perm)
	}
	return nil
}

// lockDir serialises processes that probe and bind in one directory: without
// it, two that find the same stale socket would remove each other's new one.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock socket directory: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock socket directory: %w", err)
	}
	return func() { f.Close() }, nil
}

// RemoveStale removes the sockets in dir, files named *.sock, that nobody
// listens on: those of processes that were killed. It does what it can, and gives
// the paths of what it removed; use it on a directory that holds only such
// sockets.
func RemoveStale(dir string) (removed []string) {
	eachSocket(dir, func(path string) {
		if removeStale(path) == nil {
			removed = append(removed, path)
		}
	})
	return removed
}

// Stale lists what RemoveStale would remove.
func Stale(dir string) (stale []string) {
	eachSocket(dir, func(path string) {
		conn, err := net.DialTimeout("unix", path, probeTimeout)
		if err == nil {
			conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			stale = append(stale, path)
		}
	})
	return stale
}

// eachSocket calls f for the sockets in a directory that can be trusted, while
// nobody else probes and binds there.
func eachSocket(dir string, f func(path string)) {
	if CheckDir(dir) != nil {
		return
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return
	}
	defer unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".sock" && e.Type() == fs.ModeSocket {
			f(filepath.Join(dir, e.Name()))
		}
	}
}

// probeTimeout is how long a process may take to accept the probe.
const probeTimeout = time.Second

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &AddressError{Op: opListen, Path: path, Reason: "it cannot be read", Next: ownDirectory, Err: err}
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return &AddressError{Op: opListen, Path: path, Reason: "a file that is no socket is there", Next: "remove it, or choose another path"}
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		defer conn.Close()
		who := "another process"
		if c, err := Peer(conn.(*net.UnixConn)); err == nil {
			who = fmt.Sprintf("process %d (uid %d)", c.PID, c.UID)
		}
		return &AddressError{Op: opListen, Path: path, Reason: who + " is listening there", Next: "end it, or choose another path by HOTGO_SOCKET or Options.Socket"}
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &AddressError{Op: opListen, Path: path, Reason: "a stale socket cannot be removed", Next: ownDirectory, Err: err}
		}
		return nil
	}
	return &AddressError{Op: opListen, Path: path, Reason: "the socket there neither answers nor refuses", Next: "choose another path by HOTGO_SOCKET or Options.Socket", Err: err}
}

// MaxPath is the room in sockaddr_un.sun_path without the final NUL: how many
// bytes a socket's path may have.
func MaxPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}
