package ui

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Key is what a line of input asks for.
type Key int

// The keys. Each is entered as its letter, or its word, and Enter.
const (
	KeyUnknown   Key = iota // something else was entered
	KeyEnter                // an empty line: No to a question
	KeyHelp                 // h
	KeyReload               // r: rebuild and reload
	KeyFull                 // f: as r, linked in full
	KeyPause                // p: stop reloading, or go on
	KeyRollback             // z
	KeyTargets              // u: the hosts
	KeyLastError            // l: the last failure once more
	KeyClear                // c: empty the screen
	KeyQuit                 // q
	KeyYes                  // y, to a question
	KeyNo                   // n
	KeyAlways               // a, or always: yes, and do not ask again
)

var keys = []struct {
	key    Key
	letter byte
	word   string
	help   string // "" for answers to a question
}{
	{KeyHelp, 'h', "help", "show these keys"},
	{KeyReload, 'r', "reload", "rebuild and reload"},
	{KeyFull, 'f', "full", "rebuild and reload, linked in full"},
	{KeyPause, 'p', "pause", "pause, or go on"},
	{KeyRollback, 'z', "rollback", "roll back the last reload"},
	{KeyTargets, 'u', "targets", "list the hosts and what runs in them"},
	{KeyLastError, 'l', "last", "show the last error again"},
	{KeyClear, 'c', "clear", "clear the screen"},
	{KeyQuit, 'q', "quit", "quit"},
	{KeyYes, 'y', "yes", ""},
	{KeyNo, 'n', "no", ""},
	{KeyAlways, 'a', "always", ""},
}

// ParseKey reads one line of input.
func ParseKey(line string) Key {
	line = strings.ToLower(strings.TrimSpace(line))
	if line == "" {
		return KeyEnter
	}
	for _, k := range keys {
		if line == string(k.letter) || line == k.word {
			return k.key
		}
	}
	return KeyUnknown
}

// KeysWanted says whether keys should be read from in: it is a terminal, and
// this is no CI job, where a terminal may be faked and nobody sits.
func KeysWanted(in *os.File, getenv func(string) string) bool {
	switch getenv("CI") {
	case "", "0", "false":
		return term.IsTerminal(int(in.Fd()))
	}
	return false
}

// maxInput is the longest line that can be a key; the rest of it is dropped.
const maxInput = 64

// Keys reads keys from in, a line each, until ctx ends or in does; then the
// channel is closed and nothing of Keys runs any more. (Where the system cannot
// wait for input and for something else at once, which is outside Unix, a
// goroutine may stay in its read until the next line. It keeps nobody waiting.)
//
// The receiver has to go on receiving until it ends ctx. in stays open, and
// nobody else may read it meanwhile.
func Keys(ctx context.Context, in *os.File) <-chan Key {
	found := make(chan Key)
	go func() {
		defer close(found)
		input, err := openInput(ctx, in)
		if err != nil {
			return // no keys then; Ctrl-C still works
		}
		defer input.close()
		scanKeys(input, func(k Key) bool {
			select {
			case found <- k:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return found
}

// scanKeys gives each line of r to yield until that says stop or r ends. It
// keeps no more than a key's worth of a line.
func scanKeys(r io.Reader, yield func(Key) bool) {
	var line []byte
	chunk := make([]byte, 256)
	for {
		n, err := r.Read(chunk)
		rest := chunk[:n]
		for {
			part, after, whole := bytes.Cut(rest, []byte("\n"))
			line = append(line, part[:min(len(part), maxInput-len(line))]...)
			if !whole {
				break
			}
			key := ParseKey(string(line))
			if len(line) == maxInput {
				key = KeyUnknown
			}
			if !yield(key) {
				return
			}
			line, rest = line[:0], after
		}
		if err != nil {
			return
		}
	}
}
