package web

import (
	"io"
	"io/fs"
	"strings"
	"time"
)

// files is a file system with one file.
type files struct{}

func (files) Open(name string) (fs.File, error) {
	if name != "a.txt" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{Reader: strings.NewReader("a file")}, nil
}

type file struct{ *strings.Reader }

func (f *file) Stat() (fs.FileInfo, error) { return f, nil }
func (f *file) Close() error               { return nil }
func (f *file) Name() string               { return "a.txt" }
func (f *file) Mode() fs.FileMode          { return 0o444 }
func (f *file) ModTime() time.Time         { return time.Unix(1, 0) }
func (f *file) IsDir() bool                { return false }
func (f *file) Sys() any                   { return nil }

var _ io.ReadSeeker = (*file)(nil)
