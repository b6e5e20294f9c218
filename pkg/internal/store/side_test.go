package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWhatIsRememberedIsRecalled(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Recall("baseline-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Recall before: %v", err)
	}
	for _, want := range [][]byte{[]byte("first"), []byte("second, longer"), nil} {
		if err := s.Remember("baseline-1", want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Recall("baseline-1"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Recall: %q, %v; want %q", got, err, want)
		}
	}
	if left := files(t, s.Dir(), tmpDir); len(left) > 0 {
		t.Errorf("left in scratch: %q", left)
	}
}

func TestDamagedSideFileIsNotFound(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Remember("x", []byte("data")); err != nil {
		t.Fatal(err)
	}
	path := s.path(sideDir, "x")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, b[:10], b[:len(b)-1], append(bytes.Clone(b), 0)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Recall("x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Recall of %d bytes: %q, %v", len(bad), got, err)
		}
	}
}

func TestSideNamesStayInTheStore(t *testing.T) {
	s := open(t, t.TempDir())
	for _, bad := range []string{"", ".", "..", "../x", "a/b", `a\b`, ".x", "-x", "a b", "a\x00", "\xff", strings.Repeat("x", 201)} {
		if err := s.Remember(bad, nil); err == nil {
			t.Errorf("Remember(%q): no error", bad)
		}
		if _, err := s.Recall(bad); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("Recall(%q): %v", bad, err)
		}
		if _, err := s.Lock(t.Context(), bad); err == nil {
			t.Errorf("Lock(%q): no error", bad)
		}
	}
	for _, good := range []string{"a", "baseline-0123=x.json", "größe-0123", strings.Repeat("x", 200)} {
		if err := s.Remember(good, []byte(good)); err != nil {
			t.Error(err)
		}
	}
}

func TestSideFilesOutOfUseAreCleaned(t *testing.T) {
	s, now := clocked(t)
	for _, name := range []string{"used", "unused"} {
		if err := s.Remember(name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	*now = now.Add(sideAge - time.Hour)
	if _, err := s.Recall("used"); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(2 * time.Hour)
	if _, err := s.Clean("pricing", -1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recall("used"); err != nil {
		t.Errorf("used: %v", err)
	}
	if _, err := s.Recall("unused"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unused: %v", err)
	}
}

// Readers see one writer's bytes, never a mixture.
func TestRememberReplacesAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Remember("x", bytes.Repeat([]byte("0"), 1000)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 20 {
				if worker%2 == 0 {
					data := bytes.Repeat(fmt.Append(nil, i%10), 1000*(worker+1))
					if err := s.Remember("x", data); err != nil {
						t.Errorf("Remember: %v", err)
					}
					continue
				}
				got, err := s.Recall("x")
				if err != nil || len(got) == 0 || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
					t.Errorf("Recall: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
