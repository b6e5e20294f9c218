package control

import (
	"fmt"
	"net/http"
	"strings"
)

// The codes of [Error]. They are stable: scripts compare them.
const (
	CodeBadRequest   = "bad-request"  // the request is not of the documented form
	CodeTooLarge     = "too-large"    // the body exceeds the host's limit
	CodeForbidden    = "forbidden"    // the peer may not speak to this host
	CodeNotArtifact  = "not-artifact" // not a complete Go plugin
	CodeIncompatible = "incompatible" // the preflight found mismatches: restart required
	CodeDigest       = "digest"       // bytes and digest disagree
	CodeSignature    = "signature"    // not signed by a trusted key, or signed too long ago
	CodeRefused      = "refused"      // init, a hook or a symbol refused; the old generation serves
	CodeUnhealthy    = "unhealthy"    // HotHealth failed, or the health window found something; the old generation serves
	CodeNotFound     = "not-found"    // no such plugin, generation or call
	CodeBusy         = "busy"         // too many requests under way
	CodeTimeout      = "timeout"      // a limit of time ran out
	CodeUnsupported  = "unsupported"  // this platform or build cannot do it
	CodeClosed       = "closed"       // the host is shutting down
	CodeInternal     = "internal"     // a fault of the host's own, e.g. its disk is full
)

// Error is the body of every answer that is not a success, and the error that
// [Client] methods and Host.Load return for it.
type Error struct {
	Code     string     `json:"code"`
	Rule     string     `json:"rule,omitempty"` // HG0001 … where the catalogue has one
	Message  string     `json:"message"`
	Evidence []Evidence `json:"evidence,omitempty"`
	Limit    string     `json:"limit,omitempty"` // who set the limit: "the Go runtime", "hotgo", …
	Next     string     `json:"next,omitempty"`
	Status   int        `json:"-"` // HTTP status; 0 picks one by Code
	Err      error      `json:"-"` // cause, on the side where it happened
}

// Error gives the message with its code's cause, without evidence.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Evidence is one difference, host beside artifact.
type Evidence struct {
	What     string `json:"what"`
	Host     string `json:"host,omitempty"`
	Artifact string `json:"artifact,omitempty"`
}

// HTTPStatus is the status of an answer that carries e: Status, or one that
// fits Code.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	switch e.Code {
	case CodeBadRequest, CodeDigest:
		return http.StatusBadRequest
	case CodeForbidden, CodeSignature:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeIncompatible:
		return http.StatusConflict
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeNotArtifact, CodeRefused, CodeUnhealthy:
		return http.StatusUnprocessableEntity
	case CodeBusy, CodeClosed:
		return http.StatusServiceUnavailable
	case CodeUnsupported:
		return http.StatusNotImplemented
	case CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// UnreachableError says that no host answers at a target.
type UnreachableError struct {
	Target string   // as the user wrote it; "" where none was named
	Tried  []string // sockets, or directories that hold none
	Err    error    // may be nil
}

// Error names the target and the cause.
func (e *UnreachableError) Error() string {
	s := "no host found"
	if e.Target != "" {
		s = "no host answers at " + e.Target
	}
	if len(e.Tried) > 0 {
		s += " (tried " + strings.Join(e.Tried, ", ") + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }
