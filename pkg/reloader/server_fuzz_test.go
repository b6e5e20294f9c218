package reloader

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Whatever is asked, the answer is what was asked for or an error of the
// protocol; the host serves what it served, and nothing is left of the request.
func FuzzHandler(f *testing.F) {
	f.Setenv("TMPDIR", f.TempDir())
	digest := "sha256:" + strings.Repeat("0", 64)
	m, err := json.Marshal(manifest("pricing", "two"))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []struct{ method, path, query, ctype, header, value, body string }{
		{"GET", "/v1/status", "", "", "", "", ""},
		{"GET", "/hotgo/v1/history", "", "", "", "", ""},
		{"GET", "/metrics", "", "", "", "", ""},
		{"GET", "/v1/events", "", "", "Last-Event-ID", "1-1", ""},
		{"GET", "/v1/events", "", "", "Last-Event-ID", "99999999999999999999-x\n", ""},
		{"POST", "/v1/load", "dry_run=1", control.TypeArtifact, control.DigestHeader, digest, "\x7fELF\x02\x01\x01"},
		{"POST", "/v1/load", "", control.TypeArtifact, "", "", string(m)},
		{"POST", "/v1/load", "dry_run=%zz&dry_run=2", control.TypeArtifact + "; x=y", "", "", ""},
		{"POST", "/v1/load", "", control.TypeJSON, "", "", `{"path":"/dev/null","digest":"` + digest + `"}`},
		{"POST", "/v1/load", "", control.TypeJSON, "Origin", "null", `{"path":"/","digest":"md5:"}`},
		{"POST", "/v1/rollback", "", control.TypeJSON, "", "", `{"plugin":"pricing","to":0}`},
		{"POST", "/v1/rollback", "", control.TypeJSON, "", "", `{"plugin":"pricing","to":-9223372036854775809}`},
		{"POST", "/v1/rollback", "", control.TypeJSON, "", "", `{"plugin":["pricing"]}{`},
		{"POST", "/v1/state", "", control.TypeJSON, "", "", `{"plugin":"pricing"}`},
		{"POST", "/v1/state", "", control.TypeJSON, "", "", `{"plugin":"pricing","list":"/dev/null","file":"/dev/full"}`},
		{"PUT", "/v1/load", "", control.TypeArtifact, "", "", "x"},
		{"\x00", "/v1/../v1/status\xff", "=&=;", "text/\xff", "Sec-Fetch-Site", "\x00", "\x00"},
	} {
		f.Add(s.method, s.path, s.query, s.ctype, s.header, s.value, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, method, path, query, ctype, header, value string, body []byte) {
		fake := newFakeProcess(t)
		h := openHost(t, Options{MaxArtifactBytes: 1 << 16, Authorize: everybody}, fake)
		price := Bind(h, "pricing", "Price", times(1))
		mustLoad(t, h, fake.version("pricing", "one", prices(2)))
		// What comes now is read as a real host reads it, but for what is one of the
		// fake's artifacts.
		known := h.platform.inspect
		h.platform.inspect = func(r io.ReaderAt, size int64) (*inspection, error) {
			if in, err := known(r, size); err == nil && fake.init[in.manifest.Key] != nil {
				return in, nil
			}
			return inspect(r, size)
		}
		fake.version("pricing", "two", prices(3))

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if strings.HasSuffix(path, "/v1/events") {
			cancel() // the client has gone: what there is is sent all the same
		}
		r := (&http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Host: "localhost",
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}).WithContext(ctx)
		if ctype != "" {
			r.Header.Set("Content-Type", ctype)
		}
		if header != "" {
			r.Header.Set(header, value)
		}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		checkAnswer(t, w)

		if got := price.Get()(1); got != 2 && got != 3 && !(got == 1 && strings.HasSuffix(path, "/v1/rollback")) {
			t.Errorf("the handle gives %d", got)
		}
		if up, streams := len(h.api.uploads.all)+len(h.api.uploads.guests), len(h.api.streams.all)+len(h.api.streams.guests)+len(h.api.guests); up+streams > 0 {
			t.Errorf("%d uploads and %d streams and calls are still counted", up, streams)
		}
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hotgo-*", runPrefix+"*", "*.so")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// checkAnswer checks the form of an answer.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	codes := []string{
		control.CodeBadRequest, control.CodeTooLarge, control.CodeForbidden, control.CodeNotArtifact, control.CodeDigest,
		control.CodeRefused, control.CodeNotFound, control.CodeTimeout, control.CodeUnsupported,
	}
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		t.Fatalf("answer %d without a type: %v", w.Code, err)
	}
	switch kind {
	case control.TypeJSON:
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer %d is no JSON: %q", w.Code, w.Body)
		}
		var e control.Error
		if w.Code != http.StatusOK && (json.Unmarshal(w.Body.Bytes(), &e) != nil || !slices.Contains(codes, e.Code) || e.Message == "" || w.Code < 400 || w.Code == 500) {
			t.Errorf("answer %d is no error of the protocol: %q", w.Code, w.Body)
		}
	case control.TypeEvents, "text/plain":
		if w.Code != http.StatusOK {
			t.Errorf("answer %d of type %s", w.Code, kind)
		}
	default:
		t.Errorf("answer of type %q", kind)
	}
}
