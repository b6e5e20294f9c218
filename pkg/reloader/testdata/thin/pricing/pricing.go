// Package pricing is what the tests of mutated artifacts have hotgo build: small
// when it is linked against the host, and with a bit of what the runtime walks.
package pricing

import (
	"errors"
	"fmt"
)

// Price multiplies by 5.
func Price(x int) int {
	if err := check(x); err != nil {
		return 0
	}
	return x * factor
}

type limit struct{ most int }

func (l limit) Error() string { return fmt.Sprint("more than ", l.most) }

var (
	factor  = len(words)
	words   = []string{"one", "two", "three", "four", fmt.Sprint("five")}
	errNone = errors.New("none")
)

func check(x int) error {
	switch {
	case x > 1_000_000:
		return limit{1_000_000}
	case x == 0:
		return errNone
	}
	return nil
}
