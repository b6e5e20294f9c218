package cmd

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/scaffold"
	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/cmd/internal/verify"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// The exit codes. They are a contract with scripts.
const (
	exitOK           = 0
	exitOther        = 1
	exitPending      = 2
	exitBuild        = 3
	exitIncompatible = 4
	exitNoHost       = 5
	exitRefused      = 6
	exitPartial      = 7
	exitSignature    = 8
	exitUsage        = 64
	exitTimeout      = 124
	exitInterrupted  = 130
)

// usageError says that a command line makes no sense.
type usageError struct {
	msg  string
	next string
}

func (e *usageError) Error() string { return e.msg }

// errPending is no failure: with --detailed-exitcode a dry run has found
// something to do.
var errPending = errors.New("changes are pending")

// errRestart is no failure of a command that was asked for a verdict, and has given
// it: a restart is required.
var errRestart = errors.New("a restart is required")

// errMisfit is no failure either: verify has said that an artifact does not fit.
var errMisfit = errors.New("the artifact does not fit")

// errUntrusted is errMisfit where its signature is all that is wrong.
var errUntrusted = errors.New("the artifact is not signed as the host wants it")

// failure is an error in the forms that leave the program: exit code, prose,
// and the object of -o json.
type failure struct {
	exit        int
	Code        string               `json:"code"`
	Rule        string               `json:"rule,omitempty"`
	Message     string               `json:"message"`
	Findings    []control.Finding    `json:"findings,omitempty"` // of the catalogue of edits
	Details     []string             `json:"details,omitempty"`
	Evidence    []control.Evidence   `json:"evidence,omitempty"`
	Limit       string               `json:"limit,omitempty"`
	Next        string               `json:"next,omitempty"`
	Diagnostics []control.Diagnostic `json:"diagnostics,omitempty"`
}

// finish reports how a command ended and gives the exit code.
func (a *app) finish(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	switch {
	case errors.Is(err, errPending):
		return exitPending
	case errors.Is(err, errRestart), errors.Is(err, errMisfit):
		return exitIncompatible
	case errors.Is(err, errUntrusted):
		return exitSignature
	case errors.Is(err, errUnfit):
		return exitOther
	}
	if a.ctx != nil {
		ctx = a.ctx
	}
	f, stopped := stopReason(ctx)
	switch {
	case stopped && f.exit == exitInterrupted:
		return f.exit // whoever pressed Ctrl-C knows
	case stopped:
		a.printProblem(f)
	case errors.Is(err, syscall.EPIPE):
		return exitOther // nobody reads any more
	default:
		f = explain(err)
		said := map[string]bool{} // what does not build does so for every host
		for _, one := range parts(err) {
			f := explain(one)
			if !said[f.Message] {
				a.printProblem(f)
			}
			said[f.Message] = true
		}
	}
	if a.wantsJSON() {
		_ = ui.JSON(a.stdio.Out, f) // the exit code says it where stdout is gone
	}
	return f.exit
}

// parts splits an error that stands for several.
func parts(err error) []error {
	switch e := err.(type) {
	case *config.Error:
	case *deploy.PartialError:
		return append(slices.Clone(e.Errs), err)
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	}
	return []error{err}
}

// stopReason says why a command was ended from outside, if it was. What its
// error says is then a consequence.
func stopReason(ctx context.Context) (failure, bool) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errInterrupted):
		return failure{exit: exitInterrupted}, true
	case errors.Is(cause, errTimeout):
		return failure{exit: exitTimeout, Code: control.CodeTimeout, Message: errTimeout.Error()}, true
	}
	return failure{}, false
}

// explain turns an error into prose, next step and exit code. It is the one
// place where that is decided.
func explain(err error) failure {
	if e, ok := err.(*deploy.PartialError); ok { // whatever it holds
		return failure{exit: exitPartial, Code: "partial", Message: e.Error(), Next: "hotgo status"}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !isConfig(err) {
		return explain(joined.Unwrap()[0])
	}
	if f, ok := explained(err); ok {
		if f.Message == "" {
			f.Message = err.Error()
		}
		f.Next = cmp.Or(f.Next, builder.OutOfSpace(err))
		return f
	}
	return failure{exit: exitOther, Code: "error", Message: err.Error(), Next: builder.OutOfSpace(err)}
}

func isConfig(err error) bool {
	_, ok := err.(*config.Error)
	return ok
}

func explained(err error) (failure, bool) {
	if e, ok := errors.AsType[*usageError](err); ok {
		return failure{exit: exitUsage, Code: "usage", Next: e.next}, true
	}
	if e, ok := errors.AsType[*config.Error](err); ok {
		return explainConfig(e), true
	}
	if e, ok := errors.AsType[*hosts.TargetError](err); ok {
		f := failure{exit: exitUsage, Code: "usage"}
		if ce, ok := errors.AsType[*control.Error](e.Err); ok {
			f.Next = ce.Next
		}
		return f, true
	}
	if e, ok := errors.AsType[*scaffold.Error](err); ok {
		return failure{exit: exitUsage, Code: "usage", Message: e.Error(), Next: e.Next}, true
	}
	if e, ok := errors.AsType[*verify.NotHostError](err); ok {
		return failure{exit: exitUsage, Code: "usage", Next: e.Next}, true
	}
	if _, ok := errors.AsType[*builder.HostError](err); ok && !errors.Is(err, fs.ErrPermission) {
		return failure{exit: exitUsage, Code: "usage", Next: "go build -o server ./cmd/server, and --host ./server: a host is a Go program"}, true
	}
	if _, ok := errors.AsType[*deploy.NoHolderError](err); ok {
		return failure{exit: exitNoHost, Code: "no-host", Next: "hotgo status"}, true
	}
	if f, ok := explainSignature(err); ok {
		return f, true
	}
	if f, ok := explainBuild(err); ok {
		return f, true
	}
	if e, ok := errors.AsType[*control.Error](err); ok {
		return failure{
			exit: exitOf(e.Code), Code: e.Code, Rule: e.Rule, Evidence: e.Evidence, Limit: e.Limit, Next: e.Next,
		}, true
	}
	if e, ok := errors.AsType[*hosts.BinaryError](err); ok {
		return explainBinary(e), true
	}
	if e, ok := errors.AsType[*ssh.Error](err); ok {
		return failure{exit: exitNoHost, Code: "no-host", Message: e.Error(), Details: e.Said, Next: cmp.Or(e.Next, e.Machine.ByHand())}, true
	}
	if e, ok := errors.AsType[*control.UnreachableError](err); ok {
		f := failure{exit: exitNoHost, Code: "no-host", Next: "hotgo status"}
		if e.Target == "" {
			f.Next = "start the program, or hotgo run"
		}
		return f, true
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return failure{exit: exitBuild, Code: "build", Next: "install Go from https://go.dev/dl"}, true
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return failure{exit: exitOther, Code: "error"}, true
	}
	return failure{}, false
}

// explainBinary is for hosts whose binary has to be built for, and is elsewhere.
func explainBinary(e *hosts.BinaryError) failure {
	f := failure{exit: exitUsage, Code: "usage", Next: "copy it here, then the same command with --host ./" + filepath.Base(e.Host.Executable)}
	for _, l := range e.Looked {
		f.Evidence = append(f.Evidence, control.Evidence{
			What: l.Path, Host: "build " + e.Host.BuildID, Artifact: cmp.Or(l.BuildID, "none"),
		})
	}
	return f
}

// explainSignature is for signatures and keys on this side of the socket.
func explainSignature(err error) (failure, bool) {
	if e, ok := errors.AsType[*builder.SignatureError](err); ok {
		f := failure{exit: exitSignature, Code: control.CodeSignature, Message: e.Error(), Limit: e.Limit, Next: e.Next}
		for _, m := range e.Evidence {
			f.Evidence = append(f.Evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
		}
		return f, true
	}
	if e, ok := errors.AsType[*builder.KeyError](err); ok {
		return failure{exit: exitUsage, Code: "usage", Message: e.Error(), Next: e.Next}, true
	}
	return failure{}, false
}

func explainConfig(e *config.Error) failure {
	f := failure{exit: exitUsage, Code: "config", Message: e.Problems[0].String(), Next: "hotgo config view"}
	for _, p := range e.Problems[1:] {
		f.Details = append(f.Details, p.String())
	}
	// What does not load cannot be viewed either.
	f.Next = "correct it, then hotgo config view"
	return f
}

func explainBuild(err error) (failure, bool) {
	if e, ok := errors.AsType[*choose.RefusedError](err); ok {
		f := failure{
			exit: exitIncompatible, Code: control.CodeIncompatible, Rule: e.Code(), Message: e.Message,
			Evidence: e.Evidence, Limit: e.Limit, Next: e.Next,
		}
		for _, n := range e.Findings {
			f.Findings = append(f.Findings, control.Finding{Code: n.Code, Symbol: n.Symbol, Text: n.Text})
		}
		return f, true
	}
	if e, ok := errors.AsType[*builder.BuildError](err); ok {
		f := failure{exit: exitBuild, Code: "build", Message: strings.TrimSpace(e.Plugin + " does not build")}
		for _, d := range e.Diagnostics {
			f.Diagnostics = append(f.Diagnostics, control.Diagnostic(d))
		}
		switch {
		case len(e.Diagnostics) > 0:
		case e.Output != "":
			f.Details = strings.Split(strings.TrimSpace(e.Output), "\n")
		case e.Err != nil:
			f.Details = []string{e.Err.Error()}
		}
		return f, true
	}
	if e, ok := errors.AsType[*builder.ConflictError](err); ok {
		f := failure{exit: exitIncompatible, Code: control.CodeIncompatible, Limit: e.Limit, Next: e.Next}
		for _, m := range e.Evidence {
			f.Evidence = append(f.Evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
			if f.Rule == "" {
				f.Rule = m.Rule
			}
		}
		return f, true
	}
	if e, ok := errors.AsType[*builder.AmbiguousError](err); ok {
		f := failure{exit: exitUsage, Code: "usage", Details: e.Candidates, Message: e.What + ": several packages fit"}
		if e.What == "host" {
			f.Next = "--host " + e.Candidates[0]
		} else {
			f.Next = "name one of them in plugins: of hotgo.yaml"
		}
		return f, true
	}
	if e, ok := errors.AsType[*builder.NotFoundError](err); ok {
		f := failure{exit: exitUsage, Code: "usage"}
		if isNoModule(e) {
			f.Message, f.Next = "this is not a Go module: there is no go.mod", "go mod init example.com/NAME"
		} else {
			f.Message = "no package fits " + e.What
		}
		return f, true
	}
	if _, ok := errors.AsType[*builder.ChangedError](err); ok {
		return failure{exit: exitBuild, Code: "build", Next: "once more"}, true
	}
	return failure{}, false
}

// isNoModule tells a missing module from a package that nobody wrote.
func isNoModule(e *builder.NotFoundError) bool { return strings.Contains(e.What, "go.mod") }

// exitOf gives the exit code for a host's answer.
func exitOf(code string) int {
	switch code {
	case control.CodeIncompatible:
		return exitIncompatible
	case control.CodeRefused, control.CodeUnhealthy, control.CodeNotArtifact, control.CodeForbidden,
		control.CodeTooLarge, control.CodeTimeout, control.CodeBusy:
		return exitRefused
	case control.CodeDigest, control.CodeSignature:
		return exitSignature
	case control.CodeClosed:
		return exitNoHost
	}
	return exitOther
}

func (a *app) printProblem(f failure) {
	_ = ui.PrintProblem(a.stdio.Err, ui.Problem{
		What: f.Message, Diagnostics: f.Diagnostics, Findings: f.Findings, Details: f.Details, Evidence: f.Evidence,
		Limit: f.Limit, Next: f.Next,
	}, a.style(a.stdio.Err))
}

// wantsJSON says whether -o json was asked for, also where the configuration
// is what failed.
func (a *app) wantsJSON() bool {
	if a.cfg != nil {
		return a.cfg.Output == "json"
	}
	output := os.Getenv("HOTGO_OUTPUT")
	for i, arg := range a.args {
		switch {
		case arg == "--":
			return output == "json"
		case (arg == "-o" || arg == "--output") && i+1 < len(a.args):
			output = a.args[i+1]
		case strings.HasPrefix(arg, "--output="):
			output = strings.TrimPrefix(arg, "--output=")
		case strings.HasPrefix(arg, "-o"):
			output = strings.TrimPrefix(strings.TrimPrefix(arg, "-o"), "=")
		}
	}
	return output == "json"
}
