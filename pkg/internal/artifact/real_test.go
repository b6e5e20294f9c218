//go:build linux

package artifact

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A plugin that the linker made: with its manifest, the dynamic linker and the
// runtime still take it, and binutils and the go command still read it.
func TestPluginWithManifestStillLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin, which takes a while")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example.com/fixture\n\ngo 1.26\n",
		"host/main.go":   "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"plugin\"\n)\n\nfunc main() {\n\tp, err := plugin.Open(os.Args[1])\n\tif err == nil {\n\t\tvar f plugin.Symbol\n\t\tif f, err = p.Lookup(\"Answer\"); err == nil {\n\t\t\tfmt.Print(f.(func() int)())\n\t\t\treturn\n\t\t}\n\t}\n\tfmt.Print(err)\n\tos.Exit(1)\n}\n",
		"plugin/main.go": "package main\n\nfunc Answer() int { return 42 }\n\nfunc main() {}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	run("go", "build", "-buildvcs=false", "-o", "host.bin", "./host")
	host := filepath.Join(dir, "host.bin")

	for _, c := range []struct{ name, ldflags string }{{"full.so", ""}, {"stripped.so", "-s -w"}} {
		run("go", "build", "-buildvcs=false", "-buildmode=plugin", "-ldflags="+c.ldflags, "-o", c.name, "./plugin")
		path := filepath.Join(dir, c.name)
		if err := Append(path, manifest()); err != nil {
			t.Fatal(err)
		}
		if got := run(host, path); got != "42" {
			t.Errorf("%s: the host says %q", c.name, got)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := VerifyPayload(f, info.Size()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := run("go", "version", "-m", path); !strings.Contains(got, "-buildmode=plugin") {
			t.Errorf("%s: go version -m says %q", c.name, got)
		}
		if _, err := exec.LookPath("readelf"); err != nil {
			continue
		}
		if got := run("readelf", "-SW", path); !strings.Contains(got, Section+" ") || strings.Contains(got, "Warning") {
			t.Errorf("%s: readelf -S says\n%s", c.name, got)
		}
		if got := run("readelf", "-p", Section, path); !strings.Contains(got, `"plugin":"pricing"`) {
			t.Errorf("%s: readelf -p says\n%s", c.name, got)
		}
	}
}
