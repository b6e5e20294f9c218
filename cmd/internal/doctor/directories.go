package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// sockets looks at where hosts of this user listen.
func (w World) sockets() []Check {
	return []Check{w.socketDirs(w.SocketDirs()), w.socketPath(), w.staleSockets(w.SocketDirs())}
}

// socketDirs finds out whether hosts would use the directories, and that of
// HOTGO_SOCKET. Those that do not exist are made when they are needed. Only hotgo's
// own are closed to others: the user's may have other uses.
func (w World) socketDirs(own []string) Check {
	dirs := own
	if socket := w.Getenv(control.SocketEnv); socket != "" {
		dirs = append([]string{filepath.Dir(socket)}, own...)
	}
	c := ok("socket.dir", "%s", dirs[0])
	var open []string // hotgo's, and to be closed
	for _, dir := range dirs {
		e, err := w.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		refused := w.CheckDir(dir)
		loose := err == nil && e.Mode.IsDir() && e.Mine && e.Mode.Perm()&0o077 != 0 && slices.Contains(own, dir)
		if refused == nil && !loose {
			continue
		}
		fact := Fact{What: dir, Need: "0700"}
		if err == nil {
			fact.Is = fmt.Sprintf("%04o", e.Mode.Perm())
			if !e.Mine {
				fact.Is, fact.Need = fmt.Sprintf("uid %d", e.UID), "this user's"
			}
		}
		c.Facts = append(c.Facts, fact)
		if refused != nil && c.Result != Problem {
			c.Result, c.What = Problem, "hosts refuse to listen in "+dir+": "+refused.Error()
		} else if c.Result == OK {
			c.Result, c.What = Warning, dir+" is open to others"
		}
		if loose {
			open = append(open, dir)
		}
	}
	if c.Result != OK {
		c.Why = "who can write there can put a socket in place of a host's, and be sent artifacts"
		c.Next = "ls -ld " + c.Facts[0].What + ", and set " + control.SocketEnv + " to a path in a directory of this user's own"
		if len(open) == len(c.Facts) {
			c.Next, c.Fixable = "chmod 700 "+strings.Join(open, " "), true
			c.fix = func() (done []string, err error) {
				for _, dir := range open {
					if err := w.Chmod(dir, 0o700); err != nil {
						return done, err
					}
					done = append(done, "chmod 700 "+dir)
				}
				return done, nil
			}
		}
		return c
	}
	if run := w.Getenv("XDG_RUNTIME_DIR"); run != "" && !slices.Contains(w.SocketDirs(), filepath.Join(run, "hotgo")) {
		return Check{
			ID: "socket.dir", Result: Warning, What: "XDG_RUNTIME_DIR names " + run + ", which is not used",
			Why:   "it has to be absolute, exist, belong to this user and be writable by nobody else; hosts that see another value listen elsewhere, and are not found",
			Facts: []Fact{{What: "socket directory", Is: dirs[0]}}, Next: "unset XDG_RUNTIME_DIR",
		}
	}
	return c
}

// socketPath measures the path of a socket as a host with a name of some length and
// the highest process id would have it.
func (w World) socketPath() Check {
	path := filepath.Join(w.SocketDirs()[0], "a-server-4194304.sock")
	if socket := w.Getenv(control.SocketEnv); socket != "" {
		path = socket
	}
	if err := w.CheckPath(path); err != nil {
		return Check{
			ID: "socket.path", Result: Problem, What: err.Error(), Why: "a host cannot listen there, and so cannot be reached",
			Facts: []Fact{{What: "path", Is: path}}, Next: "set " + control.SocketEnv + " to a shorter path, in a directory of this user's own",
		}
	}
	return ok("socket.path", "paths of sockets are short enough (%d bytes)", len(path))
}

func (w World) staleSockets(dirs []string) Check {
	c := ok("socket.stale", "no socket was left behind")
	var stale []string
	for _, dir := range dirs {
		stale = append(stale, w.Stale(dir)...)
	}
	c.Why = "they do no harm; the next host to start there removes them"
	return leftBehind(c, "hosts", "nobody listens", stale, func() (removed []string, err error) {
		for _, dir := range dirs {
			removed = append(removed, w.RemoveStale(dir)...)
		}
		return removed, nil
	})
}

// leftBehind makes c, with its reason, a warning about files that processes which
// were killed have left, and that Fix removes.
func leftBehind(c Check, by, is string, paths []string, remove func() ([]string, error)) Check {
	if len(paths) == 0 {
		c.Why = ""
		return c
	}
	c.Result, c.What = Warning, fmt.Sprintf("%d left behind by %s that were killed", len(paths), by)
	for _, path := range paths {
		c.Facts = append(c.Facts, Fact{What: path, Is: is})
	}
	c.Next, c.Fixable = "hotgo doctor --fix", true
	c.fix = func() (done []string, err error) {
		removed, err := remove()
		for _, path := range removed {
			done = append(done, "removed "+path)
		}
		return done, err
	}
	return c
}

// directories looks at where files are put.
func (w World) directories() []Check {
	return append(w.store(), w.temp(), w.descriptors())
}

const (
	fewBytes = 100 << 20 // a plugin linked in full has some megabytes, and its build some more
	noBytes  = 10 << 20
)

func (w World) store() []Check {
	dir := ok("store.dir", "%s", w.Artifacts)
	old, err := w.Leftovers(w.Artifacts)
	if err != nil {
		dir.Result, dir.What = Problem, err.Error()
		dir.Why, dir.Next = "artifacts are built there", "set dir in hotgo.yaml, or --dir, to a directory that this user can write to"
		return []Check{dir, skipped("store.leftovers", "the directory of artifacts cannot be read")}
	}
	if on, err := w.FileSystem(w.nearest(w.Artifacts)); err == nil && !on.Unknown && on.Free < fewBytes {
		dir.Result, dir.What = Warning, fmt.Sprintf("%s has %d MB left", w.Artifacts, on.Free>>20)
		if on.Free < noBytes {
			dir.Result = Problem
		}
		dir.Why, dir.Next = "artifacts are built there, and up to 16 of each plugin are kept", "free space there, or --dir DIR"
	}
	left := ok("store.leftovers", "no build was left half done")
	left.Why = "they take space; a later build removes them"
	return []Check{dir, leftBehind(left, "builds", "its build has ended", old, func() ([]string, error) { return w.RemoveLeft(w.Artifacts) })}
}

// temp looks at the directory for temporary files. Hosts map artifacts from there,
// unless Options.Dir or HOTGO_DIR says otherwise.
func (w World) temp() Check {
	c := ok("temp.dir", "%s", w.TempDir)
	on, err := w.FileSystem(w.TempDir)
	switch {
	case err != nil:
		c.Result, c.What = Problem, "there is no directory for temporary files: "+err.Error()
		c.Why, c.Next = "builds and loads need one", "export TMPDIR=/tmp"
	case on.NoExec:
		c.Result, c.What = Problem, w.TempDir+" is mounted noexec"
		c.Why = "a host copies artifacts below it and maps them from there, which the system refuses: failed to map segment from shared object"
		c.Facts = []Fact{{What: w.TempDir, Is: "noexec", Need: "exec"}}
		c.Next = "start hosts with HOTGO_DIR or TMPDIR naming a directory elsewhere"
	case !on.Unknown && on.Free < noBytes:
		c.Result, c.What = Problem, fmt.Sprintf("%s has %d MB left", w.TempDir, on.Free>>20)
		c.Why, c.Next = "a host copies each artifact below it before it loads it", "free space there, or export TMPDIR"
	}
	return c
}

// fewDescriptors is what the go command and a host with some connections take.
const fewDescriptors = 256

func (w World) descriptors() Check {
	limit, err := w.OpenFiles()
	if err != nil {
		return skipped("limit.files", "this system does not say how many files a process may open")
	}
	c := ok("limit.files", "a process may have %d files open", limit)
	if limit < fewDescriptors {
		c.Result, c.Why = Warning, "the go command opens many files at once, and a host some for each connection and load"
		c.Facts = []Fact{{What: "open files", Is: fmt.Sprint(limit), Need: fmt.Sprintf("%d or more", fewDescriptors)}}
		c.Next = "ulimit -n 4096"
	}
	return c
}
