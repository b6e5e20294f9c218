package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

const digestPrefix = "sha256:"

// FileDigest reads r to its end and gives "sha256:" and 64 hex digits.
func FileDigest(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", fmt.Errorf("compute digest: %w", err)
	}
	return digestOf(h), nil
}

// ValidDigest checks that digest has the form that [FileDigest] gives.
func ValidDigest(digest string) error {
	digits, ok := strings.CutPrefix(digest, digestPrefix)
	if !ok || len(digits) != 2*sha256.Size || !isHex(digits) {
		return fmt.Errorf("digest %.80q is not %q and %d hex digits", digest, digestPrefix, 2*sha256.Size)
	}
	return nil
}

func digestOf(h hash.Hash) string { return digestPrefix + hex.EncodeToString(h.Sum(nil)) }

func digestBytes(b []byte) string {
	h := sha256.New()
	h.Write(b)
	return digestOf(h)
}
