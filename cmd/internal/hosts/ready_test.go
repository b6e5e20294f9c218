package hosts

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// answering is a host that gives one status after the other, and then the last one
// again. It gives its socket.
func answering(t *testing.T, all ...control.Status) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rd") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan control.Status, len(all))
	for _, st := range all {
		next <- st
	}
	last := all[len(all)-1]
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		st := last
		select {
		case st = <-next:
		default:
		}
		w.Header().Set("Content-Type", control.TypeJSON)
		_ = json.NewEncoder(w).Encode(st)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

func TestAHostThatStartsIsWaitedForUntilItBindsItsPlugins(t *testing.T) {
	now, old := time.Now(), time.Now().Add(-time.Hour)
	bound := []control.Plugin{{Name: "pricing", Symbols: []control.Symbol{{Name: "Price"}}}}
	for _, c := range []struct {
		what    string
		answers []control.Status
		plugins int
		told    int
	}{
		{"one that restores, and then binds", []control.Status{{Starting: true, Started: old}, {Starting: true, Started: old}, {Started: old}, {Started: old, Plugins: bound}}, 1, 1},
		{"a young one that binds soon", []control.Status{{Started: now}, {Started: now}, {Started: now, Plugins: bound}}, 1, 0},
		{"an old one that binds nothing", []control.Status{{Started: old}, {Started: old, Plugins: bound}}, 0, 0},
		{"one that binds something", []control.Status{{Started: now, Plugins: bound}, {Started: now}}, 1, 0},
	} {
		told := 0
		found, err := new(Reach).FindReady(t.Context(), []string{answering(t, c.answers...)}, func(control.Status) { told++ })
		if err != nil || len(found.Hosts) != 1 || len(found.Hosts[0].Plugins) != c.plugins || told != c.told || found.Hosts[0].Starting || found.Hosts[0].Socket == "" {
			t.Errorf("%s: %+v, %v, told of %d", c.what, found, err, told)
		}
	}
}
