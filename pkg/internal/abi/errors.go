package abi

import "fmt"

// Reason says why a file cannot be judged, for callers that decide by it.
type Reason string

// The reasons, as they begin an [Error]'s text.
const (
	Unreadable Reason = "cannot be read" // the file system said no; see Unwrap
	Truncated  Reason = "is truncated"   // mapping it would end in SIGBUS
	NotELF     Reason = "is not an ELF file"
	NotGo      Reason = "is not a Go binary"
	NotPlugin  Reason = "is not a Go plugin" // loading it would end the process
	Malformed  Reason = "is malformed"       // a table contradicts itself
	TooLarge   Reason = "is too large"       // a table exceeds what any real binary has
)

// Error is every failure of [Read] and [ReadFile].
type Error struct {
	Path   string // "" where only a reader was given
	Reason Reason
	Detail string // the evidence, with numbers
	Err    error  // cause, or nil
}

// Error gives path, reason and evidence.
func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Path != "" {
		s = e.Path + " " + s
	} else {
		s = "file " + s
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an *Error; the variadic part is for the detail.
func fail(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
