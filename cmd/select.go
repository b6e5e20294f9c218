package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/scaffold"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// selection says which plugins a command is about: those named, else those
// configured, else what lies in ./plugins, else what the hosts hold of this
// module.
type selection struct {
	named  []string // arguments
	config []string // paths of the configuration
	dirs   []string // where a plugins directory may lie
}

func (s *session) selection(named []string, near ...string) selection {
	sel := selection{named: named, config: s.cfg.PluginPaths(), dirs: append([]string{s.dir}, near...)}
	if root, err := scaffold.Root(s.dir); err == nil {
		sel.dirs = append(sel.dirs, root)
	}
	return sel
}

// binaryOf gives the file that a host runs. Where that is elsewhere, --host may name a
// copy.
func (s *session) binaryOf(st control.Status) (string, error) {
	if fi, err := os.Stat(s.cfg.Host); err == nil && fi.Mode().IsRegular() {
		return hosts.FindBinary(st, s.cfg.Host)
	}
	return hosts.FindBinary(st)
}

// find resolves the selection; held are the names that hosts bind or hold.
func (sel selection) find(ctx context.Context, b *builder.Builder, held []string) ([]builder.Plugin, error) {
	switch {
	case len(sel.named) > 0:
		return b.Find(ctx, sel.named...)
	case len(sel.config) > 0:
		return b.Find(ctx, sel.config...)
	}
	for _, dir := range sel.dirs {
		dir = filepath.Join(dir, "plugins")
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			continue
		}
		found, err := b.Find(ctx, dir+"/...")
		if _, none := errors.AsType[*builder.NotFoundError](err); none {
			continue
		}
		return found, err
	}
	found, err := b.FindNamed(ctx, held...)
	return slices.Clip(found), err
}
