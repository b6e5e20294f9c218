//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TestLyingArtifactsDoNotPoisonTheHost sends artifacts that are whole and
// sealed, and wrong in one point.
func TestLyingArtifactsDoNotPoisonTheHost(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	var loaded artifact.Manifest // one that the host has
	v.load(variant(t, "good", func(m *artifact.Manifest) { loaded = *m }))
	s, err := v.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.generation = s.Plugins[0].Live

	// lie refuses a good plugin whose manifest was edited.
	lie := func(code, want string, edit func(*artifact.Manifest)) func(*testing.T, *victim) {
		return func(t *testing.T, v *victim) {
			if e := v.refuses(variant(t, "good", edit), code); !strings.Contains(text(e), want) {
				t.Errorf("error %s, want %q in it", text(e), want)
			}
		}
	}
	v.suffer(t, []attack{
		{"of another Go release", func(t *testing.T, v *victim) {
			b, other := otherRelease(t, variantBytes(t, "good"))
			e := v.refuses(packBytes(t, "other", b, nil), control.CodeIncompatible)
			if e.Rule != "HG0091" || !strings.Contains(text(e), other) || !strings.Contains(text(e), "go version") {
				t.Errorf("error %s", text(e))
			}
		}},
		{"Go release", lie(control.CodeNotArtifact, "go version", func(m *artifact.Manifest) { m.GoVersion = "go1.26.0" })},
		{"machine", lie(control.CodeNotArtifact, "machine", func(m *artifact.Manifest) { m.GOARCH = "s390x" })},
		{"plugin path", lie(control.CodeNotArtifact, "plugin path", func(m *artifact.Manifest) { m.PluginPath = loaded.PluginPath })},
		{"hash of a package", lie(control.CodeNotArtifact, "hash of strings", func(m *artifact.Manifest) {
			m.Packages = map[string]string{"strings": strings.Repeat("00", 8)}
		})},
		{"type of a symbol", lie(control.CodeRefused, "func(string) string", func(m *artifact.Manifest) {
			m.Symbols[0].Type = "func(string) string"
		})},
		{"type of a hook", lie(control.CodeRefused, "HotStop", func(m *artifact.Manifest) {
			m.Symbols = append(m.Symbols, artifact.Symbol{Name: "HotStop", Kind: "func", Type: "func()"})
		})},
		{"key of a loaded version", lie(control.CodeNotArtifact, "claims the key", func(m *artifact.Manifest) { m.Key = loaded.Key })},
		{"name with a path in it", func(t *testing.T, v *victim) {
			path := variant(t, "good", func(m *artifact.Manifest) { m.Plugin = "up_up_evil" })
			e := v.refuses(reseal(t, path, `"plugin":"up_up_evil"`, `"plugin":"../../evil"`), control.CodeNotArtifact)
			if !strings.Contains(text(e), "evil") {
				t.Errorf("error %s", text(e))
			}
			if found, _ := filepath.Glob(filepath.Join(v.tmp, "*evil*")); len(found) > 0 {
				t.Errorf("written outside: %q", found)
			}
		}},
		{"key with a path in it", func(t *testing.T, v *victim) {
			path := variant(t, "good", func(m *artifact.Manifest) { m.Key = strings.Repeat("ab", 32) })
			v.refuses(reseal(t, path, strings.Repeat("ab", 32), strings.Repeat("../", 21)+"x"), control.CodeNotArtifact)
		}},
		{"name of another plugin", func(t *testing.T, v *victim) {
			// Nobody can tell, and it is that other plugin's affair. What it must
			// not do is touch this one, or be opened a second time.
			b := variantBytes(t, "good")
			ev := v.load(packBytes(t, "theirs", b, func(m *artifact.Manifest) { m.Plugin = "shipping" }))
			if ev.Plugin != "shipping" {
				t.Errorf("event %+v", ev)
			}
			if e := v.refuses(packBytes(t, "ours", b, nil), control.CodeIncompatible); !strings.Contains(text(e), "plugin path") {
				t.Errorf("the same code under another name: %s", text(e))
			}
		}},
		{"seal of another manifest", func(t *testing.T, v *victim) {
			path := good(t)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = replaceBytes(t, b, `"link":"full"`, `"link":"thin"`, "")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			v.refuses(path, control.CodeNotArtifact)
		}},
		{"endless words", func(t *testing.T, v *victim) {
			// What a manifest says is repeated in errors, events and the journal.
			huge := strings.Repeat("long", 1<<18)
			for _, edit := range []func(*artifact.Manifest){
				func(m *artifact.Manifest) { m.GoVersion = huge },
				func(m *artifact.Manifest) { m.PluginPath = huge },
				func(m *artifact.Manifest) { m.Symbols[0].Type = huge },
				func(m *artifact.Manifest) { m.Link, m.GoVersion = huge, "go1" },
				func(m *artifact.Manifest) { m.Package, m.Symbols = huge, nil },
				func(m *artifact.Manifest) { m.Private = map[string]string{huge: ""}; m.Symbols[0].Type = huge + ".T" },
				func(m *artifact.Manifest) { m.Packages = map[string]string{"strings": huge} },
			} {
				ev, err := v.LoadFile(t.Context(), variant(t, "good", edit), control.LoadOptions{})
				if err == nil {
					t.Errorf("loaded: generation %d", ev.Generation)
				}
			}
			history, err := v.History(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b, err := json.Marshal(history); err != nil || len(b) > 1<<20 {
				t.Errorf("the history has %d bytes (%v)", len(b), err)
			}
		}},
	})
}

// TestMisbehavingPluginsDoNotPoisonTheHost opens plugins whose code does what
// it must not.
func TestMisbehavingPluginsDoNotPoisonTheHost(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	refused := func(mode, code, want string) attack {
		return attack{mode, func(t *testing.T, v *victim) {
			if e := v.refuses(variant(t, mode, nil), code); !strings.Contains(text(e), want) {
				t.Errorf("error %s, want %q in it", text(e), want)
			}
		}}
	}
	v.suffer(t, []attack{
		refused("init-panic", control.CodeRefused, "panic in init"),
		refused("init-goexit", control.CodeRefused, "runtime.Goexit"),
		refused("entry-panic", control.CodeRefused, "panic in entry"),
		refused("entry-goexit", control.CodeRefused, "runtime.Goexit"),
		refused("start-panic", control.CodeRefused, "panic in start"),
		refused("start-goexit", control.CodeRefused, "runtime.Goexit"),
		refused("health-panic", control.CodeUnhealthy, "panic in health"),
		refused("health-goexit", control.CodeUnhealthy, "runtime.Goexit"),
		refused("health-error", control.CodeUnhealthy, "unwell"),
		refused("other-price", control.CodeRefused, "func(string) string"), // its manifest says otherwise
		refused("nil-price", control.CodeRefused, "Price"),
		refused("no-price", control.CodeRefused, "Price"),
		{"stop-goexit", func(t *testing.T, v *victim) { v.retires("stop-goexit", "runtime.Goexit") }},
		{"stop-panic", func(t *testing.T, v *victim) { v.retires("stop-panic", "panic in stop") }},
	})
}

// retires loads a plugin whose HotStop misbehaves and another one over it.
func (v *victim) retires(mode, want string) {
	v.t.Helper()
	v.generation = v.load(variant(v.t, mode, nil)).Generation
	v.loadsGood()
	v.eventually("a note about HotStop", func() bool {
		history, err := v.History(v.t.Context())
		if err != nil {
			v.t.Fatal(err)
		}
		for _, ev := range history.Events {
			if strings.Contains(ev.Reason, "HotStop") && strings.Contains(ev.Reason, want) {
				return true
			}
		}
		return false
	})
}

// TestPackageLeftHalfInitialisedIsRefusedNotThrown: what a plugin brings to the
// process is defined by it for ever. The runtime would end the process at the
// next plugin that has such a package in it.
func TestPackageLeftHalfInitialisedIsRefusedNotThrown(t *testing.T) {
	t.Parallel()
	fine := good(t)
	h := startHost(t)
	h.load(pack(t, "one", nil))
	if e := h.refuses(variant(t, "brought-panic", nil), control.CodeRefused); !strings.Contains(e.Message, "nothing can be brought") {
		t.Errorf("the first to bring it: %s", text(e))
	}
	h.serves(2, 1)
	for range 2 {
		e := h.refuses(fine, control.CodeIncompatible)
		if !strings.Contains(text(e), "testdata/brought") || !strings.Contains(e.Next, "restart") {
			t.Errorf("a good artifact with the package: %s", text(e))
		}
		h.serves(2, 1)
	}
	h.load(pack(t, "two", nil)) // has nothing to do with it
	h.serves(3, 3)

	// Where the package is sound and its importer is not, others may use it.
	v := newVictim(t)
	v.refuses(variant(t, "init-panic", nil), control.CodeRefused)
	v.load(fine)
}

// TestPathsThatAreNoArtifactsAreRefused asks the host to read what would block
// it, fill its memory or change while it is read.
func TestPathsThatAreNoArtifactsAreRefused(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	dir := t.TempDir()
	fifo, loop, sparse := filepath.Join(dir, "fifo"), filepath.Join(dir, "loop"), filepath.Join(dir, "sparse")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(sparse)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(2 << 30); err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("0", 64)
	var attacks []attack
	for path, code := range map[string]string{
		fifo: control.CodeBadRequest, loop: control.CodeBadRequest, sparse: control.CodeTooLarge, dir: control.CodeBadRequest,
		"/dev/zero": control.CodeBadRequest, "/proc/self/mem": control.CodeBadRequest, v.Socket(): control.CodeBadRequest,
		dir + "/../../../../../../etc/nothing": control.CodeNotFound, "../x": control.CodeBadRequest,
		dir + "/\x00": control.CodeBadRequest, dir + strings.Repeat("/x", 10_000): control.CodeBadRequest,
	} {
		name := strings.ReplaceAll(path, dir, "DIR")
		attacks = append(attacks, attack{name[:min(len(name), 40)], func(t *testing.T, v *victim) {
			_, err := v.LoadPathOf(t, path, digest)
			if got := (result{err: err}).code(); got != code {
				t.Errorf("%v, want code %s", err, code)
			}
		}})
	}
	v.suffer(t, attacks)
}

// LoadPathOf is Client.LoadPath without making the path absolute.
func (h *host) LoadPathOf(t *testing.T, path, digest string) (*control.Event, error) {
	t.Helper()
	return nil, h.postJSON(t, "/v1/load", control.LoadRequest{Path: path, Digest: digest})
}

// text is everything that an error says.
func text(e *control.Error) string {
	b, _ := json.Marshal(e)
	return string(b)
}

// otherRelease changes the Go release in a plugin's build info.
func otherRelease(t *testing.T, b []byte) (_ []byte, release string) {
	t.Helper()
	// The length comes first, and the release's text is in many places.
	const header = 32
	at := bytes.Index(b, []byte("\xff Go buildinf:")) + header
	version := string(b[at+1 : at+1+int(b[at])])
	if !strings.HasPrefix(version, "go1.") {
		t.Fatalf("no release where the build info should be: %q", version)
	}
	last := version[len(version)-1]
	b[at+len(version)] = '0' + (last-'0'+1)%10
	path := filepath.Join(t.TempDir(), "x.so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	fp, err := abi.ReadFile(path)
	if err != nil || fp.GoVersion == version {
		t.Fatalf("release %q, %v", fp.GoVersion, err)
	}
	return b, fp.GoVersion
}
