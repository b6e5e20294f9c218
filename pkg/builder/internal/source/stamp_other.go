//go:build !unix

package source

import (
	"errors"
	"io/fs"
	"os"
)

// StampOf takes the stamp of what path leads to. What is not there has a stamp
// too, the zero one; errors are those that leave it open.
func StampOf(path string) (Stamp, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Stamp{}, nil
	case err != nil:
		return Stamp{}, err
	}
	s := Stamp{Kind: Special, Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
	switch {
	case fi.Mode().IsRegular():
		s.Kind = Regular
	case fi.IsDir():
		s.Kind = Directory
	}
	return s, nil
}
