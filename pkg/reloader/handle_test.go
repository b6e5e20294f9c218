package reloader

import (
	"os/exec"
	"strings"
	"testing"
)

//go:noinline
func addOne(x int) int { return x + 1 }

type adder interface{ add(x int) int }

type addsOne struct{}

//go:noinline
func (addsOne) add(x int) int { return x + 1 }

var (
	sink     int
	anyAdder adder = addsOne{}
)

// BenchmarkGet compares one call: direct, through an interface, and through a
// handle, which adds one atomic load.
func BenchmarkGet(b *testing.B) {
	h, err := newHost(Options{NoSocket: true}, (&fakeProcess{}).platform())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	handle := Bind(h, "pricing", "Price", addOne)
	b.Run("direct", func(b *testing.B) {
		for b.Loop() {
			sink = addOne(sink)
		}
	})
	b.Run("interface", func(b *testing.B) {
		for b.Loop() {
			sink = anyAdder.add(sink)
		}
	})
	b.Run("handle", func(b *testing.B) {
		for b.Loop() {
			sink = handle.Get()(sink)
		}
	})
	b.Run("handle-parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			x := 0
			for pb.Next() {
				x = handle.Get()(x)
			}
		})
	})
}

// TestClosureIsTheStandardLibrary: what a host drags in, every plugin has to
// match in version and flags. One dependency here is a conflict with somebody's
// plugin.
func TestClosureIsTheStandardLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".", "./auto", "./control").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if !strings.HasPrefix(pkg, "github.com/hotgo/hotgo/") {
			t.Errorf("pkg/reloader imports %s, which every plugin would have to match", pkg)
		}
	}
	out, err = exec.Command("go", "list", "-deps", "./control").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if pkg == "plugin" || strings.Contains(pkg, "goplugin") {
			t.Errorf("pkg/reloader/control imports %s: tools that only push would need cgo", pkg)
		}
	}
}
