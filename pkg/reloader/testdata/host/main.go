// Command host is the process that the tests of package reloader load plugins
// into. It answers on its control socket, and does what the lines on standard
// input say:
//
//	N            call the plugin with that number; answer "price generation"
//	goroutines   answer how many there are
//	gc           collect garbage, which looks through every module; answer "gc"
//	mount        serve the control API on a loopback port; answer its address
//
// TEST_DIR, TEST_MAX_BYTES, TEST_OPEN_TIMEOUT, TEST_CONFIRM and TEST_ALLOW_UID set
// its options; TEST_KILL is the step in its writing for the next process at which it
// kills itself; TEST_OPEN is a plugin that it opens by itself, as programs do. "host
// call SOCKET" asks the host at a socket for its status instead and prints what
// came of it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"plugin"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

func main() {
	do := run
	if os.Args[1] == "call" {
		do = call
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run() error {
	opts, err := options()
	if err != nil {
		return err
	}
	if err := killAt(os.Getenv("TEST_KILL")); err != nil {
		return err
	}
	if path := os.Getenv("TEST_OPEN"); path != "" {
		if _, err := plugin.Open(path); err != nil {
			return err
		}
	}
	h, err := reloader.New(opts)
	if err != nil {
		return err
	}
	price := reloader.Bind(h, "pricing", "Price", func(x int) int { return x })
	for range 2 { // callers while generations come and go
		go func() {
			for {
				if price.Get()(1) == 0 {
					panic("half a generation")
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "goroutines":
			fmt.Println(runtime.NumGoroutine())
		case "gc":
			runtime.GC()
			fmt.Println(line)
		case "mount":
			addr, err := mount(h)
			if err != nil {
				return err
			}
			fmt.Println(addr)
		default:
			n, err := strconv.Atoi(line)
			if err != nil {
				return err
			}
			fmt.Println(price.Get()(n), price.Generation())
		}
	}
	return h.Close()
}

func options() (reloader.Options, error) {
	opts := reloader.Options{
		Name: "test", Socket: os.Args[1], Dir: os.Getenv("TEST_DIR"), OpenTimeout: time.Second,
		Authorize: func(*http.Request) (reloader.Access, string) { return reloader.WriteAccess, "" },
	}
	var err error
	if v := os.Getenv("TEST_OPEN_TIMEOUT"); v != "" {
		if opts.OpenTimeout, err = time.ParseDuration(v); err != nil {
			return opts, err
		}
	}
	if v := os.Getenv("TEST_CONFIRM"); v != "" {
		if opts.ConfirmAfter, err = time.ParseDuration(v); err != nil {
			return opts, err
		}
	}
	if v := os.Getenv("TEST_MAX_BYTES"); v != "" {
		if opts.MaxArtifactBytes, err = strconv.ParseInt(v, 10, 64); err != nil {
			return opts, err
		}
	}
	if v := os.Getenv("TEST_ALLOW_UID"); v != "" {
		uid, err := strconv.Atoi(v)
		if err != nil {
			return opts, err
		}
		opts.AllowUIDs = []int{uid}
	}
	return opts, nil
}

// killAt has the process killed as by kill -9 before the step of that number, or
// where it writes, in the middle of it.
func killAt(step string) error {
	if step == "" {
		return nil
	}
	n, err := strconv.ParseInt(step, 10, 64)
	if err != nil {
		return err
	}
	var left atomic.Int64
	left.Store(n)
	due := func() bool { return left.Add(-1) == 0 }
	die := func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	disk := restore.System
	restore.System = restore.Disk{
		Create: func(path string) (*os.File, error) {
			if due() {
				die()
			}
			return disk.Create(path)
		},
		Write: func(f *os.File, b []byte) (int, error) {
			if due() {
				_, _ = disk.Write(f, b[:len(b)/2])
				die()
			}
			return disk.Write(f, b)
		},
		Sync: func(f *os.File) error {
			if due() {
				die()
			}
			return disk.Sync(f)
		},
		Rename: func(from, to string) error {
			if due() {
				die()
			}
			return disk.Rename(from, to)
		},
		Remove: disk.Remove,
		SyncDir: func(dir string) error {
			if due() {
				die()
			}
			return disk.SyncDir(dir)
		},
	}
	return nil
}

// mount is what an embedder with a router of its own does.
func mount(h *reloader.Host) (net.Addr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/hotgo/", h.Handler())
	go func() { _ = http.Serve(l, mux) }()
	return l.Addr(), nil
}

func call() error {
	c := control.NewClient(os.Args[2])
	s, err := c.Status(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(s.Name)
	return nil
}
