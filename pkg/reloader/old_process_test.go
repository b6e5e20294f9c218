//go:build linux && cgo

package reloader_test

import (
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TestGoroutinesOfRealPluginsAreFoundByAddress has plugins without the identity that
// hotgo gives: nothing but the mapping says whose a function is.
func TestGoroutinesOfRealPluginsAreFoundByAddress(t *testing.T) {
	h := startHost(t)
	h.load(pack(t, "lingers", nil))
	if s := h.status(); s.OldGenerations != 0 || s.Plugins[0].Generations[0].Goroutines != 0 {
		t.Errorf("while it is live: %+v", s)
	}
	h.load(pack(t, "two", nil))
	h.serves(3, 2)
	s := h.status()
	old := s.Plugins[0].Generations[0]
	if s.OldGenerations != 1 || len(old.Inside) == 0 {
		t.Fatalf("status %+v", s)
	}
	at := old.Inside[0]
	if old.Goroutines != 1 || !strings.HasSuffix(at.Function, ".linger") || at.State != "select (no cases)" ||
		!strings.HasSuffix(at.File, "/lingers/main.go") || at.Line != 19 {
		t.Errorf("inside %+v", old.Inside)
	}
	if _, err := h.Rollback(t.Context(), "pricing", nil); err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.OldGenerations != 0 {
		t.Errorf("once it is live again: %+v", s)
	}
}

func (h *host) status() *control.Status {
	h.t.Helper()
	s, err := h.Status(h.t.Context())
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.stderr)
	}
	return s
}
