package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// HostBuild is a host binary built by BuildHost.
type HostBuild struct {
	Binary  string
	Elapsed time.Duration
}

// BuildHost builds the main package pkg (an import path or a directory) into
// the file out, which is replaced by rename, with the options' tags and race
// setting, and remembers what it was built from, so that later snapshots know
// what changed in the host.
//
// Errors: *BuildError; *ChangedError where sources changed meanwhile.
func (b *Builder) BuildHost(ctx context.Context, pkg, out string) (*HostBuild, error) {
	start := time.Now()
	var flags []string
	if b.opts.Race != nil {
		flags = append(flags, fmt.Sprintf("-race=%t", *b.opts.Race))
	}
	if b.opts.Tags != "" {
		flags = append(flags, "-tags="+b.opts.Tags)
	}
	pkg = relative(b.opts.WorkDir, pkg)
	tool := b.tool.With("CGO_ENABLED=1")
	pkgs, err := tool.List(ctx, append([]string{"-deps"}, flags...), pkg)
	if err != nil {
		return nil, goError(pkg, err)
	}
	var units []*source.Unit
	for _, p := range pkgs {
		if !source.Own(p) || p.Error != nil {
			continue // the build itself reports what is wrong
		}
		u, err := source.Read(p)
		if err != nil {
			return nil, fmt.Errorf("read the sources of %s: %w", p.ImportPath, err)
		}
		units = append(units, u)
	}
	tmp, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".tmp")
	if err != nil {
		return nil, err
	}
	tmp.Close()
	defer os.Remove(tmp.Name())
	args := append([]string{"-buildvcs=false", "-o", tmp.Name()}, flags...)
	printed, err := tool.Build(ctx, append(args, pkg)...)
	if path, changed := source.Changed(units); changed && ctx.Err() == nil {
		return nil, &ChangedError{File: path}
	}
	var exit *gotool.ExitError
	if errors.As(err, &exit) {
		text := printed.String()
		return nil, &BuildError{Plugin: pkg, Output: text, Diagnostics: diagnostics(b.opts.WorkDir, text), Err: err}
	}
	if err != nil {
		return nil, err
	}
	if err := os.Rename(tmp.Name(), out); err != nil {
		return nil, err
	}
	t, err := b.resolve(Host{Binary: out})
	if err != nil {
		return nil, err
	}
	if id := t.buildID(); id != "" {
		b.remember(newBaseline(id, units), true)
	}
	return &HostBuild{Binary: out, Elapsed: time.Since(start)}, nil
}
