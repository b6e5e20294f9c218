//go:build linux && amd64 && cgo

package builder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// stateModule is a host that was built with its plugin.
const stateModule = hostMain + `
-- server/uses/uses.go --
package uses

import (
	"fmt"

	"example.com/shop/plugins/pricing"
)

func init() { fmt.Sprint(pricing.Run()) }
-- plugins/pricing/pricing.go --
package pricing

import (
	"fmt"
	"net/http"

	"example.com/shop/plugins/pricing/rules"
)

var header = http.Header{}

var unused = 1

// Run is what hosts bind.
func Run() string { return fmt.Sprint(header, rules.Count()) }
-- plugins/pricing/rules/rules.go --
package rules

type rule struct{ hits int }

var seen = map[string]*rule{"a": {}}

// Count counts.
func Count() int { seen["a"].hits++; return int(seen["a"].hits) }
-- plugins/other/other.go --
package other

var n int

// Run is what hosts bind.
func Run() string { n++; return "" }
`

// state plans what becomes of a plugin's variables, and spells it.
func (f *fixture) state(b *Builder, name, key string) (*StatePlan, string) {
	f.T.Helper()
	found, err := b.Find(f.T.Context(), "./plugins/"+name)
	if err != nil {
		f.T.Fatal(err)
	}
	p, err := b.PlanState(f.T.Context(), Host{Binary: f.Host}, found[0], found, key)
	if err != nil {
		f.T.Fatal(err)
	}
	var said []string
	for _, v := range p.Variables {
		said = append(said, fmt.Sprint(v.Outcome, " ", strings.TrimPrefix(v.Package, "example.com/shop/plugins/"), ".", v.Name, " ", v.Text))
	}
	return p, strings.TrimSpace(p.Code + " " + p.Reason + strings.Join(said, "\n"))
}

func TestStateIsForetoldOfWhatServes(t *testing.T) {
	f := newFixture(t, stateModule)
	f.buildHost()
	b := f.builder(Options{})
	first := f.build(b, "./plugins/pricing").Manifest.Key
	f.Edit("plugins/pricing/rules/rules.go", "hits int", "hits int64; name string")
	f.Edit("plugins/pricing/pricing.go", "var unused = 1", "var unused, more = 1, func() {}")
	const entry = "converted pricing/rules.seen example.com/shop/plugins/pricing/rules.rule adds name; int becomes int64"
	for name, c := range map[string]struct{ plugin, key, want string }{
		"the built-in, which was linked without one": {
			"pricing", "", "carried pricing.header \nadded pricing.more \nadded pricing.unused the program was linked without it\n" + entry,
		},
		"a generation":            {"pricing", first, "carried pricing.header \nadded pricing.more \ncarried pricing.unused \n" + entry},
		"nothing":                 {"other", "", "package variables start anew: nothing of the plugin runs yet"},
		"somebody's generation":   {"pricing", strings.Repeat("0", 64), "HG0094 what becomes of package variables is not known: the generation that serves was built by another hotgo, or long ago"},
		"somebody's of the other": {"other", strings.Repeat("0", 64), "HG0094 what becomes of package variables is not known: the generation that serves was built by another hotgo, or long ago"},
	} {
		p, got := f.state(b, c.plugin, c.key)
		if got != c.want || p.Err() != nil {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if _, got := f.state(f.builder(Options{}), "pricing", ""); !strings.HasPrefix(got, "HG0094 package variables start anew: what the host was built from is not known exactly: ") {
		t.Errorf("taken to be built from other sources: %s", got)
	}
	full := f.builder(Options{Link: "full"})
	if _, got := f.state(full, "pricing", ""); !strings.HasPrefix(got, "HG0099 package variables start anew: ") || !strings.HasSuffix(got, "(asked for)") {
		t.Errorf("linked in full: %s", got)
	}

	f.Edit("plugins/pricing/rules/rules.go", "hits int64", "hits string")
	f.Edit("plugins/pricing/rules/rules.go", "hits++; return int", "hits += \"1\"; return len")
	p, _ := f.state(b, "pricing", first)
	var refused *ConflictError
	if !errors.As(p.Err(), &refused) || p.Count(StateRefused) != 1 || len(refused.Evidence) != 1 || refused.Evidence[0].What != "example.com/shop/plugins/pricing/rules.seen" {
		t.Errorf("refused: %+v, %v", p, p.Err())
	}
	f.Write("plugins/pricing/c.go", "package pricing\n\n// int n;\nimport \"C\"\n\nvar c C.int\n")
	if _, got := f.state(b, "pricing", first); got != "HG0099 what becomes of package variables is not known: example.com/shop/plugins/pricing uses cgo, and what C declares is not known here" {
		t.Errorf("with cgo: %s", got)
	}
	f.Write("plugins/pricing/c.go", "package pricing\n\nvar c gone\n")
	if _, got := f.state(b, "pricing", first); got != "HG0099 what becomes of package variables is not known: the new sources: plugins/pricing/c.go:3:7: undefined: gone" {
		t.Errorf("with an error: %s", got)
	}

	if err := os.RemoveAll(filepath.Join(f.Root, "server")); err != nil {
		t.Fatal(err)
	}
	if _, got := f.state(f.builder(Options{}), "pricing", ""); got != "HG0094 package variables start anew: what the host was built from is not known" {
		t.Errorf("without the host's sources: %s", got)
	}
}

func TestWhereNoStateIsCarriedNoneIsForetold(t *testing.T) {
	for want, c := range map[string]struct {
		env  gotool.Environment
		race bool
	}{
		"package variables start anew: the host was built with -race":                       {gotool.Environment{GOVERSION: "go1.26.8", GOOS: "linux", GOARCH: "amd64"}, true},
		"package variables start anew: state is carried for linux/amd64, not linux/arm64":   {gotool.Environment{GOVERSION: "go1.26.8", GOOS: "linux", GOARCH: "arm64"}, false},
		"package variables start anew: state is carried for Go 1.26 and 1.27, not go1.25.1": {gotool.Environment{GOVERSION: "go1.25.1", GOOS: "linux", GOARCH: "amd64"}, false},
	} {
		f := &forecast{s: &scan{env: &c.env}, plan: &Plan{settings: &settings{race: c.race}}}
		if p, err := f.versions(t.Context(), ""); p == nil || p.Code != ruleThin || p.Reason != want {
			t.Errorf("got %+v, %v; want %s", p, err, want)
		}
	}
}

// The soak swaps each version of the ledger by each, and carries all of them.
func TestNoSwapOfTheLedgerIsForetoldToBeRefused(t *testing.T) {
	f := newFixture(t, hostMain+usesNothing+"-- plugins/ledger/ledger.go --\n"+hosttest.Ledger(0))
	f.buildHost()
	b := f.builder(Options{})
	var keys []string
	for n := range hosttest.LedgerLayouts {
		f.Write("plugins/ledger/ledger.go", hosttest.Ledger(n))
		plan, err := f.plan(b, "./plugins/ledger")
		if err != nil {
			t.Fatal(err)
		}
		b.rememberGeneration(plan)
		keys = append(keys, plan.Key)
	}
	for n := range hosttest.LedgerLayouts {
		f.Write("plugins/ledger/ledger.go", hosttest.Ledger(n))
		for was, key := range keys {
			p, got := f.state(b, "ledger", key)
			if p.Err() != nil || len(p.Variables) == 0 {
				t.Errorf("from version %d to %d: %v\n%s", was, n, p.Err(), got)
			}
			if n == was && p.Count(StateCarried) != len(p.Variables) {
				t.Errorf("of version %d by itself: %s", n, got)
			}
		}
	}
}
