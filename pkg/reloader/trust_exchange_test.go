package reloader

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TestWhatIsVerifiedIsWhatIsLoaded exchanges the file under the host's hands:
// while it is copied, after it was, and after it was verified.
func TestWhatIsVerifiedIsWhatIsLoaded(t *testing.T) {
	replace := map[string]func(t *testing.T, path string, with []byte){
		"rename": func(t *testing.T, path string, with []byte) {
			if err := os.WriteFile(path+".new", with, 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Error(err)
			}
		},
		"in place": func(t *testing.T, path string, with []byte) {
			if err := os.WriteFile(path, with, 0o600); err != nil {
				t.Error(err)
			}
		},
	}
	for how, exchange := range replace {
		for _, when := range []string{"copied", "verified", "opened"} {
			t.Run(how+" before it is "+when, func(t *testing.T) {
				f := newFakeProcess(t)
				s := newSigner(t)
				good := s.sign(f.version("pricing", "good", prices(2)), at(1))
				evil, err := os.ReadFile(f.version("pricing", "evil", prices(666)))
				if err != nil {
					t.Fatal(err)
				}
				p := f.platform()
				inspect, hide := p.inspect, p.hide
				p.inspect = func(r io.ReaderAt, size int64) (*inspection, error) {
					if when == "verified" {
						exchange(t, good, evil)
					}
					return inspect(r, size)
				}
				p.hide = func(path string) (hidden, error) {
					if when == "opened" {
						exchange(t, good, evil)
					}
					return hide(path)
				}
				h, err := newHost(Options{NoSocket: true, TrustedKeys: s.trust()}, p)
				if err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				price := Bind(h, "pricing", "Price", times(1))
				text := s.text(good, at(1))
				req := loadRequest{signature: text, receive: func() (*copied, error) {
					if when == "copied" {
						exchange(t, good, evil)
					}
					return h.receiveFile(t.Context(), good)
				}}
				_, err = h.load(t.Context(), req)
				var e *control.Error
				switch {
				case when == "copied" && (!errors.As(err, &e) || e.Rule != ruleForged || price.Get()(1) != 1):
					t.Errorf("gave %v, price %d", err, price.Get()(1))
				case when != "copied" && (err != nil || price.Get()(1) != 2):
					t.Errorf("gave %v, price %d", err, price.Get()(1))
				}
				if slices.Contains(f.opened, manifest("pricing", "evil").Key) {
					t.Error("what nobody signed was opened")
				}
			})
		}
	}
}

// TestCopyThatOthersCouldExchangeIsRefused puts the private directory below one in
// which everybody may rename.
func TestCopyThatOthersCouldExchangeIsRefused(t *testing.T) {
	f := newFakeProcess(t)
	s := newSigner(t)
	shared, err := os.MkdirTemp("", "open")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	path := s.sign(f.version("pricing", "a", prices(2)), at(1))
	for _, c := range []struct {
		mode os.FileMode
		ok   bool
	}{
		{0o777, false},
		{0o775, false},
		{0o777 | os.ModeSticky, true}, // others rename what is theirs
		{0o755, true},
		{0o760, true}, // others cannot write, or not enter
	} {
		if err := os.Chmod(shared, c.mode); err != nil {
			t.Fatal(err)
		}
		h, err := newHost(Options{NoSocket: true, TrustedKeys: s.trust(), Dir: filepath.Join(shared, "host")}, f.platform())
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Load(t.Context(), path)
		var e *control.Error
		if refused := errors.As(err, &e) && e.Code == control.CodeInternal && strings.Contains(e.Error(), shared); refused == c.ok || c.ok && err != nil {
			t.Errorf("mode %v: %v", c.mode, err)
		}
		h.Close()
		f = newFakeProcess(t) // opens it once each
		f.version("pricing", "a", prices(2))
	}
}
