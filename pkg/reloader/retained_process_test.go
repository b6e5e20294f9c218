//go:build linux && cgo

package reloader_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// shopkeeper is a directory with testdata/retained/host and two plugins of one source.
var shopkeeper = sync.OnceValues(func() (string, error) {
	dir, err := fixtures() // TestMain removes it
	if err != nil {
		return "", err
	}
	src, err := filepath.Abs("testdata/retained")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, name := range []string{"kept0", "kept1"} {
		replace[filepath.Join(src, name, "main.go")] = filepath.Join(src, "plugin/main.go")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"-o", filepath.Join(dir, "keephost"), "./testdata/retained/host"},
		{"-overlay", filepath.Join(dir, "overlay.json"), "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "kept0.so"), "./testdata/retained/kept0"},
		{"-overlay", filepath.Join(dir, "overlay.json"), "-buildmode=plugin", "-ldflags=-s -w", "-o", filepath.Join(dir, "kept1.so"), "./testdata/retained/kept1"},
	} {
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return dir, nil
})

// startKeeper starts the host with the first plugin.
func startKeeper(t *testing.T) (h *host, files []string) {
	t.Helper()
	fixture(t, "host")
	dir, err := shopkeeper()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept0", "kept1"} {
		files = append(files, pack(t, name, func(m *artifact.Manifest) {
			m.Plugin, m.Symbols = "faults", []artifact.Symbol{{Name: "Make", Kind: "func", Type: "func(string) interface{}"}}
			m.Private = map[string]string{"example.com/shop/plugins/faults": m.PluginPath}
		}))
	}
	socket := socketIn(t)
	cmd := exec.Command(filepath.Join(dir, "keephost"), socket)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	h = launch(t, socket, cmd)
	h.load(files[0])
	return h, files
}

func (h *host) does(what, want string) {
	h.t.Helper()
	fmt.Fprintln(h.stdin, what)
	h.read(want)
}

// note waits for the event of what is retained of generation 1.
func (h *host) note(ctx context.Context) *control.Event {
	h.t.Helper()
	errFound := errors.New("found")
	var found *control.Event
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := h.Events(ctx, "0", func(_ string, ev control.Event) error {
		if ev.Event == control.KindNote && ev.Code == "HG0004" {
			found = &ev
			return errFound
		}
		return nil
	})
	if !errors.Is(err, errFound) {
		s, _ := h.Status(context.Background())
		h.t.Fatalf("%v\n%+v\n%s", err, s.Plugins[0].Generations[0].Retained, h.stderr)
	}
	return found
}

func TestWhatTheProgramKeepsOfAnOldGenerationIsFound(t *testing.T) {
	cases := []struct{ kind, want string }{
		{"pointer", "main.orders … → a value of type *main.Order"},
		{"boxed", "main.front (main.desk).current → a value of type main.point"},
		{"reflected", "main.values … → a value of type main.point"},
		{"slice", "main.registry … → a value of type []main.Order"},
		{"local", "main.registry … → a value of type main.local"},
		{"generic", "main.registry … → a value of type main.pair[github.com/hotgo/hotgo/pkg/reloader/testdata/retained/kept0.point,int]"},
		{"function", "main.callbacks … → function kept0.plain"},
		{"closure", "main.callbacks … → function kept0.Make.func1"},
		{"method", "main.callbacks … → function kept0.(*Order).Total-fm"},
		{"timer", "a timer … → function kept0.tick"},
		{"finalizer", "a finalizer → function kept0.gone"},
		{"cleanup", "a cleanup → function kept0.tidy"},
		{"variable", "main.registry … → variable kept0.total"},
	}
	for _, c := range cases {
		t.Run(c.kind, func(t *testing.T) {
			h, files := startKeeper(t)
			h.does(c.kind, "kept")
			h.load(files[1])
			ev := h.note(t.Context())
			if ev.Generation != 1 || ev.Plugin != "faults" || len(ev.Notes) != 1 || ev.Notes[0].Text != c.want {
				t.Errorf("event %+v\nwant %s", ev, c.want)
			}
			s, err := h.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first, second := s.Plugins[0].Generations[0], s.Plugins[0].Generations[1]
			if r := first.Retained; r == nil || len(r.Things) != 1 || r.Things[0].String() != c.want || r.Part || r.Unknown != "" {
				t.Errorf("retained %+v, want %s", r, c.want)
			}
			if second.Retained != nil {
				t.Errorf("of the live one: %+v", second.Retained)
			}
		})
	}
}

func TestNothingIsToldOfWhatIsNotKept(t *testing.T) {
	for _, c := range []struct {
		name string
		does []string
	}{
		{"nothing", nil},
		{"what was dropped", []string{"pointer kept", "boxed kept", "reflected kept", "slice kept", "closure kept", "method kept", "function kept", "variable kept", "drop dropped"}},
		{"text and numbers", []string{"text kept", "numbers kept"}},
		{"a number that is an address", []string{"number kept"}},
		{"a timer that was stopped", []string{"stopped kept"}},
		{"a finalizer of what only the old generation has", []string{"unheld kept"}},
		{"what encoding/json knows of types", []string{"types seen"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, files := startKeeper(t)
			for _, line := range c.does {
				what, want, _ := strings.Cut(line, " ")
				h.does(what, want)
			}
			h.load(files[1])
			// What the host keeps for this is in use again, and then old once more.
			if _, err := h.Rollback(t.Context(), "faults", nil); err != nil {
				t.Fatal(err)
			}
			h.load(files[1])
			// The next thing to be kept, of generation 2, is told: so the looks before it
			// are over.
			h.does("pointer", "kept")
			if _, err := h.Rollback(t.Context(), "faults", nil); err != nil {
				t.Fatal(err)
			}
			if ev := h.note(t.Context()); ev.Generation != 2 || len(ev.Notes) != 1 {
				t.Errorf("event %+v", ev)
			}
		})
	}
}

// TestLooksGoOnWhateverTheProgramDoes looks hundreds of times while goroutines allocate,
// free, collect, make types and grow their stacks.
func TestLooksGoOnWhateverTheProgramDoes(t *testing.T) {
	t.Run("where something is kept", func(t *testing.T) {
		h, path := hammered(t)
		h.does("pointer", "kept")
		h.does("look 300 "+path, "300 false")
	})
	t.Run("where nothing is kept", func(t *testing.T) {
		h, path := hammered(t)
		h.does("pointer", "kept")
		h.does("drop", "dropped")
		h.does("look 100 "+path, "0 false")
	})
}

func hammered(t *testing.T) (h *host, pluginPath string) {
	h, files := startKeeper(t)
	fp, err := abi.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return h, fp.PluginPath
}
