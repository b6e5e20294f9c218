//go:build unix

package devloop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// role makes this test binary a process to be started and stopped.
const role = "DEVLOOP_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "plain":
	case "stubborn":
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
	case "parent":
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println("child", child.Process.Pid)
	case "fails":
		os.Exit(3)
	}
	fmt.Println("ready")
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR1)
	<-never
}

// play starts this binary in a role and waits until it says that it is ready;
// said are the lines before.
func play(t *testing.T, as string, force <-chan struct{}) (p *Process, said []string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p, err = Start(Spec{
		Binary: os.Args[0], Env: append(os.Environ(), role+"="+as), Stdout: w, Stderr: os.Stderr, Force: force,
	})
	w.Close() // the process has it now: the pipe ends with it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	for sc := bufio.NewScanner(r); sc.Scan() && sc.Text() != "ready"; {
		said = append(said, sc.Text())
	}
	return p, said
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

// zombie tells a process that has ended from one that its new parent has not
// taken notice of.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestStopAsksFirst(t *testing.T) {
	p, _ := play(t, "plain", nil)
	p.Stop()
	if exit := p.Wait(); exit.Reason != "signal: interrupt" || exit.Code != -1 {
		t.Errorf("the process ended with %+v, want an interrupt", exit)
	}
	p.Stop() // of what has ended: nothing
}

func TestForceEndsTheStubborn(t *testing.T) {
	force := make(chan struct{})
	p, _ := play(t, "stubborn", force)
	close(force)
	p.Stop()
	if exit := p.Wait(); exit.Reason != "signal: killed" {
		t.Errorf("the process ended with %+v, want a kill", exit)
	}
}

func TestNoChildOutlivesTheProcess(t *testing.T) {
	p, said := play(t, "parent", nil)
	if len(said) != 1 {
		t.Fatalf("the parent said %q", said)
	}
	child, err := strconv.Atoi(strings.TrimPrefix(said[0], "child "))
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	for end := time.Now().Add(10 * time.Second); alive(child); {
		if time.Now().After(end) {
			t.Fatalf("child %d outlives its parent", child)
		}
		runtime.Gosched()
	}
}

func TestExitCodeIsKept(t *testing.T) {
	p, _ := play(t, "fails", nil)
	if exit := p.Wait(); exit.Code != 3 || exit.Reason != "exit status 3" {
		t.Errorf("exit is %+v, want code 3", exit)
	}
}

func TestStartFailureNamesTheBinary(t *testing.T) {
	_, err := Start(Spec{Binary: "/nowhere/host"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/host") {
		t.Errorf("error is %v", err)
	}
}
