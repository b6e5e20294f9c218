package goobj

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// releases are the toolchains to test with: the one that runs the test and,
// where it is installed, the other supported one. Nothing is downloaded.
func releases(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{runtime.Version(): "go"}
	mod := goOutput(t, "go", ".", "env", "GOMODCACHE")
	found, err := filepath.Glob(filepath.Join(mod, "golang.org", "toolchain@v0.0.1-go1.2[67]*."+runtime.GOOS+"-"+runtime.GOARCH, "bin", "go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		out[strings.Fields(goOutput(t, path, ".", "version"))[2]] = path
	}
	return out
}

// goOutput runs a go command in dir and gives its trimmed output.
func goOutput(t testing.TB, gocmd, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), gocmd, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=", "GOFLAGS=", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", gocmd, strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// checkRoundTrip reads every object of an archive and writes it again.
func checkRoundTrip(t *testing.T, path string) (objects int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadArchive(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), data) {
		t.Errorf("%s: the archive changed", path)
	}
	for _, i := range a.Objects() {
		objects++
		m := a.Members[i].Data
		o, err := Parse(m)
		if err != nil {
			t.Errorf("%s: %v", a.Members[i].Name, err)
			continue
		}
		if !bytes.Equal(o.Bytes(), m) {
			t.Errorf("%s: the object changed", a.Members[i].Name)
		}
		if n := strings.Count(strings.SplitN(string(m), "\n", 2)[0], o.GoVersion()); n == 0 {
			t.Errorf("%s: version %q is not in %q", a.Members[i].Name, o.GoVersion(), o.Head)
		}
		for _, table := range o.definitions() {
			for k := range table {
				if info := o.funcInfo(&table[k]); info != nil {
					if _, err := o.InlineRefs(info); err != nil {
						t.Errorf("%s: %s: %v", a.Members[i].Name, table[k].Name, err)
					}
				} else if table[k].IsText() {
					t.Errorf("%s: function %s has no information", a.Members[i].Name, table[k].Name)
				}
			}
		}
		defs, err := Definitions(m)
		if err != nil || len(defs) != len(o.Defs) {
			t.Fatalf("%s: %d definitions of %d, %v", a.Members[i].Name, len(defs), len(o.Defs), err)
		}
		for k, d := range defs {
			if s := o.Defs[k]; d != (Definition{s.Name, s.ABI, s.Type}) {
				t.Fatalf("%s: definition %d is %v, want %v", a.Members[i].Name, k, d, s)
			}
		}
	}
	return objects
}

func TestStandardLibraryIsWrittenAsItWasRead(t *testing.T) {
	what := []string{"std"}
	if testing.Short() {
		what = []string{"fmt", "net/netip", "internal/runtime/maps", "crypto/sha256", "runtime"}
	}
	for version, gocmd := range releases(t) {
		t.Run(version, func(t *testing.T) { checkPackages(t, gocmd, what) })
	}
}

func TestPackagesForSharedLinkingAreWrittenAsTheyWereRead(t *testing.T) {
	for version, gocmd := range releases(t) {
		t.Run(version, func(t *testing.T) {
			checkPackages(t, gocmd,
				[]string{"errors", "sort", "internal/bytealg", "encoding/hex", "text/tabwriter"},
				"-gcflags=-dynlink -linkshared", "-asmflags=-dynlink -linkshared")
		})
	}
}

func checkPackages(t *testing.T, gocmd string, what []string, flags ...string) {
	t.Helper()
	args := append([]string{"list", "-export", "-f", "{{.Export}}"}, flags...)
	objects := 0
	for _, path := range strings.Fields(goOutput(t, gocmd, t.TempDir(), append(args, what...)...)) {
		objects += checkRoundTrip(t, path)
	}
	if objects < len(what) {
		t.Errorf("only %d objects in %v", objects, what)
	}
}
