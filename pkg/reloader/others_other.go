//go:build !linux

package reloader

// mappedFile is a file with code that the process has mapped.
type mappedFile struct{ path string }

// mappedCode knows nothing here.
func mappedCode() []mappedFile { return nil }

func (mappedFile) unchanged() bool { return false }
