//go:build linux && amd64 && cgo

package livepatching_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// The corpus of patches, testdata/patches: one file for each row of the
// catalogue of edits and for each trap, a txtar archive:
//
//   - a comment that says what it shows;
//   - the files of package example.com/corpus/NAME (a leading slash: of the
//     module), with a function Case that says in text what the package does;
//   - "want": what is expected, see below.
//
// Files have versions. A line that begins with digits and a bar is only in the
// versions of these numbers, and so is a file whose name does:
//
//	func price() int {
//	0|	return 1
//	12|	return 2
//	}
//
// Version 0 is what the host is built from. All others come one after the other:
// a patch is planned, built, and loaded into a process that was started when
// version 0 was the last, and Case is asked. What is wanted is a line for each
// thing that is found in a version: the verdict, functions with what happened to
// them and why, findings, and what Case says. "back" is what it says when the
// host was brought back to its original code in the end. -update writes it.

// patchCase is one file of the corpus.
type patchCase struct {
	name    string
	path    string
	archive *txtar.Archive
	files   []versioned
	last    int
	want    string

	verdictsOnly bool // which functions are in a patch is not compared
}

// versioned is a file or, in one, a line.
type versioned struct {
	name string
	only string // digits; "" is every version
	data string
}

func (v versioned) in(version int) bool {
	return v.only == "" || strings.ContainsRune(v.only, rune('0'+version))
}

var versions = regexp.MustCompile(`^([0-9]+)\|`)

func cutVersions(s string) (only, rest string) {
	if m := versions.FindStringSubmatch(s); m != nil {
		return m[1], s[len(m[0]):]
	}
	return "", s
}

func readPatchCase(t testing.TB, file string) *patchCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &patchCase{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), path: file, archive: txtar.Parse(data)}
	note := func(only string) {
		for _, r := range only {
			c.last = max(c.last, int(r-'0'))
		}
	}
	for _, f := range c.archive.Files {
		if f.Name == "want" {
			c.want = string(f.Data)
			continue
		}
		only, name := cutVersions(f.Name)
		note(only)
		for line := range bytes.Lines(f.Data) {
			o, _ := cutVersions(string(line))
			note(o)
		}
		if !strings.HasPrefix(name, "/") {
			name = path.Join("/", c.name, name)
		}
		c.files = append(c.files, versioned{name[1:], only, string(f.Data)})
	}
	return c
}

// write writes one version of a case into a module.
func (c *patchCase) write(f *hosttest.Module, version int) {
	f.T.Helper()
	for _, file := range c.files {
		if !file.in(version) {
			if err := os.Remove(filepath.Join(f.Root, file.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				f.T.Fatal(err)
			}
		}
	}
	for _, file := range c.files {
		if file.in(version) {
			var b strings.Builder
			for line := range strings.Lines(file.data) {
				if only, text := cutVersions(line); (versioned{only: only}).in(version) {
					b.WriteString(text)
				}
			}
			keep(f, file.name, b.String())
		}
	}
}

// keep is write for a file that may be the same.
func keep(f *hosttest.Module, name, data string) {
	f.T.Helper()
	if old, err := os.ReadFile(filepath.Join(f.Root, name)); err != nil || string(old) != data {
		f.Write(name, data)
	}
}

// says gives what Case is expected to say in a version.
func (c *patchCase) says(version string) string {
	var said []string
	for line := range strings.Lines(c.want) {
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), version+": says "); ok {
			said = append(said, text)
		}
	}
	return strings.Join(said, "\n")
}

// corpus is the module with all cases and a host that has them all.
type corpus struct {
	*hosttest.Module
	cases []*patchCase
	b     *builder.Builder
}

// corpusHost has one line of standard input be answered by lines and "end".
const corpusHost = `package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("end")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "case":
			fmt.Println(cases[rest]())
		case "load":
			said(h.Load(context.Background(), rest))
		case "rollback":
			n, _ := strconv.Atoi(rest)
			said(h.Rollback(context.Background(), "host", n))
		}
		fmt.Println("end")
	}
}
`

const corpusSaid = `package main

import (
	"fmt"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func said(ev control.Event, err error) {
	if err != nil {
		fmt.Println("failed", ev.Code, err)
		return
	}
	fmt.Println(ev.Event)
}
`

// newCorpus writes version 0 of all cases that keep wants, and a host module.
func newCorpus(t testing.TB, keep func(c *patchCase) bool) *corpus {
	t.Helper()
	files, err := filepath.Glob("testdata/patches/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	x := &corpus{Module: hosttest.New(t, "-- go.mod --\nmodule example.com/corpus\n\ngo 1.26\n\nrequire github.com/hotgo/hotgo v0.0.0\n\nreplace github.com/hotgo/hotgo => ./hotgo\n")}
	x.AddReloader()
	x.Write("host/main.go", corpusHost)
	x.Write("host/said.go", corpusSaid)
	imports, table := "", ""
	for _, file := range files {
		c := readPatchCase(t, file)
		if !keep(c) {
			continue
		}
		x.cases = append(x.cases, c)
		c.write(x.Module, 0)
		entry := c.name + ".Case"
		if c.inMain() {
			entry = "case_" + c.name
		} else {
			imports += fmt.Sprintf("\t%q\n", "example.com/corpus/"+c.name)
		}
		table += fmt.Sprintf("\t%q: %s,\n", c.name, entry)
	}
	x.Write("host/cases.go", "package main\n\nimport (\n"+imports+")\n\nvar cases = map[string]func() string{\n"+table+"}\n")
	return x
}

// inMain reports whether a case is about the host's main package.
func (c *patchCase) inMain() bool {
	return slices.ContainsFunc(c.files, func(f versioned) bool { return strings.HasPrefix(f.name, "host/") })
}
