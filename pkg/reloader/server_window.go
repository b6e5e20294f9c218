package reloader

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// askWindow reads how a load is to be observed, and has its client told what the load
// waits for.
func askWindow(w http.ResponseWriter, r *http.Request, req *loadRequest) error {
	rules, err := control.ParseWindow(r.URL.Query())
	if err != nil {
		return &control.Error{Code: control.CodeBadRequest, Message: err.Error()}
	}
	req.window = rules
	// Only on our own socket: what stands between a router and its handlers often
	// takes the first status for the last.
	if _, own := r.Context().Value(peerKey{}).(peer); own && r.ProtoAtLeast(1, 1) {
		req.waits = func(waiting control.Waiting) { sayWaiting(w, waiting) }
	}
	return nil
}

// sayWaiting sends an interim answer, of which a client may see several before the one
// that counts (RFC 9110, 15.2).
func sayWaiting(w http.ResponseWriter, waiting control.Waiting) {
	b, err := json.Marshal(waiting)
	if err != nil {
		return
	}
	w.Header().Set(control.WaitsHeader, string(b))
	w.WriteHeader(http.StatusProcessing)
	w.Header().Del(control.WaitsHeader)
}

// window answers when a window is over.
func (a *api) window(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	plugin, text := r.URL.Query().Get("plugin"), r.URL.Query().Get("generation")
	generation, err := strconv.Atoi(text)
	if plugin == "" || err != nil || generation < 1 {
		return &control.Error{Code: control.CodeBadRequest, Message: fmt.Sprintf("plugin and generation say which window it is, not %.100q and %.20q", plugin, text)}
	}
	c.Plugin = plugin
	leave, ok := a.streams.enter(r)
	if !ok {
		return &control.Error{Code: control.CodeBusy, Message: fmt.Sprintf("%d clients wait for events already", maxStreams), Limit: "hotgo"}
	}
	defer leave()
	release(w)
	ev, err := a.h.AwaitWindow(r.Context(), plugin, generation)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ev)
}

// confirm takes what somebody outside has found.
func (a *api) confirm(w http.ResponseWriter, r *http.Request, c *ControlCall) error {
	var req control.ConfirmRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	c.Plugin = req.Plugin
	release(w)
	health, err := a.h.confirm(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, health)
}
