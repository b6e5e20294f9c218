//go:build linux && cgo

package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// # Nobody notices
//
// Clients ask all processes for prices as fast as they can, first while nothing is
// deployed, then while versions are pushed and rolled back all the time. No request
// fails, and every answer is the price of one of the versions. What a deployment costs
// is printed: the latencies of both times, side by side.
//
// HOTGO_TEST_LOAD is how long each of the two takes.

// clients is how many requests are under way at a time.
const clients = 16

func TestDeploymentsUnderLoadFailNoRequest(t *testing.T) {
	s := start(t)
	length := loadLength(t)
	versions := []string{s.artifact("each = 10", "each = 11"), s.artifact("each = 11", "each = 12")}

	calm := s.drive(func() { <-time.After(length) })
	deployed := 0
	busy := s.drive(func() {
		for began := time.Now(); time.Since(began) < length || deployed < 3; deployed++ {
			if deployed%3 == 2 {
				s.run("rollback", "price")
				continue
			}
			s.run("push", versions[deployed%3])
		}
	})
	for _, l := range []*load{calm, busy} {
		if l.failed.Load() > 0 || len(l.took) == 0 {
			t.Errorf("%d requests, %d failed: %v", len(l.took), l.failed.Load(), l.why.Load())
		}
	}
	for price, n := range busy.prices {
		if price != "30" && price != "33" && price != "36" {
			t.Errorf("%d answers were %q", n, price)
		}
	}
	if busy.prices["33"] == 0 || busy.prices["36"] == 0 {
		t.Errorf("answers were %v", busy.prices)
	}
	t.Logf("without: %s", calm)
	t.Logf("with %d deployments in %d processes: %s", deployed, processes, busy)
}

func loadLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HOTGO_TEST_LOAD")
	if text == "" {
		return 2 * time.Second
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HOTGO_TEST_LOAD: %v", err)
	}
	return length
}

// artifact edits the plugin and builds it.
func (s *service) artifact(before, after string) string {
	s.t.Helper()
	s.edit(before, after)
	return strings.TrimSpace(s.run("build", "--host", s.binary, "./examples/deploy/plugins/price"))
}

func (s *service) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(s.hotgo, args...)
	cmd.Dir = s.dir
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("hotgo %s: %v\n%s", strings.Join(args, " "), err, &complaints)
	}
	return string(out)
}

// load is what clients have seen.
type load struct {
	length time.Duration
	took   []time.Duration // sorted
	prices map[string]int
	failed atomic.Int64
	why    atomic.Value // of one that failed
}

// String gives the rate and the latencies.
func (l *load) String() string {
	at := func(p float64) time.Duration {
		return l.took[int(p*float64(len(l.took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d requests, %.0f a second, %d failed; median %v, p99 %v, p99.9 %v, longest %v",
		len(l.took), float64(len(l.took))/l.length.Seconds(), l.failed.Load(), at(0.5), at(0.99), at(0.999), at(1))
}

// drive has clients ask until something is over.
func (s *service) drive(something func()) *load {
	l := &load{prices: map[string]int{}}
	var (
		done  atomic.Bool
		mu    sync.Mutex
		group sync.WaitGroup
	)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	began := time.Now()
	for i := range clients {
		group.Go(func() {
			url := "http://" + s.addresses[i%len(s.addresses)] + "/price?items=3"
			var took []time.Duration
			prices := map[string]int{}
			for !done.Load() {
				start := time.Now()
				price, err := ask(client, url)
				took = append(took, time.Since(start))
				if prices[price]++; err != nil {
					l.failed.Add(1)
					l.why.Store(err.Error())
				}
			}
			mu.Lock()
			defer mu.Unlock()
			l.took = append(l.took, took...)
			for price, n := range prices {
				l.prices[price] += n
			}
		})
	}
	defer func() { // also where something fails
		done.Store(true)
		group.Wait()
		l.length = time.Since(began)
		slices.Sort(l.took)
	}()
	something()
	return l
}

func ask(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s from %s", resp.Status, filepath.Base(url))
	}
	return strings.TrimSpace(string(body)), err
}
