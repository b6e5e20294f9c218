package probe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// Command gives a probe that runs a line of shell. The service works where that exits
// with 0. env is added to the environment.
//
// A command that takes too long is killed with all that it has started. Its output is
// nobody's, but for the last line, which says what is wrong.
func Command(line string, env []string) Probe {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	return Probe{Name: line, Ask: func(ctx context.Context) error {
		c := exec.CommandContext(ctx, shell, flag, line)
		c.Env = append(os.Environ(), env...)
		var out tail
		c.Stdout, c.Stderr = &out, &out
		ownGroup(c)
		c.WaitDelay = time.Second // for what has left the group and keeps the pipe
		err := c.Run()
		if errors.Is(err, exec.ErrWaitDelay) && c.ProcessState.Success() {
			return nil // it has left something behind, and said that all is well
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return errors.New(withDetail(exit.Error(), out.String()))
		}
		return err
	}}
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

const mostTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - mostTail; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }
