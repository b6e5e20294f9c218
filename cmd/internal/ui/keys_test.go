package ui

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseKey(t *testing.T) {
	for line, want := range map[string]Key{
		"h": KeyHelp, "r": KeyReload, "f": KeyFull, "p": KeyPause, "z": KeyRollback, "u": KeyTargets,
		"l": KeyLastError, "c": KeyClear, "q": KeyQuit, "y": KeyYes, "Y": KeyYes, "yes": KeyYes, "N": KeyNo, "no": KeyNo,
		"always": KeyAlways, "a": KeyAlways, "": KeyEnter, "  ": KeyEnter, " q\r": KeyQuit, "help": KeyHelp,
		"x": KeyUnknown, "qq": KeyUnknown, "\x1b[A": KeyUnknown,
	} {
		if got := ParseKey(line); got != want {
			t.Errorf("ParseKey(%q) = %d, want %d", line, got, want)
		}
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func enter(t *testing.T, w *os.File, s string) {
	t.Helper()
	if _, err := w.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

func TestKeysComeInOrderUntilInputEnds(t *testing.T) {
	r, w := pipe(t)
	enter(t, w, "h\nr\r\n\n"+strings.Repeat("x", 1000)+"\nq\nlost")
	w.Close()
	var got []Key
	for k := range Keys(t.Context(), r) {
		got = append(got, k)
	}
	if d := cmp.Diff([]Key{KeyHelp, KeyReload, KeyEnter, KeyUnknown, KeyQuit}, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
}

// The reader is blocked on input that does not come, and nobody receives the
// key that did: both must end with the context, without another byte.
func TestKeysEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waiting, _ := pipe(t)
	sending, w := pipe(t)
	enter(t, w, "q\nq\n")
	a, b := Keys(ctx, waiting), Keys(ctx, sending)
	cancel()
	for range a {
		t.Error("a key out of nothing")
	}
	for range b { // at most what was on its way
	}
}

func TestKeysLeaveInputForTheNextReader(t *testing.T) {
	r, w := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := Keys(ctx, r)
	enter(t, w, "p\n")
	if k := <-first; k != KeyPause {
		t.Errorf("key %d", k)
	}
	cancel()
	for range first {
	}
	enter(t, w, "q\n")
	if k := <-Keys(t.Context(), r); k != KeyQuit {
		t.Errorf("the first reader took the second one's key: %d", k)
	}
}

func TestKeysOfATerminal(t *testing.T) {
	master, tty := openTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	found := Keys(ctx, tty)
	enter(t, master, "r")
	enter(t, master, "\n")
	if k := <-found; k != KeyReload {
		t.Errorf("key %d, want reload", k)
	}
	cancel()
	for range found { // ends although nobody presses a key
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("h\nq\n")
	f.Add("\r\n\x1b[A\n")
	f.Add(strings.Repeat("always", 50) + "\ny")
	f.Fuzz(func(t *testing.T, in string) {
		lines := 0
		scanKeys(strings.NewReader(in), func(k Key) bool {
			if k < KeyUnknown || k > KeyAlways {
				t.Errorf("key %d", k)
			}
			lines++
			return true
		})
		if want := strings.Count(in, "\n"); lines != want {
			t.Errorf("%d keys of %d lines", lines, want)
		}
	})
}
