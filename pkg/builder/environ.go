package builder

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// residentEnv is what `go env` said, with the stamps of what it said it from.
type residentEnv struct {
	turn   sync.Mutex
	env    *gotool.Environment // nil: to be asked
	paths  []string
	stamps []source.Stamp
}

// environ is what the go command runs with, as it says itself. It is asked
// once, as long as the files that it takes its settings from stay the same.
func (b *Builder) environ(ctx context.Context) (*gotool.Environment, error) {
	r := &b.env
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.env != nil {
		var newest time.Time
		same := true
		for i, now := range stamps(r.paths) {
			if now != r.stamps[i] {
				same = false
				newest = later(newest, now)
			}
		}
		if same {
			return r.env, nil
		}
		r.env = nil
		if err := settle(ctx, newest); err != nil {
			return nil, err
		}
	}
	asked := time.Now()
	env, err := b.tool.Environ(ctx)
	if err != nil {
		return nil, goError("go env", err)
	}
	r.paths = b.envFiles(env)
	r.stamps = stamps(r.paths)
	for _, s := range r.stamps {
		if !s.Settled(asked) {
			return env, nil // and ask again
		}
	}
	r.env = env
	return env, nil
}

func later(t time.Time, s source.Stamp) time.Time {
	if c := s.Changed(); s.Kind != source.Absent && c.After(t) {
		return c
	}
	return t
}

// envFiles lists the files that `go env` depends on: the go command itself and
// what it may hand over to, its settings, and the go.mod and go.work files that
// it looks for from the working directory up (cmd/go/internal/modload/init.go,
// findModuleRoot and FindGoWork, Go 1.26).
func (b *Builder) envFiles(env *gotool.Environment) []string {
	files := []string{b.tool.Path}
	roots := []string{env.GOROOT}
	if exe, err := filepath.EvalSymlinks(b.tool.Path); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(exe)))
	}
	for _, root := range roots {
		files = append(files, filepath.Join(root, "VERSION"), filepath.Join(root, "go.env"))
	}
	for _, f := range []string{env.GOENV, env.GOMOD, env.GOWORK} {
		if filepath.IsAbs(f) && f != os.DevNull {
			files = append(files, f)
		}
	}
	for dir := b.opts.WorkDir; ; dir = filepath.Dir(dir) {
		files = append(files, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.work"))
		if dir == filepath.Dir(dir) {
			return files
		}
	}
}

// stamps takes stamps of files. One that cannot be looked at counts as not
// there, as it does for the go command.
func stamps(paths []string) []source.Stamp {
	found := make([]source.Stamp, len(paths))
	for i, p := range paths {
		found[i], _ = source.StampOf(p)
	}
	return found
}
