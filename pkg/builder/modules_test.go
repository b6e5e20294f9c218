package builder

import (
	"bytes"
	"runtime/pprof"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
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
	f.Env = append(f.Env, hosttest.ServeLib(t)...)
	f.buildHost()
	b := f.builder(Options{})
	if got := f.run(f.build(b, "./plugins/pricing")); got != "one" {
		t.Errorf("got %s", got)
	}
	f.Edit("go.mod", "v1.0.0", "v1.1.0")
	_, err := f.plan(b, "./plugins/pricing")
	c := asConflict(t, err)
	if len(c.Evidence) != 1 || c.Evidence[0].What != "example.com/lib" || c.Evidence[0].Host != "v1.0.0" || c.Evidence[0].Artifact != "v1.1.0" {
		t.Errorf("got %+v", c.Evidence)
	}
}
