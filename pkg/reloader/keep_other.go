//go:build !unix

package reloader

import (
	"errors"
	"os"
)

// claimState fails: nothing is ever loaded here, so there is nothing to restore.
func claimState(string) (*os.File, error) { return nil, errors.ErrUnsupported }
