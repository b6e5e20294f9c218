package reloader

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
	"github.com/hotgo/hotgo/pkg/reloader/internal/retained"
)

// fakeCode stands for the process's code. The host's lies at hostBias, that of
// artifacts where their manifests say; a function is its name, and its first
// bytes are a number. A call goes where the redirections lead.
type fakeCode struct {
	mu      sync.Mutex
	names   map[uintptr]string
	first   map[uintptr]byte
	leads   map[uintptr]uintptr
	sets    int
	fail    error // of the next set
	refuse  error // of support
	pauses  time.Duration
	running [][]uintptr                // stacks of goroutines; nil: too many
	mapped  map[pluginGeneration]int64 // bytes
	text    string                     // of the goroutines
}

const hostBias = 0x10000

func newFakeCode() *fakeCode {
	return &fakeCode{names: map[uintptr]string{}, first: map[uintptr]byte{}, pauses: 50 * time.Microsecond, running: [][]uintptr{}, mapped: map[pluginGeneration]int64{}}
}

func (c *fakeCode) patching() *patching {
	sets := &redirections{apply: c.set, of: map[*Host][]livepatch.Redirect{}}
	return &patching{
		ledger:  newNameLedger(),
		support: func() error { return c.refuse },
		bias:    func() (uintptr, error) { return hostBias, nil },
		loaded:  func(*inspection, goplugin.Symbols) uintptr { return 0 },
		name:    c.name, of: c.of, check: c.check, set: sets.set, stacks: c.stacks,
	}
}

func (c *fakeCode) lookout() *lookout {
	return &lookout{mapped: c.maps, memory: c.maps, stacks: c.stacks, frame: c.frame, text: func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.text
	}, retained: func([]retained.Generation, retained.Options) (*retained.Look, error) { return &retained.Look{}, nil }}
}

// maps knows artifacts by their generations.
func (c *fakeCode) maps(files map[pluginGeneration]string) map[string]usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]usage{}
	for id, path := range files {
		out[path] = usage{mapped: c.mapped[id]}
	}
	return out
}

// frame takes an address's last two digits for the line.
func (c *fakeCode) frame(pc uintptr) runtime.Frame {
	return runtime.Frame{Function: c.name((pc - 1) &^ 31), File: "/shop/rules.go", Line: int(pc & 0xff)}
}

// run makes these the goroutines there are.
func (c *fakeCode) run(text string, running ...[]uintptr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.text = running, text
	if running == nil {
		c.running = [][]uintptr{}
	}
}

// weighs makes a generation of pricing take so many bytes of address space.
func (c *fakeCode) weighs(generation int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mapped[pluginGeneration{"pricing", generation}] = bytes
}

// has puts a function of 32 bytes into the process.
func (c *fakeCode) has(at uintptr, name string, first byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[at], c.first[at] = printedName(name), first
}

func (c *fakeCode) name(entry uintptr) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[entry]
}

func (c *fakeCode) of(pc uintptr) uintptr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry := pc &^ 31; c.first[entry] != 0 {
		return entry
	}
	return 0
}

func (c *fakeCode) check(entry uintptr, was []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := bytes.Repeat([]byte{c.first[entry]}, len(was)); !bytes.Equal(have, was) {
		return &livepatch.Error{Reason: livepatch.Changed, Function: c.names[entry], Detail: "other bytes", Want: was, Have: have}
	}
	return nil
}

func (c *fakeCode) set(set []livepatch.Redirect) (livepatch.Report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fail; err != nil {
		c.fail = nil
		return livepatch.Report{}, err
	}
	leads := map[uintptr]uintptr{}
	for _, r := range set {
		if leads[r.From] != 0 || r.From == r.To || c.names[r.From] == "" || c.names[r.From] != c.names[r.To] {
			return livepatch.Report{}, fmt.Errorf("bad redirection of %s (%#x) to %s (%#x)", c.names[r.From], r.From, c.names[r.To], r.To)
		}
		leads[r.From] = r.To
	}
	for from, to := range leads {
		if leads[to] != 0 {
			return livepatch.Report{}, fmt.Errorf("%#x leads to %#x, which leads on", from, to)
		}
	}
	c.leads = leads
	c.sets++
	return livepatch.Report{Pause: c.pauses}, nil
}

func (c *fakeCode) stacks(visit func([]uintptr)) bool {
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	for _, s := range running {
		visit(s)
	}
	return running != nil
}

// call gives the first byte of the code that a call of the function at an
// address runs.
func (c *fakeCode) call(entry uintptr) byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to := c.leads[entry]; to != 0 {
		entry = to
	}
	return c.first[entry]
}

// patch describes one for the host; its functions are added by replace and
// bring.
func patch(version string) artifact.Manifest {
	m := manifest("shop", "patch "+version)
	m.Link, m.HostBuild, m.Symbols = "thin", "fake", nil
	m.Patch = &artifact.Patch{}
	return m
}

// replaces gives a patch a function that takes the place of one at old, which
// is 32 bytes of the given number.
func replaces(m *artifact.Manifest, name string, old, fresh uint64, was byte) {
	m.Patch.Functions = append(m.Patch.Functions, artifact.PatchedFunction{
		Name: name, Old: old, New: fresh, Size: 32, Was: hex.EncodeToString(bytes.Repeat([]byte{was}, 16)), Contract: "c",
	})
}

// brings gives a patch a new function.
func brings(m *artifact.Manifest, name string, fresh uint64, contract string) {
	m.Patch.Functions = append(m.Patch.Functions, artifact.PatchedFunction{Name: name, New: fresh, Contract: contract})
}

// patchFile makes the artifact of a patch: opening it puts its functions, which
// are the given number, into the process.
func (f *fakeProcess) patchFile(m artifact.Manifest, first byte) string {
	f.t.Helper()
	return f.versionInit(m, func() (map[string]any, error) {
		for _, fn := range m.Patch.Functions {
			f.code.has(uintptr(fn.New), fn.Name, first)
		}
		return map[string]any{}, nil
	})
}

// shopHost is a host with the functions Total, Add and loop, whose code is 1.
func shopHost(t *testing.T) (*fakeProcess, *Host) {
	t.Helper()
	f := newFakeProcess(t)
	f.code.has(hostBias+0x100, nameTotal, 1)
	f.code.has(hostBias+0x200, nameAdd, 1)
	f.code.has(hostBias+0x300, "main.loop", 1)
	return f, openHost(t, Options{}, f)
}

const (
	nameTotal = "example.com/shop/cart.(*Cart).Total"
	nameAdd   = "example.com/shop/cart.Add[go.shape.int]"
	nameFresh = "example.com/shop/cart.round"
)

// calls gives what Total, Add and loop of the host run.
func (c *fakeCode) calls() string {
	return fmt.Sprint(c.call(hostBias+0x100), c.call(hostBias+0x200), c.call(hostBias+0x300))
}

var errFake = errors.New("not today")
