package reloader

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// answer is what a call gave.
type answer struct {
	status int
	header http.Header
	body   string
	err    control.Error // where the body is one
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
	_ = json.Unmarshal(b, &a.err)
	return a
}

func request(t *testing.T, method, url string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	return req
}

// everybody lets all who come over a router load.
func everybody(*http.Request) (Access, string) { return WriteAccess, "" }

// mounted serves a host's handler below a prefix of a TCP router, to everybody.
func mounted(t *testing.T, o Options) (*Host, *fakeProcess, string) {
	t.Helper()
	o.Authorize = everybody
	return mountedAsIs(t, o)
}

func mountedAsIs(t *testing.T, o Options) (*Host, *fakeProcess, string) {
	t.Helper()
	f := newFakeProcess(t)
	h := openHost(t, o, f)
	mux := http.NewServeMux()
	mux.Handle("/hotgo/", h.Handler())
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return h, f, s.URL + "/hotgo"
}

const (
	ctype  = "Content-Type"
	octets = control.TypeArtifact
)

func TestCallsThatMustBeRefused(t *testing.T) {
	_, _, url := mounted(t, Options{MaxArtifactBytes: 1000})
	big := strings.Repeat("x", 2000)
	good := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		name   string
		req    *http.Request
		status int
		code   string
	}{
		{"unknown call", request(t, "GET", url+"/v2/status", nil), 404, control.CodeNotFound},
		{"wrong method", request(t, "PUT", url+"/v1/load", nil), 405, control.CodeBadRequest},
		{"no content type", request(t, "POST", url+"/v1/load", strings.NewReader("x")), 415, control.CodeBadRequest},
		{"a form", request(t, "POST", url+"/v1/load", strings.NewReader("x"), ctype, "application/x-www-form-urlencoded"), 415, control.CodeBadRequest},
		{"GET with a body", request(t, "GET", url+"/v1/status", strings.NewReader("x")), 400, control.CodeBadRequest},
		{"no artifact", request(t, "POST", url+"/v1/load", strings.NewReader("x"), ctype, octets), 422, control.CodeNotArtifact},
		{"announced too large", request(t, "POST", url+"/v1/load", strings.NewReader(big), ctype, octets), 413, control.CodeTooLarge},
		{"too large", request(t, "POST", url+"/v1/load", io.MultiReader(strings.NewReader(big)), ctype, octets), 413, control.CodeTooLarge},
		{"another digest", request(t, "POST", url+"/v1/load", strings.NewReader("x"), ctype, octets, control.DigestHeader, good), 400, control.CodeDigest},
		{"bad digest", request(t, "POST", url+"/v1/load", strings.NewReader("x"), ctype, octets, control.DigestHeader, "md5:1"), 400, control.CodeBadRequest},
		{"bad dry_run", request(t, "POST", url+"/v1/load?dry_run=maybe", strings.NewReader("x"), ctype, octets), 400, control.CodeBadRequest},
		{"relative path", request(t, "POST", url+"/v1/load", strings.NewReader(`{"path":"../x","digest":"`+good+`"}`), ctype, control.TypeJSON), 400, control.CodeBadRequest},
		{"path without digest", request(t, "POST", url+"/v1/load", strings.NewReader(`{"path":"/x"}`), ctype, control.TypeJSON), 400, control.CodeBadRequest},
		{"path to nothing", request(t, "POST", url+"/v1/load", strings.NewReader(`{"path":"/nothing/here","digest":"`+good+`"}`), ctype, control.TypeJSON), 404, control.CodeNotFound},
		{"unknown field", request(t, "POST", url+"/v1/rollback", strings.NewReader(`{"plugin":"a","too":1}`), ctype, control.TypeJSON), 400, control.CodeBadRequest},
		{"two documents", request(t, "POST", url+"/v1/rollback", strings.NewReader(`{"plugin":"a"}{}`), ctype, control.TypeJSON), 400, control.CodeBadRequest},
		{"negative generation", request(t, "POST", url+"/v1/rollback", strings.NewReader(`{"plugin":"a","to":-1}`), ctype, control.TypeJSON), 400, control.CodeBadRequest},
		{"large JSON", request(t, "POST", url+"/v1/rollback", strings.NewReader(`{"plugin":"`+strings.Repeat("a", maxJSONBody)+`"}`), ctype, control.TypeJSON), 413, control.CodeTooLarge},
		{"unknown plugin", request(t, "POST", url+"/v1/rollback", strings.NewReader(`{"plugin":"a"}`), ctype, control.TypeJSON), 404, control.CodeNotFound},
		{"a page's script", request(t, "GET", url+"/v1/status", nil, "Origin", "http://evil.example"), 403, control.CodeForbidden},
		{"a page's image", request(t, "GET", url+"/v1/status", nil, "Sec-Fetch-Site", "cross-site"), 403, control.CodeForbidden},
		{"a rebound name", request(t, "GET", url+"/v1/status", nil, "Host", "evil.example:80"), 403, control.CodeForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := do(t, c.req)
			if a.status != c.status || a.err.Code != c.code || a.err.Message == "" {
				t.Errorf("answer %d %s, want %d with code %s", a.status, a.body, c.status, c.code)
			}
			if got := a.header.Get(ctype); got != control.TypeJSON {
				t.Errorf("content type %q", got)
			}
		})
	}
	if a := do(t, request(t, "GET", url+"/v1/status", nil, "Host", "localhost:1", "Sec-Fetch-Site", "none")); a.status != 200 {
		t.Errorf("a person's own request: %d %s", a.status, a.body)
	}
}

func TestMountedHandlerLoadsAndTells(t *testing.T) {
	h, f, url := mounted(t, Options{Name: "shop"})
	price := Bind(h, "pricing", "Price", times(1))
	b, err := os.ReadFile(f.version("pricing", "a", prices(2)))
	if err != nil {
		t.Fatal(err)
	}
	a := do(t, request(t, "POST", url+"/v1/load?dry_run=1", bytes.NewReader(b), ctype, octets))
	if a.status != 200 || price.Generation() != 0 {
		t.Fatalf("dry run: %d %s", a.status, a.body)
	}
	if a = do(t, request(t, "POST", url+"/v1/load?dry_run=1", strings.NewReader("no artifact"), ctype, octets)); a.status != 422 {
		t.Fatalf("dry run of nothing: %d %s", a.status, a.body)
	}
	a = do(t, request(t, "POST", url+"/v1/load", bytes.NewReader(b), ctype, octets))
	var ev control.Event
	if err := json.Unmarshal([]byte(a.body), &ev); err != nil || a.status != 200 || ev.Verdict != control.Swapped {
		t.Fatalf("load: %d %s", a.status, a.body)
	}
	if price.Get()(1) != 2 {
		t.Error("the handle did not move")
	}
	a = do(t, request(t, "GET", url+"/metrics", nil))
	for _, want := range []string{
		`hotgo_loads_total{plugin="pricing",verdict="swapped"} 1`, `hotgo_live_generation{plugin="pricing"} 1`, "# TYPE hotgo_stuck_goroutines gauge",
	} {
		if !strings.Contains(a.body, want+"\n") {
			t.Errorf("metrics lack %q:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, `verdict="failed"`) {
		t.Errorf("a question counts as a failure:\n%s", a.body)
	}
	var history control.History
	a = do(t, request(t, "GET", url+"/v1/history", nil))
	err = json.Unmarshal([]byte(a.body), &history)
	events := slices.DeleteFunc(history.Events, func(e control.Event) bool { return e.Event == control.KindNote }) // about the release of Go
	if err != nil || len(events) < 4 || events[0].Event != control.KindStarted || !events[1].DryRun || !events[2].DryRun || events[3].DryRun {
		t.Errorf("history: %s", a.body)
	}
	var s control.Status
	a = do(t, request(t, "GET", url+"/v1/status", nil))
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || s.Name != "shop" || s.BuildID != "fake" || s.Plugins[0].Symbols[0].Type != "func(int) int" {
		t.Errorf("status: %s", a.body)
	}
}

func TestPanicInHandlerIsAnsweredAndSurvived(t *testing.T) {
	f := newFakeProcess(t)
	p := f.platform()
	p.host = func() (*abi.Fingerprint, error) { panic("broken") }
	h, err := newHost(Options{NoSocket: true}, p)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s := httptest.NewServer(h.Handler())
	defer s.Close()
	if a := do(t, request(t, "GET", s.URL+"/v1/status", nil)); a.status != 500 || a.err.Code != control.CodeInternal {
		t.Errorf("answer %d %s", a.status, a.body)
	}
	if a := do(t, request(t, "GET", s.URL+"/v1/history", nil)); a.status != 200 {
		t.Errorf("the next call: %d %s", a.status, a.body)
	}
}

// pipes is a listener of in-memory connections, whose deadlines follow the
// clock of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// bubble serves a host on in-memory connections of its own user.
func bubble(t *testing.T) (*Host, *pipes) {
	return bubbleOf(t, func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, peer{access: WriteAccess, own: true})
	})
}

func bubbleOf(t *testing.T, who func(context.Context, net.Conn) context.Context) (*Host, *pipes) {
	h := openHost(t, Options{Authorize: everybody}, newFakeProcess(t))
	l := newPipes()
	s := &http.Server{Handler: h.Handler(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, ConnContext: who, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go s.Serve(l)
	t.Cleanup(func() {
		s.Close()
		// net/http lets a connection that it closes early linger for 500 ms
		// (go1.27 net/http/server.go, closeWriteAndWait); here they are over
		// at once.
		<-time.After(time.Second)
	})
	return h, l
}

func TestUploadThatTricklesIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := bubble(t)
		c := l.dial()
		var sender sync.WaitGroup
		defer sender.Wait()
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n", octets)
		sender.Go(func() {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				<-time.After(5 * time.Second)
			}
		})
		start := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); resp.StatusCode != http.StatusRequestTimeout || took != stallTimeout {
			t.Errorf("status %d after %v", resp.StatusCode, took)
		}
	})
}

func TestSlowUploadThatMovesOnIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := bubble(t)
		c := l.dial()
		defer c.Close()
		const parts = 20
		fmt.Fprintf(c, "POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", octets, parts*stallBytes)
		var sender sync.WaitGroup
		defer sender.Wait()
		sender.Go(func() {
			for range parts {
				c.Write(make([]byte, stallBytes))
				<-time.After(stallTimeout / 2)
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnprocessableEntity { // it is no artifact, but it arrived
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestSubscriberWhoDoesNotReadIsDroppedAndBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := bubble(t)
		c := l.dial()
		defer c.Close()
		fmt.Fprint(c, "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")
		synctest.Wait()
		if got := len(h.api.streams.all); got != 1 {
			t.Fatalf("%d streams", got)
		}
		for range 5000 {
			h.record(control.Event{Event: control.KindNote, Reason: "busy"})
		}
		<-time.After(2 * answerTimeout)
		synctest.Wait()
		if got := len(h.api.streams.all); got != 0 {
			t.Errorf("%d streams after the client did not read for %v", got, 2*answerTimeout)
		}
	})
}

func TestEventsReplayAfterTheLastSeenAndKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := bubble(t)
		id := h.journal.Last()
		h.record(control.Event{Event: control.KindNote, Reason: "one"})
		h.record(control.Event{Event: control.KindNote, Reason: "two"})
		c := l.dial()
		fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: %s\r\n\r\n", id)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		var got []string
		for len(got) < 4 && lines.Scan() {
			switch line := lines.Text(); {
			case strings.Contains(line, `"one"`):
				got = append(got, "one")
			case strings.Contains(line, `"two"`):
				got = append(got, "two")
				time.AfterFunc(time.Minute, func() { h.record(control.Event{Event: control.KindNote, Reason: "three"}) })
			case strings.HasPrefix(line, ":") && len(got) == 2:
				got = append(got, "keep-alive")
			case strings.Contains(line, `"three"`):
				got = append(got, "three")
			}
		}
		if want := "one two keep-alive three"; strings.Join(got, " ") != want {
			t.Errorf("stream gave %q, want %q", got, want)
		}
		c.Close()
	})
}

func TestUploadsAreLimitedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := bubble(t)
		head := "POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: " + octets + "\r\nContent-Length: 10\r\n\r\n"
		for range maxUploads {
			c := l.dial()
			defer c.Close()
			fmt.Fprint(c, head)
		}
		synctest.Wait()
		c := l.dial()
		defer c.Close()
		go fmt.Fprint(c, head)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
		}
	})
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestSocketServesItsUserAndGoesWithTheHost(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s", "h.sock")
	f := newFakeProcess(t)
	h, err := newHost(Options{Name: "shop", Socket: socket}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.Socket() != socket {
		t.Errorf("socket %q", h.Socket())
	}
	if _, err := newHost(Options{Socket: socket}, f.platform()); err == nil {
		t.Error("a second host took the socket")
	}
	c := control.NewClient(socket)
	defer c.Close()
	s, err := c.Status(t.Context())
	if err != nil || s.Name != "shop" || s.Socket != socket {
		t.Fatalf("status %+v, %v", s, err)
	}
	// A stream is open while the host closes.
	ended := make(chan error, 1)
	seen := make(chan string, 1)
	go func() {
		ended <- c.Events(t.Context(), "x-0", func(id string, ev control.Event) error {
			select {
			case seen <- id:
			default:
			}
			return nil
		})
	}()
	<-seen
	ev, err := c.LoadFile(t.Context(), f.version("pricing", "a", prices(2)), control.LoadOptions{})
	if err != nil || ev.Caller == nil || ev.Caller.PID != os.Getpid() {
		t.Errorf("load: %+v, %v", ev, err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	var ue *control.UnreachableError
	if err := <-ended; !errors.As(err, &ue) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket after Close: %v", err)
	}
	if _, err := c.Status(t.Context()); !errors.As(err, &ue) {
		t.Errorf("status after Close: %v", err)
	}
}
