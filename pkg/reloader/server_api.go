package reloader

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Limits of one request.
const (
	maxJSONBody    = 64 << 10
	maxUploads     = 4
	maxStreams     = 16
	maxGuests      = 32               // calls at a time of others than the host's own user
	guestStreams   = 8                // of maxStreams
	guestUploads   = 2                // of maxUploads
	requestTimeout = 10 * time.Second // to read a small body
	answerTimeout  = 10 * time.Second // for the client to take an answer
)

// api answers the calls of the control protocol. One serves the socket and
// every router that it is mounted on, so the limits hold for all of them.
type api struct {
	h       *Host
	routes  []route
	guests  chan struct{} // calls under way of others than the host's own user
	uploads places
	streams places
}

// places bounds what is under way of one kind: for all, and for others than the
// host's own user, who thus cannot take all of it.
type places struct{ all, guests chan struct{} }

func newPlaces(all, guests int) places {
	return places{make(chan struct{}, all), make(chan struct{}, guests)}
}

// enter takes a place for a request; false means that there is none.
func (p places) enter(r *http.Request) (leave func(), ok bool) {
	from := []chan struct{}{p.all}
	if peer, _ := r.Context().Value(peerKey{}).(peer); !peer.own {
		from = append(from, p.guests)
	}
	leave = func() {}
	for _, c := range from {
		select {
		case c <- struct{}{}:
			before := leave
			leave = func() { <-c; before() }
		default:
			leave()
			return nil, false
		}
	}
	return leave, true
}

// route is one call. answer either writes a whole answer or gives an error, and
// fills in what the call led to.
type route struct {
	method, path string
	need         Access
	answer       func(w http.ResponseWriter, r *http.Request, c *ControlCall) error
}

// otherCall is the name of what is no call.
const otherCall = "other"

// name is the last element of the path.
func (r route) name() string { return path.Base(r.path) }

func newAPI(h *Host) *api {
	a := &api{
		h: h, guests: make(chan struct{}, maxGuests),
		uploads: newPlaces(maxUploads, guestUploads), streams: newPlaces(maxStreams, guestStreams),
	}
	a.routes = []route{
		{http.MethodGet, "/v1/status", ReadAccess, a.status},
		{http.MethodPost, "/v1/load", WriteAccess, a.load},
		{http.MethodPost, "/v1/rollback", WriteAccess, a.rollback},
		{http.MethodGet, "/v1/window", ReadAccess, a.window},
		{http.MethodPost, "/v1/confirm", WriteAccess, a.confirm},
		{http.MethodPost, "/v1/state", WriteAccess, a.state},
		{http.MethodGet, "/v1/history", ReadAccess, a.history},
		{http.MethodGet, "/v1/events", ReadAccess, a.events},
		{http.MethodGet, "/metrics", ReadAccess, a.metrics},
	}
	return a
}

// Handler gives the control API, to be mounted on a router of the embedder's
// under any prefix, which need not be stripped:
//
//	http.Handle("/hotgo/", h.Handler())
//	router.Any("/hotgo/*any", gin.WrapH(h.Handler()))
//
// Whoever can load can run code in this process, and on a router nobody knows who
// calls, as the host's own socket does. So it answers calls that read, and refuses
// loads and rollbacks, until Options.Authorize says who may make them. Requests
// that come from a page in a browser are refused in any case.
func (h *Host) Handler() http.Handler { return h.api }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := a.begin(r)
	defer a.end(c)
	fail := func(e *control.Error) {
		c.Code, c.Reason, c.Status = e.Code, e.Error(), e.HTTPStatus()
		writeError(w, e)
	}
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			a.h.opts.Logger.Error("panic in the control handler", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			fail(&control.Error{Code: control.CodeInternal, Message: "the control handler failed; see the host's log"})
		}
	}()
	// Not every writer can have deadlines; then the router's own hold.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
	if len(r.TransferEncoding) > 0 {
		// A proxy in front may have read the length of such a body from elsewhere.
		// What follows it on the connection is then somebody's body, and no request.
		w.Header().Set("Connection", "close")
	}
	if err := a.serve(w, r, c); err != nil {
		fail(asControlError(err))
	}
}

// serve decides whether a call is answered, from the cheapest reason against it to
// the dearest, and has it answered.
func (a *api) serve(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	p, socket := r.Context().Value(peerKey{}).(peer)
	fits, unknown := a.find(r)
	if unknown == nil {
		c.Name = fits.name() // for the audit, whatever comes now
	}
	if p.refused != "" {
		return &control.Error{Code: control.CodeForbidden, Message: p.refused, Limit: socketRules}
	}
	if err := notFromBrowser(r); err != nil {
		return err
	}
	if !p.own {
		select {
		case a.guests <- struct{}{}:
			defer func() { <-a.guests }()
		default:
			return &control.Error{Code: control.CodeBusy, Message: fmt.Sprintf("%d calls are under way already", maxGuests), Limit: "hotgo"}
		}
	}
	if !socket {
		a.authorize(r, c)
	}
	if unknown != nil {
		return unknown
	}
	if err := c.allows(fits.need, !socket, a.h.Socket()); err != nil {
		return err
	}
	if r.Method != fits.method {
		w.Header().Set("Allow", fits.method)
		return &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("%s takes %s, not %.20s", r.URL.Path, fits.method, r.Method), Status: http.StatusMethodNotAllowed}
	}
	if err := checkBody(r); err != nil {
		return err
	}
	return fits.answer(w, r, c)
}

// authorize says what a call over a router of the embedder's may do.
func (a *api) authorize(r *http.Request, c *ControlCall) {
	c.Access = ReadAccess
	if ask := a.h.opts.Authorize; ask != nil {
		c.Access = NoAccess // also where it panics
		c.Access, c.Caller.Name = ask(r)
		c.Caller.Name = shortText(c.Caller.Name)
	}
}

// find gives the call that a path ends in. What stands before is the embedder's,
// so any will do, with two exceptions. It is spelled in one way only, and it holds
// no call itself: a proxy or a router that lets some paths through, those that
// begin with /hotgo/v1/status say, is not to be led on to another call by
// /hotgo/v1/status/v1/load.
func (a *api) find(r *http.Request) (*route, error) {
	none := &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("no call %.100q", r.URL.Path)}
	p := r.URL.Path
	if path.Clean(p) != p || r.URL.RawPath != "" {
		return nil, none
	}
	var fits *route
	for i := range a.routes {
		before, ok := strings.CutSuffix(p, a.routes[i].path)
		if !ok {
			continue
		}
		fits = &a.routes[i]
		if slices.ContainsFunc(a.routes, func(other route) bool { return strings.Contains(before+"/", other.path+"/") }) {
			return nil, none
		}
	}
	if fits == nil {
		return nil, none
	}
	return fits, nil
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
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
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
