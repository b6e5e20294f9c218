package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// ErrNoTerminal says that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// Password asks for a secret on the terminal that in is, without showing it. When
// ctx ends, the terminal shows what is typed again; a read of it cannot be taken
// back, so whoever reads in afterwards competes with it.
//
// Errors: [ErrNoTerminal]; those of the terminal; what ended ctx.
func Password(ctx context.Context, in *os.File, out io.Writer, prompt string) ([]byte, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, ErrNoTerminal
	}
	if _, err := io.WriteString(out, prompt); err != nil {
		return nil, fmt.Errorf("ask for a password: %w", err)
	}
	type answer struct {
		word []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		word, err := term.ReadPassword(fd)
		answered <- answer{word, err}
	}()
	defer io.WriteString(out, "\n") //nolint:errcheck // the prompt was written
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, fmt.Errorf("read a password: %w", a.err)
		}
		return a.word, nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return nil, context.Cause(ctx)
	}
}
