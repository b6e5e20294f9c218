package reloader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// migrating is a version that notes its hooks and what HotMigrate is given.
func (d *diary) migrating(name string, n int, port *string) map[string]any {
	s := prices(n)
	s["Port"] = port
	s["HotMigrate"] = func(old map[string]any) error {
		d.note(name + " takes " + *old["Port"].(*string))
		if len(old) != 1 {
			d.note("too much")
		}
		clear(old)
		return nil
	}
	s["HotStart"] = func(context.Context) error { d.note("start " + name); return nil }
	return s
}

func TestHotMigrateSeesTheVariablesOfTheGenerationThatServes(t *testing.T) {
	var d diary
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	ports := []string{"port a", "port b"}
	pathA := f.version("pricing", "a", d.migrating("a", 2, &ports[0]))
	mustLoad(t, h, pathA)
	mustLoad(t, h, f.version("pricing", "b", d.migrating("b", 3, &ports[1])))
	ports[1] = "changed port b"
	mustLoad(t, h, pathA)
	if _, err := h.Rollback(t.Context(), "pricing", 0); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, h, pathA) // after the built-in, which has nothing to hand over
	want := []string{"start a", "b takes port a", "start b", "a takes changed port b", "start a", "start a"}
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("hooks ran as %q, want %q", got, want)
	}
}

func TestFailedHotMigrateKeepsOldGeneration(t *testing.T) {
	gate := make(chan struct{}) // of the bubble that waits for it
	for want, migrate := range map[string]any{
		"HotMigrate failed: no room":                       func(map[string]any) error { return errors.New("no room") },
		"HotMigrate failed: panic: no such":                func(map[string]any) error { panic("no such") },
		"HotMigrate failed: it did not return within":      func(map[string]any) error { <-gate; return nil },
		"HotMigrate has type func(int) error, the host bi": func(int) error { return nil },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate = make(chan struct{})
				f := newFakeProcess(t)
				h := openHost(t, Options{}, f)
				price := Bind(h, "pricing", "Price", times(1))
				var d diary
				mustLoad(t, h, f.version("pricing", "a", prices(2)))
				s := d.hooked("b", 3)
				s["HotMigrate"] = migrate
				if e := mustFail(t, h, f.version("pricing", "b", s), control.CodeRefused); !strings.HasPrefix(e.Error(), want) {
					t.Errorf("error %q", e.Error())
				}
				if price.Get()(1) != 2 || len(d.read()) != 0 {
					t.Errorf("price %d, hooks %q", price.Get()(1), d.read())
				}
				close(gate)
			})
		})
	}
}

func TestHotMigrateOfAnotherTypeIsRefusedBeforeItIsOpened(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	m := manifest("pricing", "a", artifact.Symbol{Name: "HotMigrate", Kind: "func", Type: "func(context.Context) error"})
	if e := mustFail(t, h, f.versionInit(m, nil), control.CodeRefused); e.Rule != ruleSignature || len(f.opened) != 0 {
		t.Errorf("rule %q, opened %q", e.Rule, f.opened)
	}
}

func TestHotMigrateWaitsForTheStopOfItsGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		port := "port"
		a := d.migrating("a", 2, &port)
		gate := make(chan struct{})
		a["HotStop"] = func(context.Context) error { <-gate; d.note("stop a"); return nil }
		mustLoad(t, h, f.version("pricing", "a", a))
		mustLoad(t, h, f.version("pricing", "b", d.migrating("b", 3, &port)))
		go h.Rollback(context.Background(), "pricing", 1)
		synctest.Wait()
		close(gate)
		synctest.Wait()
		want := []string{"start a", "b takes port", "start b", "stop a", "a takes port", "start a"}
		if got := d.read(); !slices.Equal(got, want) {
			t.Errorf("hooks ran as %q, want %q", got, want)
		}
	})
}
