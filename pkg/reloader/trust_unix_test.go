//go:build unix

package reloader

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

// A pipe beside an artifact is no signature, and nobody waits for its other end.
func TestPipeBesideAnArtifactIsNoSignature(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pricing.so")
	if err := syscall.Mkfifo(path+minisign.Suffix, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path+minisign.Suffix, os.O_RDWR, 0) // a writer that says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text := signatureBeside(path); text != "" {
		t.Errorf("read %q", text)
	}
}

// Who can open the directory can hold its lock, and must not hold up the host.
func TestLockThatOthersHoldIsNotWaitedForForGood(t *testing.T) {
	dir := t.TempDir()
	other, err := flock(dir, syscall.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("got %v", err)
	}
	other.Close()
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
