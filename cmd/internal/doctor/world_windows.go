package doctor

import (
	"errors"
	"os"
)

func lstat(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Mode: info.Mode(), UID: -1, Mine: true}, nil
}

func openFiles() (uint64, error) { return 0, errors.ErrUnsupported }
