package builder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// ReadArtifact reads an artifact's manifest and computes its digest. The
// manifest is what the file says about itself: whether it fits a host, and
// whether it is what it claims to be, is for the host to check. For a plugin that
// hotgo did not build one is made up (Foreign), without a name.
//
// Errors: those of opening and reading the file; one that names the file where
// it is not an artifact.
func ReadArtifact(path string) (*Artifact, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a := &Artifact{Path: path, Bytes: fi.Size()}
	if a.Digest, err = artifact.FileDigest(f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	a.Manifest, err = artifact.Read(f, fi.Size())
	if errors.Is(err, artifact.ErrNoManifest) {
		var fp *abi.Fingerprint
		if fp, err = abi.Read(f, fi.Size()); err == nil {
			a.Manifest, err = artifact.Foreign(fp, a.Digest)
		}
	}
	if err != nil {
		return a, fmt.Errorf("read %s: %w", path, err)
	}
	return a, nil
}
