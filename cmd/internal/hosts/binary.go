package hosts

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// BinaryError says that the binary that a host runs is not at hand: it is on another
// machine, in a container, or was replaced since.
type BinaryError struct {
	Host   control.Status
	Looked []Looked
}

// Looked is a file that is not the binary of a host.
type Looked struct {
	Path    string
	BuildID string // "" where there is no Go program
}

// Error names the host.
func (e *BinaryError) Error() string {
	return fmt.Sprintf("the binary that %s (pid %d) runs is not at hand", e.Host.Name, e.Host.PID)
}

// FindBinary gives a path that opens the binary a host runs: that of its process, else
// the file where the host has it, else one of others, whichever was built as the host
// was.
//
// Errors: *BinaryError.
func FindBinary(st control.Status, others ...string) (string, error) {
	path := Binary(st)
	if path != st.Executable {
		return path, nil
	}
	e := &BinaryError{Host: st}
	for _, path := range append([]string{st.Executable}, others...) {
		l := Looked{Path: path}
		if h, err := builder.ReadHost(path); err == nil {
			l.BuildID = h.BuildID
		}
		if l.BuildID != "" && l.BuildID == st.BuildID {
			return path, nil
		}
		e.Looked = append(e.Looked, l)
	}
	return "", e
}

// Binary gives a path that opens the binary a host runs, even where the file
// at its path was replaced since.
func Binary(st control.Status) string {
	if ssh.Is(st.Socket) {
		return st.Executable
	}
	link := processLink(st.PID)
	// In a container the same number may be another process here.
	if exe, err := os.Readlink(link); err == nil && strings.TrimSuffix(exe, " (deleted)") == st.Executable {
		if f, err := os.Open(link); err == nil {
			f.Close()
			return link
		}
	}
	return st.Executable
}

func processLink(pid int) string { return filepath.Join("/proc", strconv.Itoa(pid), "exe") }
