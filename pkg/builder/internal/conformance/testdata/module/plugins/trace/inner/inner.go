// Package inner is one more private package in the traces.
package inner

// Call adds a frame.
//
//go:noinline
func Call[T any](f func() T) T { return f() }

// Generic adds a frame with a type argument.
//
//go:noinline
func Generic[T any](v T, f func(T)) { f(v) }

// Index panics where i is out of range.
func Index(list []int, i int) int { return at(list, i) }

func at(list []int, i int) int { return list[i] }
