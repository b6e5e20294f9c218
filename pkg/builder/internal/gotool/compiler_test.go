package gotool

import (
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestTryCompilerTellsMissingFromBroken: a compiler that is not there is something
// else than one that cannot compile.
func TestTryCompilerTellsMissingFromBroken(t *testing.T) {
	tool, err := New(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cc := range []string{"", "hotgo-has-no-such-compiler", filepath.Join(t.TempDir(), "cc") + " -O2"} {
		if err := tool.TryCompiler(t.Context(), cc, t.TempDir()); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%q: %v", cc, err)
		}
	}
	cc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no gcc on linux")
	}
	if err := tool.TryCompiler(t.Context(), cc, t.TempDir()); err != nil {
		t.Error(err)
	}
	var exit *ExitError
	err = tool.TryCompiler(t.Context(), cc+" -include nowhere.h", t.TempDir())
	if !errors.As(err, &exit) || !strings.Contains(exit.Stderr, "nowhere.h") {
		t.Errorf("a compiler that fails: %v", err)
	}
	if v := tool.LinkerVersion(t.Context(), cc); v == "" || strings.Contains(v, "collect2") {
		t.Errorf("its linker is %q", v)
	}
}
