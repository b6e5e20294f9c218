package builder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// profile is a -pgo profile as it was read. Profiles take megabytes, and every
// key needs the hash.
type profile struct {
	stamp source.Stamp
	sum   string
}

// profile gives the sha256 of a profile in hex. It is read again when its file
// changed.
func (b *Builder) profile(path string) (string, error) {
	start := time.Now()
	stamp, err := source.StampOf(path)
	if err != nil {
		return "", fmt.Errorf("read the -pgo profile: %w", err)
	}
	b.mu.Lock()
	known := b.profiles[path]
	b.mu.Unlock()
	if known != nil && known.stamp == stamp {
		return known.sum, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the -pgo profile: %w", err)
	}
	sum := sha256.Sum256(data)
	p := &profile{stamp: stamp, sum: hex.EncodeToString(sum[:])}
	if stamp.Settled(start) {
		b.mu.Lock()
		b.profiles[path] = p
		b.mu.Unlock()
	}
	return p.sum, nil
}
