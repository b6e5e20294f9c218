//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// A thousand types of the host, of which every plugin has an itab each as well:
// enough for the runtime's table to grow a few times, which is when it begins
// to give the plugins' (runtime/iface.go, Go 1.27: itabAdd).
func TestTypesStayTheSameHoweverManyPluginsHaveThem(t *testing.T) {
	if testing.Short() {
		t.Skip("builds plugins")
	}
	const plugins = 4
	dir := t.TempDir()
	src, err := filepath.Abs("testdata/itabs")
	if err != nil {
		t.Fatal(err)
	}
	// One source, several plugin paths.
	replace := map[string]string{}
	for n := range plugins {
		replace[filepath.Join(src, fmt.Sprint("plugin", n), "main.go")] = filepath.Join(src, "plugin/main.go")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(args ...string) {
		t.Helper()
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	host := filepath.Join(dir, "host")
	build("-o", host, "./testdata/itabs/host")
	var files []string
	for n := range plugins {
		name := fmt.Sprint("plugin", n)
		bare := filepath.Join(dir, name+".so")
		build("-overlay", filepath.Join(dir, "overlay.json"), "-buildmode=plugin", "-ldflags=-s -w", "-o", bare, "./testdata/itabs/"+name)
		b, err := os.ReadFile(bare)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, packBytes(t, name, b, func(m *artifact.Manifest) {
			m.Plugin, m.Symbols = "faults", []artifact.Symbol{{Name: "Broken", Kind: "func", Type: "func() int"}}
		}))
	}
	before, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	run := func(how string) string {
		t.Helper()
		cmd := exec.Command(host, append([]string{how}, files...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}

	const sound = "0 0\n"
	if got := run("load"); got != strings.Repeat(sound, plugins) {
		t.Errorf("broken types in the host and in each plugin, after each load:\n%s", got)
	}
	if after, err := os.ReadFile(files[1]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the artifact itself was edited (%v)", err)
	}
	if abi.KnownIssue(runtime.Version()) == "" {
		return // the runtime is not known to be wrong
	}
	if got := run("open"); strings.HasSuffix(got, sound) {
		t.Errorf("%s breaks no type by itself: this test would not notice that the loader does not help\n%s", runtime.Version(), got)
	}
}
