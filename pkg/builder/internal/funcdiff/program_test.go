package funcdiff

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// exports are archives of the packages that test sources may import.
var exports = sync.OnceValues(func() (map[string]string, error) {
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "fmt", "strings", "unsafe").Output()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, file, _ := strings.Cut(strings.TrimSpace(line), " "); file != "" {
			files[path] = file
		}
	}
	return files, nil
})

// compile compiles sources, an import path each, in order, and gives the builds.
// The text of a package is one file, or several that begin with "-- NAME --".
func compile(t testing.TB, flags []string, sources ...[2]string) map[string]*Build {
	t.Helper()
	std, err := exports()
	if err != nil {
		t.Skipf("no export data: %v", err)
	}
	dir := t.TempDir()
	archives := map[string]string{}
	defs := map[string][]goobj.Definition{}
	definition := func(path string, i uint32) (goobj.Definition, error) {
		if defs[path] == nil {
			file := archives[path]
			if file == "" {
				file = std[path]
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return goobj.Definition{}, err
			}
			a, err := goobj.ReadArchive(data)
			if err != nil {
				return goobj.Definition{}, err
			}
			if defs[path], err = goobj.Definitions(a.Compiled()); err != nil {
				return goobj.Definition{}, err
			}
		}
		return defs[path][i], nil
	}
	builds := map[string]*Build{}
	for i, src := range sources {
		path, text := src[0], src[1]
		at := filepath.Join(dir, fmt.Sprint(i))
		var config bytes.Buffer
		for p, file := range std {
			fmt.Fprintf(&config, "packagefile %s=%s\n", p, file)
		}
		for p, file := range archives {
			fmt.Fprintf(&config, "packagefile %s=%s\n", p, file)
		}
		write(t, filepath.Join(at, "importcfg"), config.String())
		name := path[strings.LastIndexByte(path, '/')+1:] + ".go"
		write(t, filepath.Join(at, name), text)
		archive := filepath.Join(at, "out.a")
		args := append([]string{"tool", "compile", "-p", path, "-pack", "-importcfg", filepath.Join(at, "importcfg"), "-o", archive, "-trimpath", at}, LeakFlags...)
		cmd := exec.Command("go", append(append(args, flags...), name)...)
		cmd.Dir = at
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("compile %s: %v\n%s\n%s", path, err, out, text)
		}
		archives[path] = archive
		data, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		a, err := goobj.ReadArchive(data)
		if err != nil {
			t.Fatal(err)
		}
		b := &Build{Indexed: definition}
		for _, m := range a.Objects() {
			o, err := goobj.Parse(a.Members[m].Data)
			if err != nil {
				t.Fatal(err)
			}
			b.Objects = append(b.Objects, o)
		}
		if b.Declared, err = Declare(path, []Source{{Name: name, Data: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		b.Leaks = b.Declared.ParseLeaks(string(out))
		builds[path] = b
	}
	return builds
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dynlink is how code is compiled that goes into a patch.
var dynlink = []string{"-dynlink", "-linkshared"}

// compare compiles two versions of packages and compares them as if the program
// had everything that the old ones define.
func compare(t testing.TB, old, now [][2]string) *Diff {
	t.Helper()
	types, ok := goobj.RelocTypes(runtime.Version())
	if !ok {
		t.Skip(runtime.Version())
	}
	was, is := compile(t, dynlink, old...), compile(t, dynlink, now...)
	has := map[string]bool{}
	var pkgs []Package
	for _, src := range old {
		path := src[0]
		for _, o := range was[path].Objects {
			for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
				for i := range table {
					has[table[i].Name] = true
				}
			}
		}
		pkgs = append(pkgs, Package{Path: path, Old: was[path], New: is[path]})
	}
	d, err := Compare(Program{Types: types, Has: func(name string, _ uint16) bool { return has[name] }}, pkgs)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lines writes a diff, a line for each thing.
func lines(d *Diff) []string {
	var list []string
	for _, f := range d.Functions {
		if f.Wrapper && f.Change == Added {
			continue
		}
		text := string(f.Change) + " " + Short(f.Name)
		if f.Change == Changed && !f.Redirect {
			text += " beside"
		}
		if f.Unlike {
			text += " unlike"
		}
		if f.Reason != "" {
			text += ": " + f.Reason
		}
		list = append(list, text)
	}
	for _, s := range d.Types {
		list = append(list, "type "+Short(strings.TrimPrefix(s.Name, "type:")))
	}
	for _, s := range d.Variables {
		list = append(list, "var "+Short(s.Name))
	}
	for _, f := range d.Findings {
		kind := "note "
		if f.Refuse {
			kind = "refuse "
		}
		list = append(list, kind+f.Code+" "+f.Symbol)
	}
	return list
}

func check(t *testing.T, d *Diff, want ...string) {
	t.Helper()
	if got := lines(d); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
