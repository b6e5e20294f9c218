package restore

import (
	"errors"
	"os"
)

// Disk is the file system as this package changes it: the seam for its faults.
// Everything that it writes goes through here, so that a test can end the process
// at any step, or fail it.
type Disk struct {
	Create  func(path string) (*os.File, error) // it must not exist
	Write   func(f *os.File, b []byte) (int, error)
	Sync    func(f *os.File) error
	Rename  func(from, to string) error
	Remove  func(path string) error
	SyncDir func(dir string) error
}

// System is the disk that Open and OpenArtifacts use. Tests exchange it before a
// host is started.
var System = Disk{
	Create: func(path string) (*os.File, error) {
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	},
	Write:   func(f *os.File, b []byte) (int, error) { return f.Write(b) },
	Sync:    func(f *os.File) error { return f.Sync() },
	Rename:  os.Rename,
	Remove:  os.Remove,
	SyncDir: syncDir,
}

// syncDir waits until the names in a directory are on disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
