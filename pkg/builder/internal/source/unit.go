package source

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// Unit is a package with what its files held at one moment.
type Unit struct {
	Package *gotool.Package
	Files   []File
}

// File is one source file as it was read.
type File struct {
	Name   string // relative to the package's directory
	Path   string // absolute
	Raw    [32]byte
	Tokens [32]byte // for Go files; elsewhere the same as Raw
	Data   []byte   // kept for what a build rewrites; nil for embedded files and libraries
	Stamp  Stamp

	// Included marks a file of a subdirectory that C or assembly can
	// include: it is in the key, but nothing places it (see Tree.nest).
	Included bool
}

// Stamp tells cheaply whether a file is still the one that was read.
type Stamp struct {
	Size    int64
	ModTime int64 // nanoseconds
}

// Read reads every file of p.
func Read(p *gotool.Package) (*Unit, error) {
	u := &Unit{Package: p}
	embedded := map[string]bool{}
	for _, f := range p.EmbedFiles {
		embedded[f] = true
	}
	seen := map[string]bool{}
	for _, name := range p.Files() {
		if seen[name] {
			continue
		}
		seen[name] = true
		f, err := readFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		f.Name = name
		f.Tokens = f.Raw
		switch {
		case slices.Contains(p.GoFiles, name) || slices.Contains(p.CgoFiles, name):
			f.Tokens = digest.Tokens(f.Data)
		case embedded[name] || strings.HasSuffix(name, ".syso"):
			f.Data = nil
		}
		u.Files = append(u.Files, f)
	}
	for _, name := range Included(p) {
		f, err := readFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		f.Name, f.Tokens, f.Data, f.Included = name, f.Raw, nil, true
		u.Files = append(u.Files, f)
	}
	return u, nil
}

// included are the endings of files that an #include can reach.
var included = []string{".h", ".hh", ".hpp", ".hxx", ".inc", ".c", ".cc", ".cpp", ".s", ".S"}

// Included gives the files below a package with C or assembly sources, in
// directories that are no packages, that those can include. The go command
// does not list them.
func Included(p *gotool.Package) []string {
	if len(p.Foreign()) == 0 {
		return nil
	}
	var files []string
	var walk func(rel string)
	walk = func(rel string) {
		entries, err := os.ReadDir(filepath.Join(p.Dir, rel))
		if err != nil || rel != "" && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".go" }) {
			return
		}
		for _, e := range entries {
			name := filepath.Join(rel, e.Name())
			switch {
			case strings.HasPrefix(e.Name(), "."):
			case e.IsDir():
				walk(name)
			case rel != "" && e.Type().IsRegular() && slices.Contains(included, filepath.Ext(name)):
				files = append(files, name)
			}
		}
	}
	walk("")
	return files
}

func readFile(path string) (File, error) {
	// The stamp is taken first: a write between the two reads then shows
	// as a change later, never as a match.
	before, err := stamp(path)
	if err != nil {
		return File{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	return File{Path: path, Raw: sha256.Sum256(data), Data: data, Stamp: before}, nil
}

func stamp(path string) (Stamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Stamp{}, err
	}
	if !fi.Mode().IsRegular() {
		return Stamp{}, fmt.Errorf("read %s: not a regular file", path)
	}
	return Stamp{Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}, nil
}

// Changed gives the first file of the units that is no longer the one read.
func Changed(units []*Unit) (path string, changed bool) {
	for _, u := range units {
		for _, f := range u.Files {
			if now, err := stamp(f.Path); err != nil || now != f.Stamp {
				return f.Path, true
			}
		}
	}
	return "", false
}

// Digest gives the unit's part of a key.
func (u *Unit) Digest(role digest.Role, withDir bool) digest.Package {
	p := digest.Package{ImportPath: u.Package.ImportPath, Role: role}
	if m := u.Package.Module; m != nil {
		p.GoVersion = m.GoVersion
	}
	if withDir {
		p.Dir = u.Package.Dir
	}
	for _, f := range u.Files {
		h := f.Raw
		if role == digest.Private {
			h = f.Tokens
		}
		p.Files = append(p.Files, digest.File{Name: f.Name, Hash: h})
	}
	return p
}

// Exports gives the exported functions and variables that the unit declares at
// package level, sorted. Generic functions are left out: they have no value.
func (u *Unit) Exports() (funcs, vars []string) {
	for _, f := range u.Files {
		if f.Data == nil || !slices.Contains(u.Package.GoFiles, f.Name) && !slices.Contains(u.Package.CgoFiles, f.Name) {
			continue
		}
		fs, vs := exports(f.Data)
		funcs = append(funcs, fs...)
		vars = append(vars, vs...)
	}
	slices.Sort(funcs)
	slices.Sort(vars)
	return slices.Compact(funcs), slices.Compact(vars)
}
