//go:build linux && cgo

package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// suite is a copy of the fixture's module and what was built of it.
type suite struct {
	t        *testing.T
	dir      string
	host     string
	builders map[string]*builder.Builder // by link mode
	plugins  []builder.Plugin

	mu        sync.Mutex
	artifacts map[string]*builder.Artifact // by link mode and label
	refused   map[string]error             // instead of one
	truth     map[string]string            // section -> rows and texts
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{
		t: t, dir: filepath.Join(t.TempDir(), "conformance"), host: filepath.Join(t.TempDir(), "host"), builders: map[string]*builder.Builder{},
		artifacts: map[string]*builder.Artifact{}, refused: map[string]error{}, truth: map[string]string{},
	}
	if err := os.CopyFS(s.dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	s.run("go", "mod", "edit", "-replace=github.com/hotgo/hotgo="+hosttest.Repository(t))
	for _, link := range []string{"full", "thin"} {
		var err error
		if s.builders[link], err = builder.New(builder.Options{WorkDir: s.dir, Dir: filepath.Join(t.TempDir(), "artifacts"), Link: link}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.builders["full"].BuildHost(t.Context(), "./host", s.host); err != nil {
		t.Fatal(err)
	}
	found, err := s.builders["full"].Find(t.Context(), "./plugins/...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		if s.covers(p.Name) {
			s.plugins = append(s.plugins, p)
		}
	}
	if hosttest.Everything() && len(s.plugins) != len(conformance) {
		t.Fatalf("%d plugins in the table, %d in the fixture", len(conformance), len(s.plugins))
	}
	return s
}

// covers reports whether this run includes a plugin.
func (s *suite) covers(plugin string) bool {
	for _, row := range conformance {
		if row.plugin == plugin {
			return row.short || hosttest.Everything()
		}
	}
	s.t.Fatalf("plugin %s is in no row of the table", plugin)
	return false
}

// run runs a command in the fixture's module and gives its output.
func (s *suite) run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// generation edits every plugin, builds it in each form and asks the plain
// program what it should do.
func (s *suite) generation(gen int) {
	s.t.Helper()
	for _, p := range s.plugins {
		path := filepath.Join(p.Dir, "generation.go")
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		before, after, ok := strings.Cut(string(text), "const generation = ")
		if !ok {
			s.t.Fatalf("%s has no generation", path)
		}
		edited := before + "const generation = " + fmt.Sprint(gen) + after[1:]
		if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	builds := make(chan func())
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for f := range builds {
				f()
			}
		})
	}
	for column, b := range s.builders {
		if column == "full" && gen != fullGeneration {
			continue
		}
		snap, err := b.Snapshot(s.t.Context(), builder.Host{Binary: s.host}, s.plugins)
		if err != nil {
			s.t.Fatal(err)
		}
		for name, err := range snap.Errors {
			s.t.Errorf("plan %s: %v", name, err)
		}
		for _, p := range snap.Plans {
			if p == nil {
				continue
			}
			builds <- func() { s.build(column, b, p, gen) }
		}
	}
	close(builds)
	workers.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	truth, labels := filepath.Join(s.t.TempDir(), "truth"), []string{}
	s.run("go", "build", "-ldflags=-w", "-o", truth, "./truth")
	for _, p := range s.plugins {
		labels = append(labels, fmt.Sprint(p.Name, ":", gen))
	}
	for section, text := range sections(s.run(truth, labels...)) {
		s.truth[section] = text
	}
}

// build builds one artifact. What cannot be thin is refused, or built in full
// with a manifest that says why.
func (s *suite) build(column string, b *builder.Builder, p *builder.Plan, gen int) {
	at := fmt.Sprint(column, " ", p.Plugin.Name, ":", gen)
	a, err := b.Build(s.t.Context(), p)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.artifacts[at] = a
	case column == "thin":
		s.refused[at] = err
	default:
		s.t.Errorf("build %s: %v", at, err)
	}
}

// notThin says why artifacts of the thin column are none, "" if all are.
func (s *suite) notThin(labels []string) string {
	for _, label := range labels {
		at := "thin " + label
		if err := s.refused[at]; err != nil {
			if c := (*builder.ConflictError)(nil); errors.As(err, &c) {
				return fmt.Sprint(c, c.Evidence)
			}
			return err.Error()
		}
		if m := s.artifacts[at].Manifest; m.Link != "thin" {
			return m.Reason
		}
	}
	return ""
}

// compare loads artifacts into one process, in order, and holds what it prints
// against the plain program. form gives the column to take a label's artifact
// from.
func (s *suite) compare(t *testing.T, name string, labels []string, form func(label string) string) {
	t.Helper()
	var args, want []string
	for _, label := range labels {
		a := s.artifacts[form(label)+" "+label]
		if a == nil {
			continue // refused: notThin has the reason
		}
		args = append(args, label+"="+a.Path)
		want = append(want, label+" first", label+" again")
	}
	for _, p := range pressure {
		t.Run(name+" "+p.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, s.host, args...)
			cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), p.env...)
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Errorf("the host ended: %v\n%.4000s\nafter\n%s", err, stderr.String(), tail(stdout.String()))
			}
			got := sections(stdout.String())
			for _, section := range want {
				compareRows(t, section, s.truth[section], got[section])
			}
			if confused := got["types"]; confused != "" {
				t.Errorf("generations take each other's types for their own:\n%s", confused)
			}
			if _, ok := got["end"]; !ok {
				t.Error("the host did not come to its end")
			}
		})
	}
}

// compareRows holds the rows of a section against those of the plain program.
func compareRows(t *testing.T, section, builtIn, printed string) {
	t.Helper()
	if builtIn == "" {
		t.Fatalf("%s: the plain program printed nothing", section)
	}
	got := map[string]string{}
	for name, text := range rowsOf(printed) {
		got[name] = text
	}
	for name, want := range rowsOf(builtIn) {
		text, ok := got[name]
		if !ok {
			t.Errorf("%s: %s: nothing printed", section, name)
			continue
		}
		if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(text, "\n")); d != "" {
			t.Errorf("%s: %s: - built in, + loaded\n%s", section, name, d)
		}
	}
}

// rowsOf cuts a section at its lines "-- ROW".
func rowsOf(section string) iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for part := range strings.SplitSeq("\n"+section, "\n-- ") {
			name, text, _ := strings.Cut(part, "\n")
			if name != "" && !yield(name, text) {
				return
			}
		}
	}
}

// tail is where a process was when it ended.
func tail(out string) string {
	lines := strings.Split(out, "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// sections cuts the output of the host or of the plain program at its lines
// "## SECTION".
func sections(out string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq("\n"+out, "\n## ") {
		name, text, _ := strings.Cut(part, "\n")
		m[name] = strings.TrimRight(text, "\n")
	}
	return m
}

// report prints how large everything is.
func (s *suite) report() {
	var b strings.Builder
	for _, p := range s.plugins {
		label := fmt.Sprint(p.Name, ":", fullGeneration)
		fmt.Fprintf(&b, "\n%-12s", p.Name)
		for _, column := range []string{"full", "thin"} {
			a := s.artifacts[column+" "+label]
			if a == nil {
				fmt.Fprintf(&b, "  %s: none", column)
				continue
			}
			fmt.Fprintf(&b, "  %s %8.0f KB  compile %5d ms  link %5d ms", a.Manifest.Link, float64(a.Bytes)/1000, a.Compile.Milliseconds(), a.Link.Milliseconds())
		}
	}
	s.t.Log(b.String())
}
