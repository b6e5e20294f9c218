package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"strings"

	"example.com/conformance/rows"
)

type ctx = context.Context

func contextWith() ctx { return context.Background() }

// profileNames reports whether a profile's table of strings has these.
func profileNames(profile []byte, want ...string) bool {
	z, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		return false
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return false
	}
	s := rows.Plain(string(b))
	for _, name := range want {
		if !strings.Contains(s, name) {
			return false
		}
	}
	return true
}
