package artifact

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName   = 64 // bytes of a plugin name
	keyDigits = 64 // hex digits of a key
	keyPart   = 12 // of them, in a file name
	extension = ".so"
)

// FileName is the name of a plugin's artifact with that key:
// "<plugin>-<first 12 hex digits of key>.so". Both must be valid.
func FileName(plugin, key string) string { return plugin + "-" + key[:keyPart] + extension }

// ParseFileName takes a name apart that [FileName] made. It reports false for
// any other.
func ParseFileName(name string) (plugin, keyPrefix string, ok bool) {
	rest, ok := strings.CutSuffix(name, extension)
	cut := len(rest) - keyPart - 1
	if !ok || cut < 1 || rest[cut] != '-' || !isHex(rest[cut+1:]) || ValidName(rest[:cut]) != nil {
		return "", "", false
	}
	return rest[:cut], rest[cut+1:], true
}

// ValidName checks a plugin's name: it becomes part of file names, of command
// lines and of lines that people read. Letters and digits of any script are
// allowed, and '.', '_', '+', '-', '@' behind the first character; 64 bytes at
// most.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("plugin name is empty")
	case len(name) > maxName:
		return fmt.Errorf("plugin name %.20q… has %d bytes: %d are the limit", name, len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("plugin name %q is not UTF-8", name)
	}
	for i, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || unicode.IsMark(r) && i > 0 {
			continue
		}
		if !strings.ContainsRune(".+-@", r) {
			return fmt.Errorf("plugin name %q has %q in it: letters, digits and . _ + - @ are allowed", name, r)
		}
		if i == 0 {
			return fmt.Errorf("plugin name %q begins with %q: a letter, a digit or _ has to be first", name, r)
		}
	}
	return nil
}

// ValidKey checks that key is 64 lower-case hex digits.
func ValidKey(key string) error {
	if len(key) != keyDigits || !isHex(key) {
		return fmt.Errorf("key %.80q is not %d hex digits", key, keyDigits)
	}
	return nil
}

// isHex reports whether s has lower-case hex digits only.
func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
