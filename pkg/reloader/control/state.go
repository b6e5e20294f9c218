package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hotgo/hotgo/pkg/internal/noroom"
)

// # State that goes on in another process
//
// A process writes the state of a plugin into a file when it is asked to (POST
// /v1/state), and a process that is started with the environment variable
// RecallVariable goes on with it. Who restarts the process makes both calls, and
// knows the list of each binary's built-in variables, which the binary itself has not.

// StateRequest asks for the state of a plugin.
type StateRequest struct {
	Plugin string `json:"plugin"`
	// List is a file with the list of the built-in's variables, as an absolute path: an
	// artifact that hotgo builds for the host's binary. It is not looked at where a
	// generation serves that lists its own, and where an artifact that was opened
	// before had the list.
	List string `json:"list,omitempty"`
	// File is where the state is to be written, as an absolute path that nothing
	// exists at. "" writes nothing: the answer says what would be written.
	File string `json:"file,omitempty"`
}

// SavedState says what of a plugin's state was written.
type SavedState struct {
	Plugin     string `json:"plugin"`
	Generation int    `json:"generation"` // whose state it is; 0 is the built-in
	File       string `json:"file,omitempty"`
	Bytes      int64  `json:"bytes"`
	Variables  int    `json:"variables"` // that are written
	// Fresh is how many start anew because their declaration says so, or because all
	// that they hold is what initialisers make and nobody changes: errors of package
	// errors, regular expressions, templates and the like.
	Fresh   int            `json:"fresh"`
	Lost    []LostVariable `json:"lost,omitempty"` // that start anew because they cannot be written
	PauseMS float64        `json:"pause_ms"`       // how long the process stood still
}

// Summary is how much was written, or would be: "12 variables, 1.2 KB".
func (s *SavedState) Summary() string {
	count := fmt.Sprintf("%d variables", s.Variables)
	if s.Variables == 1 {
		count = "1 variable"
	}
	return count + ", " + SizeText(s.Bytes)
}

// SizeText gives a number of bytes as people read it: "796 B", "1.2 KB", "3.4 MB".
func SizeText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f KB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1000*1000))
}

// LostVariable is a variable whose value cannot go to another process, and why.
type LostVariable struct {
	Symbol string `json:"symbol"`         // import path and name
	Path   string `json:"path,omitempty"` // to what cannot be written, from the variable: ".conns[…]"
	Type   string `json:"type"`           // of that
	Reason string `json:"reason"`
}

// SaveState has the host write the state of a plugin.
//
// Errors: *Error of the host, with CodeUnsupported where state cannot be written there;
// *UnreachableError.
func (c *Client) SaveState(ctx context.Context, req StateRequest) (*SavedState, error) {
	s := new(SavedState)
	if err := c.post(ctx, "/v1/state", req, s); err != nil {
		return nil, err
	}
	return s, nil
}

// RecallVariable is the environment variable that names a file with a Recall, for a
// host to go on with the state in it. A host reads it in New and takes it out of the
// environment, so that no child finds it.
const RecallVariable = "HOTGO_STATE"

// Recall says where the state is that a process is to go on with.
type Recall struct {
	V       int              `json:"v"` // RecallVersion
	Plugins []RecalledPlugin `json:"plugins"`
}

// RecallVersion is the value of Recall.V.
const RecallVersion = 1

// RecalledPlugin is one plugin's part. Paths are absolute.
type RecalledPlugin struct {
	Plugin string `json:"plugin"`
	List   string `json:"list"` // of the new binary's built-in variables, as StateRequest.List
	File   string `json:"file"` // that SaveState wrote
	// Anew are the variables that start anew all the same, by import path and name:
	// their initialisers are no longer what they were.
	Anew []string `json:"anew,omitempty"`
}

// Write writes the file that RecallVariable names, or leaves none.
//
// Errors: *Error.
func (r Recall) Write(file string) error {
	data, err := json.Marshal(r)
	if err == nil {
		if err = os.WriteFile(file, data, 0o600); err != nil {
			_ = os.Remove(file)
		}
	}
	if err == nil {
		return nil
	}
	e := &Error{Code: CodeInternal, Message: "cannot write down where state is", Err: err}
	if noroom.Is(err) {
		e.Next = "free space where " + file + " is to be"
	}
	return e
}
