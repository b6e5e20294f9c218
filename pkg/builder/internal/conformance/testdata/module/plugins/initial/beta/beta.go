// Package beta comes after alpha, which it imports.
package beta

import (
	"example.com/conformance/plugins/initial/alpha"
	"example.com/conformance/plugins/initial/delta"
	"example.com/conformance/plugins/initial/gamma"
)

// Counter is written by others.
var Counter = add("beta.Counter", 100)

// Default points into another package.
var Default = &alpha.Default

// Total calls generic code of a private package.
func Total() int { return delta.Reduce([]int{1, 2, 3}, func(a, b int) int { return a + b }) }

func add(s string, n int) int { gamma.Log = append(gamma.Log, s); return n }

func init() { add("beta.init 1", 0) }
