// Package rows runs the parts of a fixture and prints what they say. The host
// and the plain program with everything built in print through it alike.
package rows

import (
	"bytes"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"example.com/conformance/api"
)

// Row is one property: its text has to be the same however the plugin is
// linked.
type Row struct {
	Name string
	Run  func(w io.Writer)
}

// Print writes a line "-- NAME" for each row and then its text, indented. The
// name comes first so that it shows where a process died.
func Print(out io.Writer, list []Row) {
	for _, r := range list {
		fmt.Fprintf(out, "-- %s\n", r.Name)
		var b bytes.Buffer
		func() {
			defer func() {
				if p := recover(); p != nil {
					fmt.Fprintf(&b, "PANIC: %v\n%s", p, debug.Stack())
				}
			}()
			r.Run(&b)
		}()
		for line := range strings.Lines(Plain(b.String())) {
			fmt.Fprintf(out, "\t%s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}

// Plain takes the fresh identity off import paths.
func Plain(s string) string {
	const mark, hex = "/hotgo_", 12
	for {
		i := strings.Index(s, mark)
		if i < 0 || len(s) < i+len(mark)+hex {
			return s
		}
		s = s[:i] + s[i+len(mark)+hex:]
	}
}

// Identity gives values of types that are made from T, and a function that
// tells whether a value's type is one of those.
func Identity[T comparable]() (values []any, mine func(any) bool) {
	type local struct{ v T }
	var zero T
	values = []any{
		zero, &zero,
		[]T{zero},
		[2]T{},
		map[T]int{},
		map[string]T{},
		make(chan T), func(T) {},
		local{},
		&local{},
		struct{ F T }{},
		api.Box[T]{},
		&api.Box[T]{},
		api.Pair[T, string]{},
		api.Set[T]{},
		(*interface{ M(T) })(nil),
		[][]*T{},
	}
	mine = func(v any) bool {
		switch v.(type) {
		case T, *T, []T, [2]T, map[T]int, map[string]T, chan T, func(T), local, *local,
			struct{ F T }, api.Box[T], *api.Box[T], api.Pair[T, string], api.Set[T], *interface{ M(T) }, [][]*T:
			return true
		}
		return false
	}
	return values, mine
}
