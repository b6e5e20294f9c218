// Command soak serves HTTP, keeps itself busy, and loads the patches that it is
// told of on standard input. Every answer has to come from versions that were
// live while the request was.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/soak/app"
	"github.com/hotgo/hotgo/pkg/reloader"
)

// began is the newest version that may be live, live the newest that is.
var began, live atomic.Int64

var requests, failed, calls atomic.Int64

func main() {
	h, err := reloader.New(reloader.Options{Name: "soak", NoSocket: true})
	check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go http.Serve(l, app.Handler())
	done := make(chan bool)
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() { load(i, "http://"+l.Addr().String(), done) })
	}
	busy.Go(func() { spin(done) })
	for range 8 {
		busy.Go(func() { block(done) })
	}
	busy.Go(func() { collect(done) })
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "load":
			began.Add(1)
			ev, err := h.Load(context.Background(), arg)
			check(err)
			live.Add(1)
			fmt.Println("ok", ev.Verdict, ev.PhasesMS.Pause)
		case "back":
			// The version named: it may be older than what is live.
			to, _ := strconv.Atoi(arg)
			_, err := h.Rollback(context.Background(), "soak", to)
			check(err)
			fmt.Println("ok")
		case "end":
			close(done)
			busy.Wait()
			fmt.Println(requests.Load(), failed.Load(), calls.Load())
			return
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// within checks a version against what may have run.
func within(v, from int64) {
	if to := began.Load(); v < from || v > to {
		failed.Add(1)
		fmt.Fprintf(os.Stderr, "version %d, live were %d to %d\n", v, from, to)
	}
}

func load(worker int, url string, done chan bool) {
	client := &http.Client{}
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		from := live.Load()
		resp, err := client.Get(fmt.Sprintf("%s/%s?n=%d", url, []string{"direct", "iface", "value", "deep"}[n%4], n))
		if err != nil {
			failed.Add(1)
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		requests.Add(1)
		if err != nil || resp.StatusCode != 200 {
			failed.Add(1)
			fmt.Fprintln(os.Stderr, resp.Status, string(body), err)
			continue
		}
		for _, field := range strings.Fields(string(body)) {
			v, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				failed.Add(1)
				fmt.Fprintf(os.Stderr, "answer %q\n", body)
			}
			within(v, from)
		}
	}
}

// spin calls a leaf function without a pause.
func spin(done chan bool) {
	for {
		select {
		case <-done:
			return
		default:
		}
		for range 1000 {
			from := live.Load()
			within(app.Leaf(), from)
			calls.Add(1)
		}
	}
}

// block waits inside a patched function most of the time.
func block(done chan bool) {
	for {
		select {
		case <-done:
			return
		default:
			app.Wait(5 * time.Millisecond)
		}
	}
}

func collect(done chan bool) {
	for {
		select {
		case <-done:
			return
		case <-time.After(3 * time.Millisecond):
			runtime.GC()
		}
	}
}
