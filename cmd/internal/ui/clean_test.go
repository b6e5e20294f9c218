package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanKeepsTheText(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                           "plain text",
		"\x1b[1;31mred\x1b[0m text":            "red text",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\a": "link",
		"\x1b]0;unterminated":                  "0;unterminated",
		"\x1bPq#0\x1b\\after":                  "after",
		"\u009b31mC1":                          "C1",
		"\u009d0;title\u009cC1":                "C1",
		"\x1b(Bcharset\x1bc":                   "charset",
		"\x1b":                                 "",
		"\x1b\x1b[31mtwice":                    "twice",
		"\x1b[31":                              "",
		"\x1b[\nnext":                          "next",
		"have (int)\n\twant (string)\r\n":      "have (int) want (string)",
		"bell\a back\b\x7f":                    "bell back",
		"user\u202egnp.exe":                    "usergnp.exe",
		"zero\u200bwidth\ufeff":                "zerowidth",
		"\xff\x9b31m":                          "\ufffd\ufffd31m",
		"日本 é ✓":                               "日本 é ✓",
		"  trimmed  ":                          "trimmed",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean("\x1b]" + strings.Repeat("x", maxSequence) + "\a"); !strings.HasPrefix(got, "xxx") {
		t.Errorf("a far end hides %q", got)
	}
	if got := Clean(strings.Repeat("x", 5*maxLine)); utf8.RuneCountInString(got) != maxLine+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long line gives %d characters", utf8.RuneCountInString(got))
	}
}

func TestCleanSaysWhatItLeftOut(t *testing.T) {
	if got := Clean("start " + strings.Repeat("\x1b]", maxText) + "end"); got != "start…" {
		t.Errorf("%q, want %q", got, "start…")
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{
		"plain", "\x1b[31mred\x1b[0m", "\x1b]0;t\a", "\x1b]0;t", "\x1b\x1b\x1b", "\u009b1m\u0090\u009c", "\xff\xc2\x9b", "a\u202eb\tc\r\n",
		"\x1b\u0080[31m", "\x1b[\u200b31m", strings.Repeat("é ", 600),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := Clean(s)
		if !utf8.ValidString(clean) {
			t.Errorf("not UTF-8: %q", clean)
		}
		if i := strings.IndexFunc(clean, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("unprintable at %d: %q", i, clean)
		}
		if utf8.RuneCountInString(clean) > 2*maxLine+1 {
			t.Errorf("%d characters", utf8.RuneCountInString(clean))
		}
		if again := Clean(clean); utf8.RuneCountInString(clean) < maxLine && again != clean {
			t.Errorf("not the same twice: %q, %q", clean, again)
		}
	})
}
