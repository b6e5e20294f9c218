package collect

import "example.com/conformance/rows"

// generation is edited between the versions that one host loads.
const generation = 1

// stamp is another type in every generation.
type stamp struct{ pad [generation]int8 }

// Identity shows whether generations take each other's types for their own.
func Identity() ([]any, func(any) bool) { return rows.Identity[stamp]() }
