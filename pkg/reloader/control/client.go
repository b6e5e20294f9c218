package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Header and content types of the protocol.
const (
	DigestHeader    = "Hotgo-Digest"    // optional on an upload: "sha256:" and 64 hex digits
	WaitsHeader     = "Hotgo-Waits"     // of an interim answer (102) to a load that waits: a [Waiting]
	SignatureHeader = "Hotgo-Signature" // optional on an upload: base64 of a minisign signature file
	TypeArtifact    = "application/octet-stream"
	TypeJSON        = "application/json"
	TypeEvents      = "text/event-stream"
)

// maxAnswer bounds what a client reads of one answer.
const maxAnswer = 64 << 20

// Client speaks to one host. Its methods may be called concurrently. Every
// error is an *Error that the host answered, an *UnreachableError where no
// host answered, or the error of the caller's context.
type Client struct {
	socket string
	base   string
	http   *http.Client
}

// NewClient gives a client for the host at a Unix socket. It does not connect
// yet. Close frees idle connections.
func NewClient(socket string) *Client {
	return NewClientFunc(socket, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})
}

// NewClientFunc gives a client for the host that dial connects to, such as one in
// another machine behind a tunnel. Errors call it name. dial is called concurrently.
func NewClientFunc(name string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{socket: name, base: "http://hotgo", http: &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConns:    2,
		IdleConnTimeout: 30 * time.Second,
		// A host that is going to refuse an upload says so before the body.
		ExpectContinueTimeout: time.Second,
	}}}
}

// Socket is the path that the client speaks to, or the name of [NewClientFunc].
func (c *Client) Socket() string { return c.socket }

// Close closes idle connections. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks what the host is and what it runs.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	if err := c.call(ctx, http.MethodGet, "/v1/status", nil, "", 0, nil, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// LoadOptions refine a load. The zero value loads.
type LoadOptions struct {
	DryRun bool   // run the preflight only
	Digest string // what the bytes must have, "sha256:…"; "" compares nothing
	// Plugin names the plugin that a file is which hotgo did not build; "" lets
	// the host find out. Of an artifact that hotgo built it has to be the name.
	Plugin string
	// Signature is the text of the artifact's signature file, as minisign and
	// hotgo key sign write it; 8 KiB at most. A host without trusted keys does not
	// look at it.
	Signature string
	// AllowDowngrade has the host take what was signed before what it has taken
	// already.
	AllowDowngrade bool
	// Release has the host take the artifact out of quarantine, if it is there.
	Release bool
	// Window is how the host observes what it has loaded; nil leaves that to the
	// host. Load returns when the window has begun: see [Client.AwaitWindow].
	Window *Window
	// Waits, if not nil, is told what the load waits for, each time that it has to
	// wait. It is called from another goroutine, before Load returns.
	Waits func(Waiting)
}

// Load uploads an artifact of size bytes (-1 where it is not known) and waits
// until it serves, or is refused.
func (c *Client) Load(ctx context.Context, r io.Reader, size int64, o LoadOptions) (*Event, error) {
	header := http.Header{"Expect": {"100-continue"}}
	if o.Digest != "" {
		header.Set(DigestHeader, o.Digest)
	}
	if o.Signature != "" {
		header.Set(SignatureHeader, base64.StdEncoding.EncodeToString([]byte(o.Signature)))
	}
	var ev Event
	if err := c.call(o.trace(ctx), http.MethodPost, "/v1/load"+o.query(), r, TypeArtifact, size, header, &ev); err != nil {
		return nil, err
	}
	return &ev, nil
}

// LoadFile uploads the artifact in a file.
func (c *Client) LoadFile(ctx context.Context, path string, o LoadOptions) (*Event, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return c.Load(ctx, f, info.Size(), o)
}

// LoadPath asks the host to read the artifact from a file that both see, and
// saves the upload. Without o.Digest the digest is computed here. Without
// o.Signature a host with trusted keys looks for one beside the file, with
// .minisig behind its name.
func (c *Client) LoadPath(ctx context.Context, path string, o LoadOptions) (*Event, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if o.Digest == "" {
		if o.Digest, err = fileDigest(path); err != nil {
			return nil, err
		}
	}
	var ev Event
	if err := c.post(o.trace(ctx), "/v1/load"+o.query(), LoadRequest{Path: path, Digest: o.Digest, Signature: o.Signature}, &ev); err != nil {
		return nil, err
	}
	return &ev, nil
}

// Rollback makes generation to of a plugin live again; 0 is the built-in, nil
// the newest healthy one before the live one.
func (c *Client) Rollback(ctx context.Context, plugin string, to *int) (*Event, error) {
	var ev Event
	if err := c.post(ctx, "/v1/rollback", RollbackRequest{Plugin: plugin, To: to}, &ev); err != nil {
		return nil, err
	}
	return &ev, nil
}

// History asks for the host's journal, oldest first.
func (c *Client) History(ctx context.Context) (*History, error) {
	var h History
	if err := c.call(ctx, http.MethodGet, "/v1/history", nil, "", 0, nil, &h); err != nil {
		return nil, err
	}
	return &h, nil
}

func (c *Client) post(ctx context.Context, path string, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.call(ctx, http.MethodPost, path, bytes.NewReader(b), TypeJSON, int64(len(b)), nil, answer)
}

// call sends one request and decodes its answer.
func (c *Client) call(ctx context.Context, method, path string, body io.Reader, contentType string, size int64, header http.Header, answer any) error {
	resp, err := c.send(ctx, method, path, body, contentType, size, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("decode answer of %s: %w", c.socket, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, contentType string, size int64, header http.Header) (*http.Response, error) {
	if body != nil {
		// net/http closes a body that is a Closer; the caller's file is the caller's.
		body = io.NopCloser(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if header != nil {
		req.Header = header
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
		req.ContentLength = size
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, answeredError(resp)
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // method and made-up URL say nothing
	}
	if ctx.Err() != nil {
		return fmt.Errorf("speak to %s: %w", c.socket, context.Cause(ctx))
	}
	return &UnreachableError{Target: c.socket, Err: err}
}

// answeredError turns an answer that is no success into an *Error, also where
// something other than a host answered.
func answeredError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mt == TypeJSON && json.Unmarshal(b, e) == nil && e.Code != "" {
		return e
	}
	return &Error{
		Code: CodeInternal, Status: resp.StatusCode,
		Message: strings.TrimSpace(fmt.Sprintf("%s: %.200s", resp.Status, b)),
	}
}

func (o LoadOptions) query() string {
	q := url.Values{}
	if o.DryRun {
		q.Set("dry_run", "1")
	}
	if o.Plugin != "" {
		q.Set("plugin", o.Plugin)
	}
	if o.AllowDowngrade {
		q.Set("allow_downgrade", "1")
	}
	if o.Release {
		q.Set("release", "1")
	}
	if o.Window != nil {
		o.Window.encode(q)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// trace hears the interim answers, if somebody wants them.
func (o LoadOptions) trace(ctx context.Context) context.Context {
	if o.Waits == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			var w Waiting
			if text := header.Get(WaitsHeader); text != "" && json.Unmarshal([]byte(text), &w) == nil {
				o.Waits(w)
			}
			return nil
		},
	})
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read artifact: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
