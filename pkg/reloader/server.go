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
	"slices"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Limits of the socket. A client that is slow, silent or greedy costs a bounded
// number of goroutines and bytes, and its connection.
const (
	maxConnections    = 64
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 2 * time.Second
)

// server is the host's own socket. The handler behind it is Host.Handler, plus
// the check of who is calling.
type server struct {
	listener *peercred.Listener
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
	shared := len(h.opts.AllowUIDs) > 0
	if shared && !peercred.Known {
		return nil, fmt.Errorf("check options: AllowUIDs: %w", peercred.ErrUnknown)
	}
	l, err := peercred.Listen(path, shared)
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           h.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.opts.Logger.Handler(), slog.LevelWarn),
		ConnContext:       h.identify,
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(newLimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
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

// peer is who is at the other end of a connection to the socket. It is found
// out once for each connection; there is none where the handler is mounted on
// a router of the embedder's.
type peer struct {
	caller  *control.Caller
	refused string // why, "" for a welcome one
}

type peerKey struct{}

// identify decides about a new connection and says why in the log.
func (h *Host) identify(ctx context.Context, c net.Conn) context.Context {
	p := peer{}
	if limited, ok := c.(*limitedConn); ok {
		c = limited.Conn
	}
	cred, err := peercred.Peer(c.(*net.UnixConn))
	switch {
	case errors.Is(err, peercred.ErrUnknown):
		// The directory is 0700: only this user and root can be here.
	case err != nil:
		p.refused = "the system does not tell who is calling: " + err.Error()
	default:
		p.caller = &control.Caller{UID: cred.UID, GID: cred.GID, PID: cred.PID}
		if cred.UID != os.Geteuid() && cred.UID != 0 && !slices.Contains(h.opts.AllowUIDs, cred.UID) {
			p.refused = fmt.Sprintf("uid %d may not speak to this host, which runs as uid %d", cred.UID, os.Geteuid())
		}
	}
	if p.refused != "" {
		h.opts.Logger.Warn("connection refused", "reason", p.refused, "peer_pid", cred.PID)
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// limitListener keeps at most n connections open; more wait in the kernel.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, n int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
