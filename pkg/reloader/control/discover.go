package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Target is a host that was found.
type Target struct {
	Socket string
	Status *Status // nil where Err is set
	Err    error   // it accepts connections and does not answer as a host
}

// Name is the host's name, or its socket where the name is not known.
func (t Target) Name() string {
	if t.Status != nil {
		return t.Status.Name
	}
	return t.Socket
}

// discoverTimeout is how long one socket may take to answer.
const discoverTimeout = 2 * time.Second

// Discover asks every socket of this user: HOTGO_SOCKET and those in
// [SocketDirs]. Sockets that nobody listens on are left out. The result is
// sorted by name and process id; none found is not an error.
func Discover(ctx context.Context) ([]Target, error) {
	var sockets []string
	if s := os.Getenv(SocketEnv); s != "" {
		sockets = append(sockets, s)
	}
	for _, dir := range SocketDirs() {
		// ReadDir rather than Glob: a directory's name may hold a bracket.
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("look for hosts: %w", err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".sock") {
				sockets = append(sockets, filepath.Join(dir, e.Name()))
			}
		}
	}
	return ask(ctx, sockets)
}

// ask dials all sockets at once, each with a timeout of its own.
func ask(ctx context.Context, sockets []string) ([]Target, error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found []Target
		seen  = map[string]bool{}
	)
	for _, socket := range sockets {
		if seen[socket] {
			continue
		}
		seen[socket] = true
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
			defer cancel()
			c := NewClient(socket)
			defer c.Close()
			st, err := c.Status(ctx)
			if isStale(err) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, Target{Socket: socket, Status: st, Err: err})
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("look for hosts: %w", err)
	}
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if a.Name() != b.Name() {
			return a.Name() < b.Name()
		}
		if a.Status != nil && b.Status != nil && a.Status.PID != b.Status.PID {
			return a.Status.PID < b.Status.PID
		}
		return a.Socket < b.Socket
	})
	return found, nil
}

func isStale(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
}

// Resolve finds the hosts that a target names: a socket path, a pattern of
// socket paths, a process id, or a host's name (which may be a pattern, and
// may fit several hosts).
//
// Errors: *UnreachableError where none answers; *Error with CodeUnsupported
// for a URL, CodeBadRequest for a pattern that is malformed.
func Resolve(ctx context.Context, target string) ([]Target, error) {
	target = strings.TrimPrefix(target, "unix:")
	if scheme, _, ok := strings.Cut(target, "://"); ok {
		return nil, &Error{
			Code: CodeUnsupported, Message: fmt.Sprintf("cannot reach %s from here: a %s target is not on this machine", target, scheme),
			Next: "run hotgo on that machine",
		}
	}
	if _, err := path.Match(target, ""); err != nil || target == "" {
		return nil, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("%q is not a target", target), Err: err}
	}
	if strings.ContainsRune(target, filepath.Separator) || strings.HasSuffix(target, ".sock") {
		return resolvePath(ctx, target)
	}
	all, err := Discover(ctx)
	if err != nil {
		return nil, err
	}
	pid, pidErr := strconv.Atoi(target)
	var out []Target
	for _, t := range all {
		if t.Status == nil {
			continue
		}
		byName, _ := path.Match(target, t.Status.Name)
		if byName || target == t.Status.Name || pidErr == nil && pid == t.Status.PID {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, &UnreachableError{Target: target, Tried: SocketDirs()}
	}
	return out, nil
}

func resolvePath(ctx context.Context, target string) ([]Target, error) {
	sockets := []string{target}
	if _, err := os.Lstat(target); err != nil && strings.ContainsAny(target, `*?[`) {
		if sockets, err = filepath.Glob(target); err != nil {
			return nil, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("%q is not a target", target), Err: err}
		}
	}
	found, err := ask(ctx, sockets)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &UnreachableError{Target: target, Tried: sockets}
	}
	// A socket that was named has to answer.
	if len(sockets) == 1 && found[0].Err != nil {
		return nil, found[0].Err
	}
	return found, nil
}
