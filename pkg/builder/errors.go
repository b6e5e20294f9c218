package builder

import (
	"errors"
	"fmt"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/noroom"
	"github.com/hotgo/hotgo/pkg/internal/store"
)

// Diagnostic is one message about the user's own file.
type Diagnostic struct {
	File    string // absolute
	Line    int
	Col     int
	Message string
}

// BuildError says that sources do not build.
type BuildError struct {
	Plugin      string // its name, or the host's package
	Diagnostics []Diagnostic
	Output      string // what the go command printed, with fresh identities taken out
	Err         error
}

// Error gives the first diagnostic and how many there are.
func (e *BuildError) Error() string {
	switch {
	case len(e.Diagnostics) == 1:
		d := e.Diagnostics[0]
		return fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Col, d.Message)
	case len(e.Diagnostics) > 1:
		d := e.Diagnostics[0]
		return fmt.Sprintf("%s:%d:%d: %s (and %d more)", d.File, d.Line, d.Col, d.Message, len(e.Diagnostics)-1)
	case e.Output != "":
		return e.Output
	}
	return fmt.Sprintf("build %s: %v", e.Plugin, e.Err)
}

// Unwrap gives the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// OutOfSpace gives what to do about an error of this package that means that a file
// system, or a quota, has no room left, also where a tool has said so; "" for others.
func OutOfSpace(err error) (next string) {
	if err == nil || !errors.Is(err, store.ErrFull) && !noroom.Is(err) && !noroom.Says(err.Error()) {
		return ""
	}
	return "free space; --dir and TMPDIR choose where files go"
}

// ConflictError says that what was asked for cannot fit the host: another Go
// release, another flag. Nothing was built.
type ConflictError struct {
	Message  string
	Evidence []Mismatch
	Limit    string // who sets the limit
	Next     string // the command to run
}

// Error gives the message.
func (e *ConflictError) Error() string { return e.Message }

// ChangedError says that a source file changed while it was being built.
type ChangedError struct{ File string }

// Error names the file.
func (e *ChangedError) Error() string { return e.File + " changed during the build" }

// goError makes what the go command said a *BuildError; other errors (no go
// command, a context that ended) stay what they are.
func goError(what string, err error) error {
	var exit *gotool.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	return &BuildError{Plugin: what, Output: exit.Error(), Err: err}
}

// Mismatch is one difference between a host and what was to be built for it.
type Mismatch = abi.Mismatch

// directiveError makes a directive that is not understood a *BuildError; it gives
// nil for other errors.
func directiveError(plugin string, err error) error {
	var d *source.DirectiveError
	if !errors.As(err, &d) {
		return nil
	}
	return &BuildError{Plugin: plugin, Err: err, Diagnostics: []Diagnostic{{File: d.File, Line: d.Line, Col: d.Col, Message: d.Error()}}}
}
