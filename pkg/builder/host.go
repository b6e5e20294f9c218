package builder

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// hostFile is a host's binary as it was read.
type hostFile struct {
	stamp source.Stamp
	fp    *abi.Fingerprint
}

// target is a host resolved: what its binary says, where there is one, and the
// main package to look for in the source tree.
type target struct {
	host    Host
	fp      *abi.Fingerprint // nil without a binary
	pattern string           // import path or directory of the main package; "" where unknown
}

// resolve reads the host's binary, once as long as the file stays the same:
// reading 65,000 symbols takes tens of milliseconds.
//
// Errors: *HostError.
func (b *Builder) resolve(h Host) (*target, error) {
	t := &target{host: h, pattern: h.Package}
	if h.Binary == "" {
		return t, nil
	}
	stamp, err := source.StampOf(h.Binary)
	if err != nil {
		return nil, &HostError{Binary: h.Binary, Err: err}
	}
	b.mu.Lock()
	known := b.hosts[h.Binary]
	b.mu.Unlock()
	if known == nil || known.stamp != stamp {
		fp, err := abi.ReadFile(h.Binary)
		if err != nil {
			return nil, &HostError{Binary: h.Binary, Err: err}
		}
		known = &hostFile{stamp: stamp, fp: fp}
		b.mu.Lock()
		b.hosts[h.Binary] = known
		b.mu.Unlock()
	}
	t.fp = known.fp
	if t.pattern == "" && t.fp.Package != "command-line-arguments" {
		t.pattern = t.fp.Package
	}
	return t, nil
}

// buildID names what was built; "" without a binary.
func (t *target) buildID() string {
	if t.fp == nil {
		return ""
	}
	return t.fp.BuildID
}

// mainPackage finds the host's main package among listed ones: by import path,
// or by directory where the caller gave one.
func (t *target) mainPackage(workDir string, pkgs []*gotool.Package) string {
	if t.pattern == "" {
		return ""
	}
	dir := t.pattern
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(workDir, dir)
	}
	for _, p := range pkgs {
		if p.ImportPath == t.pattern || p.Dir != "" && p.Dir == filepath.Clean(dir) {
			if p.Error != nil && p.Name == "" {
				return "" // not in this module or workspace
			}
			return p.ImportPath
		}
	}
	return ""
}

// has tells what the binary contains, nil where there is no binary.
func (t *target) has() func(string) bool {
	if t.fp == nil {
		return nil
	}
	return func(path string) bool { _, ok := t.fp.Packages[path]; return ok }
}

// compiler gives the C compiler with its version, for the key: every plugin is
// linked by it.
func (b *Builder) compiler(ctx context.Context, cc string) string {
	b.mu.Lock()
	v, ok := b.compilers[cc]
	b.mu.Unlock()
	if ok {
		return v
	}
	v = b.tool.CompilerVersion(ctx, cc)
	b.mu.Lock()
	b.compilers[cc] = v
	b.mu.Unlock()
	return v
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// shortID makes a build id usable as a file name.
func shortID(buildID string) string {
	return strings.NewReplacer("/", "_", "\\", "_", ":", "_").Replace(buildID)
}
