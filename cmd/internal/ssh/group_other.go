//go:build !unix

package ssh

import "syscall"

func ownGroup() *syscall.SysProcAttr { return nil }
