// Package verify holds an artifact against hosts: binaries, processes, and hosts
// that can be asked.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Subject is a host that an artifact is held against.
type Subject struct {
	Name   string          // as people call it: ./server, shop
	PID    int             // 0 for a binary
	Build  string          // as hotgo build --host takes it
	Binary string          // "" is the one that PID runs
	Status *control.Status // of a host that can be asked; nil for others
	Far    bool            // neither binary nor process are within reach
}

// NotHostError says that a --host names nothing that an artifact can be held
// against.
type NotHostError struct {
	Message string
	Next    string
}

// Error gives the message.
func (e *NotHostError) Error() string { return e.Message }

// Find gives the hosts that spec means: a binary, a process id, a control socket,
// or the name of running hosts. A process that has a control socket of this user is
// asked through it.
//
// Errors: *NotHostError; *control.UnreachableError where nothing answers or runs;
// those of hosts.Find.
func Find(ctx context.Context, spec string) ([]Subject, error) {
	fi, err := os.Stat(spec)
	switch {
	case err == nil && fi.Mode().IsRegular():
		return []Subject{{Name: spec, Build: spec, Binary: spec}}, nil
	case err == nil && fi.IsDir():
		return nil, &NotHostError{
			Message: fmt.Sprintf("%s is a directory: an artifact is held against a binary or a process", spec),
			Next:    "go build -o server " + local(spec) + ", then hotgo verify --host ./server",
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	found, err := hosts.Find(ctx, []string{spec})
	pid, notNumber := strconv.Atoi(spec)
	if err == nil {
		return Running(found.Hosts), nil
	}
	if _, lost := errors.AsType[*control.UnreachableError](err); !lost || notNumber != nil {
		return nil, err
	}
	path := filepath.Join("/proc", spec, "exe")
	name, err := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &control.UnreachableError{Target: "process " + spec}
	case err != nil:
		return nil, err
	}
	return []Subject{{Name: filepath.Base(name), PID: pid, Build: spec, Binary: path}}, nil
}

// local writes a directory as the go command takes it.
func local(dir string) string {
	if filepath.IsAbs(dir) || dir[0] == '.' {
		return dir
	}
	return "./" + dir
}

// Running gives subjects for hosts that can be asked.
func Running(all []control.Status) []Subject {
	subjects := make([]Subject, 0, len(all))
	for _, st := range all {
		s := Subject{Name: st.Name, PID: st.PID, Build: strconv.Itoa(st.PID), Binary: hosts.Binary(st), Status: &st}
		if ssh.Is(st.Socket) { // whatever lies here by that path, or has that number
			s.Build = "./" + filepath.Base(st.Executable)
			s.Binary, _ = hosts.FindBinary(st)
			s.Far = s.Binary == ""
		}
		subjects = append(subjects, s)
	}
	return subjects
}

// host says for the builder what a subject is. plugin is the artifact's.
func (s Subject) host(plugin string) builder.VerifyHost {
	h := builder.VerifyHost{Binary: s.Binary, PID: s.PID}
	if s.Status == nil {
		return h
	}
	h.Ledger = true
	if s.Far || s.Binary == s.Status.Executable {
		h.PID, h.Elsewhere = 0, true // by that number there is another process here, or none
	}
	for _, p := range s.Status.Plugins {
		if p.Name != plugin || p.Kind == control.KindHost {
			continue
		}
		for _, sym := range p.Symbols {
			h.Bound = append(h.Bound, builder.BoundSymbol{Name: sym.Name, Type: sym.Type})
		}
	}
	return h
}
