package reloader

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Limits of one request.
const (
	maxJSONBody    = 64 << 10
	maxUploads     = 4
	maxStreams     = 16
	requestTimeout = 10 * time.Second // to read a small body
	answerTimeout  = 10 * time.Second // for the client to take an answer
)

// api answers the calls of the control protocol. One serves the socket and
// every router that it is mounted on, so the limits hold for all of them.
type api struct {
	h       *Host
	routes  []route
	uploads chan struct{}
	streams chan struct{}
}

// route is one call. answer either writes a whole answer or gives an error.
type route struct {
	method, path string
	answer       func(w http.ResponseWriter, r *http.Request) error
}

func newAPI(h *Host) *api {
	a := &api{h: h, uploads: make(chan struct{}, maxUploads), streams: make(chan struct{}, maxStreams)}
	a.routes = []route{
		{http.MethodGet, "/v1/status", a.status},
		{http.MethodPost, "/v1/load", a.load},
		{http.MethodPost, "/v1/rollback", a.rollback},
		{http.MethodGet, "/v1/window", a.window},
		{http.MethodPost, "/v1/confirm", a.confirm},
		{http.MethodGet, "/v1/history", a.history},
		{http.MethodGet, "/v1/events", a.events},
		{http.MethodGet, "/metrics", a.metrics},
	}
	return a
}

// Handler gives the control API, to be mounted on a router of the embedder's
// under any prefix, which need not be stripped:
//
//	http.Handle("/hotgo/", h.Handler())
//	router.Any("/hotgo/*any", gin.WrapH(h.Handler()))
//
// Whoever can call it can run code in this process. On the host's own socket
// the peer's user id is checked; on another router that is the embedder's
// business: listen on loopback only, or authenticate. Requests that come from
// a page in a browser are refused in any case.
func (h *Host) Handler() http.Handler { return h.api }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			a.h.opts.Logger.Error("panic in the control handler", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			writeError(w, &control.Error{Code: control.CodeInternal, Message: "the control handler failed; see the host's log"})
		}
	}()
	// Not every writer can have deadlines; then the router's own hold.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
	if err := a.serve(w, r); err != nil {
		writeError(w, asControlError(err))
	}
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) error {
	if p, ok := r.Context().Value(peerKey{}).(peer); ok && p.refused != "" {
		return &control.Error{Code: control.CodeForbidden, Message: p.refused, Limit: "the host's Options.AllowUIDs"}
	}
	if err := notFromBrowser(r); err != nil {
		return err
	}
	var allowed []string
	for _, route := range a.routes {
		if !strings.HasSuffix(r.URL.Path, route.path) {
			continue
		}
		if r.Method == route.method {
			if err := checkBody(r); err != nil {
				return err
			}
			return route.answer(w, r)
		}
		allowed = append(allowed, route.method)
	}
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("%s takes %s, not %.20s", r.URL.Path, allowed[0], r.Method), Status: http.StatusMethodNotAllowed}
	}
	return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("no call %.100q", r.URL.Path)}
}

// notFromBrowser keeps web pages from driving a host whose handler is mounted
// on a TCP port: a page that a developer happens to visit can send requests to
// localhost. Browsers mark them by Origin and Sec-Fetch-Site, except plain GETs
// to a name that was rebound to loopback, which show in Host.
func notFromBrowser(r *http.Request) error {
	forbidden := func(why string) error {
		return &control.Error{Code: control.CodeForbidden, Message: "requests of web pages are refused: " + why, Limit: "hotgo"}
	}
	if r.Header.Get("Origin") != "" {
		return forbidden("there is an Origin header")
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" {
		return forbidden("Sec-Fetch-Site is " + fmt.Sprintf("%.20q", site))
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if tcp, ok := local.(*net.TCPAddr); ok && tcp.IP.IsLoopback() && !loopbackName(r.Host) {
		return forbidden(fmt.Sprintf("%.100q is not this machine's own name for itself; use localhost", r.Host))
	}
	return nil
}

func loopbackName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host) != nil
}

// checkBody wants no body on GET and one of the two forms on POST. Both content
// types are ones that a browser asks permission for first.
func checkBody(r *http.Request) error {
	if r.Method == http.MethodGet {
		if r.ContentLength != 0 {
			return &control.Error{Code: control.CodeBadRequest, Message: "GET takes no body"}
		}
		return nil
	}
	switch mediaType(r) {
	case control.TypeJSON, control.TypeArtifact:
		return nil
	}
	return &control.Error{
		Code: control.CodeBadRequest, Status: http.StatusUnsupportedMediaType,
		Message: fmt.Sprintf("Content-Type has to be %s or %s, not %.60q", control.TypeArtifact, control.TypeJSON, r.Header.Get("Content-Type")),
		Next:    "curl -H 'Content-Type: " + control.TypeArtifact + "' --data-binary @FILE …",
	}
}

func mediaType(r *http.Request) string {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return t
}

func caller(r *http.Request) *control.Caller {
	p, _ := r.Context().Value(peerKey{}).(peer)
	return p.caller
}

// decode reads a small JSON body. Unknown fields are mistakes.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if mediaType(r) != control.TypeJSON {
		return &control.Error{Code: control.CodeBadRequest, Message: "the body has to be JSON", Status: http.StatusUnsupportedMediaType}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSONBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		err = errors.New("there is more behind it")
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return &control.Error{Code: control.CodeTooLarge, Message: fmt.Sprintf("the JSON body has more than %d bytes", maxJSONBody)}
	}
	return &control.Error{Code: control.CodeBadRequest, Message: "cannot decode the JSON body", Err: err}
}

// writeJSON sends a whole answer, within answerTimeout.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return write(w, status, control.TypeJSON, append(b, '\n'))
}

// write sends a whole answer. The deadline is taken back afterwards, because
// the connection may belong to a router that reuses it for other handlers.
func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := http.NewResponseController(w)
	if c.SetWriteDeadline(time.Now().Add(answerTimeout)) == nil {
		defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is no fault of ours
	_ = c.Flush()
	return nil
}

// writeError sends e. The connection is closed, since a refused request may
// have a body that nobody is going to read.
func writeError(w http.ResponseWriter, e *control.Error) {
	answer := *e
	answer.Message = e.Error() // the cause does not travel by itself
	w.Header().Set("Connection", "close")
	if e.Code == control.CodeBusy {
		w.Header().Set("Retry-After", "1")
	}
	_ = writeJSON(w, e.HTTPStatus(), &answer)
}
