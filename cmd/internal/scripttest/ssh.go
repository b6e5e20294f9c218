//go:build unix

package scripttest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// fakeSSH is what scripts find as ssh. Machines are directories of the script: a
// command that is run on web1 runs here, with $WORK/web1 as the directory of its
// sockets. Of OpenSSH it does what hotgo relies on, and no more: forwardings are open
// before the command begins, a socket that nobody listens on closes the connection with
// a line on stderr, and it ends with the command, or when its input ends.
//
// $WORK/ssh.log has a line with the arguments of each run. The machine "down" is not
// there, "locked" knows nobody, and "chatty" greets.
func fakeSSH(args []string) int {
	work := os.Getenv(marker)
	note, err := os.OpenFile(filepath.Join(work, "ssh.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	fmt.Fprintln(note, strings.Join(args, " "))
	note.Close()
	var forwards [][2]string
	for len(args) > 0 && args[0] != "--" {
		switch args[0] {
		case "-T":
			args = args[1:]
			continue
		case "-o", "-p", "-l":
		case "-L":
			here, there, _ := strings.Cut(args[1], ":")
			forwards = append(forwards, [2]string{here, there})
		default:
			fmt.Fprintln(os.Stderr, "unknown option", args[0])
			return 255
		}
		args = args[2:]
	}
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "want -- machine command")
		return 255
	}
	machine, command := args[1], args[2]
	switch machine {
	case "down":
		fmt.Fprintln(os.Stderr, "ssh: connect to host down port 22: Connection refused")
		return 255
	case "locked":
		fmt.Fprintln(os.Stderr, "deploy@locked: Permission denied (publickey).")
		return 255
	case "chatty":
		fmt.Println("Welcome! Today's menu: soup.")
	}
	stderr := &lockedWriter{w: os.Stderr}
	for _, f := range forwards {
		l, err := net.Listen("unix", f[0])
		if err != nil {
			fmt.Fprintln(stderr, err)
			continue
		}
		go forward(l, f[1], stderr)
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+filepath.Join(work, machine))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, stderr
	if err := cmd.Run(); err != nil {
		return 1
	}
	return 0
}

func forward(l net.Listener, there string, stderr io.Writer) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			far, err := net.Dial("unix", there)
			if err != nil {
				fmt.Fprintln(stderr, "channel 2: open failed: connect failed: open failed")
				return
			}
			defer far.Close()
			go func() {
				_, _ = io.Copy(far, c)
				_ = far.(*net.UnixConn).CloseWrite()
			}()
			_, _ = io.Copy(c, far)
		}()
	}
}

// lockedWriter keeps lines of several goroutines apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.Copy(l.w, bytes.NewReader(p))
	return len(p), err
}
