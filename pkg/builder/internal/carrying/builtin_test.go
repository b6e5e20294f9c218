//go:build linux && amd64 && cgo

package carrying_test

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// builtHost is a host of hosttest.Builtin that runs.
type builtHost struct {
	*hosttest.Module
	b *builder.Builder
	h *hosttest.Process
}

// builtOptions say how a host of hosttest.Builtin is built.
type builtOptions struct {
	flags, env []string
	before     func(f *hosttest.Module) // changes the sources, before the host is built,
	after      func(f *hosttest.Module) // and before the builder sees them
}

func newBuilt(t *testing.T, opts builtOptions) *builtHost {
	t.Helper()
	x := &builtHost{Module: hosttest.New(t, hosttest.Builtin)}
	x.Env = append(x.Env, opts.env...)
	x.AddReloader()
	if opts.before != nil {
		opts.before(x.Module)
	}
	x.Host = x.GoBuild("./host", opts.flags...)
	if opts.after != nil {
		opts.after(x.Module)
	}
	x.b = buildtest.New(x.Module, builder.Options{Resident: true, Keep: -1, Link: "thin"})
	t.Cleanup(func() { x.b.Close() })
	if _, err := buildtest.Plan(x.Module, x.b, "./plugins/shop.v1"); err != nil { // takes the sources for what the host was built from
		t.Fatal(err)
	}
	x.h = x.Start(x.Host, opts.env...)
	return x
}

// expect says something and compares the answer.
func (x *builtHost) expect(want []string, words ...any) {
	x.T.Helper()
	if got := x.h.Say(words...); !slices.Equal(got, want) {
		x.T.Errorf("%v: got\n%s\nwant\n%s", words, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// swap builds the plugin as it is and loads it.
func (x *builtHost) swap(notes ...string) *builder.Artifact {
	x.T.Helper()
	a := buildtest.Build(x.Module, x.b, "./plugins/shop.v1")
	x.expect(append([]string{"loaded swapped"}, notes...), "load", a.Path)
	return a
}

func TestBuiltinStateGoesOnInTheFirstGeneration(t *testing.T) {
	type row struct {
		name       string
		flags, env []string
	}
	rows := []row{{name: "plain"}}
	if hosttest.Everything() {
		rows = append(rows,
			row{name: "stripped", flags: []string{"-trimpath", "-ldflags=-s -w"}, env: []string{"GOGC=1", "GODEBUG=gccheckmark=1"}},
			row{name: "pie", flags: []string{"-buildmode=pie"}})
		for _, other := range hosttest.Toolchains(t) {
			rows = append(rows, row{name: other, env: []string{"GOTOOLCHAIN=" + other}})
		}
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			x := newBuilt(t, builtOptions{flags: row.flags, env: row.env})
			x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 apply 4"}, "run")

			const gone = "note HG0002 example.com/built/plugins/shop.v1.added: the new code has no such variable, and its value is gone"
			const file = "plugins/shop.v1/shop.go"
			x.Edit(file, `version = "built-in"`, `version = "one"`)
			x.Edit(file, "n    int\n\tname string", "extra [3]string\n\tname string\n\tn    int")
			x.Edit(file, "n: 100", "n: 1")
			x.Edit(file, "return 2 * n", "return 3 * n")
			x.Edit(file, "dropped = 1", "added   = 1")
			x.Edit(file, "\tunused  int\n", "\tunused  string\n")
			x.Edit("plugins/shop.v1/below/below.go", "next *node\n\tn    int", "n    int64\n\tnext *node")
			x.Edit("plugins/shop.v1/below/below.go", "return first.n", "return int(first.n)")
			first := x.swap()
			if b := first.Manifest.Builtin; b == nil || b.Reason != "" || !slices.Equal(b.Packages, []string{"example.com/built/plugins/shop.v1", "example.com/built/plugins/shop.v1/below"}) {
				t.Fatalf("the manifest says %+v", b)
			}
			x.expect(nil, "collect")
			x.expect([]string{"one runs 2 n 102 same true boxes 9 10 keyed 8 ab below 12 apply 6"}, "run")

			// Back, and there again.
			x.expect([]string{"rolled-back swapped", gone}, "rollback", 0)
			x.expect(nil, "collect")
			x.expect([]string{"built-in runs 3 n 103 same true boxes 10 11 keyed 9 ab below 13 apply 4"}, "run")
			x.expect([]string{"rolled-back swapped"}, "rollback", 1)
			x.expect([]string{"one runs 4 n 104 same true boxes 11 12 keyed 10 ab below 14 apply 6"}, "run")

			x.Edit(file, `version = "one"`, `version = "two"`)
			x.Edit(file, "n    int\n}", "n    int32\n}")
			x.swap()
			x.expect(nil, "collect")
			x.expect([]string{"two runs 5 n 105 same true boxes 12 13 keyed 11 ab below 15 apply 6"}, "run")
			x.expect([]string{"rolled-back swapped", gone}, "rollback", 0)
			x.expect(nil, "collect")
			x.expect([]string{"built-in runs 6 n 106 same true boxes 13 14 keyed 12 ab below 16 apply 4"}, "run")
		})
	}
}

// The host's own code of the plugin goes on while its variables are read, and while
// they are written to.
func TestBuiltinStateIsReadWhileItIsWrittenTo(t *testing.T) {
	const inside = "note HG0080 shop.v1.Churn of the built-in did not return in 250ms: what its call changes from now on in variables that were copied is lost"
	x := newBuilt(t, builtOptions{})
	x.expect(nil, "churn")
	for n := range 8 {
		x.Edit("plugins/shop.v1/shop.go", "version = \"", "version = \"x")
		x.swap(inside)
		if got := x.h.Say("whole"); len(got) != 1 || !strings.HasSuffix(got[0], "built-in whole true") && n > 0 {
			t.Errorf("generation %d: %q", n+1, got)
		}
		x.expect([]string{"rolled-back swapped", inside}, "rollback", 0)
	}
	x.expect(nil, "calm")
	x.expect([]string{"built-in whole true"}, "whole")
}

// What calls through a handle have counted when they return is there, whichever way it
// goes, and though every swap has to convert it.
func TestNoCallIsLostOnTheWayFromAndToTheBuiltin(t *testing.T) {
	const file = "plugins/shop.v1/shop.go"
	x := newBuilt(t, builtOptions{})
	x.expect(nil, "hammer")
	for n := range 6 {
		x.Edit(file, "n    int\n", fmt.Sprintf("f%d   [2]int\n\tn    int\n", n))
		x.swap()
		x.expect([]string{"rolled-back swapped"}, "rollback", 0)
	}
	x.swap()
	calls := x.h.Say("settle")
	total, err := strconv.Atoi(strings.Join(calls, ""))
	if err != nil || total == 0 {
		t.Fatalf("%q", calls)
	}
	n := total + 1
	x.expect([]string{fmt.Sprintf("built-in runs %d n %d same true boxes %d %d keyed %d ab below %d apply 4", n, 100+n, 7+n, 8+n, 6+n, 10+n)}, "run")
}

func TestBuiltinStateOfPackagesWithCAndAssembly(t *testing.T) {
	const file = "plugins/shop.v1/shop.go"
	x := newBuilt(t, builtOptions{before: func(f *hosttest.Module) {
		f.Write("plugins/shop.v1/native/native.go", "package native\n\n// static int twice(int n) { return 2 * n; }\n// struct point { int x, y; };\nimport \"C\"\n\n"+
			"var at = C.struct_point{x: 1}\n\nfunc Move() int { at.x++; at.y = C.twice(at.x); return int(at.y) }\n")
		f.Write("plugins/shop.v1/asm/asm.go", "package asm\n\nvar seen = map[int]int{}\n\nfunc See(n int) int { seen[same(n)]++; return seen[n] }\n\nfunc same(n int) int\n")
		f.Write("plugins/shop.v1/asm/asm_amd64.s", "#include \"textflag.h\"\n\nTEXT ·same(SB), NOSPLIT, $0-16\n\tMOVQ n+0(FP), AX\n\tMOVQ AX, ret+8(FP)\n\tRET\n")
		f.Edit(file, `import (`, "import (\n\t\"example.com/built/plugins/shop.v1/asm\"\n\t\"example.com/built/plugins/shop.v1/native\"")
		f.Edit(file, `" apply ", apply(2))`, `" native ", native.Move(), " asm ", asm.See(1))`)
	}})
	x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 native 4 asm 1"}, "run")
	x.Edit(file, `version = "built-in"`, `version = "one"`)
	x.Edit("plugins/shop.v1/asm/asm.go", "map[int]int", "map[int]int64")
	x.Edit("plugins/shop.v1/asm/asm.go", "return seen", "return int(seen")
	x.Edit("plugins/shop.v1/asm/asm.go", "[n] }", "[n]) }")
	x.swap()
	x.expect([]string{"one runs 2 n 102 same true boxes 9 10 keyed 8 ab below 12 native 6 asm 2"}, "run")
	x.expect([]string{"rolled-back swapped"}, "rollback", 0)
	x.expect([]string{"built-in runs 3 n 103 same true boxes 10 11 keyed 9 ab below 13 native 8 asm 3"}, "run")
}

// A package variable that is a lock: nothing is shared, and HotMigrate is given what
// the built-in has.
func TestHotMigrateIsGivenTheBuiltin(t *testing.T) {
	const file = "plugins/shop.v1/shop.go"
	x := newBuilt(t, builtOptions{before: func(f *hosttest.Module) {
		f.Edit(file, "\tunused  int\n", "\tmu sync.Mutex\n\tLimit = 3\n")
		f.Edit(file, "guarded.Lock()", "mu.Lock(); defer mu.Unlock(); Limit++; guarded.Lock()")
		f.Edit(file, `" apply ", apply(2))`, `" limit ", Limit)`)
	}})
	x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 limit 4"}, "run")
	x.Edit(file, `version = "built-in"`, `version = "one"`)
	x.Edit(file, "Limit = 3", `Limit = "none"`)
	x.Edit(file, "Limit++; ", `Limit += "."; `)
	a := buildtest.Build(x.Module, x.b, "./plugins/shop.v1")
	if got := x.h.Say("load", a.Path); len(got) != 1 || !strings.HasPrefix(got[0], "failed HG0032 ") {
		t.Fatalf("%q", got)
	}
	x.expect([]string{"built-in runs 2 n 102 same true boxes 9 10 keyed 8 ab below 12 limit 5"}, "run")
	x.Write("plugins/shop.v1/migrate.go", "package shop\n\nimport \"fmt\"\n\nfunc HotMigrate(old map[string]any) error {\n"+
		"\tLimit = fmt.Sprint(*old[\"Limit\"].(*int), old[\"example.com/built/plugins/shop.v1.Limit\"] == old[\"Limit\"])\n\treturn nil\n}\n")
	a = buildtest.Build(x.Module, x.b, "./plugins/shop.v1")
	if got := x.h.Say("load", a.Path); len(got) != 2 || got[0] != "loaded swapped" || !strings.HasPrefix(got[1], "note HG0032 ") {
		t.Fatalf("%q", got)
	}
	x.expect([]string{"one runs 3 n 103 same true boxes 10 11 keyed 9 ab below 13 limit 5 true."}, "run")
}

// A list defines nothing that others could come to use.
func TestAListIsForItsArtifactAlone(t *testing.T) {
	x := newBuilt(t, builtOptions{})
	x.Edit("plugins/shop.v1/shop.go", `version = "built-in"`, `version = "one"`)
	a := buildtest.Build(x.Module, x.b, "./plugins/shop.v1")
	f, err := elf.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dynamic, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range dynamic {
		if strings.Contains(s.Name, "/shop%2ev1.") && s.Section != elf.SHN_UNDEF {
			t.Errorf("others find %s", s.Name)
		}
	}
	all, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	list := 0
	for _, s := range all {
		if s.Section == elf.SHN_UNDEF || !strings.HasPrefix(s.Name, "example.com/built/plugins/shop%2ev1.") && !strings.HasPrefix(s.Name, "example.com/built/plugins/shop.v1/below.") {
			continue
		}
		switch {
		case strings.HasSuffix(s.Name, ".HotgoState"):
			list++
			continue
		case strings.HasSuffix(s.Name, "·f"): // leads to the host's function
			continue
		}
		t.Errorf("the artifact has a %s of its own", s.Name)
	}
	if list != 2 {
		t.Errorf("it lists %d packages", list)
	}
}

func TestAFullArtifactStartsAnew(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles everything for a plugin")
	}
	x := newBuilt(t, builtOptions{})
	x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 apply 4"}, "run")
	b := buildtest.New(x.Module, builder.Options{Link: "full"})
	defer b.Close()
	a := buildtest.Build(x.Module, b, "./plugins/shop.v1")
	x.expect([]string{"loaded swapped", "note HG0099 package variables start anew: the artifact is linked in full"}, "load", a.Path)
	x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 apply 4"}, "run")
}

// An editor writes while the list is made: the go command sees a file that is empty.
// That says nothing about what the host was built from.
func TestAWriteAtTheWrongMomentDoesNotHaveTheBuiltinStartAnew(t *testing.T) {
	x := newBuilt(t, builtOptions{})
	x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 apply 4"}, "run")
	const shop, below = "plugins/shop.v1/shop.go", "plugins/shop.v1/below/below.go"
	x.Edit(shop, `version = "built-in"`, `version = "one"`)
	p, err := buildtest.Plan(x.Module, x.b, "./plugins/shop.v1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(x.Root, below)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x.Write(below, "")
	var changed *builder.ChangedError
	if _, err := x.b.Build(context.Background(), p); !errors.As(err, &changed) || changed.File != file {
		t.Fatalf("built with an empty file: %v", err)
	}
	x.Write(below, string(text))
	if a := x.swap(); a.Manifest.Builtin.Reason != "" {
		t.Errorf("the manifest says %+v", a.Manifest.Builtin)
	}
	x.expect([]string{"one runs 2 n 102 same true boxes 9 10 keyed 8 ab below 12 apply 4"}, "run")
}

// What the host was built from nobody wrote down, and it was something else: its
// variables are not what the sources say.
func TestADriftedBuiltinStartsAnew(t *testing.T) {
	const shop, below = "plugins/shop.v1/shop.go", "plugins/shop.v1/below/below.go"
	for _, row := range []struct{ name, file, old, text, what string }{
		{"a body", below, "first.n++", "first.n += 2", "Run differs"}, // it is inlined there
		{"a layout that no code tells of", shop, "p [99]*int }", "p [99]*int; w int }", "shop.v1.quiet differs"},
		{"the size of a variable", shop, "p [9]*int }", "p [9]*int; w int }", "shop.v1.still differs"},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := newBuilt(t, builtOptions{after: func(f *hosttest.Module) { f.Edit(row.file, row.old, row.text) }})
			x.expect([]string{"built-in runs 1 n 101 same true boxes 8 9 keyed 7 ab below 11 apply 4"}, "run")
			x.Edit("plugins/shop.v1/shop.go", `version = "built-in"`, `version = "one"`)
			a := buildtest.Build(x.Module, x.b, "./plugins/shop.v1")
			b := a.Manifest.Builtin
			if b == nil || b.Code != "HG0094" || !strings.Contains(b.Reason, row.what) {
				t.Fatalf("the manifest says %+v", b)
			}
			note := "note HG0094 package variables start anew: " + b.Reason
			x.expect([]string{"loaded swapped", note}, "load", a.Path)
			if got := x.h.Say("run"); len(got) != 1 || !strings.HasPrefix(got[0], "one runs 1 n 101 ") {
				t.Errorf("%q", got)
			}
			x.expect([]string{"rolled-back swapped", "note HG0094 the built-in goes on with its own package variables: " + b.Reason}, "rollback", 0)
			x.expect([]string{"built-in runs 2 n 102 same true boxes 9 10 keyed 8 ab below 12 apply 4"}, "run")
		})
	}
}
