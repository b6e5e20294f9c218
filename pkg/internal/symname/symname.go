// Package symname spells import paths as the linker does in symbol names.
package symname

import "strings"

const hexDigits = "0123456789abcdef"

// Escape spells an import path as symbol names have it (objabi.PathToPrefix,
// Go 1.26 and 1.27): dots of the last element, percent signs, quotes, and everything
// outside printable ASCII become %xx.
func Escape(path string) string {
	var b strings.Builder
	slash := strings.LastIndexByte(path, '/')
	for i := range len(path) {
		c := path[i]
		if c <= ' ' || c == '.' && i > slash || c == '%' || c == '"' || c >= 0x7f {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&0xf]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Unescape is the inverse of Escape. It reports false for a bad escape.
func Unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), true
}
