package devloop

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"
)

// grace is how long a process may take to end after each polite request. The
// host's own shutdown (open requests, HotStop of its plugins) has to fit.
const grace = 3 * time.Second

// Spec says what to start.
type Spec struct {
	Binary         string
	Args           []string
	Env            []string // complete
	Dir            string   // "" is the current one
	Stdin          io.Reader
	Stdout, Stderr io.Writer // an *os.File is handed on as it is, untouched
	// Force ends the patience of Stop when it is closed: a second Ctrl-C.
	Force <-chan struct{}
}

// Start starts a process in a process group of its own, so that a Ctrl-C of
// the terminal reaches hotgo alone and hotgo ends the process in order. Where
// the system can (Linux), the process also ends with a hotgo that is killed.
func Start(spec Spec) (*Process, error) {
	cmd := exec.Command(spec.Binary, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Stdin, spec.Stdout, spec.Stderr
	cmd.SysProcAttr = processAttr()
	// A grandchild that holds the output pipe must not keep Wait waiting.
	cmd.WaitDelay = time.Second

	started := make(chan error)
	ended := make(chan struct{})
	var exit Exit
	go func() {
		// Linux sends the parent-death signal when the thread that started the
		// process ends (prctl(2), PR_SET_PDEATHSIG), not when hotgo does. So
		// one thread starts it, and stays until it has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		killGroup(cmd.Process)
		exit = exitOf(cmd, err)
		close(ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	return &Process{
		PID:  cmd.Process.Pid,
		Wait: func() Exit { <-ended; return exit },
		Stop: func() { stop(cmd, ended, spec.Force) },
	}, nil
}

// stop asks politely, twice, and then not.
func stop(cmd *exec.Cmd, ended, force <-chan struct{}) {
	for _, ask := range politely {
		if err := signalGroup(cmd.Process, ask); err != nil {
			break
		}
		patience := time.NewTimer(grace)
		select {
		case <-ended:
			patience.Stop()
			return
		case <-force:
			patience.Stop()
			killGroup(cmd.Process)
			<-ended
			return
		case <-patience.C:
		}
	}
	killGroup(cmd.Process)
	<-ended
}

// exitOf puts the end of a process into words.
func exitOf(cmd *exec.Cmd, err error) Exit {
	if cmd.ProcessState == nil {
		return Exit{Code: -1, Reason: err.Error()}
	}
	return Exit{Code: cmd.ProcessState.ExitCode(), Reason: cmd.ProcessState.String()}
}
