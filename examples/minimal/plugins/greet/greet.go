// Package greet is the part of the example that can be replaced while it runs.
package greet

import "fmt"

// Hello says how to greet for the nth time.
func Hello(n int) string {
	return fmt.Sprintf("%d: hello, world", n)
}
