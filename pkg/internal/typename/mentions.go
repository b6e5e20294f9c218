package typename

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mentions lists the qualified names in a canonical string, in order and
// without repeats: the types it is made of, and the unexported fields and
// methods whose identity hangs on a package. Text that is not canonical gives
// some list; it never panics.
func Mentions(s string) []string {
	var out []string
	seen := map[string]bool{}
	for len(s) > 0 {
		if s[0] == '"' {
			quoted, err := strconv.QuotedPrefix(s)
			if err != nil {
				return out
			}
			s = s[len(quoted):]
			continue
		}
		n := strings.IndexAny(s, " ,;()[]{}*\"")
		if n == 0 {
			s = s[1:]
			continue
		}
		if n < 0 {
			n = len(s)
		}
		word := strings.TrimPrefix(s[:n], "...")
		s = s[n:]
		if PackageOf(word) != "" && !seen[word] {
			seen[word] = true
			out = append(out, word)
		}
	}
	return out
}

// PackageOf gives the import path of a qualified name, "" where it has none.
func PackageOf(name string) string {
	slash := strings.LastIndexByte(name, '/')
	dot := strings.LastIndexByte(name, '.')
	if dot <= slash || dot == 0 {
		return ""
	}
	return name[:dot]
}

// IsNamed reports whether a canonical string is that of a named type of some
// package, instantiated or not.
func IsNamed(s string) bool {
	head, _, _ := strings.Cut(s, "[")
	return !strings.ContainsAny(head, " ({*<") && PackageOf(head) != ""
}

// isExported is go/token's rule without the import: a host carries this package.
func isExported(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return unicode.IsUpper(r)
}
