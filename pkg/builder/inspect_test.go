package builder

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

func TestReadArtifactDescribesAPluginThatHotgoDidNotBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin")
	}
	f := newFixture(t, `
-- rules/rules.go --
package main

var Rate = 3

func Price(n int) int { return Rate * n }

func main() {}
`)
	file := filepath.Join(f.Root, "rules.so")
	cmd := exec.Command("go", "build", "-buildmode=plugin", "-o", file, "./rules")
	cmd.Dir, cmd.Env = f.Root, append(f.Env, "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a, err := ReadArtifact(file)
	if err != nil {
		t.Fatal(err)
	}
	m := a.Manifest
	if !m.Foreign || m.Plugin != "" || m.Package != "example.com/shop/rules" || "sha256:"+m.Key != a.Digest || m.Link != "full" || m.Reason == "" {
		t.Errorf("manifest %+v", m)
	}
	if got := strings.Join(m.SymbolNames(), " "); got != "Price Rate" {
		t.Errorf("it exports %s", got)
	}
	if name, err := m.PluginFor(map[string][]string{"rules": {"Price"}}); name != "rules" {
		t.Errorf("it is plugin %q, %v", name, err)
	}

	// What is no plugin has a digest, and the error names it.
	text := filepath.Join(f.Root, "rules.txt")
	if err := os.WriteFile(text, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err = ReadArtifact(text)
	if a == nil || artifact.ValidDigest(a.Digest) != nil || err == nil || !strings.Contains(err.Error(), "rules.txt") {
		t.Errorf("text: %+v, %v", a, err)
	}
	if _, err := ReadArtifact(filepath.Join(f.Root, "nothing.so")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
