package reloader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// fakeProcess stands for the runtime: its artifacts are JSON files, and what
// they do when they are opened is looked up by key. It also plays the runtime's
// part of complaining: a path or a plugin that is opened twice fails the test.
type fakeProcess struct {
	t       *testing.T
	mu      sync.Mutex
	init    map[string]func() (map[string]any, error) // key -> what opening does
	opened  []string                                  // keys, in order
	paths   map[string]bool
	records []string
	misfit  map[string][]abi.Mismatch
	shared  []abi.SharedPackage
	code    *fakeCode
	busy    func(livepatch.Moment) error // why the process does not stand still
}

func newFakeProcess(t *testing.T) *fakeProcess {
	return &fakeProcess{
		t: t, init: map[string]func() (map[string]any, error){}, paths: map[string]bool{}, misfit: map[string][]abi.Mismatch{},
		code: newFakeCode(),
	}
}

func (f *fakeProcess) platform() *platform {
	return &platform{
		lock:    &sync.Mutex{},
		support: func() error { return nil },
		hide:    func(string) (hidden, error) { return hidden{}, nil },
		host:    func() (*abi.Fingerprint, error) { return &abi.Fingerprint{BuildID: "fake"}, nil },
		shared:  func(*inspection) []abi.SharedPackage { return f.shared },
		still:   f.still,
		inspect: f.inspect, judge: f.judge, open: f.open, record: f.record, patches: f.code.patching(), old: f.code.lookout(),
	}
}

// still stands as still as busy lets it.
func (f *fakeProcess) still(m livepatch.Moment, do func()) (time.Duration, error) {
	if f.busy != nil {
		if err := f.busy(m); err != nil {
			return 0, err
		}
	}
	do()
	return time.Millisecond, nil
}

func (f *fakeProcess) inspect(r io.ReaderAt, size int64) (*inspection, error) {
	var m artifact.Manifest
	if err := json.NewDecoder(io.NewSectionReader(r, 0, size)).Decode(&m); err != nil {
		return nil, &abi.Error{Reason: abi.NotELF}
	}
	if m.Foreign = m.Tool == byHand; m.Foreign {
		m.Plugin, m.Untyped = "", true
	}
	path := "fake/" + m.Key
	if m.Tool == "another plugin" {
		path = m.PluginPath
	}
	in := &inspection{manifest: m, print: &abi.Fingerprint{
		Kind: abi.Plugin, PluginPath: path, GoVersion: m.GoVersion, Machine: m.GOARCH,
		Symbols:  map[string]abi.SymbolKind{goplugin.Entry: abi.Func},
		Packages: map[string]abi.Hash{},
	}}
	for pkg := range m.Packages {
		in.print.Packages[pkg] = abi.Hash{}
	}
	for _, name := range m.Joined { // what a fake artifact refers to
		in.refers = append(in.refers, nameHash(name))
	}
	slices.Sort(in.refers)
	return in, nil
}

func (f *fakeProcess) judge(in *inspection) ([]abi.Mismatch, error) {
	return f.misfit[in.manifest.Key], nil
}

func (f *fakeProcess) open(_ *inspection, path string) (goplugin.Symbols, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m artifact.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.paths[path] || slices.Contains(f.opened, m.Key) {
		f.t.Errorf("%s (%s) is opened a second time", m.Key[:4], path)
	}
	f.paths[path] = true
	f.opened = append(f.opened, m.Key)
	do := f.init[m.Key]
	f.mu.Unlock()
	symbols, err := do()
	if err != nil {
		return nil, err
	}
	return func(add func(string, any)) {
		for name, v := range symbols {
			add(name, v)
		}
	}, nil
}

func (f *fakeProcess) record(in *inspection, _, by string, how outcome) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, fmt.Sprintf("%s %d", by, how))
	return how != refused
}

func (f *fakeProcess) recorded() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.records)
}

// manifest makes one for a version, whose key is made of its name. Symbols are
// those the types of which the tests bind.
func manifest(plugin, version string, symbols ...artifact.Symbol) artifact.Manifest {
	key := strings.Repeat(fmt.Sprintf("%x", version), 64)[:64]
	if symbols == nil {
		symbols = []artifact.Symbol{{Name: "Price", Kind: "func", Type: "func(int) int"}}
	}
	return artifact.Manifest{V: 1, Plugin: plugin, Key: key, PluginPath: "fake/" + key, Package: "example.com/shop/" + plugin, Link: "full", Symbols: symbols}
}

// writeArtifact makes the artifact's file.
func writeArtifact(t *testing.T, m artifact.Manifest) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// version adds a version of plugin whose symbols are given, and gives its file.
func (f *fakeProcess) version(plugin, name string, symbols map[string]any) string {
	f.t.Helper()
	return f.versionInit(manifest(plugin, name), func() (map[string]any, error) { return symbols, nil })
}

func (f *fakeProcess) versionInit(m artifact.Manifest, init func() (map[string]any, error)) string {
	f.t.Helper()
	f.mu.Lock()
	f.init[m.Key] = init
	f.mu.Unlock()
	return writeArtifact(f.t, m)
}

// times gives a Price that multiplies.
func times(n int) func(int) int { return func(x int) int { return n * x } }

func prices(n int) map[string]any { return map[string]any{"Price": times(n)} }

func openHost(t *testing.T, o Options, f *fakeProcess) *Host {
	t.Helper()
	o.NoSocket = true
	h, err := newHost(o, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Logf("close: %v", err)
		}
	})
	return h
}

func mustLoad(t *testing.T, h *Host, path string) control.Event {
	t.Helper()
	ev, err := h.Load(context.Background(), path)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return ev
}

// mustFail loads and gives the error, which has to have the code.
func mustFail(t *testing.T, h *Host, path, code string) *control.Error {
	t.Helper()
	ev, err := h.Load(context.Background(), path)
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("load gave %+v, %v; want an error with code %q", ev, err, code)
	}
	return e
}

// await waits for an event of that kind after those that were seen, and gives
// it.
func await(t *testing.T, h *Host, after string, kind control.Kind) control.Event {
	t.Helper()
	for {
		entries, _, changed := h.journal.Since(after)
		for _, e := range entries {
			if e.Event.Event == kind {
				return e.Event
			}
			after = e.ID
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("no event %q", kind)
		}
	}
}
