// Package brought is one that no host contains: the first plugin loaded into a
// process defines it there.
package brought

import "strings"

// The test replaces these bytes in the built file.
var mode = "brought:good................"

func init() {
	if strings.HasPrefix(mode, "brought:panic") {
		panic("nothing can be brought today")
	}
}

// Factor is what the plugin multiplies by.
func Factor() int { return 5 }
