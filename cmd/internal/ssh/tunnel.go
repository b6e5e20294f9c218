package ssh

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const (
	// openPatience is how long ssh may take to connect and log in. Its own default is
	// that of the system's TCP, which is minutes.
	openPatience = 30 * time.Second
	// closePatience is how long it may take to say goodbye.
	closePatience = 2 * time.Second
	// wordPatience is how long ssh's words may take to arrive behind what they are about.
	wordPatience = 300 * time.Millisecond
	// maxSaid bounds what is kept of what ssh says, and maxList what is read of a list.
	maxSaid = 16 << 10
	maxList = 4 << 20
)

// Error says that ssh did not do what it was run for.
type Error struct {
	Machine Machine
	Doing   string   // "log in", "list sockets"
	Said    []string // the last lines of ssh, and of the other machine
	Next    string   // the command to run; "" is to log in by hand
	Err     error
}

// Error gives what was tried and the cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: ssh could not %s: %v", e.Machine, e.Doing, e.Err)
}

// ByHand gives the command that shows whether ssh gets through at all.
func (m Machine) ByHand() string {
	to := m.String()
	if m.Port == "" { // as people write it
		to = strings.TrimPrefix(to, scheme)
	}
	return "ssh -o BatchMode=yes " + to + " echo hello"
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// arguments gives what comes before the command. An option given here beats the
// user's configuration, so there are few: nobody can be asked for a password, a link
// that is dead has to be noticed, and what the user wants of a login (a command, other
// forwardings that have to succeed, a shared connection, which would outlive hotgo) is
// not wanted here. RemoteCommand is the youngest: OpenSSH 7.6 has it.
func (m Machine) arguments(more ...string) []string {
	args := []string{
		"-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "RemoteCommand=none",
		"-o", "ExitOnForwardFailure=no",
	}
	if m.Port != "" {
		args = append(args, "-p", m.Port)
	}
	if m.User != "" {
		args = append(args, "-l", m.User)
	}
	return append(append(args, more...), "--", m.Host)
}

// List gives the sockets on a machine that patterns mean, and with all those of the
// account's hosts. They may be stale.
//
// Errors: *Error; that of ctx.
func List(ctx context.Context, m Machine, all bool, patterns []string) ([]string, error) {
	out, said := newTail(maxList), newTail(maxSaid)
	out.head = true
	ctx, cancel := context.WithTimeoutCause(ctx, openPatience, errSlow)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", append(m.arguments(), "sh")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(listScript(all, patterns)), out, said
	cmd.SysProcAttr, cmd.WaitDelay = ownGroup(), closePatience
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	sockets, complete := readList(out.String())
	if err == nil && !complete {
		err = errors.New("there is no list in what it printed")
		said = out
	}
	if err != nil {
		return nil, &Error{Machine: m, Doing: "list sockets", Said: said.lines(), Err: err}
	}
	return sockets, nil
}

var errSlow = fmt.Errorf("it took longer than %s", openPatience)

// Tunnel forwards sockets of another machine to sockets of this one.
type Tunnel struct {
	machine Machine
	dir     string            // holds the sockets of this side
	here    map[string]string // socket there to socket here
	cmd     *exec.Cmd
	stdin   io.Closer
	said    *tail
	ended   chan struct{}
	err     error // of the process, once it has ended
}

// Open opens the way to sockets of a machine. It is open until Close, whatever
// becomes of ctx, and does not outlive this process.
//
// Errors: *Error; that of ctx.
func Open(ctx context.Context, m Machine, sockets []string) (*Tunnel, error) {
	dir, err := socketDir(len(sockets))
	if err != nil {
		return nil, err
	}
	t := &Tunnel{machine: m, dir: dir, here: map[string]string{}, said: newTail(maxSaid), ended: make(chan struct{})}
	// What others share would outlive this process, with its forwardings.
	more := []string{"-o", "ControlPath=none", "-o", "StreamLocalBindMask=0177"}
	for i, s := range sockets {
		t.here[s] = filepath.Join(dir, strconv.Itoa(i))
		more = append(more, "-L", t.here[s]+":"+s)
	}
	if err := t.start(ctx, append(m.arguments(more...), "cat")); err != nil {
		os.RemoveAll(dir)
		return nil, &Error{Machine: m, Doing: "log in", Said: t.said.lines(), Err: err}
	}
	return t, nil
}

// start runs ssh and waits until it gives a line back. It sets up the forwardings
// before it runs the command (ssh.c, ssh_session2).
func (t *Tunnel) start(ctx context.Context, args []string) error {
	// Not CommandContext: whoever interrupts hotgo may have something to set back.
	t.cmd = exec.Command("ssh", args...)
	t.cmd.Stderr, t.cmd.SysProcAttr, t.cmd.WaitDelay = t.said, ownGroup(), closePatience
	stdin, err := t.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	t.stdin = stdin
	if err := t.cmd.Start(); err != nil {
		return err
	}
	const line = "hotgo: open\n"
	open := make(chan struct{})
	go func() {
		defer close(t.ended)
		in := bufio.NewReader(stdout)
		for {
			got, err := in.ReadString('\n')
			if err != nil {
				break
			}
			if got == line {
				close(open)
				break
			}
			_, _ = t.said.Write([]byte(got)) // what a login prints
		}
		_, _ = io.Copy(io.Discard, in)
		t.err = t.cmd.Wait()
	}()
	_, _ = io.WriteString(stdin, line) // an ssh that has ended says so below
	ctx, cancel := context.WithTimeoutCause(ctx, openPatience, errSlow)
	defer cancel()
	select {
	case <-open:
		return nil
	case <-t.ended:
		if t.err == nil {
			return errors.New("it ended at once")
		}
		return t.err
	case <-ctx.Done():
		t.end()
		return context.Cause(ctx)
	}
}

// Dial connects to a socket of the other machine, one of those that the tunnel was
// opened for.
func (t *Tunnel) Dial(ctx context.Context, socket string) (net.Conn, error) {
	select {
	case <-t.ended:
		return nil, &Error{Machine: t.machine, Doing: "keep the connection", Said: t.said.lines(), Err: errors.New("it has ended")}
	default:
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", t.here[socket])
}

// Said gives the last lines of ssh, which tells there why a socket of the other
// machine could not be connected to. It closes the connection first, so Said waits a
// moment where there are none.
func (t *Tunnel) Said() []string {
	moment := time.NewTimer(wordPatience)
	defer moment.Stop()
	select {
	case <-t.said.begun:
	case <-moment.C:
	}
	return t.said.lines()
}

// Close ends the tunnel, and the connections in it.
func (t *Tunnel) Close() {
	t.end()
	os.RemoveAll(t.dir)
}

func (t *Tunnel) end() {
	_ = t.stdin.Close()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-t.ended:
	case <-patience.C:
		_ = t.cmd.Process.Kill()
		<-t.ended
	}
}

// socketDir makes a directory in which n sockets have short enough paths.
func socketDir(n int) (string, error) {
	var tooLong error
	for _, parent := range []string{"", "/tmp"} {
		dir, err := os.MkdirTemp(parent, "hotgo-ssh-")
		if err != nil {
			return "", fmt.Errorf("make a directory for ssh: %w", err)
		}
		if tooLong = control.CheckSocketPath(filepath.Join(dir, strconv.Itoa(n))); tooLong == nil {
			return dir, nil
		}
		os.RemoveAll(dir)
	}
	return "", fmt.Errorf("make a directory for ssh: %w", tooLong)
}

// tail keeps the end of a text, or its head. It may be written to and read
// concurrently.
type tail struct {
	most  int
	head  bool
	begun chan struct{} // closed at the first byte
	mu    sync.Mutex
	text  []byte
}

func newTail(most int) *tail { return &tail{most: most, begun: make(chan struct{})} }

// Write takes all of p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 && len(p) > 0 {
		close(t.begun)
	}
	t.text = append(t.text, p...)
	if over := len(t.text) - t.most; over > 0 {
		if t.head {
			t.text = t.text[:t.most]
		} else {
			t.text = bytes.Clone(t.text[over:])
		}
	}
	return len(p), nil
}

// String gives what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// lines gives the last lines, a few, without empty ones.
func (t *tail) lines() []string {
	var all []string
	for line := range strings.Lines(t.String()) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all[max(0, len(all)-5):]
}
