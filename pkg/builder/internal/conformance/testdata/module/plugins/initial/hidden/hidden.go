// Package hidden has what only linknames reach.
package hidden

import _ "unsafe" // for go:linkname

func whisper(s string) string { return "hidden " + s }

var _ = whisper

// Pushed has its body in the package that imports this one.
//
//go:linkname Pushed
func Pushed(n int) string
