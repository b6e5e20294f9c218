//go:build unix

package probe

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a command into a process group, which ends as a whole.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
