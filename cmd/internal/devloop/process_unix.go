//go:build unix

package devloop

import (
	"os"
	"syscall"
)

// politely is what a process is asked with before it is killed: a Go program
// that handles no signal ends at the first, one that handles SIGTERM alone, as
// services do, at the second.
var politely = []os.Signal{syscall.SIGINT, syscall.SIGTERM}

// signalGroup signals a process and what it started.
func signalGroup(p *os.Process, sig os.Signal) error {
	return syscall.Kill(-p.Pid, sig.(syscall.Signal))
}

// killGroup leaves nothing of a process group; an empty one is no error.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
