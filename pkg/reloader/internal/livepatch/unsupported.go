//go:build !(linux && amd64 && cgo)

package livepatch

import (
	"runtime"
	"time"
)

// Patcher refuses everything: it knows the machine code of amd64 and the memory
// of Linux only, and a program without cgo has nothing to be patched by.
type Patcher struct{}

// New gives a patcher.
func New() *Patcher { return new(Patcher) }

// Supported says why this process cannot be patched.
func (*Patcher) Supported() error {
	return fail(Unsupported, "", "functions can be replaced on linux/amd64 with cgo only; this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

// Bias gives the error of Supported.
func (p *Patcher) Bias() (uintptr, error) { return 0, p.Supported() }

// Bytes gives the error of Supported.
func (p *Patcher) Bytes(uintptr, int) ([]byte, error) { return nil, p.Supported() }

// Check gives the error of Supported.
func (p *Patcher) Check(uintptr, []byte) error { return p.Supported() }

// Set gives the error of Supported.
func (p *Patcher) Set([]Redirect) (Report, error) { return Report{}, p.Supported() }

// Still gives the error of Supported.
func (p *Patcher) Still(Moment, func()) (time.Duration, error) { return 0, p.Supported() }
