package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// environment gives this test a runtime directory of its own, short enough for
// sockets, and no HOTGO_SOCKET.
func environment(t *testing.T) (run string) {
	t.Helper()
	run, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", run)
	t.Setenv(SocketEnv, "")
	return run
}

// serve answers on a socket with a handler.
func serve(t *testing.T, socket string, handler http.HandlerFunc) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

func statusOf(name string, pid int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", TypeJSON)
		_ = json.NewEncoder(w).Encode(Status{V: 1, Name: name, PID: pid})
	}
}

func names(targets []Target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Name())
	}
	return strings.Join(out, " ")
}

func TestSocketPathFollowsTheRule(t *testing.T) {
	run := environment(t)
	if got, want := SocketPath("shop", 7), filepath.Join(run, "hotgo", "shop-7.sock"); got != want {
		t.Errorf("with a runtime directory: %s, want %s", got, want)
	}
	if got, want := SocketPath("../a b", 7), filepath.Join(run, "hotgo", "_a_b-7.sock"); got != want {
		t.Errorf("a strange name: %s, want %s", got, want)
	}
	fallback := filepath.Join(run, fmt.Sprintf("hotgo-%d", os.Geteuid()), "host-7.sock")
	for _, dir := range []string{"", "relative", filepath.Join(run, "nothing")} {
		t.Setenv("XDG_RUNTIME_DIR", dir)
		if got := SocketPath("", 7); got != fallback {
			t.Errorf("with XDG_RUNTIME_DIR=%q: %s, want %s", dir, got, fallback)
		}
	}
	t.Setenv(SocketEnv, "/x/y.sock")
	if got := SocketPath("shop", 7); got != "/x/y.sock" {
		t.Errorf("with %s: %s", SocketEnv, got)
	}
}

func TestRuntimeDirectoryOfAnotherUserIsIgnored(t *testing.T) {
	run := environment(t)
	if err := os.Chmod(run, 0o777); err != nil {
		t.Fatal(err)
	}
	if dirs := SocketDirs(); len(dirs) != 1 {
		t.Errorf("a directory that others can write is used: %q", dirs)
	}
}

func TestDiscoverAndResolve(t *testing.T) {
	run := environment(t)
	dir := filepath.Join(run, "hotgo")
	serve(t, filepath.Join(dir, "shop-1.sock"), statusOf("shop", 1))
	serve(t, filepath.Join(dir, "shop-2.sock"), statusOf("shop", 2))
	serve(t, filepath.Join(SocketDirs()[1], "cart-3.sock"), statusOf("cart", 3))
	elsewhere := filepath.Join(run, "e", "game.sock")
	serve(t, elsewhere, statusOf("game", 4))
	broken := filepath.Join(dir, "zz-5.sock")
	serve(t, broken, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not a host", http.StatusTeapot) })
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "old-6.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	t.Setenv(SocketEnv, elsewhere)

	all, err := Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(all), broken+" cart game shop shop"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	for target, want := range map[string]string{
		"shop": "shop shop", "cart": "cart", "4": "game", "s*": "shop shop", elsewhere: "game", "unix:" + elsewhere: "game",
		filepath.Join(dir, "*.sock"): broken + " shop shop",
	} {
		got, err := Resolve(t.Context(), target)
		if err != nil || names(got) != want {
			t.Errorf("Resolve(%s) = %q, %v; want %q", target, names(got), err, want)
		}
	}
	for _, target := range []string{"nobody", "99", filepath.Join(dir, "old-6.sock"), filepath.Join(dir, "no*.sock")} {
		_, err := Resolve(t.Context(), target)
		var ue *UnreachableError
		if !errors.As(err, &ue) || ue.Target != target {
			t.Errorf("Resolve(%s): %v", target, err)
		}
	}
	for target, code := range map[string]string{"ssh://a": CodeUnsupported, "[": CodeBadRequest, "": CodeBadRequest, broken: CodeInternal} {
		_, err := Resolve(t.Context(), target)
		var e *Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("Resolve(%q): %v, want code %s", target, err, code)
		}
	}
}

func TestClientGivesTheHostsErrorsAndItsOwn(t *testing.T) {
	run := environment(t)
	socket := filepath.Join(run, "h.sock")
	release := make(chan struct{})
	serve(t, socket, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/status":
			<-release
		case "/v1/load":
			b, _ := io.ReadAll(r.Body)
			e := Error{Code: CodeIncompatible, Rule: "HG0091", Message: string(b) + r.URL.RawQuery + r.Header.Get(DigestHeader), Evidence: []Evidence{{What: "w"}}}
			w.Header().Set("Content-Type", TypeJSON)
			w.WriteHeader(e.HTTPStatus())
			_ = json.NewEncoder(w).Encode(e)
		default:
			http.Error(w, "what?", http.StatusNotFound)
		}
	})
	c := NewClient(socket)
	defer c.Close()
	body := strings.NewReader("bytes")
	_, err := c.Load(t.Context(), body, 5, LoadOptions{DryRun: true, Digest: "d"})
	var e *Error
	if !errors.As(err, &e) || e.Message != "bytesdry_run=1d" || e.Status != http.StatusConflict || e.Rule != "HG0091" || len(e.Evidence) != 1 {
		t.Errorf("load: %+v", e)
	}
	if _, err := c.History(t.Context()); !errors.As(err, &e) || e.Code != CodeInternal || !strings.Contains(e.Message, "what?") {
		t.Errorf("an answer that is no host's: %v", err)
	}
	if _, err := c.LoadPath(t.Context(), filepath.Join(run, "nothing"), LoadOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	bored := errors.New("bored")
	cancel(bored)
	if _, err := c.Status(ctx); !errors.Is(err, bored) {
		t.Errorf("a caller who gave up: %v", err)
	}
	close(release)
	gone := NewClient(filepath.Join(run, "gone.sock"))
	var ue *UnreachableError
	if _, err := gone.Status(t.Context()); !errors.As(err, &ue) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no host: %v", err)
	}
}

func TestEventsEndWithTheReasonAndKeepTheLastID(t *testing.T) {
	run := environment(t)
	socket := filepath.Join(run, "h.sock")
	serve(t, socket, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", TypeEvents)
		fmt.Fprintf(w, ": hello\n\nid: %s1\ndata: {\"v\":1,\"event\":\"loaded\"}\n\nid: b\ndata: {\"v\":1,\ndata: \"event\":\"failed\"}\n\n", r.Header.Get("Last-Event-ID"))
	})
	c := NewClient(socket)
	defer c.Close()
	var got []string
	err := c.Events(t.Context(), "a", func(id string, ev Event) error {
		got = append(got, id+" "+string(ev.Event))
		return nil
	})
	var ue *UnreachableError
	if !errors.As(err, &ue) || !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if s := strings.Join(got, ", "); s != "a1 loaded, b failed" {
		t.Errorf("events %q", s)
	}
	enough := errors.New("enough")
	if err := c.Events(t.Context(), "", func(string, Event) error { return enough }); err != enough {
		t.Errorf("the callback's error came back as %v", err)
	}
}

// FuzzReadEvents: a stream of junk never panics, and an event that follows a
// clean break is found.
func FuzzReadEvents(f *testing.F) {
	for _, s := range []string{"", ": x\n\n", "data: {}\n\n", "id: 1\ndata: {\"v\":1}\n\n", "data: {\n\n", "data\ndata:\n\n", "\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, junk string) {
		n := 0
		if err := readEvents(strings.NewReader(junk), func(string, Event) error { n++; return nil }); err != nil {
			return
		}
		last := ""
		if err := readEvents(strings.NewReader(junk+"\n\nid: last\ndata: {\"v\":1}\n\n"), func(id string, _ Event) error { last = id; return nil }); err == nil && last != "last" {
			t.Errorf("the event behind %q was lost (id %q)", junk, last)
		}
	})
}
