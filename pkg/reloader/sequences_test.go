package reloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// ownDir is a directory as Options.Dir wants it, whatever the umask.
func ownDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "host")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRestartDoesNotForgetWhatIsOld(t *testing.T) {
	s := newSigner(t)
	o := Options{TrustedKeys: s.trust(), Dir: ownDir(t), Restore: RestoreOff}
	f := newFakeProcess(t)
	h := openHost(t, o, f)
	mustLoad(t, h, s.sign(f.version("pricing", "b", prices(2)), at(6)))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	f = newFakeProcess(t)
	h = openHost(t, o, f)
	f.refused(h, s.sign(f.version("pricing", "a", prices(2)), at(5)), ruleDowngrade)
	mustLoad(t, h, s.sign(f.version("pricing", "b", prices(2)), at(6)))

	// Two processes with one Dir agree.
	g := newFakeProcess(t)
	second := openHost(t, o, g)
	mustLoad(t, second, s.sign(g.version("pricing", "c", prices(2)), at(7)))
	f.refused(h, s.sign(f.version("pricing", "between", prices(2)), at(6)), ruleDowngrade)

	// Without a Dir only the process knows.
	o.Dir = ""
	for range 2 {
		f := newFakeProcess(t)
		mustLoad(t, openHost(t, o, f), s.sign(f.version("pricing", "b", prices(2)), at(6)))
	}
}

func TestHostThatCannotRememberTakesNothing(t *testing.T) {
	s := newSigner(t)
	for name, spoil := range map[string]func(path string) error{
		"damaged":   func(path string) error { return os.WriteFile(path, []byte(`{"v":1,"plug`), 0o600) },
		"emptied":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"newer":     func(path string) error { return os.WriteFile(path, []byte(`{"v":2,"plugins":{}}`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeProcess(t)
			h := openHost(t, Options{TrustedKeys: s.trust(), Dir: ownDir(t)}, f)
			path := h.trust.sequences.path
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			artifact := s.sign(f.version("pricing", "a", prices(2)), at(1))
			if e := mustFail(t, h, artifact, control.CodeInternal); !strings.Contains(e.Next, path) {
				t.Errorf("next: %s", e.Next)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			mustLoad(t, h, artifact)
		})
	}
}

func TestEntriesOfSequencesSurvive(t *testing.T) {
	s := openSequences(ownDir(t))
	for i := range 3 {
		if _, err := s.raise(fmt.Sprint("plugin", i), accepted{Sequence: uint64(i), Digest: "d", Signer: "k"}, false); err != nil {
			t.Fatal(err)
		}
	}
	takeBack, err := s.raise("plugin1", accepted{Sequence: 9, Digest: "e"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.last("plugin1"); err != nil || got.Sequence != 9 {
		t.Errorf("raised to %+v, %v", got, err)
	}
	takeBack()
	for i := range 3 {
		if got, err := s.last(fmt.Sprint("plugin", i)); err != nil || got.Sequence != uint64(i) || got.Digest != "d" {
			t.Errorf("plugin%d: %+v, %v", i, got, err)
		}
	}
	// Somebody else went on meanwhile: nothing is taken back.
	takeBack, _ = s.raise("plugin1", accepted{Sequence: 10, Digest: "f"}, false)
	if _, err := s.raise("plugin1", accepted{Sequence: 11, Digest: "g"}, false); err != nil {
		t.Fatal(err)
	}
	takeBack()
	if got, _ := s.last("plugin1"); got.Sequence != 11 {
		t.Errorf("after another's: %+v", got)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(s.path + "-*"); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// Another process with the same directory may take something newer between the
// moment in which a load looks at what was taken and the one in which it goes live.
func TestNewerOfAnotherProcessKeepsTheOlderOut(t *testing.T) {
	s := newSigner(t)
	f := newFakeProcess(t)
	h := openHost(t, Options{TrustedKeys: s.trust(), Dir: ownDir(t)}, f)
	price := Bind(h, "pricing", "Price", times(1))
	older := prices(2)
	older["HotStart"] = Hook(func(context.Context) error { t.Error("it was started"); return nil })
	path := s.sign(f.version("pricing", "older", older), at(5))
	f.init[manifest("pricing", "older").Key] = func() (map[string]any, error) { // after the preflight
		_, err := openSequences(filepath.Dir(h.trust.sequences.path)).raise("pricing", accepted{Sequence: 6, Digest: "another's"}, false)
		return older, err
	}
	e := mustFail(t, h, path, control.CodeSignature)
	if e.Rule != ruleDowngrade || price.Generation() != 0 {
		t.Errorf("%+v, generation %d", e, price.Generation())
	}
	g := h.Status().Plugins[0].Generations[0]
	if g.State != control.StateFailed || g.Reason == "" {
		t.Errorf("generation %+v", g)
	}
	if last, err := h.trust.sequences.last("pricing"); err != nil || last.Sequence != 6 {
		t.Errorf("taken is %+v, %v", last, err)
	}
}

// What was taken though it is older may be pushed again, by a pipeline that runs
// twice say. Nothing between it and the newest may.
func TestWhatWasMeantIsNoDowngradeAnyMore(t *testing.T) {
	s := newSigner(t)
	o := Options{TrustedKeys: s.trust(), Dir: ownDir(t), Restore: RestoreOff}
	f := newFakeProcess(t)
	h := openHost(t, o, f)
	load := func(name string, sequence uint64, anyway bool) error {
		path := s.sign(f.version("pricing", name, prices(int(sequence))), at(sequence))
		_, err := h.load(t.Context(), loadRequest{downgrade: anyway, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
		return err
	}
	refused := func(name string, sequence uint64) {
		t.Helper()
		var e *control.Error
		if err := load(name, sequence, false); !errors.As(err, &e) || e.Rule != ruleDowngrade {
			t.Errorf("%s: %v", name, err)
		}
	}
	taken := func(name string, sequence uint64, anyway bool) {
		t.Helper()
		if err := load(name, sequence, anyway); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	taken("ten", 10, false)
	refused("five", 5)
	taken("five", 5, true)
	taken("five", 5, false)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	f = newFakeProcess(t)
	h = openHost(t, o, f)
	taken("five", 5, false) // a restart remembers
	refused("seven", 7)
	refused("four", 4)
	taken("ten", 10, false)
	refused("five", 5) // it is old once more
	taken("five", 5, true)
	taken("eleven", 11, false)
	refused("five", 5)
	refused("ten", 10)
}

func TestWhatAKilledProcessLeftIsSwept(t *testing.T) {
	dir := ownDir(t)
	s := openSequences(dir)
	if _, err := s.raise("pricing", accepted{Sequence: 1, Digest: "d"}, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sequencesFile + "-123", sequencesFile + "-9x", "signatures.jsonp", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := openSequences(dir).last("pricing"); err != nil || a.Sequence != 1 {
		t.Errorf("taken is %+v, %v", a, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if want := []string{"other", sequencesFile, "signatures.jsonp"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

// The directory that was checked is the one that is written to, whoever exchanges a
// symbolic link on the way to it.
func TestSequencesStayWhereTheDirectoryWas(t *testing.T) {
	root := t.TempDir()
	link := filepath.Join(root, "link")
	for _, name := range []string{"real", "other"} {
		if err := os.MkdirAll(filepath.Join(root, name, "host"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	s := newSigner(t)
	f := newFakeProcess(t)
	h := openHost(t, Options{TrustedKeys: s.trust(), Dir: filepath.Join(link, "host")}, f)
	mustLoad(t, h, s.sign(f.version("pricing", "new", prices(2)), at(9)))
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", link); err != nil {
		t.Fatal(err)
	}
	f.refused(h, s.sign(f.version("pricing", "old", prices(2)), at(5)), ruleDowngrade)
	if got, want := h.trust.sequences.path, filepath.Join(root, "real", "host", sequencesFile); got != want {
		t.Errorf("they are in %s, want %s", got, want)
	}
}

// FuzzSequences: any bytes are refused, or are entries that are read as they are
// written. Nothing but a file that is not there stands for "nothing was taken".
func FuzzSequences(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("null"))
	f.Add([]byte(`{"v":1,"plugins":{}}`))
	f.Add([]byte(`{"v":1,"plugins":{"p":{"sequence":18446744073709551615,"digest":"sha256:0","signer":"A"}}}`))
	f.Add([]byte(`{"v":1,"plugins":{"p":{"sequence":7,"digest":"sha256:0","signer":"A","meant":"sha256:1"}}}`))
	f.Add([]byte(`{"v":1,"plugins":{"p":{"sequence":-1,"digest":"x"}}} {}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseSequences(b)
		if err != nil {
			return
		}
		s := openSequences(dir)
		if err := s.write(all); err != nil {
			t.Fatal(err)
		}
		again, err := s.read()
		if err != nil || len(again) != len(all) {
			t.Fatalf("%v becomes %v, %v", all, again, err)
		}
		for name, a := range all {
			if !again[name].same(a) {
				t.Fatalf("%s: %+v becomes %+v", name, a, again[name])
			}
		}
	})
}
