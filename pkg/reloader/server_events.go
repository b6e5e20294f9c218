package reloader

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/journal"
)

// keepAlive is how often a silent stream says that it lives, so that proxies
// keep it and a client that has gone is noticed.
const keepAlive = 15 * time.Second

// events streams the journal as server-sent events. The stream reads the
// journal at its own pace; one whose client does not take what it is sent
// within answerTimeout is ended, and one that falls behind gets a note about
// how many events it missed.
func (a *api) events(w http.ResponseWriter, r *http.Request, _ *ControlCall) error {
	leave, ok := a.streams.enter(r)
	if !ok {
		return &control.Error{Code: control.CodeBusy, Message: "too many clients follow the events already", Limit: "hotgo"}
	}
	defer leave()
	release(w)
	s := stream{w: w, c: http.NewResponseController(w)}
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = a.h.journal.Last()
	}
	w.Header().Set("Content-Type", control.TypeEvents)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	if !s.send(func() error { w.WriteHeader(http.StatusOK); return nil }) {
		return nil
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		entries, missed, changed := a.h.journal.Since(id)
		ok := s.send(func() error { return s.batch(a.h, entries, missed) })
		if !ok {
			return nil
		}
		if len(entries) > 0 {
			id = entries[len(entries)-1].ID
		}
		select {
		case <-changed:
		case <-tick.C:
			if !s.send(func() error { _, err := fmt.Fprint(w, ": keep-alive\n\n"); return err }) {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-a.h.ctx.Done():
			return nil
		}
	}
}

// stream writes to one client.
type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// send runs fn and flushes within answerTimeout; false means that the client
// is gone or does not keep up.
func (s stream) send(fn func() error) bool {
	_ = s.c.SetWriteDeadline(time.Now().Add(answerTimeout))
	return fn() == nil && s.c.Flush() == nil
}

func (s stream) batch(h *Host, entries []journal.Entry, missed uint64) error {
	if missed > 0 {
		note := control.Event{
			V: control.EventVersion, Time: time.Now(), Event: control.KindNote, Host: h.opts.Name,
			Reason: fmt.Sprintf("%d events were missed", missed),
		}
		if err := s.event("", note); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := s.event(e.ID, e.Event); err != nil {
			return err
		}
	}
	return nil
}

func (s stream) event(id string, ev control.Event) error {
	b, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	if id != "" {
		if _, err := fmt.Fprintf(s.w, "id: %s\n", id); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(s.w, "data: %s\n\n", b)
	return err
}
