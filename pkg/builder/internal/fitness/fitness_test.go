package fitness

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestOnlyWhatInitialisationReachesIsReported runs the corpus: an archive with the
// packages of a plugin (p is example.com/p, the others lie below it) and the sites
// that are to be found, a line each. What must not be reported has the word not in
// its name.
func TestOnlyWhatInitialisationReachesIsReported(t *testing.T) {
	corpus, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(corpus) == 0 {
		t.Fatal("no corpus: ", err)
	}
	for _, file := range corpus {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var pkgs []Package
			want := ""
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				dir := path.Dir(f.Name)
				importPath := path.Join("example.com/p", strings.TrimPrefix(dir, "p"))
				source := File{Path: f.Name, Data: f.Data}
				if n := len(pkgs); n > 0 && pkgs[n-1].ImportPath == importPath {
					pkgs[n-1].Files = append(pkgs[n-1].Files, source)
					continue
				}
				pkgs = append(pkgs, Package{ImportPath: importPath, Name: path.Base(importPath), Files: []File{source}})
			}
			var got strings.Builder
			may := MayRegister(pkgs)
			for _, s := range Inspect(pkgs, func(string) string { return "" }) {
				fmt.Fprintf(&got, "%s:%d:%d %s in %s\n", s.File, s.Line, s.Col, s.Call, strings.Join(s.Via, ", "))
				if (s.Kind == Registration) == (s.Again == "") {
					t.Errorf("%s says %q about doing it again", s.Call, s.Again)
				}
				if s.Kind == Registration && !may {
					t.Errorf("MayRegister rules out %s", s.Call)
				}
			}
			if d := cmp.Diff(want, got.String()); d != "" {
				t.Errorf("%s(-want +got):\n%s", archive.Comment, d)
			}
		})
	}
}

// TestNamesOfImportsAreAskedFor: the last element of a path is not always the name
// of the package.
func TestNamesOfImportsAreAskedFor(t *testing.T) {
	src := "package p\n\nimport _ \"os\"\nimport \"example.com/go-flag\"\n\nvar _ = flag.Int()\nvar _ = other.Int()\n"
	asked := ""
	Inspect([]Package{{ImportPath: "p", Name: "p", Files: []File{{"p.go", []byte(src)}}}}, func(importPath string) string {
		asked += importPath + "\n"
		return "flag"
	})
	if asked != "os\nexample.com/go-flag\n" {
		t.Errorf("asked for %q", asked)
	}
}

// TestWhatNamesNoRegistryIsRuledOut: packages that only use a registry's package
// otherwise are not read any closer.
func TestWhatNamesNoRegistryIsRuledOut(t *testing.T) {
	src := "package p\n\nimport (\n\t\"net/http\"\n\t\"time\"\n)\n\nvar h http.Handler = http.NotFoundHandler()\nvar f = http.HandlerFunc(nil)\nvar d = time.After(1)\n"
	if MayRegister([]Package{{ImportPath: "p", Name: "p", Files: []File{{"p.go", []byte(src)}}}}) {
		t.Error("there may be a registration")
	}
}
