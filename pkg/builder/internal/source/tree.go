package source

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// Tree is the source that a build reads in place of the user's: an overlay for
// the go command, and modules for the packages that need a real directory.
type Tree struct {
	dir     string            // scratch directory
	overlay map[string]string // path the go command sees -> file that holds the text
	Nested  []Nested
}

// Nested is a private package that was given a directory and a module of its
// own, because tools run inside it.
type Nested struct {
	Path      string // module and import path
	Dir       string
	GoVersion string
}

// NewTree makes an empty tree that keeps its files below dir.
func NewTree(dir string) *Tree { return &Tree{dir: dir, overlay: map[string]string{}} }

// Overlay writes the overlay file and gives its path.
func (t *Tree) Overlay() (string, error) { return t.OverlayAs("overlay.json") }

// OverlayAs is Overlay for one of several files, of what the tree has by then.
func (t *Tree) OverlayAs(name string) (string, error) {
	data, err := json.MarshalIndent(struct{ Replace map[string]string }{t.overlay}, "", "\t")
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.dir, name)
	return path, os.WriteFile(path, data, 0o600)
}

// Replace makes the go command read data where it would read path.
func (t *Tree) Replace(path string, data []byte) error {
	backing, err := t.backing(path, data)
	if err != nil {
		return err
	}
	t.overlay[path] = backing
	return nil
}

// Remove makes the go command see no file at path.
func (t *Tree) Remove(path string) { t.overlay[path] = "" }

// backing keeps the text of a file. The same path has the same place in every
// tree of a directory.
func (t *Tree) backing(path string, data []byte) (string, error) {
	h := sha256.Sum256([]byte(path))
	path = filepath.Join(t.dir, fmt.Sprintf("%x_%s", h[:6], filepath.Base(path)))
	return path, os.WriteFile(path, data, 0o600)
}

// Add puts a private package under its fresh import path. entry, where not
// nil, is what is generated for the plugin itself; its main package lies in the
// child directory "main".
func (t *Tree) Add(id Identity, u *Unit, entry *Generated) error {
	p := u.Package
	nested := len(p.Foreign()) > 0
	dir := filepath.Join(p.Dir, id.Element)
	put := t.Replace
	trimmed := p.ImportPath
	if nested {
		trimmed = "" // the rule that would trim it would also show where cgo wrote its files
		n := Nested{Path: id.Fresh(p.ImportPath), Dir: filepath.Join(t.dir, fmt.Sprintf("m%d", len(t.Nested)))}
		if p.Module != nil {
			n.GoVersion = p.Module.GoVersion
		}
		dir = n.Dir
		put = writeFile
		if err := t.nest(n, u); err != nil {
			return err
		}
	}
	for _, f := range u.Files {
		if f.Included {
			continue
		}
		to := filepath.Join(dir, f.Name)
		if f.Data == nil {
			if err := t.plain(to, f.Path, nested); err != nil {
				return err
			}
			continue
		}
		data := f.Data
		switch filepath.Ext(f.Name) {
		case ".go":
			var err error
			if data, err = id.Go(f.Path, trimmed, f.Data, p.Resolve); err != nil {
				return err
			}
		case ".s":
			// What follows is line 1 of the user's file. (The compiler of C
			// preprocesses .S files, and has a line directive of its own.)
			data = append(fmt.Appendf(nil, "#line 1 %q\n", f.Path), id.Assembly(f.Data)...)
		case ".S":
			data = id.Assembly(f.Data)
		}
		if err := put(to, data); err != nil {
			return err
		}
	}
	if len(p.CgoFiles) > 0 {
		if err := put(filepath.Join(dir, "hotgo_cgo.go"), cgoFlags(p)); err != nil {
			return err
		}
	}
	state, err := u.State(id)
	if err != nil {
		return err
	}
	if err := put(filepath.Join(dir, StateFile), state); err != nil || entry == nil {
		return err
	}
	if err := put(filepath.Join(dir, EntryFile), entry.File); err != nil || entry.Main == nil {
		return err
	}
	return put(filepath.Join(dir, "main", EntryFile), entry.Main)
}

// plain makes a file available unchanged. The overlay can name the user's own
// file; a real directory gets a copy, because go:embed takes regular files
// only.
func (t *Tree) plain(to, from string, nested bool) error {
	if !nested {
		t.overlay[to] = from
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, data)
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// cgoFlags generates a file that adds two compiler flags to a cgo package.
//
// -I lets C code find headers by paths relative to the user's directory
// (#include "../common/x.h"). Hidden visibility keeps the package's C functions
// and variables to its own artifact: the dynamic linker binds a global symbol
// to the first definer in the process, so a new version's Go code would go on
// calling the C code of the old one.
func cgoFlags(p *gotool.Package) []byte {
	return fmt.Appendf(nil, "// Code generated by hotgo. DO NOT EDIT.\n\npackage %s\n\n"+
		"// #cgo CPPFLAGS: \"-I%s\" -fvisibility=hidden\nimport \"C\"\n", p.Name, p.Dir)
}

// nest makes the module of a package and shows the user's subdirectories in
// it, because C and assembly include headers from there. Directories with
// embedded files are made for real by plain; inside those, files are links.
func (t *Tree) nest(n Nested, u *Unit) error {
	mod := "module " + n.Path + "\n"
	if n.GoVersion != "" {
		mod += "\ngo " + n.GoVersion + "\n"
	}
	if err := writeFile(filepath.Join(n.Dir, "go.mod"), []byte(mod)); err != nil {
		return err
	}
	t.Nested = append(t.Nested, n)
	real := map[string]bool{} // subdirectories that must be directories, not links
	for _, f := range u.Package.EmbedFiles {
		for d := filepath.Dir(f); d != "."; d = filepath.Dir(d) {
			real[d] = true
		}
	}
	var link func(rel string) error
	link = func(rel string) error {
		entries, err := os.ReadDir(filepath.Join(u.Package.Dir, rel))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := filepath.Join(rel, e.Name())
			if strings.HasPrefix(e.Name(), ".") || rel == "" && !e.IsDir() || slices.Contains(u.Package.EmbedFiles, name) {
				continue
			}
			if real[name] {
				if err := os.MkdirAll(filepath.Join(n.Dir, name), 0o700); err != nil {
					return err
				}
				if err := link(name); err != nil {
					return err
				}
				continue
			}
			err := os.Symlink(filepath.Join(u.Package.Dir, name), filepath.Join(n.Dir, name))
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		return nil
	}
	return link("")
}
