// Package trace has what people look at when something went wrong: names,
// files and lines of functions.
package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/plugins/trace/inner"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "callers", Run: callers},
		{Name: "names of functions", Run: names},
		{Name: "stack of a panic in inlined functions", Run: panicStack},
		{Name: "stack through host and generic code", Run: through},
		{Name: "stack of other goroutines", Run: goroutines},
		{Name: "goroutine profile", Run: goroutineProfile},
		{Name: "cpu profile", Run: cpuProfile},
		{Name: "heap profile", Run: heapProfile},
		{Name: "build info", Run: info},
	}
}

// here gives the frames up to the row, in the plugin's own words.
func here(pcs []uintptr) string {
	var out []string
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "example.com/conformance/rows.") {
			break
		}
		out = append(out, fmt.Sprintf("%s %s:%d", function(f.Function), filepath.Base(f.File), f.Line))
		if !more {
			break
		}
	}
	return strings.Join(out, "\n")
}

func function(name string) string {
	return strings.TrimPrefix(rows.Plain(name), "example.com/conformance/")
}

type method struct{ n int }

//go:noinline
func (m *method) where(skip int) []uintptr {
	pcs := make([]uintptr, 50)
	return pcs[:runtime.Callers(skip, pcs)]
}

func callers(w io.Writer) {
	fmt.Fprintln(w, here((&method{}).where(1)))
	f := func() []uintptr { return small() }
	fmt.Fprintln(w, here(f()))
	fmt.Fprintln(w, here(inner.Call(func() []uintptr { return (&method{}).where(0) })))
	pc, file, line, ok := runtime.Caller(0)
	fmt.Fprintln(w, function(runtime.FuncForPC(pc).Name()), filepath.Base(file), filepath.Base(filepath.Dir(file)), line, ok)
	var got []uintptr
	inner.Generic(3, func(int) { got = (&method{}).where(1) })
	fmt.Fprintln(w, here(got))
	func() {
		defer func() { got = (&method{}).where(1) }()
	}()
	fmt.Fprintln(w, here(got))
}

// small is inlined into its callers.
func small() []uintptr { return smaller() }

func smaller() []uintptr { return (&method{}).where(2) }

func names(w io.Writer) {
	closure := func() int { return generation }
	bound := (&method{}).where
	for _, f := range []any{names, closure, bound, (*method).where, inner.Call[int], inner.Generic[int], inner.Generic[method], api.Find, (*api.Item).Rename, api.Map[method, string], func() {}, small, io.Copy} {
		fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
		file, line := fn.FileLine(fn.Entry())
		fmt.Fprintln(w, function(fn.Name()), filepath.Base(file), line > 0 && !strings.Contains(file, "hotgo_"))
	}
}

var noise = regexp.MustCompile(`(?m)\(0x[^)]*\)$|\({[^)]*\)$|\([^()]*\.\.\.\)$| \+0x[0-9a-f]+$|^goroutine \d+.*$|^\t.*/| in goroutine \d+| \(scan\)|\(0x[0-9a-f, ?{}._]*\)`)

// settled takes out of a stack what differs from run to run, and what lies
// outside of the row.
func settled(stack []byte) string {
	s := noise.ReplaceAllString(rows.Plain(string(stack)), "")
	var out []string
	for l := range strings.Lines(s) {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "example.com/conformance/rows.") {
			break
		}
		if l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

type tree struct{ left, right *tree }

func (t *tree) depth() int {
	if t == nil {
		return 0
	}
	return 1 + max(t.left.depth(), t.right.depth())
}

func first(t *tree) *tree { return second(t).left }

func second(t *tree) *tree { return t.right }

func panicStack(w io.Writer) {
	func() {
		defer func() {
			recover()
			fmt.Fprintln(w, settled(debug.Stack()))
		}()
		fmt.Fprintln(w, (&tree{left: &tree{}}).depth(), first(&tree{}).left)
	}()
	func() {
		defer func() {
			r := recover()
			fmt.Fprintln(w, r)
			fmt.Fprintln(w, settled(debug.Stack()))
		}()
		inner.Index([]int{1, 2}, 2+generation)
	}()
}

func through(w io.Writer) {
	err := api.Call(func(n int) error {
		return errors.New(settled(debug.Stack()))
	}, 1)
	fmt.Fprintln(w, err)
	out := api.Map([]method{{1}}, func(m method) string { return here(m.where(1)) })
	fmt.Fprintln(w, out[0])
}

//go:noinline
func parked(c chan bool) {
	c <- true
	<-c
}

func goroutines(w io.Writer) {
	c := make(chan bool)
	go parked(c)
	<-c
	buf := make([]byte, 1<<20)
	s := rows.Plain(string(buf[:runtime.Stack(buf, true)]))
	fmt.Fprintln(w, strings.Contains(s, "plugins/trace.parked("), strings.Contains(s, "created by example.com/conformance/plugins/trace.goroutines in"), strings.Contains(s, "/trace/trace.go:"))
	c <- false
}

func goroutineProfile(w io.Writer) {
	c := make(chan bool)
	go pprof.Do(contextWith(), pprof.Labels("generation", fmt.Sprint(generation)), func(ctx ctx) { parked(c) })
	<-c
	var b bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&b, 1)
	s := rows.Plain(b.String())
	fmt.Fprintln(w, err, strings.Contains(s, "plugins/trace.parked+"), strings.Contains(s, "/trace.go:"), strings.Contains(s, fmt.Sprintf(`"generation":"%d"`, generation)))
	c <- false
}

//go:noinline
func spin(n int) (x float64) {
	for i := range n {
		x = x*1.0001 + float64(i%7)
	}
	return x
}

func cpuProfile(w io.Writer) {
	for range 50 {
		var b bytes.Buffer
		if err := pprof.StartCPUProfile(&b); err != nil {
			fmt.Fprintln(w, err)
			return
		}
		spin(30e6)
		pprof.StopCPUProfile()
		if profileNames(b.Bytes(), "plugins/trace.spin", "trace.go") {
			fmt.Fprintln(w, "named")
			return
		}
	}
	fmt.Fprintln(w, "not named")
}

var kept [][]byte

//go:noinline
func allocate() { kept = append(kept, make([]byte, 8<<20)) }

func heapProfile(w io.Writer) {
	allocate()
	runtime.GC()
	runtime.GC()
	var b bytes.Buffer
	err := pprof.WriteHeapProfile(&b)
	kept = nil
	fmt.Fprintln(w, err, profileNames(b.Bytes(), "plugins/trace.allocate", "trace.go"))
}

func info(w io.Writer) {
	i, ok := debug.ReadBuildInfo()
	fmt.Fprintln(w, ok, i.GoVersion == runtime.Version(), i.Main.Path)
}
