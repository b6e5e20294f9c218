package gotool

import (
	"context"
	"os/exec"
	"strings"
)

// CompilerVersion gives cc (a command with arguments, as `go env CC` has it)
// and the first line of its --version. A compiler that cannot be asked is
// known by its command alone.
func (t *Tool) CompilerVersion(ctx context.Context, cc string) string {
	words := strings.Fields(cc)
	if len(words) == 0 {
		return ""
	}
	path, err := lookPath(words[0], t.Env)
	if err != nil {
		path = words[0]
	}
	cmd := exec.CommandContext(ctx, path, append(words[1:], "--version")...)
	cmd.Env = t.Env
	out, _ := cmd.Output()
	first, _, _ := strings.Cut(string(out), "\n")
	return cc + ": " + first
}
