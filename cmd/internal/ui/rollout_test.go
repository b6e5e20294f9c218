package ui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Processes in containers have one name and one number, and those of other machines may
// have those of a process here.
func TestHostsThatLookAlikeAreToldApart(t *testing.T) {
	for name, tc := range map[string]struct {
		sockets []string
		want    string
	}{
		"one":        {[]string{"/run/a.sock"}, ""},
		"seen twice": {[]string{"/run/a.sock", "/run/a.sock"}, ""},
		"containers": {[]string{"/run/a.sock", "/run/b.sock"}, "-> shop (pid 1) at /run/a.sock"},
		"machine":    {[]string{"ssh://deploy@web1/run/a.sock"}, "-> shop (pid 1) at ssh://deploy@web1"},
		"machines":   {[]string{"ssh://web1/run/a.sock", "ssh://web2/run/a.sock"}, "-> shop (pid 1) at ssh://web1/run/a.sock"},
	} {
		_, text := printed(t, Options{}, func(p *Printer) {
			for _, s := range tc.sockets {
				p.Seed(control.Status{Name: "shop", PID: 1, Socket: s})
			}
			ev := control.Event{Event: control.KindLoaded, Verdict: control.Swapped, Plugin: "price", Host: "shop", PID: 1, Target: tc.sockets[0]}
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
		})
		if _, at, _ := strings.Cut(strings.TrimSpace(text), "swapped"); strings.TrimSpace(at) != tc.want {
			t.Errorf("%s: %q, want %q", name, strings.TrimSpace(at), tc.want)
		}
	}
}

func TestRolloutTable(t *testing.T) {
	var b bytes.Buffer
	err := Rollout(&b, []Deployed{
		{Host: "shop", PID: 1871, Plugin: "price", Result: "done", Generation: 2, Key: "15f7c3aaaaaaaaaa", Target: "ssh://web1/run/shop.sock"},
		{Host: "sh\x1b[31mop", PID: 2, Plugin: "price", Result: "not undone", Unknown: true, Why: "refused", Target: "/run/\x07shop.sock"},
		{Host: "shop", PID: 3, Result: "not begun", Target: "/run/c.sock"},
	}, Style{Dir: plain().Dir, Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rollout.txt.golden", b.String())
}
