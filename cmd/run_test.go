package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunKeepsOneProgramAndNoStateOnceAProcessHasGoneOn(t *testing.T) {
	p := &program{dir: t.TempDir()}
	names := func(dir string) string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return strings.Join(all, " ")
	}
	for _, file := range []string{"1/server", "2/server", "3/server", "4/server", "state/2.json", "state/2-pricing.state"} {
		path := filepath.Join(p.dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.settled(filepath.Join(p.dir, "3", "server")) // while 4 is being built
	if got, want := names(p.dir), "3 4 state"; got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
	if got := names(p.stateDir()); got != "" {
		t.Errorf("state is left: %s", got)
	}
}
