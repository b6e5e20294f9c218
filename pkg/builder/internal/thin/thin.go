// Package thin links a plugin against the running program instead of copying
// the program's packages into it.
//
// # Why
//
// `go build -buildmode=plugin` puts a copy of every dependency into the
// artifact: megabytes to write, to map and to keep for ever, for one edited
// line. But a host that can load plugins already exports every function,
// variable and type that it contains. An artifact needs only what is new.
//
// # How
//
// The toolchain has half of this: -buildmode=shared with -linkshared makes
// the Go linker take packages from a shared library. A program is no such
// library, and its packages were not compiled to be one, so three things are
// put in between:
//
//   - The objects of the plugin refer to other packages by index, as the
//     compiler found them in the export data of the host's own build. They are
//     rewritten to refer by name (package goobj).
//   - What they name is looked up in the host's dynamic symbol table ([Image]).
//     Names that the host lacks, because its linker pruned them or it never
//     used the package, are followed through the objects of their packages,
//     symbol by symbol, and those objects join the link (closure.go).
//   - The Go linker is shown a small file that describes the part of the host
//     that is used, as if it were a shared library (stub.go). It writes one
//     object; this package finishes it and has the C compiler link it
//     (final.go). The stub itself is never loaded.
//
// Nothing is taken on trust: the artifact keeps the Go runtime's own table of
// package hashes, with the hashes that the plugin was compiled against, and
// the runtime compares them when it loads the artifact.
//
// Facts of the toolchain that this rests on carry the file they come from.
// They were checked against Go 1.26.8 and 1.27.1 on linux/amd64; [Supported]
// says so, and everything else is linked in full.
package thin

import (
	"errors"
	"fmt"
	"go/version"
)

// Unfit says why a plugin cannot be linked thin. It is not a failure of the
// plugin: a full link may well do.
type Unfit struct {
	Reason string // for people; a clause that follows "full: "
	Err    error  // the cause, where there is one
}

func (e *Unfit) Error() string { return "cannot link thin: " + e.Reason }

func (e *Unfit) Unwrap() error { return e.Err }

func unfit(format string, args ...any) *Unfit {
	err := fmt.Errorf(format, args...)
	return &Unfit{Reason: err.Error(), Err: errors.Unwrap(err)}
}

// Supported reports whether plugins can be linked thin for a Go release on a
// platform, and why not where they cannot.
func Supported(goVersion, goos, goarch string) (ok bool, reason string) {
	if goos != "linux" || goarch != "amd64" {
		return false, fmt.Sprintf("thin artifacts are for linux/amd64, not %s/%s", goos, goarch)
	}
	switch version.Lang(goVersion) {
	case "go1.26", "go1.27":
		return true, ""
	}
	return false, "thin artifacts are for Go 1.26 and 1.27, not " + goVersion
}
