//go:build linux && amd64 && cgo

package livepatching_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

var update = flag.Bool("update", false, "write what is found into testdata as what is wanted")

func TestPatchCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a host and links a hundred patches")
	}
	x := newCorpus(t, func(*patchCase) bool { return true })
	x.build()
	for _, c := range x.cases {
		t.Run(c.name, func(t *testing.T) { x.walk(t, c) })
	}
	// What each does alone it also has to do in company, in one patch.
	t.Run("all at once", func(t *testing.T) { x.together(t) })
}

// build builds the host and the builder that all cases share.
func (x *corpus) build() {
	x.T.Helper()
	x.b = buildtest.New(x.Module, builder.Options{Resident: true})
	x.T.Cleanup(func() { x.b.Close() })
	x.Host = filepath.Join(x.T.TempDir(), "host")
	if _, err := x.b.BuildHost(x.T.Context(), "./host", x.Host); err != nil {
		if e := (*builder.BuildError)(nil); errors.As(err, &e) {
			x.T.Fatal(e.Output)
		}
		x.T.Fatal(err)
	}
}

// walk takes a process through all versions of a case.
func (x *corpus) walk(t *testing.T, c *patchCase) {
	f := x.In(t)
	defer c.write(x.Module, 0)
	h := f.Start(x.Host)
	var found []string
	add := func(version any, format string, args ...any) {
		for line := range strings.Lines(fmt.Sprintf(format, args...)) {
			found = append(found, fmt.Sprintf("%v: %s", version, strings.TrimSuffix(line, "\n")))
		}
	}
	ask := func(version any) {
		for _, line := range h.Say("case", c.name) {
			add(version, "says %s", line)
		}
	}
	ask(0)
	loaded, files := false, mapped(h)
	for v := 1; v <= c.last; v++ {
		c.write(f, v)
		p, err := x.b.PlanPatch(t.Context(), builder.Host{Binary: x.Host}, nil)
		if err != nil {
			add(v, "%s", planError(err))
			ask(v)
			continue
		}
		add(v, "%s", planned(p))
		a, err := x.b.BuildPatch(context.Background(), p)
		switch {
		case p.Verdict != builder.CanPatch && err == nil:
			t.Errorf("version %d: there is an artifact, with the verdict %s", v, p.Verdict)
		case p.Verdict == builder.CanPatch && err != nil:
			add(v, "%s", planError(err))
		case p.Verdict == builder.CanPatch:
			said := h.Say("load", a.Path)
			if len(said) != 1 || said[0] != "loaded" {
				add(v, "%s", strings.Join(said, "\n"))
			} else {
				loaded, files = true, mapped(h)
			}
		}
		if now := mapped(h); now != files {
			t.Errorf("version %d was not loaded, and %d files are mapped, not %d", v, now, files)
		}
		ask(v)
	}
	if loaded {
		if said := h.Say("rollback", 0); len(said) != 1 || !strings.HasPrefix(said[0], "rolled-back") {
			t.Errorf("rollback: %q", said)
		}
		ask("back")
	}
	c.write(f, 0)
	p, err := x.b.PlanPatch(t.Context(), builder.Host{Binary: x.Host}, nil)
	if err != nil {
		t.Fatalf("back at the original: %v", err)
	}
	if p.Verdict != builder.NoDifference || len(p.Functions)+len(p.Packages) > 0 {
		t.Errorf("back at the original: %s", planned(p))
	}
	c.compare(t, strings.Join(found, "\n")+"\n")
}

// together takes a process through all versions of all cases that can be
// patched, each version one patch.
func (x *corpus) together(t *testing.T) {
	var cases []*patchCase
	last := 0
	for _, c := range x.cases {
		if !regexp.MustCompile(`(?m)^[0-9]: (restart-required|failed|error)`).MatchString(c.want) {
			cases = append(cases, c)
			last = max(last, c.last)
		}
	}
	f := x.In(t)
	defer func() {
		for _, c := range cases {
			c.write(x.Module, 0)
		}
	}()
	h := f.Start(x.Host)
	ask := func(c *patchCase, version string) {
		if got, want := strings.Join(h.Say("case", c.name), "\n"), c.says(version); got != want {
			t.Errorf("%s says in version %s\n%s\nwant\n%s", c.name, version, got, want)
		}
	}
	for v := range last + 1 {
		if v > 0 {
			for _, c := range cases {
				c.write(f, min(v, c.last))
			}
			p, err := x.b.PlanPatch(t.Context(), builder.Host{Binary: x.Host}, nil)
			if err != nil {
				t.Fatal(planError(err))
			}
			a, err := x.b.BuildPatch(t.Context(), p)
			if err != nil {
				t.Fatal(planError(err), planned(p))
			}
			if said := h.Say("load", a.Path); len(said) != 1 || said[0] != "loaded" {
				t.Fatal(said)
			}
			t.Logf("version %d: %d functions, %d bytes", v, len(p.Functions), a.Bytes)
		}
		for _, c := range cases {
			if v <= c.last {
				ask(c, fmt.Sprint(v))
			}
		}
	}
	if said := h.Say("rollback", 0); len(said) != 1 || said[0] != "rolled-back" {
		t.Errorf("rollback: %q", said)
	}
	for _, c := range cases {
		if strings.Contains(c.want, "\nback: ") {
			ask(c, "back")
		}
	}
}

// mapped counts the files that the process has mapped.
func mapped(h *hosttest.Process) int {
	h.T.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", h.PID()))
	if err != nil {
		h.T.Fatal(err)
	}
	files := map[string]bool{}
	for line := range strings.Lines(string(maps)) {
		// Device and inode: a file that was removed has no name of its own.
		if f := strings.Fields(line); len(f) > 4 && f[4] != "0" {
			files[f[3]+" "+f[4]] = true
		}
	}
	return len(files)
}

// planned writes a plan as want has it.
func planned(p *builder.PatchPlan) string {
	var b strings.Builder
	fmt.Fprintln(&b, p.Verdict)
	for _, f := range p.Functions {
		fmt.Fprintf(&b, "%s %s", f.Change, f.Name)
		if f.Reason != "" {
			fmt.Fprintf(&b, " (%s)", f.Reason)
		}
		fmt.Fprintln(&b)
	}
	for _, f := range p.Findings {
		kind := "note"
		if f.Refuse {
			kind = "refused"
		}
		fmt.Fprintln(&b, kind, f.Code, f.Symbol+":", f.Text)
	}
	return b.String()
}

// planError writes an error as want has it.
func planError(err error) string {
	var b strings.Builder
	fmt.Fprintln(&b, "error:", err)
	if c := (*builder.ConflictError)(nil); errors.As(err, &c) {
		for _, e := range c.Evidence {
			fmt.Fprintln(&b, "error", e.Rule, e.What+":", e.Artifact)
		}
	}
	return b.String()
}

var functionLine = regexp.MustCompile(`^[0-9]: (changed|added|removed) `)

// functionReason is such a line with the reason at its end.
var functionReason = regexp.MustCompile(`(?m)^([0-9]: (?:changed|added|removed) .*?) \(.*\)$`)

// compare holds what was found against what is wanted.
func (c *patchCase) compare(t *testing.T, found string) {
	t.Helper()
	if *update {
		i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == "want" })
		if i < 0 {
			i = len(c.archive.Files)
			c.archive.Files = append(c.archive.Files, txtar.File{Name: "want"})
		}
		c.archive.Files[i].Data, c.want = []byte(found), found
		if err := os.WriteFile(c.path, txtar.Format(c.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// What is inlined, and so why a function is in a patch, is up to the release;
	// which functions are must not be.
	reasons := strings.HasPrefix(runtime.Version(), "go1.26.")
	lines := func(s string) []string {
		if !reasons {
			s = functionReason.ReplaceAllString(s, "$1")
		}
		return slices.DeleteFunc(strings.Split(s, "\n"), func(line string) bool { return c.verdictsOnly && functionLine.MatchString(line) })
	}
	if d := cmp.Diff(lines(c.want), lines(found)); d != "" {
		t.Errorf("- wanted, + found\n%s", d)
	}
}
