//go:build unix

package restore

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestFIFOIsNoLog(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, logName), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir); err == nil {
		t.Error("a FIFO is read as a log")
	}
}
