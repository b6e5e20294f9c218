package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SocketEnv is the environment variable that names a host's socket.
const SocketEnv = "HOTGO_SOCKET"

// SocketPath gives the socket of a host that was not told another: the value
// of HOTGO_SOCKET, else <name>-<pid>.sock in the first of [SocketDirs]. It is
// the one place of this rule, for hosts and for those who look for them.
func SocketPath(name string, pid int) string {
	if s := os.Getenv(SocketEnv); s != "" {
		return s
	}
	return filepath.Join(SocketDirs()[0], fmt.Sprintf("%s-%d.sock", fileName(name), pid))
}

// SocketDirs lists the directories where this user's hosts put their sockets:
// $XDG_RUNTIME_DIR/hotgo, where that variable names a directory of this user's
// own (under sudo or su it often names another's), then hotgo-<uid> in the
// directory for temporary files. There is always at least one.
func SocketDirs() []string {
	var dirs []string
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) && ownedDir(run) {
		dirs = append(dirs, filepath.Join(run, "hotgo"))
	}
	return append(dirs, filepath.Join(os.TempDir(), fmt.Sprintf("hotgo-%d", os.Geteuid())))
}

// fileName replaces what would not be a plain file name.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, name)
	// 48 bytes leave room for a directory in the 108 of a socket's address.
	if name = strings.TrimLeft(name[:min(len(name), 48)], "."); name == "" {
		return "host"
	}
	return name
}
