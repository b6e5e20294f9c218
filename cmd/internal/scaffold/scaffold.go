// Package scaffold gives a module its first plugin: what init does.
//
// [Look] reads the module, [Plan] says what to write, [Write] writes it and
// overwrites nothing.
package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

const (
	hotgoPath    = "github.com/hotgo/hotgo"
	reloaderPath = hotgoPath + "/pkg/reloader"
)

// Error says that there is nothing to put a plugin into.
type Error struct {
	Msg  string
	Next string // the command to run
}

// Error gives the message.
func (e *Error) Error() string { return e.Msg }

// Module is what Look found.
type Module struct {
	Dir      string // of go.mod
	Path     string
	Requires bool     // github.com/hotgo/hotgo, or is it
	Mains    []string // directories of main packages, slash-separated and relative; "." is Dir
	Hosts    []string // those of them that import the reloader
	Wired    bool     // some package imports the reloader
	Plugins  bool     // there is Go code below plugins
	Library  bool     // Dir itself holds a package that is not main
}

// Look reads the module around dir. Files that do not parse are passed over.
//
// Errors: *Error where there is no module.
func Look(dir string) (*Module, error) {
	root, err := Root(dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(root, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	file, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	if file.Module == nil {
		return nil, &Error{Msg: name + " names no module", Next: "go mod edit -module example.com/NAME"}
	}
	m := &Module{Dir: root, Path: file.Module.Mod.Path}
	m.Requires = m.Path == hotgoPath || slices.ContainsFunc(file.Require, func(r *modfile.Require) bool {
		return r.Mod.Path == hotgoPath
	})
	return m, m.scan()
}

// Root gives the directory of the module around dir.
//
// Errors: *Error where there is none.
func Root(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		if fi, err := os.Stat(filepath.Join(d, "go.mod")); err == nil && fi.Mode().IsRegular() {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", &Error{
				Msg:  "this is not a Go module: there is no go.mod in " + dir + " or above it",
				Next: "go mod init " + proposal(dir),
			}
		}
	}
}

// proposal is a module path for a directory.
func proposal(dir string) string {
	p := "example.com/" + strings.ToLower(filepath.Base(dir))
	if module.CheckPath(p) != nil {
		return "example.com/NAME"
	}
	return p
}

// scan looks at the imports of all packages of the module.
func (m *Module) scan() error {
	return filepath.WalkDir(m.Dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // unreadable for us is uninteresting to us
		}
		name := d.Name()
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(file, "go.mod"))
			hidden := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
			if file != m.Dir && (hidden || nested == nil || name == "testdata" || name == "vendor" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return nil
		}
		rel, err := filepath.Rel(m.Dir, filepath.Dir(file))
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		imports := false
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			imports = imports || p == reloaderPath || p == reloaderPath+"/auto"
		}
		main := f.Name.Name == "main"
		m.Wired = m.Wired || imports
		m.Plugins = m.Plugins || strings.HasPrefix(rel+"/", "plugins/")
		m.Library = m.Library || rel == "." && !main
		if main {
			m.Mains = add(m.Mains, rel)
			if imports {
				m.Hosts = add(m.Hosts, rel)
			}
		}
		return nil
	})
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// File is one file to write.
type File struct {
	Path    string // absolute
	Content []byte
}

// Plan says what the module lacks.
type Plan struct {
	Files   []File
	Host    string   // the host's package for hotgo.yaml, such as ./server; "" if not clear
	Plugins []string // patterns for hotgo.yaml
	Advice  string   // how to wire a program that is there; "" where nothing is to be done
}

// Plan says what to write: a plugin where there is none, and a program for it
// where there is no program.
//
// Errors: only faults of this package's own templates.
func (m *Module) Plan() (*Plan, error) {
	p := &Plan{}
	if m.Plugins {
		p.Plugins = []string{"./plugins/..."}
	}
	if len(m.Hosts) == 1 {
		p.Host = local(m.Hosts[0])
	}
	if m.Wired || m.Plugins {
		if !m.Wired {
			p.Advice = adviceText(m.Path, "")
		}
		return p, nil
	}

	p.Plugins = []string{"./plugins/..."}
	if err := p.add(m, "plugins/hello/hello.go", pluginText); err != nil {
		return nil, err
	}
	if len(m.Mains) > 0 {
		p.Advice = adviceText(m.Path, "hello")
		return p, nil
	}
	dir := "."
	if m.Library {
		dir = "server"
	}
	p.Host = local(dir)
	return p, p.add(m, path.Join(dir, "main.go"), hostText)
}

func local(dir string) string {
	if dir == "." {
		return "."
	}
	return "./" + dir
}

func (p *Plan) add(m *Module, name, text string) error {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, m); err != nil {
		return err
	}
	content, err := format.Source(b.Bytes()) // the import order depends on the module's path
	if err != nil {
		return err
	}
	p.Files = append(p.Files, File{Path: filepath.Join(m.Dir, filepath.FromSlash(name)), Content: content})
	return nil
}

// Write writes the files that do not exist and gives the paths of those that
// it wrote.
func (p *Plan) Write() (written []string, err error) {
	for _, f := range p.Files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return written, fmt.Errorf("write plugin: %w", err)
		}
		file, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return written, fmt.Errorf("write plugin: %w", err)
		}
		_, err = file.Write(f.Content)
		if err = errors.Join(err, file.Close()); err != nil {
			return written, fmt.Errorf("write %s: %w", f.Path, err)
		}
		written = append(written, f.Path)
	}
	return written, nil
}
