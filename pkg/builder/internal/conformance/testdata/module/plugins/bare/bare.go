// Package bare uses nothing that its host lacks.
package bare

import (
	"fmt"
	"io"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

//hotgo:fresh built in, each generation counts for itself
var calls int

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "host function", Run: func(w io.Writer) {
			item, err := api.Find("thing")
			fmt.Fprintln(w, generation, item.Name, item.Total(3), err)
		}},
		{Name: "own variable", Run: func(w io.Writer) {
			calls++
			fmt.Fprintln(w, calls, len(stamp{}.pad))
		}},
	}
}
