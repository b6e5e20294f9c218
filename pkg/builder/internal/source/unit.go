package source

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// Unit is a package with what its files held at one moment. Nothing changes a
// Unit: it is shared between snapshots as long as its files stay the same.
type Unit struct {
	Package *gotool.Package
	Files   []File

	digests *digests // what Digest gave; nil where nothing is kept
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

	decls *decls // of a Go file: what it exports
}

// use says what a package needs a file for.
type use uint8

const (
	asSource   use = iota // a Go file of the package
	asForeign             // a file that other tools than the compiler read, cgo's among them
	asEmbedded            // bytes
	asIncluded            // what C or assembly can include
	asIgnored             // a source that is not part of the package: a test, or excluded by its constraints
	asChoice              // a file that chooses packages: go.mod
)

// uses lists the files of a package with what they are for, each once.
func uses(p *gotool.Package) (names []string, as []use) {
	seen := map[string]bool{}
	add := func(list []string, u use) {
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				names, as = append(names, name), append(as, u)
			}
		}
	}
	add(p.GoFiles, asSource)
	add(p.Foreign(), asForeign)
	add(p.HFiles, asForeign)
	add(p.EmbedFiles, asEmbedded)
	add(Included(p), asIncluded)
	return names, as
}

// Read reads every file of p.
func Read(p *gotool.Package) (*Unit, error) {
	u := &Unit{Package: p, digests: &digests{}}
	names, as := uses(p)
	for i, name := range names {
		f, err := readFile(filepath.Join(p.Dir, name), as[i])
		if err != nil {
			return nil, err
		}
		f.Name = name
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
	files, _ := includable(p)
	return files
}

// includable gives those files and every directory that was looked into for
// them, both relative to the package's directory.
func includable(p *gotool.Package) (files, dirs []string) {
	if len(p.Foreign()) == 0 {
		return nil, nil
	}
	var walk func(rel string)
	walk = func(rel string) {
		entries, err := os.ReadDir(filepath.Join(p.Dir, rel))
		if err != nil {
			return
		}
		dirs = append(dirs, rel)
		if rel != "" && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".go" }) {
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
	return files, dirs
}

func readFile(path string, as use) (File, error) {
	// The stamp is taken first: a write between the two reads then shows
	// as a change later, never as a match.
	before, err := StampOf(path)
	switch {
	case err != nil:
		return File{}, err
	case before.Kind == Absent:
		return File{}, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case before.Kind != Regular:
		return File{}, fmt.Errorf("read %s: not a regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f := File{Path: path, Raw: sha256.Sum256(data), Stamp: before, Included: as == asIncluded}
	f.Tokens = f.Raw
	switch {
	case as == asSource, as == asForeign && strings.HasSuffix(path, ".go"):
		f.Data, f.Tokens, f.decls = data, digest.Tokens(data), &decls{}
	case as == asForeign && !strings.HasSuffix(path, ".syso"):
		f.Data = data
	}
	return f, nil
}

// Changed gives the first file of the units that is no longer the one read. A
// file that was touched, or written again with the same bytes, is the same.
func Changed(units []*Unit) (path string, changed bool) {
	for f := range touched(units) {
		data, err := os.ReadFile(f.Path)
		if err != nil || sha256.Sum256(data) != f.Raw {
			return f.Path, true
		}
	}
	return "", false
}

// Touched gives the first file of the units that was written to since it was read,
// whatever is in it now: who looked at it meanwhile may have seen something else.
func Touched(units []*Unit) (path string, is bool) {
	for f := range touched(units) {
		return f.Path, true
	}
	return "", false
}

// touched gives the files whose stamps are not those that they were read with.
func touched(units []*Unit) iter.Seq[*File] {
	return func(yield func(*File) bool) {
		var files []*File
		for _, u := range units {
			for i := range u.Files {
				files = append(files, &u.Files[i])
			}
		}
		now, errs := stampAll(len(files), func(i int) string { return files[i].Path })
		for i, f := range files {
			if (errs[i] != nil || now[i] != f.Stamp) && !yield(f) {
				return
			}
		}
	}
}

// digests keeps a unit's part of keys, which are asked for again with every
// snapshot.
type digests struct {
	mu    sync.Mutex
	known map[digestKind]digest.Package
}

type digestKind struct {
	role    digest.Role
	withDir bool
}

// Digest gives the unit's part of a key. The caller must not change it.
func (u *Unit) Digest(role digest.Role, withDir bool) digest.Package {
	if u.digests == nil {
		return u.digest(role, withDir)
	}
	u.digests.mu.Lock()
	defer u.digests.mu.Unlock()
	kind := digestKind{role, withDir}
	p, ok := u.digests.known[kind]
	if !ok {
		p = u.digest(role, withDir).Seal()
		if u.digests.known == nil {
			u.digests.known = map[digestKind]digest.Package{}
		}
		u.digests.known[kind] = p
	}
	return p
}

func (u *Unit) digest(role digest.Role, withDir bool) digest.Package {
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

// With gives a unit with the same package and other files.
func (u *Unit) With(files []File) *Unit { return &Unit{Package: u.Package, Files: files} }

// decls keeps what a file exports: parsing takes longer than anything else
// that is done with a file that has not changed.
type decls struct {
	once        sync.Once
	funcs, vars []string
}

// Exports gives the exported functions and variables that the unit declares at
// package level, sorted. Generic functions are left out: they have no value.
func (u *Unit) Exports() (funcs, vars []string) {
	for _, f := range u.Files {
		if f.decls == nil {
			continue
		}
		f.decls.once.Do(func() { f.decls.funcs, f.decls.vars = exports(f.Data) })
		funcs = append(funcs, f.decls.funcs...)
		vars = append(vars, f.decls.vars...)
	}
	slices.Sort(funcs)
	slices.Sort(vars)
	return slices.Compact(funcs), slices.Compact(vars)
}

// Fresh gives the package variables that start anew with each generation, by name.
func (u *Unit) Fresh() map[string]bool { return Fresh(u.texts()) }

// Keeps gives the others, sorted: those whose values become the next generation's.
func (u *Unit) Keeps() []string { return keeps(u.texts()) }

// texts gives the Go files.
func (u *Unit) texts() (files [][]byte) {
	for _, f := range u.Files {
		if f.decls != nil {
			files = append(files, f.Data)
		}
	}
	return files
}

// State generates the file that lists the unit's state: see [Identity.State].
//
// Errors: *[DirectiveError], with the user's file.
func (u *Unit) State(id Identity) ([]byte, error) {
	files := map[string][]byte{}
	for _, f := range u.Files {
		if f.decls != nil {
			files[f.Path] = f.Data
		}
	}
	return id.State(u.Package.Name, u.Package.ImportPath, files)
}
