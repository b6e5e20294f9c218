package reloader

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Places at the socket. A client that is slow, silent or greedy costs a bounded
// number of descriptors and goroutines, and never a place of somebody who counts
// for more: the host's own user and root have places of their own, other users
// have some each, and all whom nobody let in share a few, in which they are told
// so.
const (
	ownPlaces      = 64 // more wait in the kernel
	guestPlaces    = 32 // more are closed at once
	guestPlacesFor = 8  // of these, for one user
	strangerPlaces = 4
)

// gate accepts connections to the socket: it finds out who is there and gives
// those a place for whom there is one.
type gate struct {
	net.Listener
	identify func(net.Conn) peer
	turnAway func(p peer, why string) // tells about a connection that is closed

	own    chan struct{}
	closed chan struct{}
	once   sync.Once

	mu        sync.Mutex
	idle      map[net.Conn]struct{} // connections of the own user that wait for their next request
	waiting   bool                  // for a place
	owners    int                   // connections of the own user and root
	guests    map[int]int           // connections by user id
	allGuests int
	strangers int
}

func newGate(l net.Listener, identify func(net.Conn) peer, turnAway func(peer, string)) *gate {
	return &gate{
		Listener: l, identify: identify, turnAway: turnAway,
		own: make(chan struct{}, ownPlaces), closed: make(chan struct{}), guests: map[int]int{},
		idle: map[net.Conn]struct{}{},
	}
}

// Accept gives the next connection that has a place, an *admitted. It takes one of
// the own user's places first: who is there is not known before.
func (g *gate) Accept() (net.Conn, error) {
	for {
		if !g.wait() {
			return nil, net.ErrClosed
		}
		c, err := g.Listener.Accept()
		if err != nil {
			<-g.own
			return nil, err
		}
		p := g.identify(c)
		if p.own {
			g.count(1)
			return &admitted{Conn: c, peer: p, release: sync.OnceFunc(func() { g.count(-1); <-g.own })}, nil
		}
		<-g.own
		release := g.place(p)
		if release == nil {
			c.Close()
			g.turnAway(p, "there are too many connections of others than the host's user")
			continue
		}
		if p.refused != "" {
			g.turnAway(p, p.refused)
		}
		return &admitted{Conn: c, peer: p, release: sync.OnceFunc(release)}, nil
	}
}

// wait takes one of the own user's places. Where there is none, a connection that
// is not in use goes, now or as soon as there is one: who keeps more than they need
// does not keep others out until idleTimeout. false means that the gate is closed.
func (g *gate) wait() bool {
	select {
	case g.own <- struct{}{}:
		return true
	default:
	}
	g.mu.Lock()
	g.waiting = true
	var unused net.Conn
	for unused = range g.idle {
		break
	}
	g.mu.Unlock()
	if unused != nil {
		unused.Close()
	}
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting = false
	}()
	select {
	case g.own <- struct{}{}:
		return true
	case <-g.closed:
		return false
	}
}

// state takes note of which connections are not in use, for http.Server.ConnState.
func (g *gate) state(c net.Conn, s http.ConnState) {
	if !c.(*admitted).peer.own {
		return
	}
	g.mu.Lock()
	delete(g.idle, c)
	wanted := s == http.StateIdle && g.waiting
	if s == http.StateIdle {
		g.idle[c] = struct{}{}
	}
	g.mu.Unlock()
	if wanted {
		c.Close()
	}
}

// place takes a place for somebody else than the own user, and gives what gives it
// back; nil where there is none.
func (g *gate) place(p peer) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.refused != "" {
		if g.strangers >= strangerPlaces {
			return nil
		}
		g.strangers++
		return func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.strangers--
		}
	}
	uid := p.caller.UID
	if g.allGuests >= guestPlaces || g.guests[uid] >= guestPlacesFor {
		return nil
	}
	g.allGuests++
	g.guests[uid]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.allGuests--
		if g.guests[uid]--; g.guests[uid] == 0 {
			delete(g.guests, uid)
		}
	}
}

func (g *gate) count(owners int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owners += owners
}

// taken counts the places that are taken.
func (g *gate) taken() (own, others int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.owners, g.allGuests + g.strangers
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// admitted is a connection with a place.
type admitted struct {
	net.Conn
	peer    peer
	release func()
}

func (c *admitted) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// peerOf asks the system who is at the other end.
func (o *Options) peerOf(c net.Conn) peer {
	cred, err := peercred.Peer(c.(*net.UnixConn))
	if errors.Is(err, peercred.ErrUnknown) {
		// The directory is 0700: only this user and root can be here.
		return peer{access: WriteAccess, own: true}
	}
	return o.identify(cred, err)
}

// turnedAway tells about a connection for which there is no place or no welcome.
func (h *Host) turnedAway(p peer, why string) {
	h.metrics.turnedAway(p.refused == "")
	skipped, ok := h.refusals.of(NoAccess).next(time.Now())
	if !ok {
		return
	}
	c := p.caller
	if c == nil {
		c = &control.Caller{UID: -1, GID: -1}
	}
	h.opts.Logger.Warn("connection refused", "reason", why, "uid", c.UID, "peer_pid", c.PID, "not_logged", skipped)
}
