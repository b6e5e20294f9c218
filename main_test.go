// The rules that this repository keeps about itself: what lies where, who may
// import whom, and what no file may hold. Each failure says why the rule is
// there; a rule that no longer fits is changed here, in .golangci.yaml (which
// shows the same arrows in the editor) and in docs/architecture.md at once.
//
// Imports are read from the source of every platform, so that a file for
// another GOOS obeys too. Closures are asked of `go list`.
package main_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/hotgo/hotgo"

// topLevel is everything that may lie beside go.mod.
var topLevel = []string{
	"go.mod", "go.sum", "main.go", "main_test.go",
	"cmd", "pkg", "examples", "docs",
	"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
	".ci", ".github", ".gitignore", ".gitattributes", ".editorconfig",
	".golangci.yaml", ".goreleaser.yaml",
}

func TestTopLevelIsFixed(t *testing.T) {
	for _, f := range files(t) {
		if top, _, _ := strings.Cut(f, "/"); !slices.Contains(topLevel, top) {
			t.Errorf("%s: the top level stays small enough to read at a glance; put it under cmd, pkg, examples or docs", f)
		}
	}
}

// public is what other modules may import from pkg, and thus what has to stay
// compatible.
var public = []string{"pkg/builder", "pkg/reloader", "pkg/reloader/auto", "pkg/reloader/control"}

func TestPublicPackagesAreThePromisedOnes(t *testing.T) {
	var got []string
	for _, f := range goFiles(t) {
		if under(f.dir, "pkg") && !f.test && !slices.Contains(strings.Split(f.dir, "/"), "internal") && !slices.Contains(got, f.dir) {
			got = append(got, f.dir)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, public) {
		t.Errorf("importable packages under pkg:\n got %q\nwant %q\nevery public package is a promise to its users; the others belong under an internal directory", got, public)
	}
}

func TestNamesSayWhatIsInside(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "base"}
	for _, f := range goFiles(t) {
		for _, name := range append(strings.Split(f.dir, "/"), strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")) {
			if slices.Contains(vague, name) {
				t.Errorf("%s: %q names no subject; name the file or package after the one thing it holds", f.path, name)
			}
		}
	}
}

// arrows lists for each part of the tree the parts that it may import. A file
// belongs to the longest part that its directory lies in; a part may always
// import itself and what lies below it.
var arrows = []struct {
	from, why string
	to        []string
}{
	{".", "main is wiring: it hands the arguments to cmd and the exit code to the system", []string{"cmd"}},
	{"cmd", "cmd holds verbs without logic; the CLI speaks to hosts over the control socket and never is one", []string{"cmd", "pkg/builder", "pkg/reloader/control"}},
	{"pkg/builder", "builder and reloader meet only in an artifact and on the socket, so that a host does not carry a compiler driver", []string{"pkg/internal"}},
	{"pkg/reloader", "builder and reloader meet only in an artifact and on the socket, so that a host does not carry a compiler driver", []string{"pkg/internal"}},
	{"pkg/reloader/control", "clients of the socket must not become hosts: control stands below reloader", []string{"pkg/internal"}},
	{"pkg/reloader/internal", "reloader's parts do not know reloader: it calls them", []string{"pkg/reloader/control", "pkg/internal"}},
	{"pkg/internal", "what builder and reloader share knows neither", nil},
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, f := range goFiles(t) {
		best := -1
		for i, a := range arrows {
			if under(f.dir, a.from) && (best < 0 || len(a.from) >= len(arrows[best].from)) {
				best = i
			}
		}
		if best < 0 || under(f.dir, "examples") || under(f.dir, "docs") {
			continue
		}
		rule := arrows[best]
		for _, imp := range f.imports {
			to, own := strings.CutPrefix(imp, module+"/")
			if !own {
				continue
			}
			allowed := rule.from != "." && under(to, rule.from)
			for _, part := range rule.to {
				allowed = allowed || under(to, part)
			}
			if !allowed {
				t.Errorf("%s imports %s: %s", f.path, to, rule.why)
			}
		}
	}
}

// owners lists imports that only some directories may have.
var owners = []struct {
	imp, why string
	dirs     []string
}{
	{"github.com/spf13/viper", "one place turns flags, environment and file into a Config, and knows viper's traps", []string{"cmd/internal/config"}},
	{"github.com/fsnotify/fsnotify", "one place turns raw file events into batches, and never loses the last edit", []string{"cmd/internal/watch"}},
	{"plugin", "it costs every importer cgo and megabytes, and a load without preflight can kill the process", []string{"pkg/reloader/internal/goplugin"}},
	{"C", "cgo in hotgo itself would end cross-compilation of the CLI", nil},
	{"unsafe", "memory that the compiler does not check is confined to where nothing else does it", []string{
		"pkg/reloader/internal/livepatch",              // machine code
		"pkg/reloader/internal/retained",               // the heap, which is read only
		"pkg/reloader/internal/carry",                  // unexported variables, and memory that two generations share
		"pkg/internal/store",                           // LockFileEx; golang.org/x/sys is not for what hosts import
		"pkg/internal/peercred",                        // SO_PEERGROUPS; the same
		"pkg/internal/typename",                        // its test spells unsafe.Pointer
		"pkg/builder/internal/symbols/internal/shapes", // the same, as a fixture
	}},
}

func TestImportsWithAnOwnerStayThere(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, o := range owners {
			if slices.Contains(f.imports, o.imp) && !slices.Contains(o.dirs, f.dir) {
				t.Errorf("%s imports %q, which belongs to %q: %s", f.path, o.imp, o.dirs, o.why)
			}
		}
	}
}

func TestClosuresHoldOnEveryPlatform(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			deps := closures(t, goos)
			for _, dep := range deps[module] {
				switch rel, _ := strings.CutPrefix(dep, module+"/"); {
				case dep == "plugin":
					t.Error("the CLI reaches \"plugin\": it would need cgo and could not be released for every platform from one machine")
				case rel == "pkg/reloader" || under(rel, "pkg/reloader/internal"):
					t.Errorf("the CLI reaches %s: it speaks to hosts over the socket (pkg/reloader/control)", rel)
				}
			}
			for _, pkg := range public[1:] { // reloader and below
				for _, dep := range deps[module+"/"+pkg] {
					if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && !strings.HasPrefix(dep, module+"/") {
						t.Errorf("%s reaches %s: whatever a host drags in, every plugin must match, so it is the standard library alone", pkg, dep)
					}
				}
			}
			if slices.Contains(deps[module+"/pkg/reloader/control"], "plugin") {
				t.Error("pkg/reloader/control reaches \"plugin\": the CLI imports it and is built without cgo")
			}
		})
	}
}

// closures lists for the program and the public packages everything that they
// import, directly or not, when built for goos.
func closures(t *testing.T, goos string) map[string][]string {
	t.Helper()
	args := []string{"list", "-deps", "-json=ImportPath,Deps", "."}
	for _, pkg := range public {
		args = append(args, "./"+pkg)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+goos)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	deps := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		deps[p.ImportPath] = p.Deps
	}
	for _, pkg := range append([]string{"."}, public...) {
		if len(deps[path.Join(module, pkg)]) == 0 {
			t.Fatalf("go list says nothing of %s; it has %q", pkg, slices.Sorted(maps.Keys(deps)))
		}
	}
	return deps
}

func TestGoFilesAreFormatted(t *testing.T) {
	for _, f := range goFiles(t) {
		switch formatted, err := format.Source(f.source); {
		case err != nil:
			t.Errorf("%s: %v", f.path, err)
		case !bytes.Equal(formatted, f.source):
			t.Errorf("%s: run gofumpt -w on it", f.path)
		}
	}
}

// machinePath matches directories that exist on someone's machine only.
var machinePath = regexp.MustCompile(`(?:^|[^\w.-])/(?:root|work|farm|Users|tmp/bash)[/_]`)

func TestNoFileNamesAMachine(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files(t) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if machinePath.Match(line) || bytes.Contains(line, []byte(here+"/")) {
				t.Errorf("%s:%d: a path of one machine: %.120s", f, i+1, line)
			}
		}
	}
}

// A test that sleeps is slow where it passes and flaky where it does not. Time
// may pass only in a synctest bubble, where it is fake: inside a function
// literal given to synctest.Test, or to a function of the package that calls
// it, or in a function with synctest.Wait, which panics outside a bubble.
func TestNoTestSleeps(t *testing.T) {
	byDir := map[string][]goFile{}
	for _, f := range goFiles(t) {
		if f.test {
			byDir[f.dir] = append(byDir[f.dir], f)
		}
	}
	for _, tests := range byDir {
		bubbles := bubbleFuncs(tests)
		for _, f := range tests {
			for _, call := range sleeps(f.syntax, bubbles) {
				t.Errorf("%s:%d: time.Sleep outside a synctest bubble: wait for the condition itself", f.path, f.fset.Position(call).Line)
			}
		}
	}
	shellSleep := regexp.MustCompile(`(?m)^\s*(?:\[[^\]]*\]\s*)*(?:exec\s+)?sleep\s`)
	for _, f := range files(t) {
		if path.Ext(f) != ".txtar" {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := bytes.Cut(data, []byte("\n-- "))
		if shellSleep.Match(script) {
			t.Errorf("%s: a script sleeps: wait for the condition itself", f)
		}
	}
}

// bubbleFuncs returns the functions that run what they are given inside a
// bubble, spelled as their calls are.
func bubbleFuncs(tests []goFile) map[string]bool {
	bubbles := map[string]bool{"synctest.Test": true}
	for _, f := range tests {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && calls(fn, "synctest.Test") {
				bubbles[fn.Name.Name] = true
			}
		}
	}
	return bubbles
}

// sleeps returns where the file calls time.Sleep outside a bubble.
func sleeps(file *ast.File, bubbles map[string]bool) []token.Pos {
	var found []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return !calls(n, "synctest.Wait")
		case *ast.CallExpr:
			if callee(n) == "time.Sleep" {
				found = append(found, n.Pos())
			}
			return !bubbles[callee(n)]
		}
		return true
	})
	return found
}

func calls(in ast.Node, function string) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		found = found || ok && callee(call) == function
		return !found
	})
	return found
}

// callee is how the source spells what is called, where that is a name.
func callee(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		if x, ok := fun.X.(*ast.Ident); ok {
			return x.Name + "." + fun.Sel.Name
		}
	}
	return ""
}

// under says whether the slash-separated dir is part or lies in it.
func under(dir, part string) bool {
	return part == "." || dir == part || strings.HasPrefix(dir, part+"/")
}

// files lists what belongs to the repository, slash-separated: what git tracks
// or would, and every file where this is no git checkout.
func files(t *testing.T) []string {
	t.Helper()
	list, err := listFiles()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var listFiles = sync.OnceValues(func() (list []string, err error) {
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err == nil {
		for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if _, err := os.Stat(name); err == nil { // not deleted since it was added
				list = append(list, name)
			}
		}
		return list, nil
	}
	err = filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, filepath.ToSlash(name))
		}
		return err
	})
	return list, err
})

// goFile is a parsed Go file of the repository, of any platform. Fixtures under
// testdata are programs of their own and not among them.
type goFile struct {
	path, dir string
	test      bool
	source    []byte
	fset      *token.FileSet
	syntax    *ast.File
	imports   []string
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	list, err := parseFiles()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var parseFiles = sync.OnceValues(func() ([]goFile, error) {
	names, err := listFiles()
	if err != nil {
		return nil, err
	}
	var list []goFile
	for _, name := range names {
		if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		f := goFile{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), fset: token.NewFileSet()}
		if f.source, err = os.ReadFile(name); err != nil {
			return nil, err
		}
		if f.syntax, err = parser.ParseFile(f.fset, name, f.source, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		for _, spec := range f.syntax.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			f.imports = append(f.imports, imp)
		}
		list = append(list, f)
	}
	return list, nil
})
