//go:build !cgo || !(linux || darwin || freebsd)

package goplugin

import "errors"

// Supported says whether this build of the host can load plugins.
const Supported = false

// Open gives an error: package plugin needs cgo and Linux, macOS or FreeBSD
// (go1.26: plugin/plugin_stubs.go).
func Open(string) (Symbols, error) { return nil, errUnsupported }

// OpenForeign gives an error, as Open does.
func OpenForeign(string, []string) (Symbols, error) { return nil, errUnsupported }

var errUnsupported = errors.New("this host was built without support for Go plugins")
