//go:build unix

package scripttest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// started is a command in the background.
type started struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func (p *started) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *started) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ended:
		return true
	case <-t.C:
		return false
	}
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start name command args...")
	}
	path, err := exec.LookPath(args[1])
	if strings.ContainsRune(args[1], '/') {
		path, err = ts.MkAbs(args[1]), nil
	} else if args[1] == "hotgo" {
		path, err = filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "hotgo"), nil
	}
	ts.Check(err)
	out, err := os.Create(filepath.Join(ts.Getenv("WORK"), args[0]+".out"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(filepath.Join(ts.Getenv("WORK"), args[0]+".err"))
	ts.Check(err)
	defer errs.Close()
	c := exec.Command(path, args[2:]...)
	c.Dir, c.Stdout, c.Stderr = ts.MkAbs("."), out, errs
	for _, name := range []string{
		"PATH", "HOME", "XDG_RUNTIME_DIR", "TMPDIR", "XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY",
		"GOFLAGS", "GOTOOLCHAIN", "CI", "TERM", marker, "HOTGO_SOCKET", "HOTGO_NAME", "HOTGO_DIR", "HOTGO_RESTORE", "HOTGO_RESTART", "HOTGO_LINK", "HOTGO_MODE", "HOTGO_TRUSTED_KEYS",
	} {
		if v := ts.Getenv(name); v != "" {
			c.Env = append(c.Env, name+"="+v)
		}
	}
	ts.Check(c.Start())
	p := &started{cmd: c, ended: make(chan struct{})}
	go func() {
		_ = c.Wait()
		close(p.ended)
	}()
	ts.Value("started").(map[string]*started)[args[0]] = p
}

func background(ts *testscript.TestScript, name string) *started {
	p := ts.Value("started").(map[string]*started)[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

func cmdSignal(sig os.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: interrupt|murder name")
		}
		ts.Check(background(ts, args[0]).cmd.Process.Signal(sig))
	}
}

func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: end name code")
	}
	p := background(ts, args[0])
	if !p.wait(patience) {
		ts.Fatalf("%s did not end", args[0])
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("exit code of %s is %s, want %s; it said:\n%s", args[0], got, args[1], said(ts, args[0]+".err"))
	}
}

func cmdWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file regexp")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	defer func() {
		if v := recover(); v != nil { // testscript ends scripts by panicking
			ts.Logf("%s:\n%s", args[0], said(ts, args[0]))
			panic(v)
		}
	}()
	eventually(ts, args[1]+" in "+args[0], func() bool { return re.MatchString(said(ts, args[0])) })
}

// said gives the text of a file in $WORK or the current directory, where there
// is one yet.
func said(ts *testscript.TestScript, file string) string {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("WORK"), file))
	if err != nil {
		text, _ = os.ReadFile(ts.MkAbs(file))
	}
	return string(text)
}

func cmdHosts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hosts n")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	eventually(ts, args[0]+" hosts", func() bool {
		sockets, _ := filepath.Glob(filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "hotgo", "*.sock"))
		up := 0
		for _, s := range sockets {
			if found, err := control.Resolve(context.Background(), s); err == nil {
				up += len(found)
			}
		}
		return up == want
	})
}
