//go:build unix

package ssh

import "syscall"

// ownGroup keeps Ctrl-C in a terminal from ending ssh: hotgo hears it, and may have
// something to set back on the other machine.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
