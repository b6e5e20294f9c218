package reloader

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// passOn has the next host of this process go on with what is given.
func passOn(t *testing.T, all control.Recall) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recall.json")
	if err := all.Write(file); err != nil {
		t.Fatal(err)
	}
	t.Setenv(control.RecallVariable, file)
}

func recall(plugins ...control.RecalledPlugin) control.Recall {
	return control.Recall{V: control.RecallVersion, Plugins: plugins}
}

// before saves the state of a process with the variables, and gives the file.
func before(t *testing.T, vars map[string]any) string {
	t.Helper()
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(1))
	_, file := mustSave(t, h, "pricing", f.list("pricing", "before", vars))
	return file
}

func TestTheBuiltinGoesOnWithTheStateOfTheProcessBefore(t *testing.T) {
	n, c, conn := 5, make(chan int), map[string]int{"a": 1}
	file := before(t, map[string]any{"n": &n, "c": &c, "conn": &conn, "gone": &n, "edited": &n})
	f := newFakeProcess(t)
	var moment livepatch.Moment
	f.busy = func(m livepatch.Moment) error { moment = m; return nil }
	var n2 int64
	c2, conn2, added := make(chan int, 7), map[string]int(nil), 4
	edited := 8
	list := f.list("pricing", "list", map[string]any{"n": &n2, "c": &c2, "conn": &conn2, "added": &added, "edited": &edited})
	passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: list, File: file, Anew: []string{"shop.edited"}}))
	h := openHost(t, Options{}, f)
	if n2 != 5 || cap(c2) != 7 || conn2["a"] != 1 || added != 4 || edited != 8 {
		t.Errorf("n %d, c %d, conn %v, added %d, edited %d", n2, cap(c2), conn2, added, edited)
	}
	ev := tells(t, h, control.KindRecalled, 1)
	if ev.Plugin != "pricing" || ev.Generation != 0 || ev.Code != "" || ev.Reason != "2 variables of the process before, 2 start anew" {
		t.Errorf("%+v", ev)
	}
	if want := "shop.gone: the new code has no such variable, and its value is gone"; len(ev.Notes) != 1 || ev.Notes[0].Text != want {
		t.Errorf("%+v", ev.Notes)
	}
	if _, there := os.LookupEnv(control.RecallVariable); there {
		t.Error("children find it, too")
	}
	if !slices.Equal(moment.Packages, []string{"shop"}) || !moment.NoCalls {
		t.Errorf("in the way was %+v", moment)
	}
	if s := h.Status(); len(s.Plugins) != 0 {
		t.Errorf("the list is a plugin: %+v", s.Plugins)
	}
	// What is loaded then goes on with it, and so does the next process.
	n3 := 0
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"n": &n3})))
	if n3 != 5 {
		t.Errorf("the first generation has %d", n3)
	}
	if saved, _ := mustSave(t, h, "pricing", ""); saved.Generation != 1 || saved.Variables != 1 {
		t.Errorf("%+v", saved)
	}
}

func TestWhatIsRestoredGoesOnWithTheState(t *testing.T) {
	n := 5
	file := before(t, map[string]any{"n": &n})
	b := newBoots(t)
	one, builtin := 1, 2
	h := b.start()
	symbols := keepsBuiltin(keeps(prices(2), map[string]any{"n": &one}), map[string]any{"n": &builtin})
	var seen []int
	symbols[hookStart] = func(context.Context) error { seen = append(seen, one); return nil }
	mustLoad(t, h, b.version("pricing", "a", symbols))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	seen = nil
	passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: "/nowhere", File: file}))
	h = b.start()
	if ev := tells(t, h, control.KindRecalled, 1); ev.Generation != 1 || ev.Code != "" || one != 5 || !slices.Equal(seen, []int{2}) {
		t.Errorf("%+v; n is %d, and was %v when it started", ev, one, seen)
	}
}

func TestStateWaitsForRestoreLater(t *testing.T) {
	n, n2 := 5, 0
	file := before(t, map[string]any{"n": &n})
	f := newFakeProcess(t)
	passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: f.list("pricing", "list", map[string]any{"n": &n2}), File: file}))
	h := openHost(t, Options{Restore: RestoreLater}, f)
	if _, there := os.LookupEnv(control.RecallVariable); there || n2 != 0 {
		t.Errorf("n is %d before Restore", n2)
	}
	for range 2 {
		if err := h.Restore(t.Context()); err != nil || n2 != 5 {
			t.Errorf("n is %d, %v", n2, err)
		}
	}
	tells(t, h, control.KindRecalled, 1)
	tells(t, openHost(t, Options{Restore: RestoreOff}, newFakeProcess(t)), control.KindRecalled, 0)
}

func TestStateThatCannotBeRecalledStartsAnewAndSaysWhy(t *testing.T) {
	n := 5
	file := before(t, map[string]any{"n": &n})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(data)
	other[len("hotgo state\n")] = 9 // version; the checksum shows that first
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := map[string]string{
		"truncated": write("truncated", data[:len(data)-3]), "empty": write("empty", nil), "foreign": write("foreign", []byte("PK\x03\x04")),
		"version": write("version", other), "gone": filepath.Join(dir, "gone"), "relative": "state", "directory": dir,
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := newFakeProcess(t)
		n2, m2 := 1, 2
		list := f.list("pricing", "list", map[string]any{"n": &n2})
		last := f.list("tax", "tax", map[string]any{"n": &m2})
		passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: list, File: files[name]}, control.RecalledPlugin{Plugin: "tax", List: last, File: file}))
		h := openHost(t, Options{}, f)
		tells(t, h, control.KindRecalled, 2)
		for _, ev := range told(h, control.KindRecalled) { // tax gets the state of pricing, and does not want it
			if ev.Code == "" || !strings.HasPrefix(ev.Reason, "state starts anew: ") {
				t.Errorf("%s: %+v", name, ev)
			}
		}
		if n2 != 1 || m2 != 2 {
			t.Errorf("%s: n is %d and %d", name, n2, m2)
		}
	}
	for name, text := range map[string]string{
		"none": "", "junk": "{", "more": `{"v":1}{}`, "later": `{"v":2,"plugins":[{"plugin":"pricing"}]}`, "types": `{"v":1,"plugins":"all"}`,
	} {
		t.Setenv(control.RecallVariable, write(name, []byte(text)))
		if ev := tells(t, openHost(t, Options{}, newFakeProcess(t)), control.KindRecalled, 1); ev.Code == "" || ev.Plugin != "" {
			t.Errorf("%s: %+v", name, ev)
		}
	}
	for _, path := range []string{filepath.Join(dir, "nowhere"), "relative", dir, os.DevNull} {
		t.Setenv(control.RecallVariable, path)
		tells(t, openHost(t, Options{}, newFakeProcess(t)), control.KindRecalled, 1)
	}
}

func TestAListThatDoesNotFitKeepsStateOut(t *testing.T) {
	n, n2 := 5, 1
	file := before(t, map[string]any{"n": &n})
	f := newFakeProcess(t)
	vars := map[string]any{"n": &n2}
	m := manifest("pricing", "panics")
	m.List, m.Builtin = true, listOf("shop")
	panics := f.versionInit(m, func() (map[string]any, error) { panic("a bad day") })
	fails := manifest("pricing", "fails")
	fails.List, fails.Builtin = true, listOf("shop")
	thin := manifest("pricing", "thin")
	thin.List, thin.Builtin, thin.Link, thin.HostBuild = true, listOf("shop"), "thin", "another"
	for _, list := range []string{
		"", "/nowhere", f.version("pricing", "1", prices(1)), f.list("tax", "tax", vars), panics,
		f.versionInit(fails, func() (map[string]any, error) { return nil, errors.New("refused") }), writeArtifact(t, thin),
	} {
		passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: list, File: file}))
		f.opened, f.paths = nil, map[string]bool{}
		if ev := tells(t, openHost(t, Options{}, f), control.KindRecalled, 1); ev.Code == "" || n2 != 1 {
			t.Errorf("%s: %+v, n is %d", list, ev, n2)
		}
	}
}

func TestStateThatComesTooLateStaysOut(t *testing.T) {
	n, n2 := 5, 1
	file := before(t, map[string]any{"n": &n})
	f := newFakeProcess(t)
	passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: f.list("pricing", "list", map[string]any{"n": &n2}), File: file}))
	h := openHost(t, Options{RestoreTimeout: time.Nanosecond}, f)
	<-h.restored
	if ev := tells(t, h, control.KindRecalled, 1); ev.Code != control.CodeTimeout || n2 != 1 {
		t.Errorf("%+v, n is %d", ev, n2)
	}
}

func TestNothingIsLoadedWhileStateIsRecalled(t *testing.T) {
	n, n2 := 5, 1
	file := before(t, map[string]any{"n": &n})
	f := newFakeProcess(t)
	passOn(t, recall(control.RecalledPlugin{Plugin: "pricing", List: f.list("pricing", "list", map[string]any{"n": &n2}), File: file}))
	dir, err := os.MkdirTemp("", "rc") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s.sock")
	one := 0
	version := f.version("pricing", "1", keeps(prices(1), map[string]any{"n": &one}))
	client := control.NewClient(socket)
	defer client.Close()
	pushed := make(chan error, 1)
	var push sync.Once
	f.busy = func(livepatch.Moment) error {
		push.Do(func() {
			if s, err := client.Status(t.Context()); err != nil || !s.Starting {
				t.Errorf("the status while it starts: %+v, %v", s, err)
			}
			go func() {
				_, err := client.LoadPath(t.Context(), version, control.LoadOptions{})
				pushed <- err
			}()
		})
		return nil
	}
	h, err := newHost(Options{Socket: socket}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if err := <-pushed; err != nil || one != 5 || n2 != 5 {
		t.Errorf("n is %d, and was %d: %v", one, n2, err)
	}
	var kinds []control.Kind
	for _, ev := range h.History() {
		if ev.Event == control.KindRecalled || ev.Event == control.KindLoaded {
			kinds = append(kinds, ev.Event)
		}
	}
	if !slices.Equal(kinds, []control.Kind{control.KindRecalled, control.KindLoaded}) || h.Status().Starting {
		t.Errorf("events %q", kinds)
	}
}
