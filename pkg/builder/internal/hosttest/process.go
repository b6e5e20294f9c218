package hosttest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// Process is a running host. It answers each line of its standard input by lines of which
// the last is "end", and says as much once when it has started. It ends at the end of its
// input.
//
// One goroutine at a time may speak to it.
type Process struct {
	T      testing.TB   // fails where the host does not answer
	Hello  []string     // what it said first
	Stderr bytes.Buffer // what it has written there

	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Scanner
}

// Start starts a host, with env beside the test's own environment. It ends with the
// module's test.
func (m *Module) Start(binary string, env ...string) *Process {
	m.T.Helper()
	t := m.T
	p := &Process{T: t, cmd: exec.CommandContext(t.Context(), binary)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		p.stdin.Close()
		if err := wait(); err != nil && !t.Failed() && t.Context().Err() == nil {
			t.Errorf("the host ended: %v\n%.3000s", err, p.Stderr.Bytes())
		}
	})
	p.Hello = p.answer()
	return p
}

// answer gives what the host says up to its word "end".
func (p *Process) answer() []string {
	p.T.Helper()
	var lines []string
	for p.out.Scan() {
		if p.out.Text() == "end" {
			return lines
		}
		lines = append(lines, p.out.Text())
	}
	p.T.Fatalf("the host ended after %q (%v)\n%.3000s", lines, p.out.Err(), p.Stderr.Bytes())
	return nil
}

// Say sends one line and gives the answer.
func (p *Process) Say(words ...any) []string {
	p.T.Helper()
	fmt.Fprintln(p.stdin, words...)
	return p.answer()
}

// PID gives the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Executable gives the path under which the kernel has the process's binary.
func (p *Process) Executable() string { return fmt.Sprintf("/proc/%d/exe", p.PID()) }
