package hosts

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hotgo/hotgo/cmd/internal/ssh"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Whether net/http has written its request by then is chance.
func TestAConnectionThatEndsAtOnceIsNobodys(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
	})
	for range 500 {
		client := control.NewClient(socket)
		_, err := client.Status(t.Context())
		client.Close()
		if !closed(err) {
			t.Fatal(err)
		}
	}
}

func TestTargetsOnAMachineMeanWhatTheyWouldHere(t *testing.T) {
	stale := &control.UnreachableError{Err: errNobody}
	found := []control.Target{
		{Socket: "ssh://web1/run/shop-1.sock", Status: &control.Status{Name: "shop", PID: 1}},
		{Socket: "ssh://web1/run/shop-2.sock", Status: &control.Status{Name: "shop", PID: 2}},
		{Socket: "ssh://web1/run/till-3.sock", Status: &control.Status{Name: "till", PID: 3}},
		{Socket: "ssh://web1/run/shop-4.sock", Err: stale},
		{Socket: "ssh://web1/run/odd.sock", Err: &control.Error{Code: control.CodeInternal}},
	}
	for target, want := range map[string]string{
		"ssh://web1":                  "1 2 3 !odd",
		"ssh://web1/shop":             "1 2",
		"ssh://web1/t*":               "3",
		"ssh://web1/2":                "2",
		"ssh://web1/run/shop-*.sock":  "1 2",
		"ssh://web1/run/shop-2.sock":  "2",
		"ssh://web1/run/shop-4.sock":  "unreachable", // it was named
		"ssh://web1/run/odd.sock":     "refused",
		"ssh://web1/nobody":           "unreachable",
		"ssh://web1/run/nobody*.sock": "unreachable",
	} {
		a, err := ssh.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := far{Address: a}.choose(found)
		var got []string
		for _, c := range chosen {
			if c.Status != nil {
				got = append(got, fmt.Sprint(c.Status.PID))
			} else {
				got = append(got, "!odd")
			}
		}
		switch err.(type) {
		case nil:
		case *control.UnreachableError:
			got = append(got, "unreachable")
		default:
			got = append(got, "refused")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is %q, want %q", target, got, want)
		}
	}
}
