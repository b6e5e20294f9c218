package builder

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"

	"github.com/rogpeppe/go-internal/goproxytest"
)

// pgoProfile is a CPU profile of nothing in particular.
func pgoProfile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		t.Fatal(err)
	}
	pprof.StopCPUProfile()
	return b.String()
}

// libModule serves two versions of module example.com/lib, and gives the
// environment for it.
func libModule(t *testing.T) []string {
	t.Helper()
	mods := t.TempDir()
	for version, body := range map[string]string{"v1.0.0": "one", "v1.1.0": "two"} {
		module := "-- .mod --\nmodule example.com/lib\n\ngo 1.26\n-- .info --\n{\"Version\":\"" + version + "\"}\n-- go.mod --\nmodule example.com/lib\n\ngo 1.26\n-- lib.go --\npackage lib\n\nfunc V() string { return \"" + body + "\" }\n"
		if err := os.WriteFile(filepath.Join(mods, "example.com_lib_"+version+".txtar"), []byte(module), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proxy, err := goproxytest.NewServer(mods, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return []string{"GOPROXY=" + proxy.URL, "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOMODCACHE=" + t.TempDir()}
}

// A dependency that the host has in another version shows in no package hash
// when only the body of a function differs.
func TestOtherVersionOfADependencyIsRefused(t *testing.T) {
	f := newFixture(t, `
-- go.mod --
module example.com/shop

go 1.26

require example.com/lib v1.0.0
-- server/uses/uses.go --
package uses

import _ "example.com/lib"
-- plugins/pricing/pricing.go --
package pricing

import "example.com/lib"

func Run() string { return lib.V() }
`+hostMain)
	f.env = append(f.env, libModule(t)...)
	f.buildHost()
	b := f.builder(Options{})
	if got := f.run(f.build(b, "./plugins/pricing")); got != "one" {
		t.Errorf("got %s", got)
	}
	f.edit("go.mod", "v1.0.0", "v1.1.0")
	_, err := f.plan(b, "./plugins/pricing")
	c := asConflict(t, err)
	if len(c.Evidence) != 1 || c.Evidence[0].What != "example.com/lib" || c.Evidence[0].Host != "v1.0.0" || c.Evidence[0].Artifact != "v1.1.0" {
		t.Errorf("got %+v", c.Evidence)
	}
}
