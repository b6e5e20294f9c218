//go:build !unix

package reloader

// Nothing is ever loaded here.
func onlyOurs(string) error { return nil }

func lockDir(string) (unlock func(), err error) { return func() {}, nil }
