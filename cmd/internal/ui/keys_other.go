//go:build !unix

package ui

import (
	"context"
	"io"
	"os"
)

// input reads a file and can be given up.
type input struct {
	ctx    context.Context
	chunks chan []byte // closed at the end of the file
	rest   []byte
}

// openInput starts to read in. A console's read cannot be interrupted here, so
// the goroutine that is in it when ctx ends stays until the next line.
func openInput(ctx context.Context, in *os.File) (*input, error) {
	i := &input{ctx: ctx, chunks: make(chan []byte)}
	go func() {
		defer close(i.chunks)
		for {
			p := make([]byte, 256)
			n, err := in.Read(p)
			select {
			case i.chunks <- p[:n]:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return i, nil
}

func (i *input) close() {}

// Read gives what was entered, or io.EOF when the context has ended.
func (i *input) Read(p []byte) (int, error) {
	if len(i.rest) == 0 {
		select {
		case chunk, ok := <-i.chunks:
			if !ok {
				return 0, io.EOF
			}
			i.rest = chunk
		case <-i.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}
