package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Everything reports whether tests are to take all rows of tables that take minutes, as
// CI has them do. Otherwise they take some of each kind: go test gives a package ten
// minutes, and may run another one beside it.
func Everything() bool { return os.Getenv("HOTGO_TEST_FULL") != "" && !testing.Short() }

// Toolchains gives the other supported releases that are installed, as values
// of GOTOOLCHAIN. Nothing is downloaded.
func Toolchains(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "golang.org", "toolchain@v0.0.1-go1.2[67]*.linux-amd64", "bin", "go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range found {
		_, name, _ := strings.Cut(filepath.Base(filepath.Dir(filepath.Dir(path))), "@v0.0.1-")
		if name = strings.TrimSuffix(name, ".linux-amd64"); name != runtime.Version() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
