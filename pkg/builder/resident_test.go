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
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// step is an edit. quiet ones must not need the go command.
type step struct {
	name  string
	quiet bool
	edit  func(p *pair)
}

func residentSteps() []step {
	const (
		pricing = "plugins/pricing/pricing.go"
		calc    = "plugins/pricing/calc/calc.go"
		more    = "plugins/pricing/calc/more.go"
		files   = "plugins/pricing/files/files.go"
		data    = "plugins/pricing/files/data/"
	)
	edit := func(name, old, text string) func(*pair) {
		return func(p *pair) { p.Edit(name, old, text) }
	}
	write := func(name, text string) func(*pair) {
		return func(p *pair) { p.Write(name, text) }
	}
	return []step{
		{"nothing", true, func(*pair) {}},
		{"a function's body", true, edit(calc, `"one"`, `"two!"`)},
		{"another length of time, same size", true, edit(calc, `"two!"`, `"tree"`)},
		{"comment only", true, edit(pricing, "// Run is what", "// Run is,\n// as it were, what")},
		{"formatting only", true, edit(more, `{ return "more" }`, "{\n\treturn \"more\"\n}")},
		{"a new exported function and variable", true, edit(calc, "func Text", "var Count int\n\nfunc Extra() {}\n\nfunc Text")},
		{"syntax error in a body", true, edit(calc, "func Text() string {", "func Text() string {{{")},
		{"and its repair", true, edit(calc, "{{{", "{")},
		{"half a file", false, func(p *pair) {
			text := p.read(calc)
			p.Write(calc, text[:4])
			p.look("half a file")
			p.Write(calc, text)
		}},
		{"an import that is used", false, edit(calc, "package calc\n", "package calc\n\nimport \"strings\"\n\nvar _ = strings.ToUpper\n")},
		{"its body edited", true, edit(calc, "strings.ToUpper", "strings.ToLower")},
		{"the import under another name", false, func(p *pair) {
			p.Write(calc, strings.NewReplacer("import \"strings\"", "import s \"strings\"", "strings.ToLower", "s.ToLower").Replace(p.read(calc)))
		}},
		{"the import removed", false, edit(calc, "\nimport s \"strings\"\n\nvar _ = s.ToLower\n", "")},
		{"a new private package", false, func(p *pair) {
			p.Write("plugins/pricing/round/round.go", "package round\n\nfunc Up() string { return \"up\" }\n")
			p.Edit(more, "package calc\n", "package calc\n\nimport \"example.com/shop/plugins/pricing/round\"\n\nvar _ = round.Up\n")
		}},
		{"an edit in it", true, edit("plugins/pricing/round/round.go", `"up"`, `"UP"`)},
		{"a package that was there all the time", false, edit(calc, "package calc\n", "package calc\n\nimport _ \"example.com/shop/unused\"\n")},
		{"an edit in that", true, edit("unused/unused.go", `"unused"`, `"used"`)},
		{"a new file", false, write("plugins/pricing/calc/new.go", "package calc\n\nfunc New() {}\n")},
		{"an edit in the new file", true, edit("plugins/pricing/calc/new.go", "{}", "{ println(1) }")},
		{"the new file renamed", false, func(p *pair) {
			p.replace("plugins/pricing/calc/newer.go", p.read("plugins/pricing/calc/new.go"))
			p.remove("plugins/pricing/calc/new.go")
		}},
		{"the new file deleted", false, func(p *pair) { p.remove("plugins/pricing/calc/newer.go") }},
		{"a new test file", false, write("plugins/pricing/calc/calc_test.go", "package calc\n")},
		{"a test edited for the first time", false, edit("plugins/pricing/pricing_test.go", "{}", "{ println() }")},
		{"and again", true, edit("plugins/pricing/pricing_test.go", "println()", "println(1)")},
		{"a package renamed", false, func(p *pair) {
			p.Edit(calc, "package calc", "package sums")
			p.Edit(more, "package calc", "package sums")
			p.Edit("plugins/pricing/calc/calc_test.go", "package calc", "package sums")
			p.Edit(pricing, `"example.com/shop/plugins/pricing/calc"`, `calc "example.com/shop/plugins/pricing/calc"`)
		}},
		{"two packages in a directory", false, edit(more, "package sums", "package other")},
		{"one again", false, edit(more, "package other", "package sums")},
		{"a build constraint that excludes", false, edit(more, "package sums", "//go:build windows\n\npackage sums")},
		{"and one that does not", false, edit(more, "//go:build windows", "//go:build !windows")},
		{"an excluded file that comes in", false, edit("plugins/pricing/windows.go", "//go:build windows", "//go:build !windows")},
		{"an embedded file's bytes", true, write("plugins/pricing/text.txt", "other text\n")},
		{"an embedded file in a directory", true, write(data+"a.txt", "other a\n")},
		{"one more embedded file", false, write(data+"c.txt", "c\n")},
		{"an embedded file deep below", false, write(data+"sub/deep/d.txt", "d\n")},
		{"an empty directory to embed", false, func(p *pair) {
			if err := os.MkdirAll(filepath.Join(p.Root, data, "empty"), 0o755); err != nil {
				p.T.Fatal(err)
			}
		}},
		{"and a file in it", false, write(data+"empty/e.txt", "e\n")},
		{"an embedded file removed", false, func(p *pair) { p.remove(data + "c.txt") }},
		{"one more file that a pattern fits", false, write("plugins/pricing/files/y.tmpl", "y\n")},
		{"a file that no pattern fits", true, write("plugins/pricing/files/notes.md", "y\n")},
		{"the patterns of an embed", false, edit(files, "data *.tmpl", "data")},
		{"an embed without a match", false, edit(files, "embed data", "embed data missing*.txt")},
		{"the match", false, write("plugins/pricing/files/missing1.txt", "m")},
		{"an import of nothing", false, edit(calc, "package sums\n", "package sums\n\nimport _ \"example.com/shop/later\"\n")},
		{"that comes to be", false, write("later/later.go", "package later\n")},
		{"a missing file of the module", false, func(p *pair) { p.replace(calc, strings.Replace(p.read(calc), "shop/later", "gone/later", 1)) }},
		{"and back", false, func(p *pair) { p.replace(calc, strings.Replace(p.read(calc), "gone/later", "shop/later", 1)) }},
		{"a file replaced by renaming", true, func(p *pair) { p.replace(pricing, strings.Replace(p.read(pricing), "+ text", "+ \" \" + text", 1)) }},
		{"replaced by the same bytes", true, func(p *pair) { p.replace(pricing, p.read(pricing)) }},
		{"touched", true, func(p *pair) {
			when := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(p.Root, pricing), when, when); err != nil {
				p.T.Fatal(err)
			}
		}},
		{"new bytes under an old time", true, func(p *pair) {
			path := filepath.Join(p.Root, calc)
			fi, err := os.Stat(path)
			if err != nil {
				p.T.Fatal(err)
			}
			p.Edit(calc, `"tree"`, `"four"`)
			if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
				p.T.Fatal(err)
			}
		}},
		{"an editor's leftovers", true, func(p *pair) {
			p.Write("plugins/pricing/calc/.calc.go.swp", "x")
			p.Write("plugins/pricing/calc/calc.go~", "x")
			p.Write("plugins/pricing/calc/4913", "")
		}},
		{"a comment in a shared package", true, edit("api/api.go", "// Name is short", "// More lines.\n//\n// Name is short")},
		{"code in a shared package", true, edit("api/api.go", "n += i", "n -= i")},
		{"and back", true, edit("api/api.go", "n -= i", "n += i")},
		{"the host's own code", true, edit("server/main.go", `"open:"`, `"opened:"`)},
		{"a directory made a link", false, func(p *pair) {
			p.move("plugins/pricing/calc", "elsewhere")
			if err := os.Symlink(filepath.Join(p.Root, "elsewhere"), filepath.Join(p.Root, "plugins/pricing/calc")); err != nil {
				p.T.Fatal(err)
			}
		}},
		{"an edit behind the link", true, func(p *pair) { p.Edit("elsewhere/calc.go", `"four"`, `"five"`) }},
		{"the link led elsewhere", true, func(p *pair) {
			p.Write("third/calc.go", strings.Replace(p.read("elsewhere/calc.go"), `"five"`, `"six"`, 1))
			p.Write("third/more.go", p.read("elsewhere/more.go"))
			p.Write("third/calc_test.go", p.read("elsewhere/calc_test.go"))
			p.remove("plugins/pricing/calc")
			if err := os.Symlink(filepath.Join(p.Root, "third"), filepath.Join(p.Root, "plugins/pricing/calc")); err != nil {
				p.T.Fatal(err)
			}
		}},
		{"go.mod: another language version", false, edit("go.mod", "go 1.26", "go 1.25")},
		{"go.mod: a module replaced by a directory", false, func(p *pair) {
			p.Write("lib/go.mod", "module example.com/lib\n\ngo 1.25\n")
			p.Write("lib/lib.go", "package lib\n\nfunc Text() string { return \"lib\" }\n")
			p.Write("go.mod", p.read("go.mod")+"\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./lib\n")
			p.Edit(pricing, `_ "embed"`, "_ \"embed\"\n\t_ \"example.com/lib\"")
		}},
		{"an edit in it", true, edit("lib/lib.go", `"lib"`, `"library"`)},
		{"its go.mod", false, edit("lib/go.mod", "go 1.25", "go 1.24")},
		{"a module of its own in the middle", false, write("plugins/pricing/go.mod", "module example.com/own\n\ngo 1.25\n")},
		{"and gone", false, func(p *pair) { p.remove("plugins/pricing/go.mod") }},
		{"go.work", false, write("go.work", "go 1.26\n\nuse .\n\nuse ./lib\n")},
		{"and none", false, func(p *pair) { p.remove("go.work") }},
		{"assembly in a package", false, write("plugins/tax/tax_amd64.s", "// nothing\n")},
		{"edited", false, edit("plugins/tax/tax_amd64.s", "nothing", "something")},
		{"a header below it", false, write("plugins/tax/include/x.h", "// x\n")},
		{"Go in a package with assembly", true, edit("plugins/tax/tax.go", `"tax"`, `"taxes"`)},
		{"a linkname", false, edit("plugins/tax/tax.go", "func Run", "//go:linkname now time.now\nfunc now()\n\nfunc Run")},
		{"a plugin gone", false, func(p *pair) { p.move("plugins/tax", "hidden") }},
		{"and back", false, func(p *pair) { p.move("hidden", "plugins/tax") }},
	}
}

func (p *pair) move(from, to string) {
	p.T.Helper()
	if err := os.Rename(filepath.Join(p.Root, from), filepath.Join(p.Root, to)); err != nil {
		p.T.Fatal(err)
	}
}

func TestResidentSnapshotEqualsAFreshOne(t *testing.T) {
	p := newPair(t, residentTree)
	p.Env = append(p.Env, "GOENV="+filepath.Join(t.TempDir(), "env"))
	p.start()
	p.calm()
	for _, s := range residentSteps() {
		s.edit(p)
		runs := p.look(s.name)
		why := p.log.String()
		switch {
		case s.quiet && runs > 0:
			t.Errorf("%s: asked the go command %d times:\n%s", s.name, runs, why)
		case !s.quiet && runs == 0:
			t.Logf("%s: the go command was not asked", s.name)
		}
		p.calmUnlessBroken()
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

// Edits that come faster than stamps tell them apart are not lost.
func TestEditsWithinATickAreSeen(t *testing.T) {
	p := newPair(t, residentTree)
	p.calm()
	const calc = "plugins/pricing/calc/calc.go"
	text := p.read(calc)
	path := filepath.Join(p.Root, calc)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 30 {
		p.Write(calc, strings.Replace(text, `"one"`, fmt.Sprintf("%q", fmt.Sprintf("%03d", i)), 1))
		if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
			t.Fatal(err)
		}
		snap, err := p.stays.Snapshot(context.Background(), Host{Binary: p.Host}, p.plugins)
		if err != nil {
			t.Fatal(err)
		}
		seen[snap.Plans[0].Key] = true
	}
	if len(seen) != 30 {
		t.Errorf("30 edits gave %d keys", len(seen))
	}
	p.look("afterwards")
}

func TestGoEnvDashWIsSeen(t *testing.T) {
	p := newPair(t, residentTree)
	file := filepath.Join(t.TempDir(), "env")
	p.Env = append(p.Env, "GOENV="+file)
	p.Env = slices.DeleteFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, "GOFLAGS=") })
	p.start()
	p.calm()
	for _, text := range []string{"GOFLAGS=-tags=special\n", "CGO_CFLAGS=-O1\n", ""} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if p.look("go env -w "+text) == 0 {
			t.Errorf("%q: the go command was not asked", text)
		}
		p.calm()
	}
}

func TestPlansOfOneGraphHaveOneEpoch(t *testing.T) {
	p := newPair(t, residentTree)
	p.calm()
	epoch := func() uint64 {
		t.Helper()
		snap, err := p.stays.Snapshot(context.Background(), Host{Binary: p.Host}, p.plugins)
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range snap.Plans {
			if plan.epoch != snap.Plans[0].epoch || plan.deps[plan.Plugin.ImportPath] == nil {
				t.Fatalf("plan %s has epoch %d, the first %d", plan.Plugin.Name, plan.epoch, snap.Plans[0].epoch)
			}
		}
		return snap.Plans[0].epoch
	}
	first := epoch()
	p.Edit("plugins/tax/tax.go", `"tax"`, `"taxes"`)
	if now := epoch(); now != first {
		t.Errorf("an edit of a body: epoch %d became %d", first, now)
	}
	p.Edit("plugins/tax/tax.go", "package tax\n", "package tax\n\nimport _ \"strings\"\n")
	if now := epoch(); now <= first {
		t.Errorf("a new import: epoch %d became %d", first, now)
	}
}

func TestConcurrentSnapshotsAgree(t *testing.T) {
	p := newPair(t, residentTree)
	p.calm()
	ctx := context.Background()
	for i := range 4 {
		p.Write("plugins/tax/tax.go", fmt.Sprintf("package tax\n\nfunc Run() string { return %q }\n", fmt.Sprint(i)))
		var wg sync.WaitGroup
		keys := make([]string, 8)
		for n := range keys {
			wg.Go(func() {
				plugins := p.plugins
				if n%2 == 1 {
					plugins = plugins[1:] // another question
				}
				snap, err := p.stays.Snapshot(ctx, Host{Binary: p.Host}, plugins)
				if err != nil {
					t.Error(err)
					return
				}
				keys[n] = snap.Plans[len(snap.Plans)-1].Key
			})
		}
		wg.Wait()
		slices.Sort(keys)
		if keys[0] == "" || len(slices.Compact(keys)) != 1 {
			t.Fatalf("snapshots of one tree give keys %v", keys)
		}
	}
}

func TestWaitingSnapshotEndsWithItsContext(t *testing.T) {
	p := newPair(t, residentTree)
	p.calm()
	_, leave, err := p.stays.scan(context.Background(), Host{Binary: p.Host}, p.plugins)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.stays.Snapshot(ctx, Host{Binary: p.Host}, p.plugins); err == nil {
		t.Error("a snapshot took a graph out of turn")
	}
}

// BenchmarkResidentSnapshot measures a snapshot after an edit of one function's
// body, in a module of which plugin and host import every package.
func BenchmarkResidentSnapshot(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("packages=%d", n), func(b *testing.B) {
			builder, plugins, host, edit := generatedModule(b, n)
			ctx := context.Background()
			asked := 0
			snapshot := func() *Snapshot {
				snap, err := builder.Snapshot(ctx, Host{Binary: host}, plugins)
				if err != nil {
					b.Fatal(err)
				}
				return snap
			}
			for start := time.Now(); time.Since(start) < time.Second; {
				snapshot() // until what was generated is old enough to be trusted
			}
			builder.tool.OnRun = func([]string) { asked++ }
			last := snapshot().Plans[0].Key
			i := 0
			for b.Loop() {
				b.StopTimer()
				i++
				edit(i)
				b.StartTimer()
				key := snapshot().Plans[0].Key
				if key == last {
					b.Fatal("the edit was not seen")
				}
				last = key
			}
			b.ReportMetric(float64(asked), "go-runs")
		})
	}
}

// generatedModule is a module of n packages of three files: half of them the
// plugin's own, half shared with the host.
func generatedModule(b *testing.B, n int) (builder *Builder, plugins []Plugin, host string, edit func(i int)) {
	b.Helper()
	root, err := filepath.EvalSymlinks(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write("go.mod", "module example.com/shop\n\ngo 1.26\n")
	imports := map[string]string{}
	for i := range n - 2 {
		part := []string{"plugins/pricing/own", "shared/part"}[i%2]
		for _, file := range []string{"a", "b", "c"} {
			write(fmt.Sprintf("%s%d/%s.go", part, i, file), fmt.Sprintf("package part\n\n// Text%s is one function of many.\nfunc Text%s() string { return %q }\n", file, file, fmt.Sprint(i)))
		}
		imports[part] += fmt.Sprintf("import _ \"example.com/shop/%s%d\"\n", part, i)
	}
	pricing := "package pricing\n\n" + imports["plugins/pricing/own"] + imports["shared/part"] + "\nfunc Run() string { return \"run\" }\n"
	write("plugins/pricing/pricing.go", pricing)
	write("server/main.go", "package main\n\nimport _ \"plugin\"\n"+imports["shared/part"]+"\nfunc main() {}\n")
	env := append(os.Environ(), "GOFLAGS=", "GOWORK=", "GOPROXY=off", "GOTOOLCHAIN=local")
	builder, err = New(Options{WorkDir: root, Dir: filepath.Join(b.TempDir(), "store"), Env: env})
	if err != nil {
		b.Fatal(err)
	}
	host = filepath.Join(b.TempDir(), "host")
	if _, err := builder.BuildHost(context.Background(), "./server", host); err != nil {
		b.Fatal(err)
	}
	if plugins, err = builder.Find(context.Background(), "./plugins/pricing"); err != nil {
		b.Fatal(err)
	}
	return builder, plugins, host, func(i int) {
		write("plugins/pricing/own0/a.go", fmt.Sprintf("package part\n\nfunc Texta() string { return \"%d\" }\n", i))
	}
}

// An edit while the go command runs leaves its answer in doubt. That must end
// with the next answer, even where every snapshot comes right after an edit.
func TestDoubtEndsWithTheNextAnswer(t *testing.T) {
	p := newPair(t, residentTree)
	const calc = "plugins/pricing/calc/calc.go"
	text := p.read(calc)
	var asked []int64
	for n := range 4 {
		before := p.asked.Load()
		p.Write(calc, strings.Replace(text, `"one"`, fmt.Sprintf("%q", fmt.Sprint("edit ", n)), 1))
		if _, err := p.stays.Snapshot(t.Context(), Host{Binary: p.Host}, p.plugins); err != nil {
			t.Fatal(err)
		}
		asked = append(asked, p.asked.Load()-before)
	}
	if asked[2] != 0 || asked[3] != 0 {
		t.Errorf("the go command was asked %d times for each of the edits", asked)
	}
}
