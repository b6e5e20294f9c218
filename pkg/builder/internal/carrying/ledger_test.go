//go:build linux && amd64 && cgo

package carrying_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// # No update is lost
//
// A ledger is a plugin that counts deposits in variables of many kinds, each kind
// for itself. Writers call it through a handle all the time, and count what it
// has acknowledged. Meanwhile it is swapped, again and again, by versions whose
// types differ, and now and then back to one that it had. In the end all counts are
// the same.

const ledgerModule = `
-- go.mod --
module example.com/bank

go 1.26

require github.com/hotgo/hotgo v0.0.0

replace github.com/hotgo/hotgo => ./hotgo
-- host/main.go --
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	// A machine with other work may be slow; nothing may be given up here.
	h, err := reloader.New(reloader.Options{NoSocket: true, HoldCalls: time.Minute, MaxPause: time.Minute})
	check(err)
	defer h.Close()
	deposit := reloader.Bind[func(int) int](h, "ledger", "Deposit", nil)
	count := reloader.Bind[func() string](h, "ledger", "Count", nil)
	via := reloader.Bind[func(func())](h, "ledger", "Via", nil)
	var (
		acknowledged atomic.Int64
		done         atomic.Bool
		writers      sync.WaitGroup
	)
	load := func(path string) {
		ev, err := h.Load(context.Background(), path)
		check(err)
		fmt.Println(ev.Verdict, ev.PhasesMS.Pause, ev.PhasesMS.State)
		for _, n := range ev.Notes {
			if n.Code == "HG0080" {
				fmt.Println(n.Text)
			}
		}
	}
	fmt.Println("end")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println("end") {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "load":
			load(arg)
		case "rollback":
			to, err := strconv.Atoi(arg)
			check(err)
			ev, err := h.Rollback(context.Background(), "ledger", to)
			check(err)
			fmt.Println(ev.Verdict, ev.PhasesMS.Pause, ev.PhasesMS.State)
		case "write":
			for i := range 8 {
				writers.Go(func() {
					for n := 0; !done.Load(); n++ {
						deposit.Get()(i * n % 50)
						acknowledged.Add(1)
						if i > 3 { // some do something else as well
							time.Sleep(time.Microsecond)
						}
					}
				})
			}
		case "during": // a call that is under way when the load begins
			entered, release, loaded := make(chan bool), make(chan bool), make(chan bool)
			writers.Go(func() {
				via.Get()(func() {
					close(entered)
					<-release
					deposit.Get()(1) // of the same call: it does not wait
					acknowledged.Add(1)
				})
				acknowledged.Add(1)
			})
			<-entered
			go func() {
				defer close(loaded)
				load(arg)
			}()
			for waits := false; !waits; {
				got := make(chan bool)
				go func() { count.Get(); close(got) }()
				select {
				case <-got:
				case <-loaded:
					waits = true
				case <-time.After(20 * time.Millisecond):
					waits = true
				}
			}
			close(release)
			<-loaded
			writers.Wait()
		case "stop":
			done.Store(true)
			writers.Wait()
			fmt.Println(acknowledged.Load(), count.Get()())
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}
`

// reloadsWanted is how often a test swaps; the environment may ask for more.
func reloadsWanted(t testing.TB, usual int) int {
	t.Helper()
	text := os.Getenv("HOTGO_TEST_RELOADS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("HOTGO_TEST_RELOADS=%s: want a number", text)
	}
	return n
}

// ledgerHost is a host with a ledger.
type ledgerHost struct {
	*hosttest.Module
	process        *hosttest.Process
	b              *builder.Builder
	pauses, states []float64
}

func newLedgerHost(t *testing.T) *ledgerHost {
	t.Helper()
	f := hosttest.New(t, ledgerModule)
	f.AddReloader()
	f.Write("plugins/ledger/ledger.go", hosttest.Ledger(0))
	f.Host = f.GoBuild("./host")
	l := &ledgerHost{Module: f, b: buildtest.New(f, builder.Options{Link: "thin", Resident: true})}
	t.Cleanup(func() { l.b.Close() })
	l.process = f.Start(f.Host)
	return l
}

// swap has the host go to another version, which has to say that and nothing else.
func (l *ledgerHost) swap(words ...any) {
	t := l.T
	t.Helper()
	said := l.process.Say(words...)
	fields := strings.Fields(strings.Join(said, " "))
	if len(said) != 1 || len(fields) != 3 || fields[0] != "swapped" {
		t.Fatalf("%v: %q", words, said)
	}
	pause, _ := strconv.ParseFloat(fields[1], 64)
	state, _ := strconv.ParseFloat(fields[2], 64)
	l.pauses, l.states = append(l.pauses, pause), append(l.states, state)
}

func (l *ledgerHost) load(verb string, n int) {
	l.T.Helper()
	l.Write("plugins/ledger/ledger.go", hosttest.Ledger(n))
	l.swap(verb, buildtest.Build(l.Module, l.b, "./plugins/ledger").Path)
}

// stop ends the writers and compares what was acknowledged with what is there.
func (l *ledgerHost) stop() (updates string) {
	t := l.T
	t.Helper()
	said := l.process.Say("stop")
	fields := strings.Fields(said[0])
	for _, field := range fields[:len(fields)-1] {
		if field != fields[0] || fields[0] == "0" {
			t.Fatalf("acknowledged, then what each kind of variable has: %s", said[0])
		}
	}
	if fields[len(fields)-1] != "0" {
		t.Errorf("aliases fell apart: %s", said[0])
	}
	return fields[0]
}

func TestNoAcknowledgedUpdateIsLostWhenLayoutsChangeUnderLoad(t *testing.T) {
	l := newLedgerHost(t)
	for i := range reloadsWanted(t, 12) {
		l.load("load", i)
		if i == 0 {
			l.process.Say("write")
		}
		if i%5 == 4 {
			l.swap("rollback", i)
		}
	}
	updates := l.stop()
	slices.Sort(l.pauses)
	slices.Sort(l.states)
	n := len(l.pauses)
	t.Logf("%d swaps: %s updates; stopped for %.3f ms at the median, %.3f at most; state took %.3f at the median, %.3f at most",
		n, updates, l.pauses[n/2], l.pauses[n-1], l.states[n/2], l.states[n-1])
}

func TestACallThatIsUnderWayIsCarriedAlong(t *testing.T) {
	l := newLedgerHost(t)
	l.load("load", 0)
	for n := range 3 { // without hooks, and with each
		l.load("during", n+1)
	}
	if updates := l.stop(); updates != "6" {
		t.Errorf("%s updates", updates)
	}
}
