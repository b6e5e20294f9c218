// Package echo answers every line of every connection with the same line and the
// version that answers. It owns a TCP port; handover.go keeps the port and the
// connections from one version to the next.
package echo

import "strings"

const version = "v0"

// reply answers one line.
func reply(line string) string { return version + ": " + strings.TrimRight(line, "\r\n") + "\n" }
