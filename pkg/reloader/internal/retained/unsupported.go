//go:build !linux || !amd64 || !cgo

package retained

import "runtime"

// Find gives an error here: nothing is known of this platform's memory.
func Find([]Generation, Options) (*Look, error) {
	return nil, fail("what the program holds is looked for on linux/amd64 with cgo only, and this is %s/%s", runtime.GOOS, runtime.GOARCH)
}
