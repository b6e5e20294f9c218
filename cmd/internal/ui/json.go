package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// JSON writes v as one line. Characters that a terminal might obey and that
// encoding/json leaves as they are (DEL, C1, bidirectional controls) are escaped:
// the data is the same, and `hotgo watch -o json` in a terminal is safe.
func JSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // func(a <-chan int) is meant to be read
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	line := b.Bytes()
	if bytes.ContainsFunc(line, unsafeInJSON) {
		var safe []byte
		for len(line) > 0 {
			r, n := utf8.DecodeRune(line)
			if unsafeInJSON(r) { // inside a string: nowhere else can it stand
				safe = fmt.Appendf(safe, `\u%04x`, r)
			} else {
				safe = append(safe, line[:n]...)
			}
			line = line[n:]
		}
		line = safe
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func unsafeInJSON(r rune) bool {
	return r >= 0x7f && r <= 0x9f || unicode.Is(unicode.Bidi_Control, r)
}
