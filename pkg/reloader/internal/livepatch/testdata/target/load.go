package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// text copies the code of this program.
func text() []byte {
	maps, _ := os.ReadFile("/proc/self/maps")
	exe, _ := os.Executable()
	var code []byte
	for line := range strings.Lines(string(maps)) {
		if fields := strings.Fields(line); len(fields) == 6 && fields[5] == exe && strings.Contains(fields[1], "x") {
			low, high, _ := strings.Cut(fields[0], "-")
			from, _ := strconv.ParseUint(low, 16, 64)
			to, _ := strconv.ParseUint(high, 16, 64)
			code = append(code, unsafe.Slice(*(**byte)(unsafe.Pointer(&from)), to-from)...)
		}
	}
	return code
}

// writableCode gives a mapping that is writable and executable, if there is one.
func writableCode() string {
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, " rwx") {
			return line
		}
	}
	return ""
}

// refusals are sets of which one redirection is wrong: nothing of them is done.
func refusals(p *livepatch.Patcher) error {
	before := text()
	good := redirect(plain, plain2)
	wrong, _ := p.Bytes(entry(one), 6)
	wrong[5] ^= 1
	for what, c := range map[string]struct {
		bad    livepatch.Redirect
		reason livepatch.Reason
	}{
		"other bytes":          {livepatch.Redirect{From: entry(one), To: entry(one2), Was: wrong}, livepatch.Changed},
		"middle of a function": {livepatch.Redirect{From: entry(one) + 8, To: entry(one2)}, livepatch.Unfit},
		"unaligned":            {livepatch.Redirect{From: entry(one) + 1, To: entry(one2)}, livepatch.Unfit},
		"no code":              {livepatch.Redirect{From: 4096, To: entry(one2)}, livepatch.Unfit},
		"nil":                  {livepatch.Redirect{To: entry(one2)}, livepatch.Unfit},
		"to no function":       {livepatch.Redirect{From: entry(one), To: entry(one2) + 1}, livepatch.Unfit},
		"to nil":               {livepatch.Redirect{From: entry(one)}, livepatch.Unfit},
		"to itself":            {redirect(one, one), livepatch.Unfit},
		"in a circle":          {redirect(plain2, plain), livepatch.Unfit},
		"twice":                {redirect(plain, plain3), livepatch.Unfit},
		"the runtime":          {redirect(runtime.GC, runtime.Gosched), livepatch.Unfit},
		"below the runtime":    {redirect(bytes.IndexByte, bytes.IndexByte), livepatch.Unfit},
		"system calls":         {redirect(syscall.Getpid, syscall.Getppid), livepatch.Unfit},
		"the patcher":          {redirect((*livepatch.Patcher).Supported, (*livepatch.Patcher).Supported), livepatch.Unfit},
	} {
		_, err := p.Set([]livepatch.Redirect{good, c.bad})
		var e *livepatch.Error
		if !errors.As(err, &e) || e.Reason != c.reason {
			return fmt.Errorf("%s: %v, want reason %d", what, err, c.reason)
		}
		if !slices.Equal(text(), before) || plain(1) != "old 1" {
			return fmt.Errorf("%s: something was changed", what)
		}
	}
	return nil
}

// locked forbids itself to make memory executable, as hardened systems do for
// all.
func locked(p *livepatch.Patcher) error {
	const (
		setMDWE        = 65 // PR_SET_MDWE, Linux 6.3
		refuseExecGain = 1
	)
	if os.Getenv("TARGET_FIRST") != "" { // slots are there already
		if _, err := p.Set([]livepatch.Redirect{redirect(one, one2)}); err != nil {
			return err
		}
		if _, err := p.Set(nil); err != nil {
			return err
		}
	}
	if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, setMDWE, refuseExecGain, 0); errno != 0 {
		if _, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, setMDWE, refuseExecGain, 0); errno != 0 {
			fmt.Println("skip: this kernel cannot forbid it:", errno)
			return nil
		}
	}
	before := text()
	_, err := p.Set([]livepatch.Redirect{redirect(one, one2), redirect(plain, plain2)})
	var e *livepatch.Error
	if !errors.As(err, &e) || e.Reason != livepatch.Denied || !strings.Contains(err.Error(), "does not let a program change its own code") {
		return fmt.Errorf("got %v", err)
	}
	if !slices.Equal(text(), before) || one() != 1 {
		return errors.New("something was changed")
	}
	return nil
}

// loop replaces a function in which a goroutine always is, and whose loop goes
// through the bytes that are written: it must be refused, or wait, and what is in
// it must not break.
func loop(p *livepatch.Patcher) error {
	var stop atomic.Bool
	var calls atomic.Int64
	bad := make(chan int, 8)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) + 2 {
		wg.Go(func() {
			for !stop.Load() {
				if n := countdown(2_000_000); n != 0 && n != -1 {
					bad <- n
				}
				calls.Add(1)
			}
		})
	}
	var done, busy int
	for range rounds(3) {
		_, err := p.Set([]livepatch.Redirect{redirect(countdown, countdown2)})
		var e *livepatch.Error
		switch {
		case errors.As(err, &e) && e.Reason == livepatch.Busy:
			if !strings.Contains(e.Function, "countdown") {
				return fmt.Errorf("busy with %q", e.Function)
			}
			busy++
			continue
		case err != nil:
			return err
		}
		done++
		if _, err := p.Set(nil); err != nil {
			return err
		}
		for seen := calls.Load(); calls.Load() < seen+4; { // let them get in
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wg.Wait()
	fmt.Println(done, "done,", busy, "refused")
	select {
	case n := <-bad:
		return fmt.Errorf("countdown gave %d", n)
	default:
		return nil
	}
}

// nosplitLoop has a goroutine blocked below a function that will jump back into
// the bytes to be written: that must be refused, until it is gone.
func nosplitLoop(p *livepatch.Patcher) error {
	out := make(chan bool)
	go func() {
		polling()
		close(out)
	}()
	<-polled
	set := []livepatch.Redirect{redirect(polling, polling2)}
	_, err := p.Set(set)
	var e *livepatch.Error
	if !errors.As(err, &e) || e.Reason != livepatch.Busy || e.Function != "main.polling" {
		return fmt.Errorf("blocked below it: %v", err)
	}
	pollAgain <- true // round the loop once more
	<-polled
	pollAgain <- false
	<-out
	if _, err = p.Set(set); err != nil {
		return err
	}
	polling()
	return expect("the new one", called.Load(), int64(-1))
}

func rounds(n int) int {
	if s := os.Getenv("TARGET_ROUNDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	return n
}

// soak switches under load: goroutines that hammer the functions, collections,
// stacks that grow, a profiler that interrupts.
func soak(p *livepatch.Patcher) error {
	var stop atomic.Bool
	var calls atomic.Int64
	failed := make(chan string, 100)
	var wg sync.WaitGroup
	hammer := func(what string, ok func() bool) {
		wg.Go(func() {
			for n := int64(0); !stop.Load(); n++ {
				if !ok() {
					select {
					case failed <- what:
					default:
					}
				}
				if n%1024 == 0 {
					calls.Add(1024)
				}
			}
		})
	}
	for range 2 {
		hammer("one", func() bool { n := one(); return n >= 1 && n <= 3 })
		hammer("many", func() bool { // interrupted inside, not between
			for range 10000 {
				if n := one(); n < 1 || n > 3 {
					return false
				}
				if n := identity(5); n != 5 && n != 50 {
					return false
				}
				nothing()
			}
			return true
		})
		hammer("add", func() bool {
			for i := range 10000 {
				if n := add(i, 2); n != i+2 && n != i+3 {
					return false
				}
			}
			return true
		})
		list := make([]int, 2000)
		list[7] = 6
		hammer("sum", func() bool { n := sum(list); return n == 6 || n == 60 })
		hammer("plain", func() bool { s := plain(3); return s == "old 3" || s == "new 3" || s == "newer 3" })
		hammer("method", func() bool {
			var s stringer = &counter{n: 4}
			got := s.String()
			return got == "4" || got == "counter 4"
		})
		hammer("factorial", func() bool { n := factorial(3); return n >= 6 && n <= 40 })
		hammer("recover", func() bool { s := guarded(); return s == "recovered old" || s == "recovered new" })
		hammer("large", func() bool {
			n, m := large(1), huge(1)
			return (n == 1 || n == 101) && (m == 1 || m == 102)
		})
		hammer("stack", func() bool {
			c := make(chan bool)
			go func() { c <- grow(100) > 0 }()
			return <-c
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			runtime.GC()
		}
	})
	if err := pprof.StartCPUProfile(new(bytes.Buffer)); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	sets := [][]livepatch.Redirect{
		{
			redirect(one, one2), redirect(identity, identity2), redirect(nothing, nothing2), redirect(sum, sum2), redirect(plain, plain2), redirect(add, add2),
			redirect((*counter).String, (*counter).string2), redirect(factorial, factorial2), redirect(guarded, guarded2),
			redirect(large, large2), redirect(huge, huge2), redirect(grow, grow2),
		},
		{redirect(one, one3), redirect(plain, plain3), redirect(grow, grow2)},
		nil,
	}
	var worst time.Duration
	busy, again, most := 0, 0, 0
	for i := range rounds(3000) {
		report, err := p.Set(sets[i%len(sets)])
		var e *livepatch.Error
		if errors.As(err, &e) && e.Reason == livepatch.Busy {
			busy++
			continue
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		worst, most = max(worst, report.Pause), max(most, report.Tries)
		if report.Tries > 1 {
			again++
		}
		if i%64 == 0 { // those that wait for a processor
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wg.Wait()
	fmt.Println(calls.Load(), "calls, worst pause", worst, "most tries", most, "refused", busy)
	select {
	case what := <-failed:
		return errors.New(what + " gave what no version gives")
	default:
		return nil
	}
}

//go:noinline
func grow(n int) int {
	var pad [200]byte
	pad[n%len(pad)] = 1
	if n == 0 {
		return int(pad[0])
	}
	return grow(n-1) + int(pad[n%len(pad)])
}

//go:noinline
func grow2(n int) int {
	var pad [900]byte
	pad[n%len(pad)] = 1
	if n == 0 {
		return int(pad[0])
	}
	return grow(n-1) + int(pad[n%len(pad)])
}

// pause measures with 10,000 goroutines.
func pause(p *livepatch.Patcher) error {
	block := make(chan bool)
	for range 10000 {
		go func() { <-block }()
	}
	for range 4 {
		go func() {
			for {
				if plain(1) == "" || one() == 0 {
					panic("no version")
				}
			}
		}()
	}
	for _, c := range []struct {
		what string
		sets [2][]livepatch.Redirect
	}{
		{"checked", [2][]livepatch.Redirect{{redirect(plain, plain2), redirect(factorial, factorial2)}, nil}},
		{"exposed", [2][]livepatch.Redirect{{redirect(one, one2), redirect(plain, plain2)}, nil}},
		{"pointers", [2][]livepatch.Redirect{{redirect(plain, plain2)}, {redirect(plain, plain3)}}},
	} {
		var all []time.Duration
		for i := range rounds(2000) {
			r, err := p.Set(c.sets[i%2])
			if err != nil {
				return err
			}
			all = append(all, r.Pause)
		}
		slices.Sort(all)
		at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) }
		fmt.Printf("pause %s %.0f %.0f %.0f\n", c.what, at(0.5), at(0.99), at(1))
		if _, err := p.Set(nil); err != nil {
			return err
		}
	}
	return nil
}

// cost measures calls.
func cost(p *livepatch.Patcher) error {
	measure := func() float64 {
		best := time.Hour
		for range 5 {
			start := time.Now()
			n := 0
			for range 20_000_000 {
				n += identity(1)
			}
			best = min(best, time.Since(start))
		}
		return float64(best.Nanoseconds()) / 20e6
	}
	plainly := measure()
	if _, err := p.Set([]livepatch.Redirect{redirect(identity, identityToo)}); err != nil {
		return err
	}
	fmt.Printf("cost %.2f %.2f\n", plainly, measure())
	return nil
}

//go:noinline
func identityToo(n int) int { return n }
