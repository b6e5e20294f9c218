//go:build !unix

package devloop

import (
	"os"
	"syscall"
)

// politely is empty: there is no signal that a program could handle.
var politely []os.Signal

func processAttr() *syscall.SysProcAttr { return nil }

func signalGroup(p *os.Process, sig os.Signal) error { return p.Signal(sig) }

func killGroup(p *os.Process) { _ = p.Kill() }
