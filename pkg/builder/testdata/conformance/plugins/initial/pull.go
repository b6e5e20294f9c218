//go:build !go1.27

package initial

import _ "unsafe"

//go:linkname addInt64 sync/atomic.AddInt64
func addInt64(p *int64, n int64) int64
