//go:build go1.27

package initial

import "sync/atomic"

// Go 1.27 lets nobody pull functions of assembly from the standard library.
func addInt64(p *int64, n int64) int64 { return atomic.AddInt64(p, n) }
