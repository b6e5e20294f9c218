package reloader

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestClientsOpenWindowsAwaitThemAndAreToldOfThem(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s", "h.sock")
	f := newFakeProcess(t)
	h, err := newHost(Options{Name: "shop", Socket: socket}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	c := control.NewClient(socket)
	defer c.Close()
	if _, err := c.LoadFile(t.Context(), f.version("pricing", "a", prices(2)), control.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	rules := &control.Window{Length: time.Hour, Interval: time.Minute, Failures: 3, MaxPanics: 4, MaxErrors: "5%", Confirm: true}
	ev, err := c.LoadFile(t.Context(), f.version("pricing", "b", prices(3)), control.LoadOptions{Window: rules})
	if err != nil || ev.Health == nil || ev.Health.State != control.HealthObserving || !ev.Health.Confirm || ev.Health.Until.Sub(ev.Health.Since) != time.Hour {
		t.Fatalf("load: %+v, %v", ev, err)
	}
	if h.open.rules != *rules {
		t.Errorf("the rules arrived as %+v", h.open.rules)
	}

	// A second client waits, and is told for whom.
	told := make(chan control.Waiting, 2)
	loaded := make(chan error, 1)
	other := f.version("tax", "c", prices(4))
	go func() {
		_, err := c.LoadPath(t.Context(), other, control.LoadOptions{Waits: func(w control.Waiting) { told <- w }})
		loaded <- err
	}()
	w := <-told
	if w.Plugin != "pricing" || w.Generation != 2 || !w.Until.Equal(ev.Health.Until) || w.Caller == nil || w.Caller.PID != os.Getpid() {
		t.Errorf("it was told %+v", w)
	}

	ends := make(chan *control.Event, 1)
	go func() {
		end, err := c.AwaitWindow(t.Context(), "pricing", 2)
		if err != nil {
			t.Error(err)
		}
		ends <- end
	}()
	health, err := c.Confirm(t.Context(), control.ConfirmRequest{Plugin: "pricing", Generation: 2, Reason: "GET /healthz gives 503"})
	if err != nil || health.Generation != 2 {
		t.Errorf("confirm: %+v, %v", health, err)
	}
	if end := <-ends; end.Event != control.KindRolledBack || end.Undone != 2 || !strings.Contains(end.Reason, "503") {
		t.Errorf("it ended with %+v", end)
	}
	if err := <-loaded; err != nil {
		t.Errorf("the second load: %v", err)
	}
	if len(told) != 0 {
		t.Errorf("it was told more: %+v", <-told)
	}
	// Who asks late is answered all the same.
	if end, err := c.AwaitWindow(t.Context(), "pricing", 2); err != nil || end.Event != control.KindRolledBack {
		t.Errorf("late: %+v, %v", end, err)
	}
	var e *control.Error
	if _, err := c.AwaitWindow(t.Context(), "pricing", 1); !errors.As(err, &e) || e.Code != control.CodeNotFound {
		t.Errorf("of what was not observed: %v", err)
	}
}

func TestWindowsThatMakeNoSenseAreRefused(t *testing.T) {
	_, _, base := mounted(t, Options{})
	for _, query := range []string{
		"window=30", "window=-1s", "window=25h", "interval=1s", "confirm=1", "window=1m&interval=1us", "window=1m&failures=x", "window=1m&failures=-1",
		"window=1m&max_panics=-2", "window=1m&max_errors=all", "window=1m&max_errors=101%25", "window=1m&max_errors=NaN%25", "window=1m&confirm=perhaps",
	} {
		a := do(t, request(t, "POST", base+"/v1/load?"+query, strings.NewReader("x"), ctype, octets))
		if a.status != 400 || a.err.Code != control.CodeBadRequest {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	for _, query := range []string{"", "plugin=pricing", "plugin=pricing&generation=0", "generation=1"} {
		if a := do(t, request(t, "GET", base+"/v1/window?"+query, nil)); a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if _, err := newHost(Options{NoSocket: true, Window: Window{Length: -1}}, newFakeProcess(t).platform()); err == nil {
		t.Error("a host takes any window")
	}
}
