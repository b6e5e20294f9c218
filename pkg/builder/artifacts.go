package builder

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/internal/store"
)

// ArtifactDir gives the directory that [Options].Dir means in a working directory:
// absolute, the user's cache directory where dir is "".
//
// Errors: where the user has no cache directory.
func ArtifactDir(workDir, dir string) (string, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a directory for artifacts: %w", err)
		}
		dir = filepath.Join(cache, "hotgo", "artifacts")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(workDir, dir)
	}
	return dir, nil
}

// Leftovers lists what builds that were killed have left in a directory of
// artifacts, which it makes where it does not exist. Other processes may use the
// directory meanwhile.
//
// Errors: where the directory cannot be made or written.
func Leftovers(dir string) ([]string, error) {
	st, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	return st.Leftovers()
}

// RemoveLeftovers removes them and gives the paths of what it removed.
//
// Errors: as for Leftovers; what could not be removed does not keep it from
// removing others.
func RemoveLeftovers(dir string) ([]string, error) {
	st, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	return st.Sweep()
}
