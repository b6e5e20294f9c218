package reloader

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Whatever is mapped defines its names for later files, also where its opening
// failed.
func TestItabsOfEverythingMappedAreKnown(t *testing.T) {
	for how, want := range map[outcome]bool{opened: true, notUsable: true, initFailed: true, initHung: true, refused: false} {
		p := &process{itabs: &itabNames{
			host:  func() (map[string]bool, error) { return map[string]bool{"go:itab.a,I": true}, nil },
			later: map[string]bool{},
		}}
		in := &inspection{print: &abi.Fingerprint{}, itabs: []string{"go:itab.a,I", "go:itab.b,I"}}
		p.record(in, "/nowhere/x.so", "x generation 1", how)
		if got := p.itabs.has("go:itab.b,I"); got != want {
			t.Errorf("outcome %d: known is %v, want %v", how, got, want)
		}
		if len(p.itabs.later) > 1 {
			t.Errorf("outcome %d: what the host has is kept twice: %v", how, p.itabs.later)
		}
	}
}

func TestOnlyOneReleaseNeedsItabsHidden(t *testing.T) {
	if newItabNames("go1.27.1") == nil {
		t.Error("go1.27.1 gets no help")
	}
	none := newItabNames("go1.26.8")
	if none != nil {
		t.Fatal("go1.26.8 gets help")
	}
	if done, err := none.hide("/nowhere"); err != nil || done.names != nil {
		t.Errorf("got %+v, %v", done, err)
	}
	none.add([]string{"go:itab.a,I"})
}

func TestCopyIsEditedUnderTheNameThatIsOpened(t *testing.T) {
	f := newFakeProcess(t)
	p := f.platform()
	var edited []string
	p.hide = func(path string) (hidden, error) {
		edited = append(edited, path)
		return hidden{names: []string{"go:itab.a,I"}}, nil
	}
	h := hostOn(t, p)
	path := f.version("pricing", "1", prices(2))
	mustLoad(t, h, path)
	if len(edited) != 1 || !f.paths[edited[0]] || edited[0] == path {
		t.Errorf("edited %q, opened %v", edited, f.paths)
	}
	mustLoad(t, h, path) // unchanged: nothing is opened
	if len(edited) != 1 {
		t.Errorf("edited %q", edited)
	}
}

func TestArtifactThatCannotBePreparedIsNotOpened(t *testing.T) {
	f := newFakeProcess(t)
	p := f.platform()
	p.hide = func(string) (hidden, error) { return hidden{}, os.ErrPermission }
	h := hostOn(t, p)
	_, err := h.Load(context.Background(), f.version("pricing", "1", prices(2)))
	var e *control.Error
	if !errors.As(err, &e) || e.Code != control.CodeInternal || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if len(f.opened) > 0 || len(f.recorded()) > 0 {
		t.Errorf("opened %q, recorded %q", f.opened, f.recorded())
	}
}

func hostOn(t *testing.T, p *platform) *Host {
	t.Helper()
	h, err := newHost(Options{NoSocket: true}, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
