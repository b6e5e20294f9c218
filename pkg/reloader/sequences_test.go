package reloader

import (
	"fmt"
	"os"
	"path/filepath"
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
		if _, err := s.raise(fmt.Sprint("plugin", i), accepted{Sequence: uint64(i), Digest: "d", Signer: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	takeBack, err := s.raise("plugin1", accepted{Sequence: 9, Digest: "e"})
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
	takeBack, _ = s.raise("plugin1", accepted{Sequence: 10, Digest: "f"})
	if _, err := s.raise("plugin1", accepted{Sequence: 11, Digest: "g"}); err != nil {
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

// FuzzSequences: any bytes are refused, or are entries that are read as they are
// written. Nothing but a file that is not there stands for "nothing was taken".
func FuzzSequences(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("null"))
	f.Add([]byte(`{"v":1,"plugins":{}}`))
	f.Add([]byte(`{"v":1,"plugins":{"p":{"sequence":18446744073709551615,"digest":"sha256:0","signer":"A"}}}`))
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
			if again[name].Sequence != a.Sequence || again[name].Digest != a.Digest {
				t.Fatalf("%s: %+v becomes %+v", name, a, again[name])
			}
		}
	})
}
