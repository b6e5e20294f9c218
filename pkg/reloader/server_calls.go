package reloader

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func (a *api) status(w http.ResponseWriter, _ *http.Request, _ *ControlCall) error {
	return writeJSON(w, http.StatusOK, a.h.Status())
}

func (a *api) history(w http.ResponseWriter, _ *http.Request, _ *ControlCall) error {
	return writeJSON(w, http.StatusOK, control.History{V: control.EventVersion, Events: a.h.History()})
}

func (a *api) metrics(w http.ResponseWriter, _ *http.Request, _ *ControlCall) error {
	var b strings.Builder
	if err := writeFamilies(&b, a.h.families()); err != nil {
		return err
	}
	return write(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", []byte(b.String()))
}

func (a *api) rollback(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	var req control.RollbackRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	to := Previous
	if req.To != nil {
		if to = *req.To; to < 0 {
			return &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("there is no generation %d", to)}
		}
	}
	c.Plugin = req.Plugin
	release(w)
	ev, err := a.h.rollback(r.Context(), req.Plugin, to, c.by())
	c.fill(ev)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ev)
}

// state writes the state of a plugin into a file, or says what would be written. The
// list is read as the artifact of a load by path is. What is written is the host's to
// read, and lies where the caller says: that is for those who could write it there
// themselves.
func (a *api) state(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	var req control.StateRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	c.Plugin = req.Plugin
	if p, _ := r.Context().Value(peerKey{}).(peer); req.File != "" && !p.own {
		return &control.Error{
			Code: control.CodeForbidden, Message: fmt.Sprintf("%s may not have this host write files", c.Caller),
			Limit: "hotgo: that is for the host's own user and root, over its socket", Next: "leave file out, to learn what would be written",
		}
	}
	release(w)
	saved, err := a.h.saveState(r.Context(), req, c.by())
	if err != nil {
		return err
	}
	c.Generation = saved.Generation
	return writeJSON(w, http.StatusOK, saved)
}

// load takes an artifact as the body, or the path of one.
func (a *api) load(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	req := loadRequest{caller: c.by(), plugin: r.URL.Query().Get("plugin")}
	var err error
	if req.dryRun, err = yesOrNo(r, "dry_run"); err != nil {
		return err
	}
	if req.downgrade, err = yesOrNo(r, "allow_downgrade"); err != nil {
		return err
	}
	if req.release, err = yesOrNo(r, "release"); err != nil {
		return err
	}
	if err := askWindow(w, r, &req); err != nil {
		return err
	}
	if mediaType(r) == control.TypeJSON {
		err = a.byPath(w, r, &req)
	} else {
		err = a.byUpload(w, r, &req)
	}
	if err != nil {
		return err
	}
	c.DryRun, c.Plugin, c.Digest = req.dryRun, req.plugin, req.digest
	ev, err := a.h.load(r.Context(), req)
	c.fill(ev)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ev)
}

// yesOrNo reads a parameter of the query.
func yesOrNo(r *http.Request, name string) (bool, error) {
	switch value := r.URL.Query().Get(name); value {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("%s is 1 or 0, not %.20q", name, value)}
	}
}

func (a *api) byPath(w http.ResponseWriter, r *http.Request, req *loadRequest) error {
	var body control.LoadRequest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	if !filepath.IsAbs(body.Path) {
		return &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("the path has to be absolute: %.200q", body.Path)}
	}
	if err := artifact.ValidDigest(body.Digest); err != nil {
		return &control.Error{Code: control.CodeBadRequest, Message: "the digest of the file has to be given", Err: err}
	}
	req.digest, req.signature = body.Digest, body.Signature
	req.receive = func() (*copied, error) {
		release(w)
		return a.h.receiveFile(r.Context(), body.Path)
	}
	return nil
}

func (a *api) byUpload(w http.ResponseWriter, r *http.Request, req *loadRequest) error {
	limit := a.h.opts.MaxArtifactBytes
	if r.ContentLength > limit {
		return tooLarge(limit) // before a byte of it was read
	}
	if req.digest = r.Header.Get(control.DigestHeader); req.digest != "" {
		if err := artifact.ValidDigest(req.digest); err != nil {
			return &control.Error{Code: control.CodeBadRequest, Message: "header " + control.DigestHeader, Err: err}
		}
	}
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get(control.SignatureHeader))
	if err != nil {
		return &control.Error{Code: control.CodeBadRequest, Message: "header " + control.SignatureHeader, Err: err}
	}
	req.signature = string(signature)
	req.receive = func() (*copied, error) {
		leave, ok := a.uploads.enter(r)
		if !ok {
			return nil, &control.Error{Code: control.CodeBusy, Message: "too many uploads are under way already", Limit: "hotgo"}
		}
		defer leave()
		body := &progressReader{r: http.MaxBytesReader(w, r.Body, limit), c: http.NewResponseController(w)}
		f, err := a.h.copies.receive(r.Context(), body)
		if err != nil && body.granted {
			// The disk is full, say. The client is sending still, and would take
			// a connection that is closed for a host that is gone, so it gets to
			// its end first. Where it is the body that failed, this fails at once.
			_, _ = io.Copy(io.Discard, body)
		}
		release(w)
		return f, err
	}
	return nil
}

// release takes back the deadline for reading: the request is all here, and
// what follows may take longer. A deadline that passed would look like a client
// that has gone.
func release(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// An upload has to make progress, but may take as long as it needs: every
// stallBytes give it stallTimeout for the next ones. A limit for the whole
// would refuse slow links, one for each read would let a byte now and then hold
// a slot for ever.
const (
	stallBytes   = 64 << 10
	stallTimeout = 30 * time.Second
)

type progressReader struct {
	r       io.Reader
	c       *http.ResponseController
	granted bool
	since   int // bytes since the deadline was set
}

func (p *progressReader) Read(b []byte) (int, error) {
	if !p.granted || p.since >= stallBytes {
		p.granted, p.since = true, 0
		_ = p.c.SetReadDeadline(time.Now().Add(stallTimeout))
	}
	n, err := p.r.Read(b)
	p.since += n
	return n, err
}
