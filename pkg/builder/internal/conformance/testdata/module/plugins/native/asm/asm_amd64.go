// Package asm has functions in assembly.
package asm

// Base is read by AddBase.
var Base int64

// Add uses nothing but its arguments.
func Add(a, b int64) int64

// AddBase reads a Go variable.
func AddBase(a int64) int64

// Constant reads data that is defined in assembly.
func Constant(i int64) int64

// CallGo calls a Go function.
func CallGo(n int64) int64

// Sum reads a slice.
func Sum(list []int64) int64

func double(n int64) int64 { return helper(n) + 1 }

//go:noinline
func helper(n int64) int64 {
	if n <= 0 {
		return Base
	}
	return 2 + helper(n-1)
}
