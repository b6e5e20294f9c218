// Package web has servers and clients over the loopback interface. Most of
// net/http is not in its host.
package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/mail"
	"net/netip"
	"net/rpc"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "server and client", Run: servers},
		{Name: "recorder", Run: recorders},
		{Name: "reverse proxy", Run: proxies},
		{Name: "cookies", Run: cookies},
		{Name: "upload", Run: uploads},
		{Name: "tls and http2", Run: tlsHTTP2},
		{Name: "tls by hand", Run: tlsByHand},
		{Name: "cancelled requests", Run: cancelled},
		{Name: "panics in handlers", Run: panics},
		{Name: "tcp, udp and pipes", Run: sockets},
		{Name: "rpc", Run: calls},
		{Name: "addresses and headers", Run: addresses},
		{Name: "expvar", Run: vars},
	}
}

type shop struct {
	mu     sync.Mutex
	orders []*api.Item
	late   chan struct{} // closed when the answer to /slow has been read
}

func (s *shop) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{name}", s.get)
	mux.HandleFunc("POST /items", s.post)
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServerFS(files{})))
	mux.Handle("/slow", http.TimeoutHandler(http.HandlerFunc(s.slow), time.Millisecond, "too slow"))
	return mux
}

// slow is still at work when its time is over: one that returned at that moment
// would have answered in time as far as a TimeoutHandler can tell.
func (s *shop) slow(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	<-s.late
}

func (s *shop) get(w http.ResponseWriter, r *http.Request) {
	item, err := api.Find(strings.Trim(r.PathValue("name"), "-"))
	if errors.Is(err, api.ErrGone) {
		http.Error(w, err.Error(), http.StatusGone)
		return
	}
	w.Header().Set("X-Generation", fmt.Sprint(generation))
	_ = json.NewEncoder(w).Encode(item)
}

func (s *shop) post(w http.ResponseWriter, r *http.Request) {
	var item api.Item
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 100)).Decode(&item); err != nil {
		var large *http.MaxBytesError
		http.Error(w, fmt.Sprint(err, errors.As(err, &large)), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, &item)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, len(s.orders), item.Price)
}

func show(w io.Writer, resp *http.Response, err error) {
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	fmt.Fprintf(w, "%s %s %q %v %q\n", resp.Proto, resp.Status, b, err, resp.Header.Get("X-Generation"))
}

func servers(w io.Writer) {
	late := make(chan struct{})
	defer close(late)
	srv := httptest.NewServer((&shop{late: late}).routes())
	defer srv.Close()
	c := srv.Client()
	for _, path := range []string{"/items/cup", "/items/gone", "/items/--", "/none", "/slow", "/files/a.txt", "/files/b.txt", "/items/a%20b?x=1"} {
		resp, err := c.Get(srv.URL + path)
		show(w, resp, err)
	}
	for _, body := range []string{`{"name":"x","price":"1.50"}`, `{"price":"x"}`, `{`} {
		resp, err := c.Post(srv.URL+"/items", "application/json", strings.NewReader(body))
		show(w, resp, err)
	}
	resp, err := c.PostForm(srv.URL+"/items/cup", url.Values{"a": {"b"}})
	show(w, resp, err)
}

func recorders(w io.Writer) {
	rec := httptest.NewRecorder()
	(&shop{}).routes().ServeHTTP(rec, httptest.NewRequest("GET", "/items/jar", nil))
	show(w, rec.Result(), nil)
	rec = httptest.NewRecorder()
	(&shop{}).routes().ServeHTTP(rec, httptest.NewRequest("POST", "/items", strings.NewReader(`{"name":"`+strings.Repeat("x", 200)+`"}`)))
	show(w, rec.Result(), nil)
	b, err := httputil.DumpRequest(httptest.NewRequest("POST", "http://example.com/x", strings.NewReader("body")), true)
	fmt.Fprintf(w, "%q %v\n", b, err)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")), nil)
	show(w, resp, err)
}

func proxies(w io.Writer) {
	back := httptest.NewServer((&shop{}).routes())
	defer back.Close()
	u, _ := url.Parse(back.URL)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Header.Del("Via") },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("X-Generation", fmt.Sprint("proxied ", generation))
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { http.Error(w, "no back end", 502) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	resp, err := http.Get(front.URL + "/items/cup")
	show(w, resp, err)
	back.Close()
	resp, err = http.Get(front.URL + "/items/cup")
	show(w, resp, err)
}

func cookies(w io.Writer) {
	jar, err := cookiejar.New(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("n")
		http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint("v", generation), Path: "/", HttpOnly: true})
		if r.URL.Path == "/go" {
			http.Redirect(w, r, "/there", http.StatusSeeOther)
			return
		}
		fmt.Fprint(w, r.URL.Path, c, err)
	}))
	defer srv.Close()
	c := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Path == "/stop" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	for _, path := range []string{"/a", "/go"} {
		resp, err := c.Get(srv.URL + path)
		show(w, resp, err)
	}
	u, _ := url.Parse(srv.URL)
	fmt.Fprintln(w, jar.Cookies(u), err)
}

func uploads(w io.Writer) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, h, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		b, _ := io.ReadAll(f)
		fmt.Fprint(w, h.Filename, h.Size, string(b), r.FormValue("k"))
	}))
	defer srv.Close()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	f, _ := m.CreateFormFile("file", "x.txt")
	fmt.Fprint(f, "content ", generation)
	_ = m.WriteField("k", "v")
	m.Close()
	resp, err := http.Post(srv.URL, m.FormDataContentType(), &body)
	show(w, resp, err)
	resp, err = http.Post(srv.URL, "text/plain", nil)
	show(w, resp, err)
}

func tlsHTTP2(w io.Writer) {
	srv := httptest.NewUnstartedServer((&shop{}).routes())
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/items/cup")
	show(w, resp, err)
	if err == nil {
		fmt.Fprintln(w, resp.TLS.Version == tls.VersionTLS13, resp.TLS.NegotiatedProtocol)
	}
	_, err = http.Get(srv.URL)
	var unknown x509.UnknownAuthorityError
	fmt.Fprintln(w, errors.As(err, &unknown))
}

func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(generation), Subject: pkix.Name{CommonName: "conformance"}, DNSNames: []string{"shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	c, err := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, err
}

func tlsByHand(w io.Writer) {
	cert, pool, err := selfSigned()
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"own"}})
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, io.LimitReader(c, 5))
			}()
		}
	}()
	for _, name := range []string{"shop.test", "other.test"} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"own"}})
		if err != nil {
			var he x509.HostnameError
			fmt.Fprintln(w, errors.As(err, &he), err)
			continue
		}
		fmt.Fprint(c, "hello")
		b, err := io.ReadAll(c)
		s := c.ConnectionState()
		fmt.Fprintln(w, string(b), err, s.NegotiatedProtocol, s.PeerCertificates[0].Subject, s.PeerCertificates[0].SerialNumber)
		c.Close()
	}
}

func cancelled(w io.Writer) {
	arrived := make(chan bool)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
		arrived <- false
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var steps []string
	wrote := make(chan struct{}) // the request may arrive before the client tells that it wrote it
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { steps = append(steps, "get") },
		WroteRequest: func(httptrace.WroteRequestInfo) { steps = append(steps, "wrote"); close(wrote) },
	})
	go func() { <-arrived; <-wrote; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	_, err := http.DefaultClient.Do(req)
	var ue *url.Error
	fmt.Fprintln(w, errors.Is(err, context.Canceled), errors.As(err, &ue), <-arrived, steps)
	_, err = (&http.Client{Timeout: time.Nanosecond}).Get(srv.URL)
	var ne net.Error
	fmt.Fprintln(w, errors.As(err, &ne) && ne.Timeout())
}

func panics(w io.Writer) {
	var logged bytes.Buffer
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		var s *shop
		s.orders[0].Rename("x")
	}))
	srv.Config.ErrorLog = log.New(&logged, "", 0)
	srv.Start()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, err := c.Get(srv.URL)
	_, err2 := c.Get(srv.URL + "/abort")
	srv.Close()
	fmt.Fprintln(w, errors.Is(err, io.EOF), errors.Is(err2, io.EOF), strings.Count(logged.String(), "nil pointer"), strings.Contains(logged.String(), "web.go:"))
}

func sockets(w io.Writer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			s := bufio.NewScanner(c)
			s.Scan()
			fmt.Fprintln(c, strings.ToUpper(s.Text()))
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	fmt.Fprintln(c, "over tcp")
	b, err2 := io.ReadAll(c)
	fmt.Fprintf(w, "%q %v %v %v %v\n", b, err, err2, c.Close(), l.Close())
	_, err = l.Accept()
	fmt.Fprintln(w, errors.Is(err, net.ErrClosed))
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer u.Close()
	_, _ = u.WriteTo([]byte("to myself"), u.LocalAddr())
	buf := make([]byte, 100)
	n, _, err := u.ReadFrom(buf)
	fmt.Fprintln(w, string(buf[:n]), err)
	p, q := net.Pipe()
	_ = p.SetDeadline(time.Unix(0, 1))
	_, err = p.Write(buf)
	fmt.Fprintln(w, err, p.Close(), q.Close())
	_, err = net.Dial("tcp", "127.0.0.1:99999")
	var ae *net.AddrError
	fmt.Fprintln(w, err, errors.As(err, &ae))
}

// Arith is served over net/rpc.
type Arith struct{}

// Pair is its argument.
type Pair struct{ A, B int }

// Times is called by name.
func (*Arith) Times(p *Pair, out *int) error {
	if p.B == 0 {
		return errors.New("by zero")
	}
	*out = p.A * p.B * generation
	return nil
}

func calls(w io.Writer) {
	s := rpc.NewServer()
	fmt.Fprintln(w, s.Register(&Arith{}))
	a, b := net.Pipe()
	go s.ServeConn(a)
	c := rpc.NewClient(b)
	defer c.Close()
	var out int
	fmt.Fprintln(w, c.Call("Arith.Times", &Pair{6, 7}, &out), out, c.Call("Arith.Times", &Pair{6, 0}, &out), c.Call("Arith.Plus", &Pair{}, &out))
}

func addresses(w io.Writer) {
	p, err := netip.ParsePrefix("10.1.2.0/24")
	fmt.Fprintln(w, p.Contains(netip.MustParseAddr("10.1.2.3")), p.Masked(), err, net.ParseIP("::1").IsLoopback(), net.JoinHostPort("::1", "80"))
	ip, n, err := net.ParseCIDR("192.168.1.7/16")
	fmt.Fprintln(w, ip, n, err)
	h := textproto.MIMEHeader{}
	h.Add("content-type", "text/html; charset=utf-8")
	t, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	fmt.Fprintln(w, t, params, err, mime.TypeByExtension(".html"), http.DetectContentType([]byte("<html>")), http.StatusText(418))
	a, err := mail.ParseAddress("Ann <ann@example.com>")
	fmt.Fprintln(w, a, err, http.CanonicalHeaderKey("x-a-b"), slices.Sorted(strings.SplitSeq("c,a,b", ",")))
	_, err = http.NewRequest("BAD METHOD", "http://x", nil)
	fmt.Fprintln(w, err)
}

type stats struct{ n int }

func (s stats) String() string { return fmt.Sprintf(`{"n":%d}`, s.n) }

func vars(w io.Writer) {
	var m expvar.Map
	m.Add("count", generation)
	m.Set("stats", stats{3})
	m.AddFloat("f", 1.5)
	fmt.Fprintln(w, m.String())
}
