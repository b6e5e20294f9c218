package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

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
