// Package concurrent has goroutines and everything they meet at.
package concurrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "channels", Run: channels},
		{Name: "select", Run: selects},
		{Name: "context", Run: contexts},
		{Name: "stack growth", Run: stacks},
		{Name: "worker pool without leaks", Run: pool},
		{Name: "timers and tickers", Run: timers},
		{Name: "mutexes and conditions", Run: locks},
		{Name: "once", Run: once},
		{Name: "sync.Map", Run: syncMap},
		{Name: "sync.Pool", Run: syncPool},
		{Name: "atomics", Run: atomics},
		{Name: "panics on other goroutines", Run: panics},
		{Name: "iterators on goroutines", Run: pipeline},
	}
}

type job struct {
	n    int
	item *api.Item
	back chan<- result
}

type result struct {
	text string
	err  error
}

func channels(w io.Writer) {
	c := make(chan job, 3)
	back := make(chan result)
	go func() {
		defer close(back)
		for j := range c {
			j.back <- result{text: fmt.Sprint(j.n, j.item.Name, generation)}
		}
	}()
	go func() {
		defer close(c)
		for i := range 4 {
			c <- job{i, &api.Item{Name: "i"}, back}
		}
	}()
	for r := range back {
		fmt.Fprint(w, r.text, " ")
	}
	v, ok := <-c
	fmt.Fprintln(w, v.n, ok, len(c), cap(c))
	shapes := make(chan api.Shape, 1)
	shapes <- &api.Circle{R: 2}
	fmt.Fprintln(w, (<-shapes).Area())
	big := make(chan [1000]int, 2)
	big <- [1000]int{999: 7}
	b := <-big
	fmt.Fprintln(w, b[999])
}

func selects(w io.Writer) {
	a, b, none := make(chan int), make(chan string, 1), chan job(nil)
	done := make(chan struct{})
	select {
	case <-a:
	case b <- "sent":
		fmt.Fprintln(w, "buffered", len(b))
	case <-none:
	}
	select {
	case <-a:
	case none <- job{}:
	default:
		fmt.Fprintln(w, "default")
	}
	go func() { a <- 1; close(done) }()
	for done != nil {
		select {
		case n, ok := <-a:
			fmt.Fprintln(w, "received", n, ok)
		case <-done:
			done = nil
		case none <- job{}:
			fmt.Fprintln(w, "sent to nothing")
		}
	}
	fmt.Fprintln(w, <-b)
}

type traceKey struct{}

func contexts(w io.Writer) {
	ctx := context.WithValue(context.Background(), traceKey{}, generation)
	ctx, cancel := context.WithCancelCause(ctx)
	child, stop := context.WithTimeout(ctx, time.Hour)
	defer stop()
	ran := make(chan string)
	context.AfterFunc(child, func() { ran <- fmt.Sprint("after ", child.Err()) })
	cancel(api.ErrGone)
	fmt.Fprintln(w, <-ran, context.Cause(child), errors.Is(context.Cause(child), api.ErrGone), child.Value(traceKey{}), ctx.Err())
	expired, stop := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer stop()
	<-expired.Done()
	fmt.Fprintln(w, expired.Err(), errors.Is(expired.Err(), context.DeadlineExceeded), context.WithoutCancel(expired).Err())
}

type frame struct {
	pad [64]int
	p   *int
}

//go:noinline
func deep(n int, f *frame) int {
	var local frame
	local.pad[n%64], local.p = n, f.p
	if n == 0 {
		return *local.p
	}
	defer func() { *local.p++ }()
	return deep(n-1, &local) + local.pad[n%64]%2
}

func stacks(w io.Writer) {
	var wg sync.WaitGroup
	sums := make([]int, 8)
	for i := range sums {
		wg.Go(func() {
			n := 0
			sums[i] = deep(3000+i, &frame{p: &n})
			runtime.GC()
			sums[i] += n
		})
	}
	wg.Wait()
	fmt.Fprintln(w, sums)
	var recurse func(int) int
	recurse = func(n int) int {
		if n == 0 {
			return generation
		}
		var pad [128]byte
		pad[n%128] = 1
		return recurse(n-1) + int(pad[n%128])
	}
	c := make(chan int)
	go func() { c <- recurse(20000) }()
	fmt.Fprintln(w, <-c)
}

func pool(w io.Writer) {
	before := runtime.NumGoroutine()
	jobs, results := make(chan int), make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range jobs {
				results <- n * n
			}
		})
	}
	go func() {
		for n := range 100 {
			jobs <- n
		}
		close(jobs)
		wg.Wait()
		close(results)
	}()
	sum := 0
	for n := range results {
		sum += n
	}
	for runtime.NumGoroutine() > before {
		runtime.Gosched()
	}
	fmt.Fprintln(w, sum)
}

func timers(w io.Writer) {
	fired := make(chan string, 3)
	time.AfterFunc(time.Millisecond, func() { fired <- fmt.Sprint("func ", generation) })
	fmt.Fprintln(w, <-fired)
	t := time.NewTimer(time.Hour)
	fmt.Fprintln(w, t.Stop(), t.Reset(time.Microsecond))
	<-t.C
	tick := time.NewTicker(time.Millisecond)
	n := 0
	for range tick.C {
		if n++; n == 3 {
			tick.Stop()
			break
		}
	}
	select {
	case <-time.After(time.Millisecond):
	case <-time.Tick(time.Hour):
		n = -1
	}
	fmt.Fprintln(w, n)
}

type account struct {
	sync.RWMutex
	cond  *sync.Cond
	total api.Money
	hist  []api.Money
}

var shared = func() *account {
	a := &account{}
	a.cond = sync.NewCond(a)
	return a
}()

func locks(w io.Writer) {
	shared.total, shared.hist = 0, nil
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			shared.Lock()
			defer shared.Unlock()
			shared.total += api.Money(i)
			shared.hist = append(shared.hist, shared.total)
			shared.cond.Broadcast()
		})
	}
	shared.Lock()
	for len(shared.hist) < 50 {
		shared.cond.Wait()
	}
	shared.Unlock()
	wg.Wait()
	shared.RLock()
	defer shared.RUnlock()
	fmt.Fprintln(w, shared.total, slices.IsSorted(shared.hist), shared.TryLock())
}

var (
	first  sync.Once
	lazy   = sync.OnceValues(func() (*api.Item, error) { return api.Find("lazy") })
	ran    atomic.Int32
	failed = sync.OnceFunc(func() { panic("once") })
)

func once(w io.Writer) {
	for range 3 {
		first.Do(func() { ran.Add(1) })
	}
	a, err := lazy()
	b, _ := lazy()
	fmt.Fprintln(w, ran.Load(), a == b, a.Name, err)
	for range 2 {
		func() {
			defer func() { fmt.Fprintln(w, recover()) }()
			failed()
		}()
	}
}

func syncMap(w io.Writer) {
	var m sync.Map
	for i := range 100 {
		m.Store(job{n: i}, i)
	}
	v, loaded := m.LoadOrStore(job{n: 5}, "x")
	fmt.Fprintln(w, v, loaded)
	m.CompareAndSwap(job{n: 5}, 5, "y")
	m.Delete(job{n: 6})
	n := 0
	for range m.Range {
		n++
	}
	v, ok := m.Load(job{n: 5})
	_, gone := m.Load(job{n: 6})
	fmt.Fprintln(w, n, v, ok, gone)
}

var buffers = sync.Pool{New: func() any { return &result{text: fmt.Sprint("new ", generation)} }}

func syncPool(w io.Writer) {
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for range 4 {
		wg.Go(func() {
			for range 200 {
				r := buffers.Get().(*result)
				if r.text != fmt.Sprint("new ", generation) {
					wrong.Add(1)
				}
				buffers.Put(r)
			}
		})
	}
	wg.Wait()
	runtime.GC()
	runtime.GC()
	fmt.Fprintln(w, wrong.Load(), buffers.Get().(*result).text)
}

var (
	counter atomic.Int64
	pointer atomic.Pointer[result]
	value   atomic.Value
	flags   uint32
)

func atomics(w io.Writer) {
	counter.Store(0)
	flags = 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				counter.Add(2)
			}
			atomic.OrUint32(&flags, 1<<i)
			pointer.Store(&result{text: "stored"})
			value.Store(api.Shape(api.Square{Side: 3}))
		})
	}
	wg.Wait()
	fmt.Fprintln(w, counter.Load(), flags, pointer.Load().text, value.Load().(api.Shape).Area(), atomic.CompareAndSwapUint32(&flags, 255, 1), pointer.CompareAndSwap(nil, nil))
	defer func() { fmt.Fprintln(w, recover()) }()
	value.Store(result{})
}

func panics(w io.Writer) {
	errs := make(chan error)
	for _, f := range []func(){
		func() { panic("text") },
		func() { var m map[job]int; m[job{}] = 1 },
		func() { var j *job; j.n = 1 },
	} {
		go func() {
			defer func() { errs <- fmt.Errorf("on a goroutine: %v", recover()) }()
			f()
		}()
		fmt.Fprintln(w, <-errs)
	}
}

func pipeline(w io.Writer) {
	stage := func(in <-chan int, f func(int) int) <-chan int {
		out := make(chan int)
		go func() {
			defer close(out)
			for n := range in {
				out <- f(n)
			}
		}()
		return out
	}
	src := make(chan int)
	go func() {
		defer close(src)
		for i := range 5 {
			src <- i
		}
	}()
	for n := range stage(stage(src, func(n int) int { return n * generation }), func(n int) int { return n + 1 }) {
		fmt.Fprint(w, n, " ")
	}
	fmt.Fprintln(w)
}
