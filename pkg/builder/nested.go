package builder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// nestedModules makes the modules of packages that need a real directory
// visible to the go command, with copies of go.mod and go.sum, or of go.work.
// It gives the flags and the environment for that.
func (r *run) nestedModules(nested []source.Nested) (args, env []string, err error) {
	if len(nested) == 0 {
		return nil, nil, nil
	}
	if err := r.plan.inVendored(r.plan.id.Original(nested[0].Path)); err != nil {
		return nil, nil, err
	}
	e := r.plan.env
	if e.GOWORK != "" && e.GOWORK != "off" {
		file, err := r.workFile(e.GOWORK, nested)
		return nil, []string{"GOWORK=" + file}, err
	}
	file, err := r.modFile(e.GOMOD, e.GOFLAGS, nested)
	return []string{"-modfile=" + file}, nil, err
}

// Obstacle says why the plan's packages cannot be laid out for a build, as far as
// that is known beforehand; nil where nothing is.
//
// Errors: *ConflictError.
func (p *Plan) Obstacle() error {
	for _, u := range p.private {
		if len(u.Package.Foreign()) > 0 {
			return p.inVendored(u.Package.ImportPath)
		}
	}
	return nil
}

// inVendored refuses a package that has to become a module of its own where the go
// command takes none from outside vendor/.
func (p *Plan) inVendored(importPath string) error {
	file, what := p.env.GOMOD, "module"
	if p.env.GOWORK != "" && p.env.GOWORK != "off" {
		file, what = p.env.GOWORK, "workspace"
	}
	if !vendored(file, p.env.GOFLAGS) {
		return nil
	}
	return &ConflictError{
		Message:  fmt.Sprintf("plugin %s has cgo or assembly, and the %s is vendored", p.Plugin.Name, what),
		Evidence: []abi.Mismatch{{What: importPath, Host: "-mod=vendor", Artifact: "needs a module of its own"}},
		Limit:    "the go command takes no module from outside vendor/",
		Next:     "GOFLAGS=-mod=mod hotgo build, with a host built the same way",
	}
}

// vendored reports whether the go command would use vendor/ by itself
// (cmd/go/internal/modload/init.go, setDefaultBuildMod, Go 1.26).
func vendored(goMod, goFlags string) bool {
	for _, f := range strings.Fields(goFlags) {
		switch strings.TrimLeft(f, "-") {
		case "mod=vendor":
			return true
		case "mod=mod", "mod=readonly":
			return false
		}
	}
	_, err := os.Stat(filepath.Join(filepath.Dir(goMod), "vendor", "modules.txt"))
	return err == nil
}

// modFile copies go.mod with a require and a replace for each nested module.
func (r *run) modFile(goMod, goFlags string, nested []source.Nested) (string, error) {
	for _, f := range strings.Fields(goFlags) {
		if v, ok := strings.CutPrefix(strings.TrimLeft(f, "-"), "modfile="); ok {
			if goMod = v; !filepath.IsAbs(v) {
				goMod = filepath.Join(r.b.opts.WorkDir, v)
			}
		}
	}
	data, err := os.ReadFile(goMod)
	if err != nil {
		return "", err
	}
	f, err := modfile.Parse(goMod, data, nil)
	if err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	for _, n := range nested {
		const version = "v0.0.0"
		if err := f.AddRequire(n.Path, version); err != nil {
			return "", err
		}
		if err := f.AddReplace(n.Path, "", n.Dir, ""); err != nil {
			return "", err
		}
	}
	if data, err = f.Format(); err != nil {
		return "", err
	}
	if err := r.copySum(strings.TrimSuffix(goMod, ".mod")+".sum", "go.sum"); err != nil {
		return "", err
	}
	out := filepath.Join(r.dir, "go.mod")
	return out, os.WriteFile(out, data, 0o600)
}

// workFile copies go.work with a use for each nested module. Its paths become
// absolute, because the copy lies elsewhere.
func (r *run) workFile(goWork string, nested []source.Nested) (string, error) {
	data, err := os.ReadFile(goWork)
	if err != nil {
		return "", err
	}
	f, err := modfile.ParseWork(goWork, data, nil)
	if err != nil {
		return "", fmt.Errorf("read go.work: %w", err)
	}
	root := filepath.Dir(goWork)
	abs := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(root, filepath.FromSlash(p))
	}
	var dirs []string
	for _, u := range f.Use {
		dirs = append(dirs, abs(u.Path))
	}
	for _, n := range nested {
		dirs = append(dirs, n.Dir)
	}
	out := &modfile.WorkFile{Syntax: &modfile.FileSyntax{}}
	if f.Go != nil {
		if err := out.AddGoStmt(f.Go.Version); err != nil {
			return "", err
		}
	}
	for _, d := range dirs {
		if err := out.AddUse(d, ""); err != nil {
			return "", err
		}
	}
	for _, rep := range f.Replace {
		path := rep.New.Path
		if rep.New.Version == "" {
			path = abs(path)
		}
		if err := out.AddReplace(rep.Old.Path, rep.Old.Version, path, rep.New.Version); err != nil {
			return "", err
		}
	}
	if err := r.copySum(goWork+".sum", "go.work.sum"); err != nil {
		return "", err
	}
	file := filepath.Join(r.dir, "go.work")
	return file, os.WriteFile(file, modfile.Format(out.Syntax), 0o600)
}

func (r *run) copySum(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, to), data, 0o600)
}
