//go:build !amd64

// Package asm has functions in assembly where the suite has been written for.
package asm

// Base is read by AddBase.
var Base int64

// Add adds.
func Add(a, b int64) int64 { return a + b }

// AddBase reads a Go variable.
func AddBase(a int64) int64 { return a + Base }

// Constant reads a table.
func Constant(i int64) int64 { return [...]int64{11, 22}[i] }

// CallGo calls a Go function.
func CallGo(n int64) int64 { return 2*n + Base + 1 }

// Sum reads a slice.
func Sum(list []int64) (sum int64) {
	for _, n := range list {
		sum += n
	}
	return sum
}
