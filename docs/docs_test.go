// Package docs_test holds the documents against the program: a command that a
// document shows runs in some test, Go code in it is formatted, an excerpt
// equals its file, and a link leads somewhere. testing.md tells authors how.
package docs_test

import (
	"bytes"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestDocumentsHoldTrue(t *testing.T) {
	root := os.DirFS("..")
	documents := documents(t, root)
	if !slices.Contains(documents, "docs/testing.md") {
		t.Fatalf("docs/testing.md is not among the documents found: %q", documents)
	}
	for _, name := range documents {
		for _, problem := range check(t, root, name) {
			t.Error(problem)
		}
	}
}

func TestEveryFuzzTargetIsListed(t *testing.T) {
	list, err := os.ReadFile("testing.md")
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	found := 0
	for _, top := range []string{"cmd", "pkg"} {
		err := fs.WalkDir(os.DirFS(".."), top, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			source, err := os.ReadFile("../" + name)
			for _, m := range target.FindAllSubmatch(source, -1) {
				found++
				if row := fmt.Sprintf("\n| `%s` `%s` | ", path.Dir(name), m[1]); !bytes.Contains(list, []byte(row)) {
					t.Errorf("%s has %s, which the table in testing.md does not", name, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if rows := bytes.Count(list, []byte("` `Fuzz")); rows != found {
		t.Errorf("testing.md lists %d fuzz targets, there are %d", rows, found)
	}
}

// documents lists the Markdown files of the repository.
func documents(t *testing.T, root fs.FS) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md", ".github/*.md"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}

// check returns what is wrong with the document of that name in root, which
// stands for the repository.
func check(t *testing.T, root fs.FS, name string) []string {
	t.Helper()
	data, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	blocks, prose := parse(string(data))
	var problems []string
	for _, b := range blocks {
		for _, problem := range b.check(root) {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", name, b.line, problem))
		}
	}
	for _, target := range links(prose) {
		if _, err := fs.Stat(root, path.Join(path.Dir(name), target)); err != nil {
			problems = append(problems, fmt.Sprintf("%s: a link leads to %s, which is not there", name, target))
		}
	}
	return problems
}

// block is a fenced block of a document.
type block struct {
	line int    // of the opening fence, from 1
	lang string // the first word after it
	// What follows the first word, as key=value or key="some words":
	//
	//	test=NAME        cmd/testdata/script/NAME.txtar runs these commands
	//	test=PATH        the file, a script or a test, runs them
	//	untested="WHY"   nothing can run them here, and why
	//	file=PATH        the text is a piece of this file
	attrs map[string]string
	text  string
}

var (
	shells = []string{"sh", "bash", "shell", "zsh", "console", "shell-session"}

	fence     = regexp.MustCompile("^ *(`{3,}|~{3,})(.*)$")
	attribute = regexp.MustCompile(`([a-z]+)=(?:"([^"]*)"|(\S+))`)
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	prompt    = regexp.MustCompile(`(?m)^ *\$ `)

	// executable matches the files that something executes.
	executable = regexp.MustCompile(`^(?:\.ci/run|\.github/workflows/.*\.yml|.*\.txtar|.*_test\.go)$`)
	// commandEnd matches where no further word of a command follows.
	commandEnd = regexp.MustCompile("^(?:$|[\"'`);]| [&|<>;])")
)

// parse splits a document into its fenced blocks and everything else.
func parse(document string) (blocks []block, prose string) {
	var rest strings.Builder
	var open *block
	var end string
	for i, line := range strings.Split(document, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open == nil && m == nil:
			fmt.Fprintln(&rest, line)
		case open == nil:
			lang, info, _ := strings.Cut(strings.TrimSpace(m[2]), " ")
			open, end = &block{line: i + 1, lang: lang, attrs: map[string]string{}}, m[1]
			for _, a := range attribute.FindAllStringSubmatch(info, -1) {
				open.attrs[a[1]] = a[2] + a[3]
			}
		case m != nil && strings.HasPrefix(m[1], end) && strings.TrimSpace(m[2]) == "":
			blocks, open = append(blocks, *open), nil
		default:
			open.text += line + "\n"
		}
	}
	return blocks, rest.String()
}

func (b block) check(root fs.FS) (problems []string) {
	if b.lang == "go" {
		switch formatted, err := format.Source([]byte(b.text)); {
		case err != nil:
			problems = append(problems, fmt.Sprintf("the Go code does not parse: %v", err))
		case !bytes.Equal(formatted, []byte(b.text)):
			problems = append(problems, "the Go code is not formatted")
		}
	}
	if name, ok := b.attrs["file"]; ok {
		if data, err := fs.ReadFile(root, name); err != nil {
			problems = append(problems, fmt.Sprintf("read the file that the block quotes: %v", err))
		} else if !strings.Contains(string(data), b.text) {
			problems = append(problems, fmt.Sprintf("the block is no longer a piece of %s", name))
		}
	}
	switch shell := slices.Contains(shells, b.lang); {
	case !shell && prompt.MatchString(b.text):
		problems = append(problems, "a block with a shell prompt says so in its first line: ```console")
	case shell:
		problems = append(problems, b.checkCommands(root)...)
	}
	return problems
}

func (b block) checkCommands(root fs.FS) (problems []string) {
	test, why := b.attrs["test"], b.attrs["untested"]
	switch {
	case test == "" && why == "":
		return []string{`nothing runs these commands: name what does (test=NAME), or why nothing can (untested="WHY")`}
	case test != "" && why != "":
		return []string{"commands are either tested or not"}
	case why != "":
		return nil
	}
	place := test
	if !strings.Contains(test, "/") {
		place = "cmd/testdata/script/" + test + ".txtar"
	}
	if !executable.MatchString(place) {
		return []string{place + " is neither a step of CI nor a script nor a test: nothing runs what it says"}
	}
	data, err := fs.ReadFile(root, place)
	if err != nil {
		return []string{fmt.Sprintf("read what runs the commands: %v", err)}
	}
	commands := b.commands()
	if len(commands) == 0 {
		problems = append(problems, "a shell block without a command (in a console block they begin with $)")
	}
	ran := executed(string(data))
	for _, command := range commands {
		if !slices.ContainsFunc(ran, func(line string) bool { return runs(line, command) }) {
			problems = append(problems, fmt.Sprintf("%s does not run: %s", place, command))
		}
	}
	return problems
}

// commands returns the commands of a shell block, one a line, without comments
// and with single spaces.
func (b block) commands() (list []string) {
	text := strings.ReplaceAll(b.text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if b.lang == "console" || b.lang == "shell-session" {
			var ok bool
			if line, ok = strings.CutPrefix(line, "$ "); !ok {
				continue // output
			}
		}
		line, _, _ = strings.Cut(line, " # ")
		if line = normal(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// executed returns the lines of a script or test that do something, normalised
// as commands are. A comment that begins with a prompt counts: it says which
// documented command the code below it stands for.
func executed(source string) (list []string) {
	for line := range strings.Lines(strings.ReplaceAll(source, "\\\n", " ")) {
		line = normal(line)
		comment := strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//")
		if stands, ok := strings.CutPrefix(strings.TrimLeft(line, "#/ "), "$ "); comment && ok {
			list = append(list, normal(stands))
		} else if !comment {
			list = append(list, line)
		}
	}
	return list
}

// normal has one space between words and one name for the program.
func normal(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	for _, long := range []string{"go run .", "go run " + module + "@latest"} {
		if rest, ok := strings.CutPrefix(line, long+" "); ok {
			return "hotgo " + rest
		}
	}
	return line
}

const module = "github.com/hotgo/hotgo"

// runs says whether the line has the command, and after it nothing that would
// be part of it: the end, a closing quotation mark, a redirection, an operator.
func runs(line, command string) bool {
	rest := line
	for {
		_, after, found := strings.Cut(rest, command)
		if !found {
			return false
		}
		if commandEnd.MatchString(after) {
			return true
		}
		rest = after
	}
}

// links returns the files that the text links to, relative to it.
func links(prose string) (targets []string) {
	for _, m := range link.FindAllStringSubmatch(prose, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target != "" && !strings.Contains(target, ":") {
			targets = append(targets, target)
		}
	}
	return targets
}
