//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// byHand makes a plugin as go build -buildmode=plugin does, which no host has
// seen. mode is what it does.
func byHand(t *testing.T, mode string) string {
	t.Helper()
	return writeFile(t, variantOf(t, "byhand.so", mode))
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "byhand.so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPluginBuiltByHandIsAdoptedAndRolledBackTo(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	path := byHand(t, "good")
	dry, err := h.LoadPath(t.Context(), path, control.LoadOptions{DryRun: true})
	if err != nil || dry.Event != control.KindVerified || dry.Plugin != "pricing" || !dry.Foreign {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	h.serves(1, 0)
	ev := h.load(path)
	if ev.Verdict != control.Swapped || ev.Generation != 1 || !ev.Foreign || ev.LinkReason != "not built by hotgo" || "sha256:"+ev.Key != ev.Digest || len(ev.Notes) > 0 {
		t.Errorf("event %+v", ev)
	}
	h.serves(5, 1)
	if ev := h.load(path); ev.Verdict != control.Unchanged {
		t.Errorf("the same again: %+v", ev)
	}
	h.load(pack(t, "one", nil)) // one that hotgo built
	h.serves(2, 2)
	if _, err := h.Rollback(t.Context(), "pricing", nil); err != nil {
		t.Error(err)
	}
	h.serves(5, 1)
	s, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if gens := s.Plugins[0].Generations; len(gens) != 2 || !gens[0].Foreign || gens[1].Foreign || gens[0].ResidentBytes == 0 {
		t.Errorf("generations %+v", gens)
	}

	// Another plugin with a package of the first: it has its variables from there.
	ev, err = h.LoadFile(t.Context(), byHand(t, "another"), control.LoadOptions{Plugin: "pricing"})
	if err != nil {
		t.Fatal(err)
	}
	if len(ev.Notes) != 1 || ev.Notes[0].Code != "HG0095" || !strings.HasSuffix(ev.Notes[0].Symbol, "/brought") || !strings.Contains(ev.Notes[0].Text, "pricing generation 1") {
		t.Errorf("notes %+v", ev.Notes)
	}
	h.serves(5, 3)
}

func TestSecondVersionBuiltByHandIsRefusedBeforeTheRuntimeDoes(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	first := variantOf(t, "byhand.so", "good")
	h.load(writeFile(t, first))
	second := replaceBytes(t, first, "variant:good................", fmt.Sprintf("%-28s", "variant:second"), ".")
	e := h.refuses(writeFile(t, second), control.CodeIncompatible)
	if e.Next != "hotgo push pricing" || e.Rule != "" || !strings.Contains(text(e), "taken by pricing generation 1") {
		t.Errorf("refusal %s", text(e))
	}
	h.serves(5, 1)
	// Nothing of it was opened, so the process takes others as before.
	h.load(pack(t, "two", nil))
	h.serves(3, 2)
	h.load(byHand(t, "good"))
	h.serves(5, 3)
}

func TestPluginThatTheProgramOpenedIsKnown(t *testing.T) {
	t.Parallel()
	path := byHand(t, "good")
	h := startHost(t, "TEST_OPEN="+path)
	e := h.refuses(path, control.CodeIncompatible)
	if e.Next != "hotgo push pricing" || !strings.Contains(text(e), "taken by the program itself, from "+path) {
		t.Errorf("refusal %s", text(e))
	}
	h.serves(1, 0)
	// It did not get to the runtime, whose refusal would have spoilt what it brings.
	ev := h.load(byHand(t, "good"))
	if len(ev.Notes) != 1 || !strings.Contains(ev.Notes[0].Text, "the program itself") {
		t.Errorf("notes %+v", ev.Notes)
	}
	h.serves(5, 1)
}

// TestHostileForeignFilesLeaveTheHostServing sends plugins without a manifest, so
// nothing but the file tells the host what it is about to open.
func TestHostileForeignFilesLeaveTheHostServing(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	fails := func(mode, code, want string) func(*testing.T, *victim) {
		return func(t *testing.T, v *victim) {
			path := byHand(t, mode)
			for range 2 { // the second time the runtime is not asked
				if e := v.refuses(path, code); !strings.Contains(text(e), want) {
					t.Errorf("error %s, want %q in it", text(e), want)
				}
			}
		}
	}
	refuses := func(code, want string, file func(*testing.T) []byte) func(*testing.T, *victim) {
		return func(t *testing.T, v *victim) {
			if e := v.refuses(writeFile(t, file(t)), code); !strings.Contains(text(e), want) {
				t.Errorf("error %s, want %q in it", text(e), want)
			}
		}
	}
	v.suffer(t, []attack{
		{"panics when it is initialised", fails("init-panic", control.CodeRefused, "panic in init")},
		{"ends its goroutine when it is initialised", fails("init-goexit", control.CodeRefused, "Goexit")},
		{"panics in HotStart", fails("start-panic", control.CodeRefused, "panic in start")},
		{"is not well", fails("health-error", control.CodeUnhealthy, "unwell")},
		{"type of its own", func(t *testing.T, v *victim) {
			for range 2 {
				if e := v.refuses(fixture(t, "owntype.so"), control.CodeRefused); e.Rule != "HG0004" || !strings.Contains(text(e), "owntype.Order") {
					t.Errorf("error %s", text(e))
				}
			}
		}},
		{"truncated", refuses(control.CodeNotArtifact, "truncated", func(t *testing.T) []byte {
			b := variantOf(t, "byhand.so", "good")
			return b[:len(b)/2]
		})},
		{"no section headers", refuses(control.CodeNotArtifact, "this file", func(t *testing.T) []byte {
			b := variantOf(t, "byhand.so", "good")
			copy(b[0x28:0x30], make([]byte, 8)) // e_shoff
			return b
		})},
		{"no plugin path", refuses(control.CodeNotArtifact, "not a Go plugin", func(t *testing.T) []byte {
			return bytes.ReplaceAll(variantOf(t, "byhand.so", "good"), []byte(".go.module"), []byte(".go.nodule"))
		})},
		{"of another Go release", func(t *testing.T, v *victim) {
			b, other := otherRelease(t, variantOf(t, "byhand.so", "good"))
			if e := v.refuses(writeFile(t, b), control.CodeIncompatible); !strings.Contains(text(e), other) || e.Next != "hotgo push pricing" {
				t.Errorf("error %s", text(e))
			}
		}},
		{"under a name that nobody has", func(t *testing.T, v *victim) {
			_, err := v.LoadFile(t.Context(), byHand(t, "good"), control.LoadOptions{Plugin: "../../evil"})
			if got := (result{err: err}).code(); got != control.CodeRefused {
				t.Errorf("%v", err)
			}
		}},
	})
}

func TestForeignInitialiserThatHangsLeavesTheHostServing(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	path := byHand(t, "init-hang")
	if e := h.refuses(path, control.CodeRefused); !strings.Contains(e.Message, "did not return within") {
		t.Errorf("error %v", e)
	}
	if e := h.refuses(path, control.CodeRefused); !strings.Contains(e.Message, "generation 1") {
		t.Errorf("the same again: %v", e)
	}
	h.serves(1, 0)
	h.load(pack(t, "two", nil))
	h.serves(3, 2)
}
