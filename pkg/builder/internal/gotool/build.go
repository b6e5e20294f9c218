package gotool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Output is what a build printed.
type Output struct {
	// Packages holds the compilers' text by import path, in the order printed.
	Packages []PackageOutput
	// Other is what the go command itself said, outside any package.
	Other string
}

// PackageOutput is the compilers' text about one package.
type PackageOutput struct {
	ImportPath string
	Text       string
}

// String joins everything that was printed.
func (o *Output) String() string {
	var b strings.Builder
	for _, p := range o.Packages {
		b.WriteString(p.Text)
	}
	b.WriteString(o.Other)
	return strings.TrimRight(b.String(), "\n")
}

// Build runs `go build -json` with args. Where it fails the error is an
// *[ExitError] and Output says why.
//
// The -json events of the go command are described by `go help buildjson`
// (since Go 1.24): one object a line with ImportPath, Action and Output.
func (t *Tool) Build(ctx context.Context, args ...string) (*Output, error) {
	var stdout, stderr bytes.Buffer
	err := t.stream(ctx, &stdout, &stderr, append([]string{"build", "-json"}, args...)...)
	out := &Output{Other: stderr.String()}
	at := map[string]int{}
	sc := bufio.NewScanner(&stdout)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var ev struct{ ImportPath, Action, Output string }
		if json.Unmarshal(sc.Bytes(), &ev) != nil {
			out.Other += sc.Text() + "\n"
			continue
		}
		if ev.Action != "build-output" {
			continue
		}
		i, ok := at[ev.ImportPath]
		if !ok {
			i = len(out.Packages)
			at[ev.ImportPath] = i
			out.Packages = append(out.Packages, PackageOutput{ImportPath: ev.ImportPath})
		}
		out.Packages[i].Text += ev.Output
	}
	var exit *ExitError
	if errors.As(err, &exit) && len(out.Packages) > 0 {
		exit.Stderr = out.String()
	}
	return out, err
}

// LinkTime reads how long the link step of a build took from the file that
// `go build -debug-actiongraph=FILE` wrote. The flag is not documented (cmd/go
// internal/work/action.go, actionJSON), so a file that does not look as
// expected gives 0 and no error: the figure only splits what is shown.
func LinkTime(file string) time.Duration {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	var actions []struct {
		Mode                string
		TimeStart, TimeDone time.Time
	}
	if json.Unmarshal(data, &actions) != nil {
		return 0
	}
	for _, a := range actions {
		if a.Mode == "link" && a.TimeDone.After(a.TimeStart) {
			return a.TimeDone.Sub(a.TimeStart)
		}
	}
	return 0
}

// LinkedArchives gives, by import path, the compiled archives that a build
// linked. workDir is the GOTMPDIR of a `go build -work`; the go command leaves
// the linker's importcfg in it (cmd/go internal/work/exec.go, link: the file
// importcfg.link in the link action's directory).
func LinkedArchives(workDir string) map[string]string {
	files, _ := filepath.Glob(filepath.Join(workDir, "go-build*", "b*", "importcfg.link"))
	archives := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "packagefile "); ok {
				if path, file, ok := strings.Cut(rest, "="); ok {
					archives[path] = file
				}
			}
		}
	}
	return archives
}

// Test runs `go test` with args and gives everything that it printed. Where it
// fails the error is an *[ExitError].
func (t *Tool) Test(ctx context.Context, args ...string) (output string, err error) {
	var out bytes.Buffer
	err = t.stream(ctx, &out, &out, append([]string{"test"}, args...)...)
	return out.String(), err
}
