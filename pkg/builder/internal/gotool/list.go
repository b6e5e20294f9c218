package gotool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Package is what `go list -json` says of a package, as far as hotgo reads it.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	DepOnly    bool
	Module     *Module

	GoFiles, CgoFiles                          []string
	CFiles, CXXFiles, MFiles, HFiles, FFiles   []string
	SFiles, SwigFiles, SwigCXXFiles, SysoFiles []string
	EmbedPatterns, EmbedFiles                  []string

	Imports   []string
	ImportMap map[string]string
	Error     *PackageError
}

// Module is the module of a package.
type Module struct {
	Path      string
	Version   string
	Dir       string
	GoMod     string
	GoVersion string
	Sum       string
	Main      bool
	Replace   *Module
}

// PackageError is a problem in one package, at the user's own file.
type PackageError struct {
	ImportStack []string
	Pos         string // file:line:col, relative to the working directory
	Err         string
}

// Foreign gives the files that are not plain Go: they are compiled by tools
// which the go command starts inside the package's directory.
func (p *Package) Foreign() []string {
	var fs []string
	for _, l := range [][]string{p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.FFiles, p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles} {
		fs = append(fs, l...)
	}
	return fs
}

// Files gives every file that a build of p reads, relative to p.Dir.
func (p *Package) Files() []string {
	fs := append([]string{}, p.GoFiles...)
	fs = append(fs, p.Foreign()...)
	fs = append(fs, p.HFiles...)
	return append(fs, p.EmbedFiles...)
}

// Paths gives Files as absolute paths.
func (p *Package) Paths() []string {
	fs := p.Files()
	for i, f := range fs {
		fs[i] = filepath.Join(p.Dir, f)
	}
	return fs
}

// Resolve gives the import path of the package that an import of path in p
// means (vendored packages have another one).
func (p *Package) Resolve(path string) string {
	if r, ok := p.ImportMap[path]; ok {
		return r
	}
	return path
}

const listFields = "ImportPath,Dir,Name,Standard,DepOnly,Module,GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles," +
	"SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedPatterns,EmbedFiles,Imports,ImportMap,Error"

// List runs `go list -e` with flags over patterns. Packages come in the go
// command's order: with -deps, dependencies first. A package that cannot be
// loaded comes with its Error; the error of List itself means that the go
// command gave no list at all.
func (t *Tool) List(ctx context.Context, flags []string, patterns ...string) ([]*Package, error) {
	args := append([]string{"list", "-e", "-json=" + listFields}, flags...)
	args = append(args, "--")
	args = append(args, patterns...)
	out, err := t.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	var pkgs []*Package
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		p := new(Package)
		switch err := dec.Decode(p); {
		case errors.Is(err, io.EOF):
			return pkgs, nil
		case err != nil:
			return nil, fmt.Errorf("read go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

// Export is a compiled package.
type Export struct {
	ImportPath string
	File       string // archive, in the go command's cache
}

// Exports runs `go list` with args, which ask for -export, over patterns and
// gives the packages that were compiled, dependencies first. Where one does not
// compile the error is an *[ExitError] that says why.
func (t *Tool) Exports(ctx context.Context, args []string, patterns ...string) ([]Export, error) {
	all := append([]string{"list", "-f={{if .Export}}{{.ImportPath}}\t{{.Export}}{{end}}"}, args...)
	out, err := t.run(ctx, append(append(all, "--"), patterns...)...)
	if err != nil {
		return nil, err
	}
	var exports []Export
	for line := range strings.Lines(string(out)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			exports = append(exports, Export{path, file})
		}
	}
	return exports, nil
}

// MainModules gives the main modules: one, or those of the workspace.
func (t *Tool) MainModules(ctx context.Context) ([]*Module, error) {
	out, err := t.run(ctx, "list", "-m", "-json=Path,Dir,GoMod,GoVersion,Main")
	if err != nil {
		return nil, err
	}
	var mods []*Module
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		m := new(Module)
		if err := dec.Decode(m); err != nil {
			return nil, fmt.Errorf("read go list -m: %w", err)
		}
		if m.Main && m.Dir != "" && !strings.HasPrefix(m.Path, "command-line-arguments") {
			mods = append(mods, m)
		}
	}
	return mods, nil
}

// Requirement is an edge of the module graph.
type Requirement struct {
	By       string // "module@version"; a main module goes without a version
	Required string // "module@version"
}

// ModuleGraph gives the requirements of the main modules and of all that they
// require, as go.mod files state them: before one version of each is selected.
func (t *Tool) ModuleGraph(ctx context.Context) ([]Requirement, error) {
	out, err := t.run(ctx, "mod", "graph")
	if err != nil {
		return nil, err
	}
	var edges []Requirement
	for line := range strings.Lines(string(out)) {
		if by, required, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			edges = append(edges, Requirement{By: by, Required: required})
		}
	}
	return edges, nil
}
