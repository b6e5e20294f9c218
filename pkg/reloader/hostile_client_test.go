//go:build linux && cgo

package reloader_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// dial connects to the host's socket for what no client of ours would send.
func (h *host) dial() *net.UnixConn {
	h.t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.Socket(), Net: "unix"})
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.stderr)
	}
	return c
}

// postJSON sends a value and gives the error of the answer.
func (h *host) postJSON(t *testing.T, path string, value any) error {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return h.post(t, path, b)
}

func (h *host) post(t *testing.T, path string, body []byte) error {
	t.Helper()
	c := h.dial()
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, control.TypeJSON, len(body), body)
	return answered(t, c)
}

// answered reads an answer and gives the error in it. Closing the connection is
// the caller's: closing the body would wait for the end of a stream.
func answered(t *testing.T, c net.Conn) error {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := &control.Error{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(e); err != nil || e.Code == "" || e.Message == "" {
		t.Fatalf("answer %s without an error (%v)", resp.Status, err)
	}
	return e
}

const uploadHead = "POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: " + control.TypeArtifact + "\r\n"

func TestHostileClientsDoNotPoisonTheHost(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20
	v := newVictim(t, fmt.Sprint("TEST_MAX_BYTES=", limit))
	v.suffer(t, []attack{
		{"2 GB announced", func(t *testing.T, v *victim) {
			sent, err := v.flood(t, fmt.Sprintf("%sContent-Length: %d\r\n\r\n", uploadHead, 2<<30), func(w io.Writer, b []byte) error {
				_, err := w.Write(b)
				return err
			})
			// What fits into the kernel's buffers is sent unasked.
			if (result{err: err}).code() != control.CodeTooLarge || sent > 4<<20 {
				t.Errorf("%v after %d bytes", err, sent)
			}
		}},
		{"2 GB in chunks", func(t *testing.T, v *victim) {
			sent, err := v.flood(t, uploadHead+"Transfer-Encoding: chunked\r\n\r\n", func(w io.Writer, b []byte) error {
				_, err := fmt.Fprintf(w, "%x\r\n%s\r\n", len(b), b)
				return err
			})
			if (result{err: err}).code() != control.CodeTooLarge || sent < limit || sent > limit+4<<20 {
				t.Errorf("%v after %d bytes", err, sent)
			}
		}},
		{"body that does not arrive", func(t *testing.T, v *victim) {
			// All places for uploads are taken by clients that send a byte. That
			// they are cut off in time is another test's: see
			// TestUploadThatTricklesIsCutOff.
			const places = 4
			var slow []net.Conn
			for range places {
				c := v.dial()
				defer c.Close()
				fmt.Fprintf(c, "%sContent-Length: 1000000\r\n\r\nx", uploadHead)
				slow = append(slow, c)
			}
			v.eventually("four uploads", func() bool { return len(v.copies(v.tmp)) == places })
			if e := v.refuses(good(t), control.CodeBusy); e.Status != http.StatusServiceUnavailable {
				t.Errorf("status %d", e.Status)
			}
			// Whoever is on this machine needs no place.
			ev, err := v.LoadPath(t.Context(), good(t), control.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			v.generation = ev.Generation
			for _, c := range slow {
				c.Close()
			}
			v.eventually("the uploads to be given up", func() bool { return len(v.copies(v.tmp)) == 0 })
		}},
		{"gone in the middle", func(t *testing.T, v *victim) {
			for i := range 50 {
				c := v.dial()
				fmt.Fprintf(c, "%sContent-Length: 1000000\r\n\r\n%s", uploadHead, bytes.Repeat([]byte("x"), i*1000))
				c.Close()
			}
			v.eventually("the copies to go", func() bool { return len(v.copies(v.tmp)) == 0 && v.connections() <= 1 })
		}},
		{"half an artifact", func(t *testing.T, v *victim) {
			b := variantBytes(t, "good")
			c := v.dial()
			defer c.Close()
			fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", uploadHead, len(b), b[:len(b)/2])
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := answered(t, c); (result{err: err}).code() != control.CodeBadRequest {
				t.Errorf("error %v", err)
			}
		}},
		{"garbage", func(t *testing.T, v *victim) { v.takesGarbage(t, 1000) }},
		{"deep JSON", func(t *testing.T, v *victim) {
			body := `{"plugin":` + strings.Repeat("[", 60_000)
			if err := v.post(t, "/v1/rollback", []byte(body)); (result{err: err}).code() != control.CodeBadRequest {
				t.Errorf("error %v", err)
			}
		}},
		{"names with a path in them", func(t *testing.T, v *victim) {
			for _, name := range []string{"../../etc/passwd", "pricing/../pricing", "", "\x00", "pricing\n"} {
				if err := v.postJSON(t, "/v1/rollback", control.RollbackRequest{Plugin: name}); (result{err: err}).code() != control.CodeNotFound {
					t.Errorf("%q: %v", name, err)
				}
			}
		}},
		{"one artifact from 20 clients", func(t *testing.T, v *victim) {
			path, swapped := good(t), 0
			for i, r := range atOnce(20, func(i int) (*control.Event, error) { return v.push(path, i%2 == 0) }) {
				switch {
				case r.err != nil || r.event.Generation <= v.generation:
					t.Fatalf("client %d: %+v, %v", i, r.event, r.err)
				case r.event.Verdict == control.Swapped:
					swapped++
				case r.event.Verdict != control.Unchanged:
					t.Errorf("client %d: verdict %s", i, r.event.Verdict)
				}
			}
			if swapped != 1 {
				t.Errorf("%d of 20 clients swapped", swapped)
			}
			v.generation++
		}},
		{"8 artifacts at once", func(t *testing.T, v *victim) {
			var paths []string
			for range 8 {
				paths = append(paths, good(t))
			}
			seen := map[int]bool{}
			for i, r := range atOnce(len(paths), func(i int) (*control.Event, error) { return v.push(paths[i], i%2 == 0) }) {
				if r.err != nil || r.event.Verdict != control.Swapped || seen[r.event.Generation] {
					t.Fatalf("client %d: %+v, %v", i, r.event, r.err)
				}
				seen[r.event.Generation] = true
			}
			v.generation += len(paths)
			if !seen[v.generation] {
				t.Errorf("generations %v, want one to be %d", seen, v.generation)
			}
		}},
		{"subscribers who do not read", func(t *testing.T, v *victim) {
			const places = 16
			for range places {
				c := v.dial()
				defer c.Close()
				fmt.Fprint(c, "GET /v1/events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: x-0\r\n\r\n")
				if err := answered(t, c); err != nil { // its beginning
					t.Fatal(err)
				}
			}
			c := v.dial()
			defer c.Close()
			fmt.Fprint(c, "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")
			if err := answered(t, c); (result{err: err}).code() != control.CodeBusy {
				t.Errorf("one more: %v", err)
			}
		}},
	})
}

// TestSilentClientsDoNotKeepOthersOutForEver takes every connection there is
// with clients that send their headers a byte at a time.
func TestSilentClientsDoNotKeepOthersOutForEver(t *testing.T) {
	t.Parallel()
	const places = 64
	v := newVictim(t)
	v.suffer(t, []attack{{"headers that trickle", func(t *testing.T, v *victim) {
		done := make(chan struct{})
		var writers sync.WaitGroup
		for range places {
			c := v.dial()
			writers.Go(func() {
				defer c.Close()
				again := time.NewTicker(50 * time.Millisecond)
				defer again.Stop()
				for {
					if _, err := c.Write([]byte("X")); err != nil {
						return
					}
					select {
					case <-done:
						return
					case <-again.C:
					}
				}
			})
		}
		v.eventually("all places to be taken", func() bool { return v.connections() >= places })
		v.serves(v.price, v.generation)
		v.loadsGood() // after its connection has waited for the first place
		close(done)
		writers.Wait()
	}}})
}

// flood sends up to 2 GB of zeros behind a header, and gives how many bytes it
// got rid of and the host's answer.
func (h *host) flood(t *testing.T, head string, write func(w io.Writer, b []byte) error) (sent int64, err error) {
	t.Helper()
	c := h.dial()
	defer c.Close()
	var sender sync.WaitGroup
	sender.Go(func() {
		b := make([]byte, 64<<10)
		_, err := io.WriteString(c, head)
		for err == nil && sent < 2<<30 {
			if err = write(c, b); err == nil {
				sent += int64(len(b))
			}
		}
	})
	err = answered(t, c)
	c.Close()
	sender.Wait()
	return sent, err
}

// push loads an artifact, by upload or by path, and tries again while the host
// says that it is busy.
func (h *host) push(path string, upload bool) (*control.Event, error) {
	load := h.LoadPath
	if upload {
		load = h.LoadFile
	}
	for {
		ev, err := load(h.t.Context(), path, control.LoadOptions{})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.CodeBusy {
			return ev, err
		}
	}
}

// takesGarbage sends damaged requests, eight at a time. Each is answered, and
// never by a fault of the host's, or its connection is closed.
func (h *host) takesGarbage(t *testing.T, requests int) {
	t.Helper()
	seeds := []string{
		"GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /v1/history HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\nGET /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /v1/events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 00-18446744073709551616\r\n\r\n",
		"POST /v1/rollback HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"plugin\":\"other\",\"to\":77}",
		"POST /v1/load?dry_run=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x7fELF\r\n0\r\n\r\n",
		"POST /v1/load HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\nHotgo-Digest: sha256:00\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n\x7fELF",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello, TLS",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(worker)))
			for range requests / 8 {
				request := damage(r, []byte(seeds[r.IntN(len(seeds))]))
				c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.Socket(), Net: "unix"})
				if err != nil {
					t.Errorf("after %q: %v", request, err)
					return
				}
				_, _ = c.Write(request)
				_ = c.CloseWrite() // otherwise it would wait for what is missing
				answer, _ := io.ReadAll(c)
				c.Close()
				if bytes.HasPrefix(answer, []byte("HTTP/1.1 500")) {
					t.Errorf("%q is answered by %q", request, answer)
				}
			}
		})
	}
	all.Wait()
}

// damage changes a request in one to four places.
func damage(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = b[:at+1]
		case 2:
			b = append(b[:at:at], append([]byte{byte(r.Uint32())}, b[at:]...)...)
		case 3: // a part once more
			b = append(b[:at:at], append(bytes.Clone(b[at:]), b[at:]...)...)
		case 4:
			b = append(b[:at:at], append(bytes.Repeat(b[at:at+1], r.IntN(2000)), b[at:]...)...)
		case 5: // a number of another size
			b = bytes.Replace(b, []byte("Length: "), []byte("Length: "+[]string{"-", "99999999999", "0", "+", "0x"}[r.IntN(5)]), 1)
		}
	}
	return b
}

// TestWebPagesCannotDriveAMountedHost sends, to the handler on a TCP port, what
// a page in a browser on the same machine can: with an artifact that loads when
// it comes from anyone else.
func TestWebPagesCannotDriveAMountedHost(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	addr := v.ask("mount")
	v.listeners++
	v.become()
	artifact, err := os.ReadFile(good(t))
	if err != nil {
		t.Fatal(err)
	}
	send := func(t *testing.T, method, contentType string, header ...string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/hotgo/v1/load", bytes.NewReader(artifact))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		// A refused body is not read, and the answer may be lost in the reset.
		req.Header.Set("Expect", "100-continue")
		tr := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("a browser is told %s: %q", name, resp.Header[name])
			}
		}
		return resp.StatusCode
	}
	const octets = control.TypeArtifact
	page := func(status int, method, contentType string, header ...string) func(*testing.T, *victim) {
		return func(t *testing.T, v *victim) {
			if got := send(t, method, contentType, header...); got != status {
				t.Errorf("status %d, want %d", got, status)
			}
		}
	}
	v.suffer(t, []attack{
		{"fetch", page(403, "POST", octets, "Origin", "http://evil.example")},
		{"fetch from a file", page(403, "POST", octets, "Origin", "null")},
		{"fetch from another port", page(403, "POST", octets, "Origin", "http://"+addr, "Sec-Fetch-Site", "same-site")},
		{"fetch from a rebound name", page(403, "POST", octets, "Host", "evil.example")},
		{"fetch from a name like ours", page(403, "POST", octets, "Host", "localhost.evil.example:80")},
		{"fetch from an address like ours", page(403, "POST", octets, "Host", "127.0.0.1.evil.example")},
		{"fetch without Origin", page(403, "POST", octets, "Sec-Fetch-Site", "cross-site")},
		{"fetch by our own page", page(403, "POST", octets, "Sec-Fetch-Site", "same-origin")},
		{"asking for permission", page(403, "OPTIONS", "", "Origin", "http://evil.example", "Access-Control-Request-Method", "POST")},
		{"form", page(415, "POST", "multipart/form-data; boundary=x")},
		{"form of text", page(415, "POST", "text/plain")},
		{"beacon", page(415, "POST", "text/plain;charset=UTF-8")},
		{"curl", func(t *testing.T, v *victim) {
			if got := send(t, "POST", octets); got != 200 {
				t.Fatalf("status %d", got)
			}
			v.generation++
		}},
	})
}
