//go:build linux && amd64 && cgo

package builder

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// sharedModule has a package that host and plugin share, and a plugin as people
// build it without hotgo.
const sharedModule = hostMain + `
-- server/uses/uses.go --
package uses

import (
	"fmt"

	"example.com/shop/price"
)

var Total = fmt.Sprint(price.Round(7), price.Name(), price.Sum([]int{1}))
-- price/price.go --
package price

var calls int

//go:noinline
func Round(n int) int { calls++; return n - n%5 }

//go:noinline
func Name() string { return "euro" }

func Sum(all []int) (sum int) {
	for _, n := range all {
		defer func() { calls += n }()
		sum += n
	}
	return sum
}
-- rules/main.go --
package main

import "example.com/shop/price"

func Run() string { return price.Name() + string(rune(price.Round(7)+price.Sum(nil))) }

func main() {}
`

// stockPlugin builds a plugin without hotgo.
func (f *fixture) stockPlugin(pkg string) (string, *abi.Fingerprint) {
	f.T.Helper()
	so := filepath.Join(f.T.TempDir(), "plugin.so")
	cmd := exec.CommandContext(f.T.Context(), "go", "build", "-buildmode=plugin", "-buildvcs=false", "-o", so, pkg)
	cmd.Dir, cmd.Env = f.Root, f.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		f.T.Fatalf("%v\n%s", err, out)
	}
	fp, err := abi.ReadFile(so)
	if err != nil {
		f.T.Fatal(err)
	}
	return so, fp
}

// TestBodiesThatNoHashShowsAreFound: such a plugin is let in by the runtime.
func TestBodiesThatNoHashShowsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds plugins")
	}
	f := newFixture(t, sharedModule)
	f.Host = filepath.Join(t.TempDir(), "host")
	b := f.builder(Options{})
	if _, err := b.BuildHost(t.Context(), "./server", f.Host); err != nil {
		t.Fatal(err)
	}
	host, err := abi.ReadFile(f.Host)
	if err != nil {
		t.Fatal(err)
	}
	literal := "price.Sum.func1"
	if strings.HasPrefix(runtime.Version(), "go1.27") {
		literal = "" // its linker keeps the names of function literals to itself
	}
	for _, test := range []struct{ name, old, text, want string }{
		{name: "same", old: "calls++", text: "calls++"},
		{name: "instruction", old: "n - n%5", text: "n - n%8", want: "price.Round"},
		{name: "constant", old: `"euro"`, text: `"peso"`, want: "price.Name"},
		{name: "literal", old: "calls += n }", text: "calls -= n }", want: literal},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.Edit("price/price.go", test.old, test.text)
			so, fp := f.stockPlugin("./rules")
			f.Edit("price/price.go", test.text, test.old)
			if found := abi.Compare(host, fp, nil); len(found) > 0 {
				t.Fatalf("a hash shows it: %v", found)
			}
			differ, compared, err := b.sharedBodies(t.Context(), Host{Binary: f.Host}, so, fp)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(compared, "example.com/shop/price") {
				t.Errorf("compared %q", compared)
			}
			var names []string
			for _, m := range differ {
				names = append(names, m.What)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// TestBodiesAreNotComparedWithDriftedSources: what the host was built from has to
// be what the comparison is with.
func TestBodiesAreNotComparedWithDriftedSources(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds plugins")
	}
	f := newFixture(t, sharedModule)
	f.buildHost()
	so, fp := f.stockPlugin("./rules")
	f.Edit("price/price.go", "n - n%5", "n - n%8") // nobody wrote down what it was
	_, _, err := f.builder(Options{}).sharedBodies(t.Context(), Host{Binary: f.Host}, so, fp)
	if c := (*ConflictError)(nil); !errors.As(err, &c) || !strings.Contains(fmt.Sprint(c, c.Evidence), "price.Round") {
		t.Errorf("got %v, want drift in price.Round", err)
	}
}
