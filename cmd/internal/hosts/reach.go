package hosts

import (
	"context"
	"errors"
	"io"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const (
	// resolving bounds how many targets, and machines, are looked up at the same time.
	resolving = 16
	// farPatience is how long a host on another machine may take to answer, once the
	// way there is open.
	farPatience = 10 * time.Second
)

// Reach is the way to hosts: to those of this machine by their sockets, to those of
// others through ssh. Ways to other machines stay open until Close. Its methods may be
// called concurrently.
//
// What Find gives for a host as its socket is what Client takes: a path, or an ssh
// target for exactly that host.
type Reach struct {
	mu      sync.Mutex
	tunnels []*ssh.Tunnel
	far     map[string]way // by ssh target
}

type way struct {
	tunnel *ssh.Tunnel
	socket string // there
}

// Client gives a client for a host that Find found.
func (r *Reach) Client(st control.Status) *control.Client {
	r.mu.Lock()
	w, far := r.far[st.Socket]
	r.mu.Unlock()
	if !far {
		return control.NewClient(st.Socket)
	}
	return control.NewClientFunc(st.Socket, func(ctx context.Context) (net.Conn, error) { return w.tunnel.Dial(ctx, w.socket) })
}

// Close closes the ways to other machines.
func (r *Reach) Close() {
	var wg sync.WaitGroup
	for _, t := range r.tunnels {
		wg.Go(t.Close)
	}
	wg.Wait()
}

// Find asks the hosts that targets name, or with none all hosts of this user on this
// machine. Hosts come in the order of the targets.
//
// Errors: *control.UnreachableError where no host is left; *TargetError; that
// of ctx.
func (r *Reach) Find(ctx context.Context, targets []string) (*Found, error) {
	if len(targets) == 0 {
		return discover(ctx)
	}
	answers := make([]answer, len(targets))
	machines := map[ssh.Machine][]far{}
	var order []ssh.Machine
	for i, target := range targets {
		if !ssh.Is(target) {
			continue
		}
		a, err := ssh.Parse(target)
		if err != nil {
			return nil, &TargetError{err}
		}
		if machines[a.Machine] == nil {
			order = append(order, a.Machine)
		}
		machines[a.Machine] = append(machines[a.Machine], far{a, &answers[i]})
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, resolving)
	begin := func(do func()) {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			do()
		})
	}
	for _, m := range order {
		begin(func() { r.ask(ctx, m, machines[m]) })
	}
	for i, target := range targets {
		if !ssh.Is(target) {
			begin(func() { answers[i].targets, answers[i].err = control.Resolve(ctx, target) })
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f := &Found{}
	for _, a := range answers {
		switch {
		case unusable(a.err):
			return nil, &TargetError{a.err}
		case a.err != nil:
			f.Missing = append(f.Missing, a.err)
		}
		f.add(a.targets)
	}
	if len(f.Hosts) == 0 {
		return nil, f.Missing[0]
	}
	return f, nil
}

// answer is what became of a target.
type answer struct {
	targets []control.Target
	err     error
}

// far is a target on another machine, with the place for its answer.
type far struct {
	ssh.Address
	*answer
}

// ask answers the targets of one machine, through one way.
func (r *Reach) ask(ctx context.Context, m ssh.Machine, targets []far) {
	sockets, err := list(ctx, m, targets)
	var found []control.Target
	if err == nil && len(sockets) > 0 {
		found, err = r.open(ctx, m, sockets)
	}
	for _, t := range targets {
		if err != nil {
			t.err = &control.UnreachableError{Target: t.Address.String(), Err: err}
			continue
		}
		t.targets, t.err = t.choose(found)
	}
}

// list gives the sockets of a machine that may be meant. Where all are named, nobody
// need be asked for them.
func list(ctx context.Context, m ssh.Machine, targets []far) ([]string, error) {
	var sockets, patterns []string
	all := false
	for _, t := range targets {
		switch {
		case !t.IsPath():
			all = true
		case t.IsPattern():
			patterns = append(patterns, t.What)
		default:
			sockets = append(sockets, t.What)
		}
	}
	if !all && patterns == nil {
		return sockets, nil
	}
	listed, err := ssh.List(ctx, m, all, patterns)
	sockets = append(sockets, listed...)
	slices.Sort(sockets)
	return slices.Compact(sockets), err
}

// open opens the way to sockets and asks the hosts there.
func (r *Reach) open(ctx context.Context, m ssh.Machine, sockets []string) ([]control.Target, error) {
	tunnel, err := ssh.Open(ctx, m, sockets)
	if err != nil {
		return nil, err
	}
	found := make([]control.Target, len(sockets))
	r.mu.Lock()
	r.tunnels = append(r.tunnels, tunnel)
	if r.far == nil {
		r.far = map[string]way{}
	}
	for i, s := range sockets {
		found[i].Socket = m.String() + s
		r.far[found[i].Socket] = way{tunnel, s}
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, farPatience)
	defer cancel()
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			t := &found[i]
			client := r.Client(control.Status{Socket: t.Socket})
			defer client.Close()
			if t.Status, t.Err = client.Status(ctx); closed(t.Err) {
				t.Err = &control.UnreachableError{Target: t.Socket, Err: &ssh.Error{
					Machine: m, Doing: "connect to " + sockets[i], Said: tunnel.Said(), Err: errNobody, Next: "hotgo status --target " + m.String(),
				}}
			}
		})
	}
	wg.Wait()
	return found, nil
}

// errNobody is what a connection that ssh closes at once means: mostly that the host
// has ended.
var errNobody = errors.New("nobody listens there, or it may not be forwarded")

// closedIdle is what net/http says where a connection ended before it had written the
// request, and gives no name (go1.26 net/http/transport.go, errServerClosedIdle).
const closedIdle = "http: server closed idle connection"

func closed(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), closedIdle) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// choose gives the hosts of a machine that a target means. A socket that was named has
// to answer; one that was only found there may be stale.
func (t far) choose(found []control.Target) ([]control.Target, error) {
	var chosen []control.Target
	for _, f := range found {
		st, named := f.Status, t.IsPath() && !t.IsPattern()
		socket := strings.TrimPrefix(f.Socket, t.Machine.String())
		switch {
		case named && t.What == socket && st == nil:
			return nil, f.Err
		case st == nil && errors.Is(f.Err, errNobody):
		case t.What == "",
			t.IsPath() && t.Matches(socket),
			!t.IsPath() && st != nil && names(t.What, *st):
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return nil, &control.UnreachableError{Target: t.Address.String()}
	}
	return chosen, nil
}

// names reports whether a name, a pattern of names or a process id means a host.
func names(what string, st control.Status) bool {
	byName, _ := path.Match(what, st.Name)
	return byName || what == st.Name || what == strconv.Itoa(st.PID)
}
