package reloader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Limits of a connection to the socket; gate.go has how many there may be.
const (
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 2 * time.Second
)

// server is the host's own socket. The handler behind it is Host.Handler, plus
// the check of who is calling.
type server struct {
	listener *peercred.Listener
	gate     *gate
	http     *http.Server
	done     chan struct{}
}

// listen binds the host's socket and serves on it.
func listen(h *Host) (*server, error) {
	path := h.opts.Socket
	if path == "" {
		path = control.SocketPath(h.opts.Name, os.Getpid())
		for _, dir := range control.SocketDirs() {
			if dir == filepath.Dir(path) {
				peercred.RemoveStale(dir)
			}
		}
	}
	shared := h.opts.admitsOthers()
	if shared && !peercred.Known {
		return nil, fmt.Errorf("check options: AllowUIDs, AllowGIDs, ReadUIDs, ReadGIDs: %w", peercred.ErrUnknown)
	}
	l, err := peercred.Listen(path, shared)
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, gate: newGate(l, h.opts.peerOf, h.turnedAway), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           h.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.opts.Logger.Handler(), slog.LevelWarn),
		ConnState:         s.gate.state,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, c.(*admitted).peer)
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(s.gate); !errors.Is(err, http.ErrServerClosed) {
			h.opts.Logger.Error("control socket failed", "err", err)
		}
	}()
	return s, nil
}

// close removes the socket, lets answers under way be finished and ends the
// rest.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.done
	return err
}
