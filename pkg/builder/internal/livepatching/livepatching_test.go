//go:build linux && amd64 && cgo

// Package livepatching_test has processes load patches, and asks them whether they do what
// the edited sources say: each kind of edit (corpus_test.go), hosts that were built in many
// ways or from other sources than hotgo sees (hosts_test.go), generations of plugins
// (generation_test.go), profiles (profile_test.go), a server under load (soak_test.go), and
// packages whose own tests run meanwhile (stress_test.go).
//
// What can be asked of the builder alone stands beside it.
package livepatching_test
