//go:build linux && amd64 && cgo

package livepatching_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// leftOut are tests of things that a driver beside them cannot leave alone: they
// count the allocations of few runs, among which are the driver's, or want the type
// links of all that is loaded in one sequence, which they are in a program without
// plugins only.
var leftOut = map[string]string{
	"encoding/binary": "TestSizeAllocs",
	"reflect":         "TestTypelinksSorted|TestTypeAssertAllocs",
	"strings":         "TestReplace",
	"unicode/utf8":    "TestRuneCountNonASCIIAllocation",
}

// HOTGO_TEST_STRESS names other packages of the standard library, or of modules
// that go.mod requires.
func TestPackagesPassTheirTestsWhileReplacedByThemselves(t *testing.T) {
	t.Parallel()
	packages := strings.Fields(os.Getenv("HOTGO_TEST_STRESS"))
	if packages == nil {
		packages = []string{"fmt"} // reflection, generics, jump tables, sync.Pool
		if !testing.Short() {
			packages = append(packages, "encoding/json")
		}
	}
	b, err := builder.New(builder.Options{WorkDir: hosttest.Repository(t), Dir: filepath.Join(t.TempDir(), "store"), Env: append(os.Environ(), "GOFLAGS=", "GOWORK=off")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, pkg := range packages {
		t.Run(pkg, func(t *testing.T) {
			st, err := b.Stress(context.Background(), pkg, t.TempDir(), 3)
			if err != nil {
				t.Fatal(err)
			}
			flags := []string{"-test.short"}
			if skip := leftOut[pkg]; skip != "" {
				flags = append(flags, "-test.skip=^("+skip+")$")
			}
			var out bytes.Buffer
			if _, err := st.Run(context.Background(), false, &out, flags...); err != nil {
				t.Fatalf("its tests fail as they are: %v\n%s", err, out.String())
			}
			out.Reset()
			n, err := st.Run(context.Background(), true, &out, flags...)
			if err != nil {
				t.Fatalf("with %d functions replaced by themselves: %v\n%s", st.Functions, err, out.String())
			}
			if n == 0 || st.Functions == 0 {
				t.Errorf("%d functions were replaced %d times", st.Functions, n)
			}
			t.Logf("%d functions were replaced %d times", st.Functions, n)
		})
	}
}
