package goobj

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program is what a test compiles and links with the tools themselves, so
// that it can rewrite objects in between.
type program struct {
	t       testing.TB
	gocmd   string
	dir     string
	exports map[string]string // archive files by import path, of std and compiled
	defs    map[string][]Definition
}

// newProgram prepares a program that may use the given packages of the standard
// library.
func newProgram(t testing.TB, gocmd string, std ...string) *program {
	t.Helper()
	p := &program{t: t, gocmd: gocmd, dir: t.TempDir(), exports: map[string]string{}, defs: map[string][]Definition{}}
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "runtime"}, std...)
	for line := range strings.Lines(goOutput(t, gocmd, p.dir, args...)) {
		if path, file, _ := strings.Cut(strings.TrimSpace(line), " "); file != "" {
			p.exports[path] = file
		}
	}
	return p
}

func (p *program) write(name, content string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		p.t.Fatal(err)
	}
	return file
}

func (p *program) importcfg() string {
	var b strings.Builder
	for path, file := range p.exports {
		fmt.Fprintf(&b, "packagefile %s=%s\n", path, file)
	}
	return p.write("importcfg", b.String())
}

// compile compiles one file as the package path. Later packages can import it.
func (p *program) compile(path, src string, flags ...string) {
	p.t.Helper()
	name := strings.ReplaceAll(path, "/", "_")
	out := filepath.Join(p.dir, name+".a")
	args := append([]string{"tool", "compile", "-p", path, "-pack", "-importcfg", p.importcfg(), "-o", out, "-trimpath", p.dir}, flags...)
	goOutput(p.t, p.gocmd, p.dir, append(args, p.write(name+".go", src))...)
	p.exports[path] = out
}

func (p *program) archive(path string) *Archive {
	p.t.Helper()
	data, err := os.ReadFile(p.exports[path])
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := ReadArchive(data)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// object parses the compiler's object of a package.
func (p *program) object(path string) *Object {
	p.t.Helper()
	a := p.archive(path)
	o, err := Parse(a.Members[a.Objects()[0]].Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return o
}

// indexed is Rewriter.Indexed over the packages of the program.
func (p *program) indexed(path string, sym uint32) (Definition, error) {
	defs, ok := p.defs[path]
	if !ok {
		if p.exports[path] == "" {
			return Definition{}, fmt.Errorf("no such package")
		}
		a := p.archive(path)
		var err error
		if defs, err = Definitions(a.Members[a.Objects()[0]].Data); err != nil {
			return Definition{}, err
		}
		p.defs[path] = defs
	}
	if uint64(sym) >= uint64(len(defs)) {
		return Definition{}, fmt.Errorf("only %d symbols", len(defs))
	}
	return defs[sym], nil
}

// rewrite rewrites the archive of a package, which then has the path w.New.
func (p *program) rewrite(path string, w *Rewriter) {
	p.t.Helper()
	a := p.archive(path)
	for i := range a.Members {
		m := &a.Members[i]
		if m.IsObject() {
			o, err := Parse(m.Data)
			if err != nil {
				p.t.Fatal(err)
			}
			before := len(o.RefFlags)
			if err := w.Rewrite(o); err != nil {
				p.t.Fatalf("%s: %v", path, err)
			}
			m.Data = o.Bytes()
			checkNamed(p.t, m.Data, before)
		} else if w.Old != "" {
			m.Data = bytes.ReplaceAll(m.Data, []byte(w.Old), []byte(w.New))
		}
		if w.Old != "" && bytes.Contains(m.Data, []byte(w.Old)) {
			p.t.Errorf("%s: %q is still in %s", path, w.Old, m.Name)
		}
	}
	file := p.write(strings.ReplaceAll(path, "/", "_")+".rewritten.a", string(a.Bytes()))
	if w.Old != "" {
		delete(p.exports, path)
		path = strings.ReplaceAll(path, w.Old, w.New)
	}
	p.exports[path] = file
}

// checkNamed checks that an object refers to no other package by position, and
// to no name twice.
func checkNamed(t testing.TB, data []byte, refFlags int) {
	t.Helper()
	o, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if refs := indexed(t, o); len(refs) > 0 {
		t.Errorf("references by position: %v", refs)
	}
	if !slices.Equal(o.Packages, []string{""}) || len(o.RefNames) != 0 || len(o.RefFlags) != refFlags {
		t.Errorf("%q, %d names and %d flags of references, want none, none and %d",
			o.Packages, len(o.RefNames), len(o.RefFlags), refFlags)
	}
	for _, f := range o.RefFlags {
		if o.Symbol(f.Sym) == nil {
			t.Errorf("flags of %v", f.Sym)
		}
	}
	seen := map[nameABI]bool{}
	for _, s := range o.NonPkgRefs {
		k := nameABI{s.Name, s.ABI}
		if seen[k] && s.Name != "" { // the compiler has unnamed ones
			t.Errorf("%v is named twice", k)
		}
		seen[k] = true
	}
}

// indexed gives the references of o to other packages by position.
func indexed(t testing.TB, o *Object) []Ref {
	t.Helper()
	var refs []Ref
	for _, table := range o.definitions() {
		for i := range table {
			s := &table[i]
			for _, r := range s.Relocs {
				refs = append(refs, r.Sym)
			}
			for _, a := range s.Aux {
				refs = append(refs, a.Sym)
			}
			if info := o.funcInfo(s); info != nil {
				inlined, err := o.InlineRefs(info)
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, inlined...)
			}
		}
	}
	for _, f := range o.RefFlags {
		refs = append(refs, f.Sym)
	}
	return slices.DeleteFunc(refs, func(r Ref) bool { return !r.Indexed() })
}

// run links the program and gives what it prints.
func (p *program) run() string {
	p.t.Helper()
	exe := filepath.Join(p.dir, "program.exe")
	goOutput(p.t, p.gocmd, p.dir, "tool", "link", "-importcfg", p.importcfg(), "-buildmode=exe", "-o", exe, p.exports["main"])
	return goOutput(p.t, exe, p.dir)
}
