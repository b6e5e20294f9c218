//go:build cgo

package livepatch

import (
	"syscall"
	"unsafe"
)

// at gives a pointer to something at an address that is no Go memory, or that
// of another goroutine's stack. The compiler checks nothing here, which is the
// point; the caller does.
func at[T any](addr uintptr) *T { return *(**T)(unsafe.Pointer(&addr)) }

// codeAt copies n bytes of code. They have to be mapped.
func codeAt(addr uintptr, n int) []byte {
	return append([]byte(nil), unsafe.Slice(at[byte](addr), n)...)
}

const (
	readOnly    = syscall.PROT_READ
	readWrite   = syscall.PROT_READ | syscall.PROT_WRITE
	readExecute = syscall.PROT_READ | syscall.PROT_EXEC
	everything  = syscall.PROT_READ | syscall.PROT_WRITE | syscall.PROT_EXEC
)

// protect changes what may be done with n bytes at addr.
func protect(addr, n uintptr, how uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_MPROTECT, addr, n, how); errno != 0 {
		return errno
	}
	return nil
}

// mapAt maps n bytes of zeros, to be read and written, at exactly addr, where
// nothing may be yet.
func mapAt(addr, n uintptr) error {
	const fixedNoReplace = 0x100000 // MAP_FIXED_NOREPLACE, Linux 4.17; a mere hint before
	got, _, errno := syscall.Syscall6(syscall.SYS_MMAP, addr, n, readWrite,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|fixedNoReplace, ^uintptr(0), 0)
	if errno != 0 {
		return errno
	}
	if got != addr {
		unmap(got, n)
		return syscall.EEXIST
	}
	return nil
}

func unmap(addr, n uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MUNMAP, addr, n, 0)
}

// Commands of membarrier(2), Linux 4.16.
const (
	sysMembarrier           = 324
	membarrierSyncCore      = 1 << 5 // PRIVATE_EXPEDITED_SYNC_CORE
	membarrierSyncCoreEnrol = 1 << 6 // REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
)

// enrolCores makes syncCores work, where the kernel has it.
func enrolCores() bool {
	_, _, errno := syscall.RawSyscall(sysMembarrier, membarrierSyncCoreEnrol, 0, 0)
	return errno == 0
}

// syncCores makes every core that runs this process throw away what it has
// fetched of the code. The manual of the processor asks for it before changed
// code is executed (Intel SDM 3A, 8.1.3, cross-modifying code); that threads which
// come out of the kernel have done so is likely, but nobody's promise. May be
// called while the world is stopped.
func syncCores() {
	_, _, _ = syscall.RawSyscall(sysMembarrier, membarrierSyncCore, 0, 0)
}
