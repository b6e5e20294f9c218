// Package abi reads from a Go binary what decides whether plugins fit it.
package abi

// Mismatch is one difference between a host and an artifact.
type Mismatch struct {
	What     string // a package's import path, a flag, "go version", …
	Host     string
	Artifact string
}
