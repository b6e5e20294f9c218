package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestEveryErrorHasItsExitCodeAndItsWord(t *testing.T) {
	answer := func(code string) error {
		return fmt.Errorf("greet would not load: %w", &control.Error{Code: code, Message: "no", Next: "hotgo status"})
	}
	partial := &deploy.PartialError{What: "loads", Failed: 1, Total: 2, Errs: []error{&builder.BuildError{Plugin: "greet"}}}
	for _, test := range []struct {
		err  error
		exit int
		code string
	}{
		{errors.New("anything"), 1, "error"},
		{fs.ErrNotExist, 1, "error"},
		{&builder.BuildError{Plugin: "greet"}, 3, "build"},
		{errors.Join(&builder.BuildError{Plugin: "greet"}, &builder.ConflictError{}), 3, "build"},
		{&builder.ConflictError{Message: "no"}, 4, "incompatible"},
		{answer(control.CodeIncompatible), 4, "incompatible"},
		{&choose.RefusedError{Message: "no"}, 4, "incompatible"},
		{&control.UnreachableError{Target: "shop"}, 5, "no-host"},
		{answer(control.CodeClosed), 5, "closed"},
		{&deploy.NoHolderError{Plugins: []string{"greet"}}, 5, "no-host"},
		{answer(control.CodeRefused), 6, "refused"},
		{answer(control.CodeUnhealthy), 6, "unhealthy"},
		{answer(control.CodeNotArtifact), 6, "not-artifact"},
		{partial, 7, "partial"},
		{answer(control.CodeDigest), 8, "digest"},
		{answer(control.CodeSignature), 8, "signature"},
		{&builder.SignatureError{Path: "a.so", Message: "no", Err: fs.ErrNotExist}, 8, "signature"},
		{&builder.KeyError{Path: "key", Message: "no", Err: fs.ErrNotExist}, 64, "usage"},
		{&usageError{msg: "no"}, 64, "usage"},
		{&config.Error{Problems: []config.Problem{{Message: "no"}}}, 64, "config"},
		{&hosts.TargetError{Err: &control.Error{Code: control.CodeUnsupported, Message: "no"}}, 64, "usage"},
		{&builder.NotFoundError{What: "x"}, 64, "usage"},
		{&builder.AmbiguousError{What: "host", Candidates: []string{"a", "b"}}, 64, "usage"},
	} {
		f := explain(test.err)
		if f.exit != test.exit || f.Code != test.code {
			t.Errorf("%T %q ends with %d %q, want %d %q", test.err, test.err, f.exit, f.Code, test.exit, test.code)
		}
		if f.Message == "" {
			t.Errorf("%T has no message", test.err)
		}
	}
}

func TestConflictKeepsItsEvidenceAndNextStep(t *testing.T) {
	f := explain(&builder.ConflictError{
		Message: "does not fit", Limit: "the Go runtime", Next: "hotgo build --host ./server",
		Evidence: []builder.Mismatch{{What: "-trimpath", Host: "true", Artifact: "false", Rule: "HG0091"}},
	})
	if len(f.Evidence) != 1 || f.Evidence[0].Host != "true" || f.Rule != "HG0091" || f.Limit == "" || f.Next == "" {
		t.Errorf("explained as %+v", f)
	}
}

func TestReasonFromOutsideBeatsItsConsequences(t *testing.T) {
	for cause, exit := range map[error]int{errInterrupted: 130, errTimeout: 124} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if f, ok := stopReason(ctx); !ok || f.exit != exit {
			t.Errorf("%v ends with %d, want %d", cause, f.exit, exit)
		}
	}
	if _, ok := stopReason(t.Context()); ok {
		t.Error("a context that lives is a reason")
	}
}

// Every command shows how it is used, and every example is a command line that
// parses.
func TestEveryCommandHasAnExampleThatParses(t *testing.T) {
	for _, c := range commands(newRoot(&app{})) {
		if c.Name() == "help" || strings.HasPrefix(c.Name(), "__") {
			continue
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s lacks an example or a short text", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:] // environment
			}
			if len(words) == 0 || words[0] != "hotgo" {
				continue // another program, or a shell's construct
			}
			for i, w := range words {
				if w == ">" {
					words = words[:i]
					break
				}
			}
			found, rest, err := newRoot(&app{}).Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%q in the help of %s: %v", strings.TrimSpace(line), c.CommandPath(), err)
			}
		}
	}
}

func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// The names are a contract with scripts outside this repository.
func TestVerbsAreThoseOfTheContract(t *testing.T) {
	var got []string
	for _, c := range newRoot(&app{}).Commands() {
		if !c.Hidden {
			got = append(got, c.Name())
		}
	}
	want := "init run watch build diff push status history rollback verify doctor key config version completion"
	if strings.Join(got, " ") != want {
		t.Errorf("verbs are %q, want %q", strings.Join(got, " "), want)
	}
}

func TestJSONIsWantedAlsoWhereNothingElseParses(t *testing.T) {
	t.Setenv("HOTGO_OUTPUT", "")
	for line, want := range map[string]bool{
		"status -o json": true, "status -ojson": true, "status --output json": true, "status --output=json": true,
		"status -o=json": true, "status": false, "run -- -o json": false, "-o text status": false,
	} {
		if got := (&app{args: strings.Fields(line)}).wantsJSON(); got != want {
			t.Errorf("%q wants JSON: %v, want %v", line, got, want)
		}
	}
}

func TestErrorForWantOfRoomSaysWhatToDo(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/cache/x", Err: syscall.ENOSPC}
	linked := &builder.BuildError{Plugin: "greet", Output: "/usr/bin/ld: final link failed: No space left on device"}
	for _, err := range []error{full, linked, fmt.Errorf("publish: %w", full)} {
		if f := explain(err); !strings.Contains(f.Next, "free space") {
			t.Errorf("%v: next is %q", err, f.Next)
		}
	}
	for _, err := range []error{errors.New("anything"), &builder.BuildError{Plugin: "greet", Output: "undefined: x"}} {
		if f := explain(err); f.Next != "" {
			t.Errorf("%v: next is %q", err, f.Next)
		}
	}
}
