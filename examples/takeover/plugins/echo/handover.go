package echo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// # From version to version
//
// While a new version starts, the old one is live, and it stays live if the new one
// fails. So nothing changes hands before the old one retires:
//
//   - The port and each connection belong to one goroutine of one version. When that
//     version retires, a deadline in the past wakes the goroutine from its accept or
//     its read, between two lines or inside of one.
//   - It sends what it owns over a channel that all versions share, and ends. A
//     goroutine of the version that is live by then goes on with it. Who wants to
//     connect meanwhile waits in the kernel's queue.
//   - The new version gets the channels in HotMigrate, which reads two variables of
//     the old one and touches nothing. Until the old one retires nothing comes
//     through them, so a version that fails its start has nothing to give back.
//
// HotStop returns when the old version has nothing left, and no goroutine. What goes
// through the channels has types that all versions have in common: types of the
// standard library, and a struct without a name of its own.

// Ports and Clients hand over what one version owns to the one after it.
var (
	Ports   chan *net.TCPListener
	Clients chan client
)

// client is a connection between two owners. It is an alias, so that it is the same
// type in each version.
type client = struct {
	Conn  *net.TCPConn
	In    *bufio.Reader
	Begun string // of a line whose end has yet to come
}

// retired is closed when nothing of this version runs any more; abandon makes it
// close what nobody takes.
var (
	retired chan struct{}
	abandon context.CancelFunc
)

// HotMigrate learns where the version before hands over what it has.
func HotMigrate(old map[string]any) error {
	ports, ok := old["Ports"].(*chan *net.TCPListener)
	clients, ok2 := old["Clients"].(*chan client)
	if !ok || !ok2 {
		return errors.New("the version before does not hand over its port and its clients")
	}
	Ports, Clients = *ports, *clients
	return nil
}

// HotStart serves until ctx ends. The first version opens the port, the others wait
// for it.
func HotStart(ctx context.Context) error {
	s := &server{ctx: ctx, ports: Ports, clients: Clients}
	if Ports == nil {
		port, err := open()
		if err != nil {
			return err
		}
		s.port, s.ports, s.clients = port, make(chan *net.TCPListener), make(chan client)
		Ports, Clients = s.ports, s.clients
	}
	s.patience, abandon = context.WithCancel(context.Background())
	retired = make(chan struct{})
	s.run(retired)
	return nil
}

func open() (*net.TCPListener, error) {
	address := os.Getenv("ECHO_ADDR")
	if address == "" {
		address = "localhost:7007"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	fmt.Println("echo: listening on", l.Addr())
	return l.(*net.TCPListener), nil
}

// HotStop waits until the next version, which is live already, has everything. What
// nobody takes, because the process ends for instance, is closed.
func HotStop(ctx context.Context) error {
	Ports, Clients = nil, nil // should this version start again, HotMigrate sets them
	patience := time.AfterFunc(time.Second, abandon)
	defer patience.Stop()
	select {
	case <-retired:
		return nil
	case <-ctx.Done(): // hotgo status names who is left
		return ctx.Err()
	}
}

// server is what of this version runs.
type server struct {
	ctx, patience context.Context  // one ends when it retires, the other when it waits no longer
	port          *net.TCPListener // of the first version
	ports         chan *net.TCPListener
	clients       chan client
	running       sync.WaitGroup
}

func (s *server) run(retired chan struct{}) {
	s.running.Go(s.accept)
	s.running.Go(s.take)
	context.AfterFunc(s.ctx, func() {
		s.running.Wait()
		close(retired)
	})
}

// past is a deadline that has been.
var past = time.Unix(1, 0)

// accept takes the port over, serves whoever connects, and hands it on.
func (s *server) accept() {
	port := s.port
	if port == nil {
		select {
		case port = <-s.ports:
		case <-s.ctx.Done():
			return
		}
	}
	_ = port.SetDeadline(time.Time{})
	stop := context.AfterFunc(s.ctx, func() { _ = port.SetDeadline(past) })
	defer stop()
	for {
		conn, err := port.AcceptTCP()
		switch {
		case err == nil:
			s.running.Go(func() { s.serve(client{Conn: conn, In: bufio.NewReader(conn)}) })
		case errors.Is(err, os.ErrDeadlineExceeded):
			select {
			case s.ports <- port:
			case <-s.patience.Done():
				port.Close()
			}
			return
		default: // out of descriptors, for instance
			<-time.After(10 * time.Millisecond)
		}
	}
}

// take serves the connections that the version before hands over.
func (s *server) take() {
	for {
		select {
		case c := <-s.clients:
			s.running.Go(func() { s.serve(c) })
		case <-s.ctx.Done():
			return
		}
	}
}

// serve answers lines until the client has enough or this version retires. It hands
// the connection on in one place alone, when the deadline has ended a read: so the
// deadline has been set by then, and cannot hit the next owner.
func (s *server) serve(c client) {
	_ = c.Conn.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(s.ctx, func() { _ = c.Conn.SetReadDeadline(past) })
	defer stop()
	for {
		part, err := c.In.ReadString('\n')
		c.Begun += part
		if errors.Is(err, os.ErrDeadlineExceeded) {
			select {
			case s.clients <- c:
				return
			case <-s.patience.Done():
			}
		}
		if err == nil {
			_, err = c.Conn.Write([]byte(reply(c.Begun)))
			c.Begun = ""
		}
		if err != nil {
			c.Conn.Close()
			return
		}
	}
}
