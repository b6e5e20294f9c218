// Package price says what things cost.
package price

import (
	"context"
	"errors"
)

const each = 10

// Of gives the price of a number of items.
func Of(items int) int { return items * each }

// HotHealth keeps a version out that gives things away. It runs in each process
// before the version answers anybody.
func HotHealth(context.Context) error {
	if Of(1) <= 0 {
		return errors.New("an item costs nothing")
	}
	return nil
}
