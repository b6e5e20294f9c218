// Package hosts finds running hosts and their binaries.
package hosts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TargetError says that a target cannot be used as it is written.
type TargetError struct{ Err error }

// Error gives the cause.
func (e *TargetError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *TargetError) Unwrap() error { return e.Err }

// Found is what Find found.
type Found struct {
	Hosts []control.Status // each once; Socket is the one that answered
	// Missing says why targets, or sockets that accept connections, gave no
	// host.
	Missing []error
}

// Find asks the hosts of this machine that targets name, or with none all hosts of
// this user.
//
// Errors: *control.UnreachableError where no host is left; *TargetError, for targets on
// other machines, too: those are for [Reach]; that of ctx.
func Find(ctx context.Context, targets []string) (*Found, error) {
	for _, t := range targets {
		if ssh.Is(t) {
			return nil, &TargetError{&control.Error{
				Code: control.CodeUnsupported, Message: t + " is on another machine, and this is for hosts of this one",
				Next: "hotgo push --target " + t,
			}}
		}
	}
	return new(Reach).Find(ctx, targets)
}

// discover finds all hosts of this user on this machine.
func discover(ctx context.Context) (*Found, error) {
	all, err := control.Discover(ctx)
	if err != nil {
		return nil, err
	}
	f := &Found{}
	f.add(all)
	switch {
	case len(f.Hosts) > 0:
		return f, nil
	case len(f.Missing) > 0:
		return nil, f.Missing[0]
	}
	return nil, &control.UnreachableError{Tried: control.SocketDirs()}
}

func (f *Found) add(targets []control.Target) {
	for _, t := range targets {
		if t.Status == nil {
			f.Missing = append(f.Missing, t.Err)
			continue
		}
		st := *t.Status
		st.Socket = t.Socket // a host says where it listens as it sees it
		known := false
		for _, h := range f.Hosts {
			known = known || h.PID == st.PID && h.Started.Equal(st.Started)
		}
		if !known {
			f.Hosts = append(f.Hosts, st)
		}
	}
}

// unusable tells a target that is wrong from one that does not answer.
func unusable(err error) bool {
	ce, ok := errors.AsType[*control.Error](err)
	return ok && ce.Status == 0 && (ce.Code == control.CodeUnsupported || ce.Code == control.CodeBadRequest)
}

// Holds reports whether a host binds or holds a plugin.
func Holds(st control.Status, plugin string) bool {
	for _, p := range st.Plugins {
		if p.Name == plugin && p.Kind != control.KindHost {
			return true
		}
	}
	return false
}

// Patched gives the name of a host's own code, where something of it was ever
// patched.
func Patched(st control.Status) (name string, ok bool) {
	for _, p := range st.Plugins {
		if p.Kind == control.KindHost {
			return p.Name, true
		}
	}
	return "", false
}

// Own gives the patch of a host's own code that serves; generation 0 is the binary's.
func Own(st control.Status) control.Generation {
	for _, p := range st.Plugins {
		if p.Kind == control.KindHost {
			return live(p)
		}
	}
	return control.Generation{}
}

// Names lists the plugins that hosts bind or hold, in the order found.
func Names(hosts []control.Status) []string {
	var names []string
	seen := map[string]bool{}
	for _, st := range hosts {
		for _, p := range st.Plugins {
			if !seen[p.Name] && p.Kind != control.KindHost {
				seen[p.Name] = true
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// Live gives the generation of a plugin that serves in a host; 0 with an empty
// key is the built-in.
func Live(st control.Status, plugin string) control.Generation {
	for _, p := range st.Plugins {
		if p.Name == plugin && p.Kind != control.KindHost {
			return live(p)
		}
	}
	return control.Generation{}
}

func live(p control.Plugin) control.Generation {
	for _, g := range p.Generations {
		if g.Generation == p.Live {
			return g
		}
	}
	return control.Generation{}
}

// ForBuild says what to build for, from the value of --host: a binary, a
// process id, a control socket, or a package (a directory or an import path).
//
// Errors: *control.UnreachableError for a socket or process that is not there.
func ForBuild(ctx context.Context, spec string) (builder.Host, error) {
	if pid, err := strconv.Atoi(spec); err == nil {
		if _, err := os.Stat(processLink(pid)); err == nil {
			return builder.Host{Binary: processLink(pid)}, nil
		}
		found, err := Find(ctx, []string{spec}) // no /proc here, or no such process
		if err != nil {
			return builder.Host{}, err
		}
		return builder.Host{Binary: Binary(found.Hosts[0])}, nil
	}
	fi, err := os.Stat(spec)
	switch {
	case err == nil && fi.Mode()&os.ModeSocket != 0:
		client := control.NewClient(spec)
		defer client.Close()
		st, err := client.Status(ctx)
		if err != nil {
			return builder.Host{}, err
		}
		return builder.Host{Binary: Binary(*st)}, nil
	case err == nil && fi.Mode().IsRegular():
		return builder.Host{Binary: spec}, nil
	case err == nil && fi.IsDir():
		return builder.Host{Package: spec}, nil
	case err != nil && filepath.IsAbs(spec):
		return builder.Host{}, &TargetError{&control.Error{
			Code: control.CodeNotFound, Message: "find the host", Err: err,
			Next: "go build -o " + spec + " PACKAGE, or hotgo status for the hosts that run",
		}}
	}
	return builder.Host{Package: spec}, nil
}
