package reloader

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// doors is a gate whose connections are whoever the test says.
type doors struct {
	*gate
	pipes    *pipes
	next     chan peer
	accepted chan *admitted
	away     []string
}

// newDoors opens a gate, in a bubble of synctest.
func newDoors(t *testing.T) *doors {
	d := &doors{pipes: newPipes(), next: make(chan peer, 1), accepted: make(chan *admitted, 1)}
	d.gate = newGate(d.pipes, func(net.Conn) peer { return <-d.next }, func(_ peer, why string) { d.away = append(d.away, why) })
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			d.accepted <- c.(*admitted)
		}
	}()
	t.Cleanup(func() { d.Close() })
	return d
}

// come has somebody connect, and gives the connection that the host gets; nil
// where it was closed, or waits.
func (d *doors) come(p peer) *admitted {
	d.next <- p
	go d.pipes.dial()
	synctest.Wait()
	select {
	case c := <-d.accepted:
		return c
	default:
		return nil
	}
}

func guest(uid int) peer {
	return peer{caller: &control.Caller{UID: uid}, access: ReadAccess}
}

var (
	ownPeer  = peer{caller: &control.Caller{}, access: WriteAccess, own: true}
	stranger = peer{caller: &control.Caller{UID: 666}, refused: "no"}
)

func TestOwnConnectionsAreLimitedAndWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoors(t)
		var all []*admitted
		for range ownPlaces {
			all = append(all, d.come(ownPeer))
		}
		if slices.Contains(all, nil) {
			t.Fatal("there are fewer places than there should be")
		}
		if own, _ := d.taken(); own != ownPlaces {
			t.Errorf("%d places are taken", own)
		}
		if d.come(ownPeer) != nil {
			t.Error("one more was accepted")
		}
		all[0].Close()
		all[0].Close() // gives its place back once
		<-d.accepted
		if d.come(ownPeer) != nil {
			t.Error("a place was given back twice")
		}
		all[1].Close()
		<-d.accepted
		d.Close()
		if _, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after Close: %v", err)
		}
	})
}

func TestUnusedConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoors(t)
		var all []*admitted
		for range ownPlaces {
			c := d.come(ownPeer)
			d.state(c, http.StateActive)
			all = append(all, c)
		}
		gone := func(c *admitted) bool {
			return errors.Is(c.SetDeadline(time.Time{}), io.ErrClosedPipe)
		}
		if d.come(ownPeer) != nil || slices.ContainsFunc(all, gone) {
			t.Fatal("a connection in use was closed")
		}
		d.state(all[7], http.StateIdle) // somebody waits already
		if !gone(all[7]) {
			t.Error("an unused connection stays while others wait")
		}
		d.state(all[7], http.StateClosed)
		one := <-d.accepted
		d.state(one, http.StateActive)
		synctest.Wait()
		d.state(all[8], http.StateIdle)
		synctest.Wait()
		if !gone(all[8]) || gone(all[9]) {
			t.Error("it is not the unused connection that makes room")
		}
		d.state(all[8], http.StateActive)
		d.state(all[8], http.StateClosed)
		if len(d.idle) != 0 {
			t.Errorf("%d are noted as unused", len(d.idle))
		}
	})
}

// Whoever else may speak to the host cannot keep its own user, nor each other, out.
func TestOtherUsersTakePlacesFromNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoors(t)
		greedy := 0
		var first *admitted
		for range 3 * guestPlaces {
			if c := d.come(guest(1000)); c != nil {
				greedy++
				first = c
			}
		}
		if greedy != guestPlacesFor {
			t.Errorf("one user got %d places, want %d", greedy, guestPlacesFor)
		}
		if d.come(guest(1001)) == nil {
			t.Error("another user is kept out")
		}
		strangers := 0
		for range 100 {
			if d.come(stranger) != nil {
				strangers++
			}
		}
		if strangers != strangerPlaces {
			t.Errorf("%d strangers are listened to, want %d", strangers, strangerPlaces)
		}
		for uid := range 100 {
			d.come(guest(2000 + uid))
		}
		if _, others := d.taken(); others != guestPlaces+strangerPlaces {
			t.Errorf("%d places of others are taken, want %d", others, guestPlaces+strangerPlaces)
		}
		if d.come(ownPeer) == nil {
			t.Error("the own user is kept out")
		}
		if len(d.away) == 0 {
			t.Error("nobody is told about those who were turned away")
		}
		first.Close()
		if d.come(guest(1000)) == nil {
			t.Error("a place that was given back is not to be had")
		}
	})
}

func TestAccessIsTheWidestThatARuleGives(t *testing.T) {
	const own = 500
	o := Options{AllowUIDs: []int{10, 12}, AllowGIDs: []int{20}, ReadUIDs: []int{11, 12}, ReadGIDs: []int{21}}
	for name, c := range map[string]struct {
		cred peercred.Cred
		want Access
	}{
		"own user":               {peercred.Cred{UID: own, GID: 1}, WriteAccess},
		"root":                   {peercred.Cred{UID: 0, GID: 1}, WriteAccess},
		"own group":              {peercred.Cred{UID: 1, GID: own}, NoAccess},
		"writer":                 {peercred.Cred{UID: 10, GID: 1}, WriteAccess},
		"reader":                 {peercred.Cred{UID: 11, GID: 1}, ReadAccess},
		"both":                   {peercred.Cred{UID: 12, GID: 1}, WriteAccess},
		"in the writers' group":  {peercred.Cred{UID: 1, GID: 20}, WriteAccess},
		"in it beside others":    {peercred.Cred{UID: 1, GID: 1, Groups: []int{3, 20}}, WriteAccess},
		"in the readers' group":  {peercred.Cred{UID: 1, GID: 21}, ReadAccess},
		"reader among writers":   {peercred.Cred{UID: 11, GID: 1, Groups: []int{20, 21}}, WriteAccess},
		"user with group's id":   {peercred.Cred{UID: 20, GID: 1}, NoAccess},
		"group with a user's id": {peercred.Cred{UID: 1, GID: 10, Groups: []int{11, 12}}, NoAccess},
		"nobody":                 {peercred.Cred{UID: 65534, GID: 65534}, NoAccess},
	} {
		if got := o.admit(c.cred, own); got != c.want {
			t.Errorf("%s: access %s, want %s", name, got, c.want)
		}
		var none Options
		if got := none.admit(c.cred, own); (got == WriteAccess) != (c.cred.UID == own || c.cred.UID == 0) || got == ReadAccess {
			t.Errorf("%s, without rules: access %s", name, got)
		}
	}
	if p := o.identify(peercred.Cred{}, errors.New("no idea")); p.access != NoAccess || p.own || p.refused == "" {
		t.Errorf("where the system tells nothing: %+v", p)
	}
}

func TestIDsThatNobodyHasAreAnErrorOfNew(t *testing.T) {
	f := newFakeProcess(t)
	for _, o := range []Options{{AllowUIDs: []int{-1}}, {AllowGIDs: []int{-1}}, {ReadUIDs: []int{5, -1}}, {ReadGIDs: []int{-1}}} {
		o.NoSocket = true
		if h, err := newHost(o, f.platform()); err == nil {
			h.Close()
			t.Errorf("%+v is accepted", o)
		}
	}
}
