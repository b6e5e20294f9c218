package builder

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const residentTree = `
-- plugins/pricing/pricing.go --
package pricing

import (
	_ "embed"

	"example.com/shop/api"
	"example.com/shop/plugins/pricing/calc"
	"example.com/shop/plugins/pricing/files"
)

//go:embed text.txt
var text string

// Run is what the host calls.
func Run() string { return api.Name() + calc.Text() + text + files.Names() }
-- plugins/pricing/text.txt --
text
-- plugins/pricing/pricing_test.go --
package pricing

func helper() {}
-- plugins/pricing/windows.go --
//go:build windows

package pricing

func onWindows() {}
-- plugins/pricing/calc/calc.go --
package calc

func Text() string { return "one" }
-- plugins/pricing/calc/more.go --
package calc

func More() string { return "more" }
-- plugins/pricing/files/files.go --
package files

import "embed"

//go:embed data *.tmpl
var all embed.FS

func Names() string { e, _ := all.ReadDir("data"); return e[0].Name() }
-- plugins/pricing/files/data/a.txt --
a
-- plugins/pricing/files/data/sub/b.txt --
b
-- plugins/pricing/files/x.tmpl --
x
-- plugins/tax/tax.go --
package tax

import "example.com/shop/api"

func Run() string { return api.Name() + "tax" }
-- api/api.go --
package api

// Name is short: it is inlined into its callers.
func Name() string { return "api " }

func Long(n int) int {
	for i := range n {
		n += i
	}
	return n
}
-- unused/unused.go --
package unused

func Text() string { return "unused" }
-- server/uses/uses.go --
package uses

import _ "example.com/shop/api"
` + hostMain

// pair is two builders of one module: one that lives on, and one that is made
// anew for each look.
type pair struct {
	*fixture
	opts    Options
	stays   *Builder
	plugins []Plugin
	asked   atomic.Int64 // runs of the go command by the one that stays
	log     bytes.Buffer
}

func newPair(t *testing.T, archive string) *pair {
	t.Helper()
	p := &pair{fixture: newFixture(t, archive)}
	p.opts = Options{Dir: filepath.Join(t.TempDir(), "store")}
	p.Host = filepath.Join(t.TempDir(), "host")
	p.start()
	return p
}

// start makes the builder that stays, and the host.
func (p *pair) start() {
	p.T.Helper()
	p.opts.Logger = slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.stays = p.builder(p.opts)
	p.opts.Logger = nil
	ctx := context.Background()
	if _, err := p.stays.BuildHost(ctx, "./server", p.Host); err != nil {
		p.T.Fatal(err)
	}
	var err error
	if p.plugins, err = p.stays.Find(ctx, "./plugins/..."); err != nil {
		p.T.Fatal(err)
	}
	p.stays.tool.OnRun = func([]string) { p.asked.Add(1) }
}

// said is a snapshot in words.
func said(snap *Snapshot, err error) []string {
	if err != nil {
		return []string{fmt.Sprintf("error %T: %v", err, err)}
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i, p := range snap.Plans {
		if p == nil {
			add("plan %d: none", i)
			continue
		}
		add("plan %s: key %s path %s link %s private %v shared %v flags %v builtin %v cached %v",
			p.Plugin.Name, p.Key, p.PluginPath, p.Link, p.Private, p.Shared, p.Flags, p.Builtin, p.Cached != nil)
		for _, u := range p.private {
			funcs, vars := u.Exports()
			add("  %s exports %v %v", u.Package.ImportPath, funcs, vars)
			for _, f := range u.Files {
				add("  %s %x %x %s", f.Path, f.Raw[:4], f.Tokens[:4], f.Data)
			}
		}
		for path, text := range p.reworded {
			add("  reworded %s %s", path, text)
		}
	}
	for name, err := range snap.Errors {
		add("plugin %s: %T %v", name, err, err)
	}
	add("dirs %v", snap.WatchDirs)
	add("files %v", snap.WatchFiles)
	add("host changes %v", snap.HostChanges)
	slices.Sort(lines)
	return lines
}

// look compares the two builders, and gives how often the one that stays asked
// the go command.
func (p *pair) look(name string) int {
	p.T.Helper()
	ctx := context.Background()
	before := p.asked.Load()
	p.log.Reset()
	got := said(p.stays.Snapshot(ctx, Host{Binary: p.Host}, p.plugins))
	runs := int(p.asked.Load() - before)
	want := said(p.builder(p.opts).Snapshot(ctx, Host{Binary: p.Host}, p.plugins))
	if diff := cmp.Diff(want, got); diff != "" {
		p.T.Errorf("%s: the builder that stays (+) differs from a new one (-):\n%s\n%s", name, diff, p.log.String())
	}
	return runs
}

// calm takes snapshots until one needs no go command: what was made just now
// is old enough to be trusted.
func (p *pair) calm() {
	p.T.Helper()
	for range 200 {
		if p.look("at rest") == 0 {
			return
		}
	}
	p.T.Fatalf("the go command is asked for ever: %s", p.log.String())
}

func (p *pair) remove(name string) {
	p.T.Helper()
	if err := os.Remove(filepath.Join(p.Root, name)); err != nil {
		p.T.Fatal(err)
	}
}

// replace writes a file as careful editors do: beside the old one, then over it.
func (p *pair) replace(name, data string) {
	p.T.Helper()
	p.Write(name+".tmp~", data)
	if err := os.Rename(filepath.Join(p.Root, name+".tmp~"), filepath.Join(p.Root, name)); err != nil {
		p.T.Fatal(err)
	}
}

func (p *pair) read(name string) string {
	p.T.Helper()
	data, err := os.ReadFile(filepath.Join(p.Root, name))
	if err != nil {
		p.T.Fatal(err)
	}
	return string(data)
}

func (p *pair) move(from, to string) {
	p.T.Helper()
	if err := os.Rename(filepath.Join(p.Root, from), filepath.Join(p.Root, to)); err != nil {
		p.T.Fatal(err)
	}
}

// calmUnlessBroken is calm where it can be: packages with errors are looked at
// by the go command each time.
func (p *pair) calmUnlessBroken() {
	p.T.Helper()
	for range 10 {
		if p.look("at rest") == 0 {
			return
		}
		if strings.Contains(p.log.String(), "could not be loaded") {
			return
		}
	}
	p.T.Errorf("the go command is asked for ever: %s", p.log.String())
}
