// Package faults has a thousand types that implement one interface, and tells
// whether the process agrees about each.
package faults

import "errors"

// Fault is an error. Each P makes another type.
type Fault[P any] struct{}

func (Fault[P]) Error() string { return "fault" }

// Broken counts the types whose values are no longer equal to themselves, or
// not recognised, once they were converted at run time.
func Broken() int { return hundreds[int]() + hundreds[bool]() }

func hundreds[P any]() int {
	return tens[[1]P]() + tens[[2]P]() + tens[[3]P]() + tens[[4]P]() + tens[[5]P]() +
		tens[[6]P]() + tens[[7]P]() + tens[[8]P]() + tens[[9]P]() + tens[[10]P]()
}

func tens[P any]() int {
	return ones[[1]P]() + ones[[2]P]() + ones[[3]P]() + ones[[4]P]() + ones[[5]P]() +
		ones[[6]P]() + ones[[7]P]() + ones[[8]P]() + ones[[9]P]() + ones[[10]P]()
}

func ones[P any]() int {
	return one[[1]P]() + one[[2]P]() + one[[3]P]() + one[[4]P]() + one[[5]P]()
}

func one[P any]() int {
	var static error = Fault[P]{} // by the itab that the linker wrote
	dynamic := convert(static)
	if _, ok := dynamic.(Fault[P]); !ok || !errors.Is(dynamic, static) {
		return 1
	}
	return 0
}

// convert goes by the runtime's table.
//
//go:noinline
func convert(x any) error {
	err, _ := x.(error)
	return err
}
