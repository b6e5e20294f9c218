package config

import (
	"fmt"
	"strconv"
)

// Error says that the configuration cannot be used (exit code 64). It holds
// everything that is wrong, so that one look at the files is enough.
type Error struct {
	Problems []Problem // at least one
}

// Error gives the first problem and how many more there are.
func (e *Error) Error() string {
	s := e.Problems[0].String()
	if more := len(e.Problems) - 1; more > 0 {
		s += fmt.Sprintf(" (and %d more)", more)
	}
	return s
}

// Unwrap gives the problems' causes, where there are any.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, p := range e.Problems {
		if p.Err != nil {
			errs = append(errs, p.Err)
		}
	}
	return errs
}

// Problem is one thing wrong, or as a warning one thing suspicious, with a
// setting. Its texts may quote what a user wrote: they are for people, and a
// terminal wants them cleaned.
type Problem struct {
	Where   Origin
	Key     string // "" if it concerns the whole source
	Message string
	Suggest string // the key that was probably meant, or ""
	Err     error  // cause, or nil
}

// String gives the whole problem in one line: where, what, suggestion.
func (p Problem) String() string {
	s := p.Message
	if p.Where.Kind != FromDefault {
		s = p.Where.String() + ": " + s
	}
	if p.Suggest != "" {
		s += fmt.Sprintf("; did you mean %q?", p.Suggest)
	}
	return s
}

// OriginKind is a kind of source.
type OriginKind string

// The sources, weakest first.
const (
	FromDefault OriginKind = "default"
	FromFile    OriginKind = "file"
	FromEnv     OriginKind = "env"
	FromFlag    OriginKind = "flag"
)

// Origin is where a value came from.
type Origin struct {
	Kind OriginKind
	Name string // --keep, HOTGO_KEEP or the file's path as shown; "" for a default
	Line int    // in a file; 0 if unknown
}

// String gives "flag --keep", "env HOTGO_KEEP", "hotgo.yaml:3" or "default".
func (o Origin) String() string {
	switch {
	case o.Kind == FromFile && o.Line > 0:
		return o.Name + ":" + strconv.Itoa(o.Line)
	case o.Kind == FromFile:
		return o.Name
	case o.Name == "":
		return string(o.Kind)
	}
	return string(o.Kind) + " " + o.Name
}
