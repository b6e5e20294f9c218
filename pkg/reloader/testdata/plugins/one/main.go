// Command one is a plugin whose Price doubles.
package main

import (
	"context"
	"errors"
)

// Price doubles.
func Price(x int) int { return 2 * x }

// HotStart is satisfied with a context that lives.
func HotStart(ctx context.Context) error { return ctx.Err() }

// HotStop wants to be called in time.
func HotStop(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("no deadline")
	}
	return nil
}

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) {
	add("Price", Price)
	add("HotStart", HotStart)
	add("HotStop", HotStop)
}

func main() {}
