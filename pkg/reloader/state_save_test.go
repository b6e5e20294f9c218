package reloader

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// list adds an artifact that lists variables of a plugin's built-in and is nothing
// else, and gives its file.
func (f *fakeProcess) list(plugin, name string, vars map[string]any) string {
	f.t.Helper()
	m := manifest(plugin, name)
	m.List, m.Symbols, m.Builtin = true, nil, listOf("shop")
	return f.versionInit(m, func() (map[string]any, error) { return keepsBuiltin(map[string]any{}, vars), nil })
}

func listOf(packages ...string) *artifact.Builtin { return &artifact.Builtin{Packages: packages} }

// mustSave saves a plugin's state into a file of its own, and gives that.
func mustSave(t *testing.T, h *Host, plugin, list string) (*control.SavedState, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state")
	saved, err := h.saveState(t.Context(), control.StateRequest{Plugin: plugin, List: list, File: file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return saved, file
}

func mustNotSave(t *testing.T, h *Host, req control.StateRequest, code string) *control.Error {
	t.Helper()
	saved, err := h.saveState(t.Context(), req, nil)
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("%+v: got %+v, %v; want an error with code %q", req, saved, err, code)
	}
	return e
}

func TestStateOfTheBuiltinIsSavedByAListAlone(t *testing.T) {
	f := newFakeProcess(t)
	var moment livepatch.Moment
	f.busy = func(m livepatch.Moment) error { moment = m; return nil }
	h := openHost(t, Options{}, f)
	price := Bind(h, "pricing", "Price", times(7))
	n, c, word := 5, make(chan int), regexp.MustCompile("a")
	list := f.list("pricing", "list", map[string]any{"n": &n, "c": &c, "word": &word})
	saved, file := mustSave(t, h, "pricing", list)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != saved.Bytes || saved.File != file {
		t.Errorf("the file: %v, %v; %+v", info, err, saved)
	}
	want := []control.LostVariable{{Symbol: "shop.c", Type: "chan int", Reason: "a channel cannot leave its process"}}
	if saved.Variables != 1 || saved.Fresh != 1 || saved.Generation != 0 || !slices.Equal(saved.Lost, want) || saved.PauseMS == 0 {
		t.Errorf("%+v", saved)
	}
	if !slices.Equal(moment.Packages, []string{"shop"}) || !moment.NoCalls {
		t.Errorf("in the way was %+v", moment)
	}
	ev := tells(t, h, control.KindSaved, 1)
	if ev.Plugin != "pricing" || !strings.HasPrefix(ev.Reason, "1 variable, ") || !strings.HasSuffix(ev.Reason, " B, for a restart") {
		t.Errorf("%+v", ev)
	}
	if p := h.Status().Plugins[0]; p.Live != 0 || len(p.Generations) != 0 || price.Get()(1) != 7 {
		t.Errorf("the list is a generation: %+v", p)
	}
	// It is known now, and no second one is opened; nor is one of the same key.
	for _, again := range []string{"", list, "/nowhere"} {
		if _, err := h.saveState(t.Context(), control.StateRequest{Plugin: "pricing", List: again}, nil); err != nil {
			t.Error(err)
		}
	}
	tells(t, h, control.KindSaved, 1) // without a file nothing is recorded
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hotgo-*", runPrefix+"*", "*.so")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// A version that lists nothing goes on with what the list says.
	one := 0
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"n": &one})))
	if one != 5 {
		t.Errorf("the first generation has %d", one)
	}
}

func TestStateOfWhatServesIsSaved(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	one, builtin := 1, 9
	mustLoad(t, h, f.version("pricing", "1", keepsBuiltin(keeps(prices(1), map[string]any{"n": &one}), map[string]any{"n": &builtin, "more": new(int)})))
	if saved, _ := mustSave(t, h, "pricing", ""); saved.Generation != 1 || saved.Variables != 1 {
		t.Errorf("%+v", saved)
	}
	if _, err := h.Rollback(t.Context(), "pricing", 0); err != nil {
		t.Fatal(err)
	}
	if saved, _ := mustSave(t, h, "pricing", ""); saved.Generation != 0 || saved.Variables != 2 {
		t.Errorf("%+v", saved)
	}
	mustLoad(t, h, f.version("pricing", "2", prices(2)))
	e := mustNotSave(t, h, control.StateRequest{Plugin: "pricing"}, control.CodeUnsupported)
	if !strings.Contains(e.Message, "generation 2") {
		t.Errorf("%v", e)
	}
}

func TestStateThatCannotBeSavedSaysWhyAndLeavesNoFile(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	n, dir := 5, t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := f.list("pricing", "list", map[string]any{"n": &n})
	file := filepath.Join(dir, "state")
	other := f.list("tax", "other", nil)
	code := f.version("pricing", "1", prices(1))
	m := manifest("pricing", "unknown")
	m.List, m.Builtin = true, &artifact.Builtin{Code: "HG0094", Reason: "it is not known what the host was built from"}
	unknown := writeArtifact(t, m)
	for _, c := range []struct {
		what             string
		plugin, at, file string
		code, says       string
	}{
		{"an unknown plugin", "tax", other, file, control.CodeNotFound, "no plugin"},
		{"no list", "pricing", "", file, control.CodeUnsupported, "nothing lists"},
		{"a relative list", "pricing", "list.so", file, control.CodeBadRequest, "absolute"},
		{"a relative file", "pricing", list, "state", control.CodeBadRequest, "absolute"},
		{"a list that is not there", "pricing", filepath.Join(dir, "none"), file, control.CodeNotFound, "no such file"},
		{"a list of another plugin", "pricing", other, file, control.CodeRefused, "built as plugin tax"},
		{"a version of the plugin", "pricing", code, file, control.CodeRefused, "is a version of the plugin"},
		{"a list of nothing", "pricing", unknown, file, control.CodeUnsupported, "it is not known what the host was built from"},
		{"a file that is there", "pricing", list, there, control.CodeBadRequest, "exists"},
		{"a directory that is not", "pricing", list, filepath.Join(dir, "no", "state"), control.CodeBadRequest, "no such file"},
	} {
		if e := mustNotSave(t, h, control.StateRequest{Plugin: c.plugin, List: c.at, File: c.file}, c.code); !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v", c.what, e)
		}
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "mine" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file")
	}
	if len(f.opened) != 1 {
		t.Errorf("opened %q", f.opened)
	}
	tells(t, h, control.KindSaved, 0)
	e := mustFail(t, h, list, control.CodeRefused)
	if e.Limit == "" || e.Next == "" || len(e.Evidence) == 0 || !strings.Contains(e.Message, "is a list") {
		t.Errorf("a list that is loaded: %+v", e)
	}
}

func TestAVariableThatAPatchBroughtIsSaidToBeLost(t *testing.T) {
	f := newFakeProcess(t)
	f.code.has(hostBias+0x100, nameTotal, 1)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	m := patch("a")
	replaces(&m, nameTotal, 0x100, 0x2000, 1)
	m.Patch.Variables = []artifact.AddedSymbol{{Name: "shop.more"}, {Name: "main.other"}}
	mustLoad(t, h, f.patchFile(m, 7))
	n := 5
	saved, _ := mustSave(t, h, "pricing", f.list("pricing", "list", map[string]any{"n": &n}))
	want := []control.LostVariable{{Symbol: "shop.more", Reason: "a patch brought it"}}
	if saved.Variables != 1 || !slices.Equal(saved.Lost, want) {
		t.Errorf("%+v", saved)
	}
	mustNotSave(t, h, control.StateRequest{Plugin: m.Plugin}, control.CodeNotFound) // the host itself
}

func TestAListThatFailsIsNotOpenedAgain(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	m := manifest("pricing", "list")
	m.List, m.Builtin = true, &artifact.Builtin{}
	list := f.versionInit(m, func() (map[string]any, error) { return map[string]any{}, nil })
	mustNotSave(t, h, control.StateRequest{Plugin: "pricing", List: list}, control.CodeNotArtifact)
	if e := mustNotSave(t, h, control.StateRequest{Plugin: "pricing", List: list}, control.CodeRefused); !strings.Contains(e.Message, "opened before") {
		t.Errorf("%v", e)
	}
	n := 5
	mustSave(t, h, "pricing", f.list("pricing", "second", map[string]any{"n": &n}))
}

func TestAProcessThatCannotStandStillSaysSo(t *testing.T) {
	f := newFakeProcess(t)
	f.busy = func(livepatch.Moment) error {
		return &livepatch.Error{Reason: livepatch.Unsupported, Detail: "this program was built with -race"}
	}
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	n := 5
	e := mustNotSave(t, h, control.StateRequest{Plugin: "pricing", List: f.list("pricing", "list", map[string]any{"n": &n})}, control.CodeUnsupported)
	if !strings.Contains(e.Error(), "-race") {
		t.Errorf("%v", e)
	}
}

func TestSavingWaitsForALockThatIsReleasedSoon(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	Bind(h, "pricing", "Price", times(7))
	var mu, held sync.Mutex
	mu.Lock()
	tries := 0
	f.busy = func(livepatch.Moment) error {
		if tries++; tries == 3 {
			mu.Unlock()
		}
		return nil
	}
	saved, _ := mustSave(t, h, "pricing", f.list("pricing", "list", map[string]any{"mu": &mu}))
	if saved.Variables != 1 || tries != 3 {
		t.Errorf("%d tries, %+v", tries, saved)
	}
	held.Lock() // for good: then it goes without
	f.busy = nil
	mustLoad(t, h, f.version("pricing", "1", keeps(prices(1), map[string]any{"held": &held})))
	if saved, _ = mustSave(t, h, "pricing", ""); saved.Variables != 0 || len(saved.Lost) != 1 || saved.Lost[0].Reason != "the lock is held" {
		t.Errorf("%+v", saved)
	}
}

func TestOnlyTheHostsOwnUserHasItWriteFiles(t *testing.T) {
	calls := make(chan ControlCall, 10)
	h, f, url := mounted(t, Options{Audit: func(c ControlCall) { calls <- c }})
	Bind(h, "pricing", "Price", times(7))
	n, file := 5, filepath.Join(t.TempDir(), "state")
	ask := func(req control.StateRequest) answer {
		b, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		return do(t, request(t, "POST", url+"/v1/state", strings.NewReader(string(b)), ctype, control.TypeJSON))
	}
	req := control.StateRequest{Plugin: "pricing", List: f.list("pricing", "list", map[string]any{"n": &n}), File: file}
	if a := ask(req); a.status != 403 || a.err.Code != control.CodeForbidden || a.err.Next == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if c := <-calls; c.Name != "state" || c.Plugin != "pricing" || c.Code != control.CodeForbidden || !c.changes() {
		t.Errorf("the audit has %+v", c)
	}
	req.File = ""
	a := ask(req)
	var saved control.SavedState
	if err := json.Unmarshal([]byte(a.body), &saved); err != nil || a.status != 200 || saved.Variables != 1 || saved.File != "" || saved.Bytes == 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file")
	}

	dir, err := os.MkdirTemp("", "st") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	own := newFakeProcess(t)
	h, err = newHost(Options{Socket: filepath.Join(dir, "s.sock")}, own.platform())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	Bind(h, "pricing", "Price", times(7))
	client := control.NewClient(h.Socket())
	defer client.Close()
	req.File, req.List = file, own.list("pricing", "list", map[string]any{"n": &n})
	got, err := client.SaveState(t.Context(), req)
	if err != nil || got.File != file || got.Variables != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if ev := tells(t, h, control.KindSaved, 1); ev.Caller == nil || ev.Caller.UID != os.Getuid() {
		t.Errorf("%+v", ev)
	}
}

func TestSavingWaitsForTheLoadThatIsUnderWay(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	release, err := h.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *control.Error
	if _, err := h.saveState(ctx, control.StateRequest{Plugin: "pricing"}, nil); !errors.As(err, &e) || e.Code != control.CodeTimeout {
		t.Errorf("got %v", err)
	}
	release()
	mustNotSave(t, h, control.StateRequest{Plugin: "pricing"}, control.CodeNotFound)
}
