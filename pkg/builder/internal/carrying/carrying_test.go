//go:build linux && amd64 && cgo

// Package carrying_test has processes swap plugins that keep something in package
// variables, and asks them whether it is still there: what the host was built with goes on
// in the first generation and back (builtin_test.go), by lists of variables (list_test.go),
// and nothing is lost where types change under load (ledger_test.go).
//
// What is foretold of state is tested beside the builder.
package carrying_test
