package reloader

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// reads are the calls that change nothing, and end.
var reads = []string{"/v1/status", "/v1/history", "/metrics"}

func (f *fakeProcess) bytes(plugin, version string, price int) []byte {
	f.t.Helper()
	b, err := os.ReadFile(f.version(plugin, version, prices(price)))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func TestMountedHandlerChangesNothingUntilItIsAuthorized(t *testing.T) {
	h, f, url := mountedAsIs(t, Options{})
	price := Bind(h, "pricing", "Price", times(1))
	b := f.bytes("pricing", "a", 2)
	for _, path := range reads {
		if a := do(t, request(t, "GET", url+path, nil)); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for path, body := range map[string]string{"/v1/load": string(b), "/v1/load?dry_run=1": string(b), "/v1/rollback": `{"plugin":"pricing","to":0}`} {
		kind := octets
		if strings.HasPrefix(body, `{"plugin":"pricing","to`) {
			kind = control.TypeJSON
		}
		a := do(t, request(t, "POST", url+path, strings.NewReader(body), ctype, kind))
		if a.status != 403 || a.err.Code != control.CodeForbidden || a.err.Limit != "the host's Options.Authorize" || a.err.Next == "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if price.Generation() != 0 || len(f.opened) > 0 {
		t.Error("something was loaded")
	}
}

func TestEmbedderDecidesWhoMayDoWhatOverARouter(t *testing.T) {
	calls := make(chan ControlCall, 10)
	f := newFakeProcess(t)
	h := openHost(t, Options{
		Audit: func(c ControlCall) { calls <- c },
		Authorize: func(r *http.Request) (Access, string) {
			switch r.Header.Get("Authorization") {
			case "Bearer deploy":
				return WriteAccess, "ci"
			case "Bearer look":
				return ReadAccess, "prometheus"
			case "Bearer bad":
				panic("a bad day")
			}
			return NoAccess, ""
		},
	}, f)
	s := httptest.NewServer(h.Handler())
	defer s.Close()
	b := f.bytes("pricing", "a", 2)
	for _, c := range []struct {
		token       string
		read, write int
		who         string
	}{
		{"", 403, 403, ""},
		{"Bearer look", 200, 403, "prometheus"},
		{"Bearer bad", 500, 500, ""},
		{"Bearer deploy", 200, 200, "ci"},
	} {
		if a := do(t, request(t, "GET", s.URL+"/v1/status", nil, "Authorization", c.token)); a.status != c.read {
			t.Errorf("%q reads: %d %s", c.token, a.status, a.body)
		}
		<-calls
		a := do(t, request(t, "POST", s.URL+"/v1/load", bytes.NewReader(b), ctype, octets, "Authorization", c.token))
		call := <-calls
		if a.status != c.write || call.Status != c.write || call.Caller.Name != c.who || call.Caller.UID != -1 || call.Caller.Remote == "" {
			t.Errorf("%q writes: %d %s; the audit has %+v", c.token, a.status, a.body, call)
		}
		if (len(f.opened) > 0) != (c.write == 200) {
			t.Errorf("%q: opened %q", c.token, f.opened)
		}
		if last := h.History()[len(h.History())-1]; c.write == 200 && (last.Caller == nil || last.Caller.Name != "ci" || last.Caller.UID != -1) {
			t.Errorf("the history has %+v", last.Caller)
		}
	}
}

// A router or proxy in front may let some paths through and keep others back. No
// path that is let through leads to a call that it does not name.
func TestPathLeadsToOneCallAlone(t *testing.T) {
	h := openHost(t, Options{Authorize: everybody}, newFakeProcess(t))
	for target, want := range map[string]int{
		"/v1/status":                     200,
		"/hotgo/v1/status":               200,
		"/api/v1/hotgo/v1/status":        200,
		"/v1/metrics":                    200, // below a prefix
		"/v1/status/v1/rollback":         404,
		"/hotgo/v1/status/v1/rollback":   404,
		"/hotgo/metrics/v1/rollback":     404,
		"/v1/load/metrics":               404,
		"/hotgo/v1/rollback/v1/rollback": 404,
		"/hotgo/x/../v1/status":          404,
		"/hotgo//v1/status":              404,
		"/hotgo/./v1/status":             404,
		"/hotgo/v1/status/":              404,
		"/hotgo%2Fv1/status":             404,
		"/hotgo/v1%2Fstatus":             404,
		"/hotgo/v1/status%2Fv1/rollback": 404,
		"/hotgo/v1/rollback%3f":          404,
		"/hotgo/v1/status;x=1":           404,
		"/hotgo/V1/Status":               404,
	} {
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+target, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}

// raw sends bytes to a server's address and gives all that it answers until it closes
// the connection. The client's side stays open: a client that has gone is a reason to
// give a load up.
func raw(t *testing.T, url, text string) []*http.Response {
	t.Helper()
	addr, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	var all []*http.Response
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return all
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return all
		}
		resp.Body = io.NopCloser(bytes.NewReader(b))
		all = append(all, resp)
	}
}

// A request that two servers in a row read differently hides another one in its
// body. None of these makes the host do what the hidden one says.
func TestHiddenRequestsAreNotAnswered(t *testing.T) {
	h, f, url := mounted(t, Options{})
	price := Bind(h, "pricing", "Price", times(1))
	b := f.bytes("pricing", "a", 2)
	hidden := fmt.Sprintf("POST /hotgo/v1/load HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", octets, len(b), b)
	const json = "Host: localhost\r\nContent-Type: application/json\r\n"
	for name, text := range map[string]string{
		"length for one, chunks for the other": fmt.Sprintf("POST /hotgo/v1/rollback HTTP/1.1\r\n%sContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", json, len(hidden)+5, hidden),
		"chunks, and more behind them":         "POST /hotgo/v1/rollback HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + hidden,
		"an encoding that nobody knows":        "POST /hotgo/v1/rollback HTTP/1.1\r\n" + json + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"an encoding twice":                    "POST /hotgo/v1/rollback HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":                          fmt.Sprintf("POST /hotgo/v1/rollback HTTP/1.1\r\n%sContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s", json, len(hidden), hidden),
		"a length with a sign":                 "POST /hotgo/v1/rollback HTTP/1.1\r\n" + json + "Content-Length: +0\r\n\r\n" + hidden,
		"a space before the colon":             fmt.Sprintf("POST /hotgo/v1/rollback HTTP/1.1\r\n%sContent-Length : %d\r\n\r\n%s", json, len(hidden), hidden),
		"a body of GET":                        fmt.Sprintf("GET /hotgo/v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"a header over two lines":              "POST /hotgo/v1/rollback HTTP/1.1\r\n" + json + "X: y\r\n Content-Length: 0\r\n\r\n" + hidden,
		"a refused body":                       fmt.Sprintf("POST /hotgo/v1/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"two hosts":                            "GET /hotgo/v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n" + hidden,
	} {
		for i, resp := range raw(t, url, text) {
			if resp.StatusCode < 400 {
				t.Errorf("%s: answer %d is %s", name, i, resp.Status)
			}
		}
		if price.Generation() != 0 {
			t.Fatalf("%s: the hidden request was answered", name)
		}
	}
	// Also behind one that is answered: what follows chunks may be of their body to
	// whoever is in front.
	other := f.bytes("pricing", "b", 3)
	chunks := fmt.Sprintf("POST /hotgo/v1/load?dry_run=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", octets, len(other), other)
	if all := raw(t, url, chunks+hidden); len(all) != 1 || all[0].StatusCode != 200 || price.Generation() != 0 {
		t.Errorf("behind chunks: %d answers, generation %d", len(all), price.Generation())
	}
	// Where nothing is hidden, two requests in a row are two.
	if all := raw(t, url, "GET /hotgo/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"+hidden); len(all) != 2 || price.Generation() != 1 {
		t.Errorf("%d answers, generation %d", len(all), price.Generation())
	}
}

// A page on a name that its owner lets point to this machine is one of the same
// origin to the browser: nothing but Host tells.
func TestReboundNamesAreRefusedHoweverTheyAreSpelled(t *testing.T) {
	_, _, url := mounted(t, Options{})
	for request, want := range map[string]int{
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":       200,
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n":        200,
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n":                         403,
		"GET http://evil.example/hotgo/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n":         403,
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n":               403,
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80\r\n\r\n":            403,
		"GET /hotgo/v1/status HTTP/1.1\r\nHost: evillocalhost\r\n\r\n":                        403,
		"GET /hotgo/v1/status HTTP/1.0\r\n\r\n":                                               403,
		"GET /hotgo/v1/events HTTP/1.1\r\nHost: evil.example\r\nSec-Fetch-Site: none\r\n\r\n": 403,
	} {
		if all := raw(t, url, request); len(all) != 1 || all[0].StatusCode != want {
			t.Errorf("%q: %v, want %d", request, all, want)
		}
	}
}

func TestCallsOverARouterAreLimitedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := bubbleOf(t, nil)
		follow := func() *http.Response {
			c := l.dial()
			t.Cleanup(func() { c.Close() })
			fmt.Fprint(c, "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		for range guestStreams {
			if resp := follow(); resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
		}
		if resp := follow(); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one stream more: %s", resp.Status)
		}
		if len(h.api.streams.all) != guestStreams {
			t.Errorf("%d of %d streams are taken", len(h.api.streams.all), maxStreams)
		}
		// Nor do they take all places for uploads.
		head := "POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: " + octets + "\r\nContent-Length: 10\r\n\r\n"
		for range guestUploads {
			c := l.dial()
			t.Cleanup(func() { c.Close() })
			fmt.Fprint(c, head)
		}
		synctest.Wait()
		if len(h.api.uploads.all) != guestUploads {
			t.Errorf("%d uploads are under way", len(h.api.uploads.all))
		}
		c := l.dial()
		defer c.Close()
		go fmt.Fprint(c, head)
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 503 {
			t.Errorf("one upload more: %v, %v", resp, err)
		}
		if len(h.api.uploads.all) != guestUploads {
			t.Errorf("%d uploads are counted", len(h.api.uploads.all))
		}
		for range cap(h.api.guests) - len(h.api.guests) {
			h.api.guests <- struct{}{}
		}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/v1/status", nil))
		if w.Code != 503 {
			t.Errorf("one call more: %d", w.Code)
		}
	})
}

func TestLogTellsWhoChangedWhatAndIsNotFlooded(t *testing.T) {
	var log bytes.Buffer
	f := newFakeProcess(t)
	h := openHost(t, Options{Authorize: everybody, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, f)
	call := func(method, path, kind, body string) {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set(ctype, kind)
		h.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	call("POST", "/v1/load", octets, string(f.bytes("pricing", "a", 2)))
	call("POST", "/v1/load", octets, "junk")
	call("POST", "/v1/rollback", control.TypeJSON, `{"plugin":"none\nsuch"}`)
	for _, path := range reads {
		call("GET", path, "", "")
	}
	h.opts.Authorize = func(*http.Request) (Access, string) { return NoAccess, "" }
	for range 1000 {
		call("POST", "/v1/rollback", control.TypeJSON, `{"plugin":"pricing"}`)
	}
	h.opts.Authorize = nil
	call("POST", "/v1/rollback", control.TypeJSON, `{"plugin":"pricing"}`)
	type line struct {
		Msg, Level, Call, Remote, Access, Plugin, Digest, Verdict, Code string
		UID                                                             int
	}
	var got []line
	for dec := json.NewDecoder(&log); dec.More(); {
		var l line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Msg == "control call" {
			got = append(got, l)
		}
	}
	if len(got) < 4 {
		t.Fatalf("lines: %+v", got)
	}
	for i, l := range got[:3] {
		if l.Level != "INFO" || l.UID != -1 || l.Remote == "" || l.Access != "write" {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if l := got[0]; l.Call != "load" || l.Plugin != "pricing" || !strings.HasPrefix(l.Digest, "sha256:") || l.Verdict != "swapped" || l.Code != "" {
		t.Errorf("a load: %+v", l)
	}
	if l := got[1]; l.Call != "load" || l.Code != control.CodeNotArtifact || !strings.HasPrefix(l.Digest, "sha256:") || l.Verdict != "failed" {
		t.Errorf("a load that failed: %+v", l)
	}
	if l := got[2]; l.Call != "rollback" || l.Code != control.CodeNotFound {
		t.Errorf("a rollback: %+v", l)
	}
	last := got[len(got)-1]
	if got = got[:len(got)-1]; last.Access != "read" || last.Code != control.CodeForbidden {
		t.Errorf("a reader who wrote drowned among strangers; the last line is %+v", last)
	}
	if refused := got[3:]; refused[0].Level != "WARN" || refused[0].Access != "none" || len(refused) > 4*sparingBurst {
		t.Errorf("%d lines of 1000 refused calls, the first %+v", len(refused), refused[0])
	}
}
