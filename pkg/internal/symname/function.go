package symname

import "strings"

// Package gives the import path of the package that a function belongs to by
// its name, as symbol names have it.
func Package(function string) string {
	path := function
	if i := strings.IndexAny(path, "[("); i >= 0 { // receivers and type arguments have slashes of their own
		path = path[:i]
	}
	slash := strings.LastIndexByte(path, '/') + 1
	if dot := strings.IndexByte(path[slash:], '.'); dot >= 0 {
		return path[:slash+dot]
	}
	return path
}

// RunsUnseen reports whether a function may run on a thread that the runtime
// does not wait for when it stops the world. Such functions cannot be replaced:
// those of the runtime and of the packages that it is built on (`go list -deps
// runtime` of Go 1.26 and 1.27), which also run where there is no goroutine, and
// those that make system calls between runtime.entersyscall and exitsyscall.
func RunsUnseen(function string) bool {
	switch pkg := Package(function); pkg {
	case "runtime", "runtime/cgo", "runtime/race", "syscall",
		"internal/abi", "internal/asan", "internal/bytealg", "internal/byteorder", "internal/chacha8rand",
		"internal/coverage/rtcov", "internal/cpu", "internal/goarch", "internal/godebugs", "internal/goexperiment",
		"internal/goos", "internal/msan", "internal/profilerecord", "internal/race", "internal/strconv",
		"internal/stringslite", "internal/trace/tracev2", "math/bits":
		return true
	default:
		return strings.HasPrefix(pkg, "internal/runtime/") || strings.HasPrefix(pkg, "internal/syscall/")
	}
}
