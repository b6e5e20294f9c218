package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxLine is how many characters of one foreign text are shown. A generated
	// identifier or a minified file in a compiler message may be megabytes long.
	maxLine = 1000
	// maxText is how many bytes of it are looked at, escape sequences included.
	maxText = 64 << 10
	// maxSequence is how far the end of a string sequence is looked for, in
	// bytes: without it, a text of nothing but beginnings takes quadratic time.
	maxSequence = 2048
)

// Clean makes a foreign text fit for one line of a terminal. Escape sequences
// are taken out whole, so that colored text reads as text; line breaks and tabs
// become one blank; every other character that moves, hides or reorders text
// (control characters, C1 included, and bidirectional overrides) is dropped;
// invalid UTF-8 becomes U+FFFD; and what is too long ends in "…".
func Clean(s string) string {
	var b strings.Builder
	blank, count := false, 0
	tooLong := len(s) > maxText
	if tooLong {
		s = strings.ToValidUTF8(s[:maxText], "\ufffd") // the cut may be inside a character
	}
	for s != "" {
		if n := escape(s); n > 0 {
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case unicode.IsSpace(r):
			blank = count > 0
			continue
		case !unicode.IsPrint(r): // format characters (Cf) such as U+202E are not
			continue
		}
		if count >= maxLine {
			tooLong = true
			break
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
		count++
	}
	if tooLong {
		b.WriteString("…")
	}
	return b.String()
}

// cleanLines is Clean for a text of several lines; empty ones are left out.
func cleanLines(s string) []string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = Clean(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// escape gives the length of the escape sequence (ECMA-48) that s starts with,
// or 0. A string sequence (OSC, DCS and the like) without an end nearby is taken
// for its introducer alone, so that it cannot hide the rest of a message.
func escape(s string) int {
	var kind byte
	var rest string
	switch r, size := utf8.DecodeRuneInString(s); {
	case r == 0x1b && len(s) > 1:
		kind, rest = s[1], s[2:]
	case r >= 0x80 && r <= 0x9f: // C1: U+009B is ESC [
		kind, rest = byte(r)-0x40, s[size:]
	default:
		return 0
	}
	start := len(s) - len(rest)
	switch kind {
	case '[':
		for i := 0; i < len(rest); i++ {
			switch c := rest[i]; {
			case c >= 0x40 && c <= 0x7e:
				return start + i + 1
			case c < 0x20 || c > 0x3f: // not a sequence after all
				return start + i
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i, r := range rest[:min(len(rest), maxSequence)] {
			switch {
			case r == '\a':
				return start + i + 1
			case r == 0x9c:
				return start + i + utf8.RuneLen(r)
			case r == 0x1b && strings.HasPrefix(rest[i:], "\x1b\\"):
				return start + i + 2
			}
		}
		return start
	}
	if kind >= 0x20 && kind <= 0x2f && rest != "" && rest[0] >= 0x20 && rest[0] <= 0x7e { // ESC ( B
		return start + 1
	}
	if kind >= 0x20 && kind <= 0x7e { // ESC c, and C1 controls without a text
		return start
	}
	return 1
}
