//go:build unix

package cmd

import "syscall"

// detachedAttr gives a process a session of its own: the terminal that closes
// does not end it.
func detachedAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
