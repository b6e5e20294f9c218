package reloader

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// TestSignatureTravelsEveryWay loads over a socket: as an upload, by path with the
// signature in the request, and by path with the signature beside the file.
func TestSignatureTravelsEveryWay(t *testing.T) {
	dir, err := os.MkdirTemp("", "sig") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := newFakeProcess(t)
	s := newSigner(t)
	h, err := newHost(Options{Socket: filepath.Join(dir, "s.sock"), TrustedKeys: s.trust()}, f.platform())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	client := control.NewClient(h.Socket())
	defer client.Close()
	refused := func(ev *control.Event, err error) {
		t.Helper()
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.CodeSignature || e.Rule == "" || e.Status != 403 {
			t.Errorf("%+v, %v", ev, err)
		}
	}
	loaded := func(ev *control.Event, err error) {
		t.Helper()
		if err != nil || ev.Event != control.KindLoaded || ev.Signer != s.key.ID.String() {
			t.Errorf("%+v, %v", ev, err)
		}
	}
	load := func(version string, sequence uint64, o control.LoadOptions) (*control.Event, error) {
		path := f.version("pricing", version, prices(2))
		o.Signature = s.text(path, at(sequence))
		return client.LoadFile(t.Context(), path, o)
	}

	bare := f.version("pricing", "bare", prices(2))
	refused(client.LoadFile(t.Context(), bare, control.LoadOptions{}))
	refused(client.LoadPath(t.Context(), bare, control.LoadOptions{}))
	loaded(load("uploaded", 10, control.LoadOptions{}))

	text := s.text(bare, at(11))
	loaded(client.LoadPath(t.Context(), bare, control.LoadOptions{Signature: text}))
	beside := s.sign(f.version("pricing", "beside", prices(3)), at(12))
	loaded(client.LoadPath(t.Context(), beside, control.LoadOptions{}))

	refused(load("older", 5, control.LoadOptions{}))
	refused(load("older", 5, control.LoadOptions{DryRun: true}))
	if ev, err := load("older", 5, control.LoadOptions{DryRun: true, AllowDowngrade: true}); err != nil || ev.Event != control.KindVerified {
		t.Errorf("dry run: %+v, %v", ev, err)
	}
	loaded(load("older", 5, control.LoadOptions{AllowDowngrade: true}))

	ev, err := client.Rollback(t.Context(), "pricing", nil)
	if err != nil || ev.Signer != s.key.ID.String() {
		t.Errorf("rollback: %+v, %v", ev, err)
	}
	st, err := client.Status(t.Context())
	if err != nil || len(st.TrustedKeys) != 1 || st.TrustedKeys[0] != s.key.ID.String() {
		t.Errorf("status: %+v, %v", st, err)
	}
}

func TestSignatureThatIsNoneOnTheWireIsABadRequest(t *testing.T) {
	_, _, url := mounted(t, Options{})
	for _, header := range []string{"???", "aGVsbG8"} {
		if a := do(t, request(t, "POST", url+"/v1/load", strings.NewReader("x"), ctype, octets, control.SignatureHeader, header)); a.status != 400 || a.err.Code != control.CodeBadRequest {
			t.Errorf("%q: %d %s", header, a.status, a.body)
		}
	}
	if a := do(t, request(t, "POST", url+"/v1/load?allow_downgrade=perhaps", strings.NewReader("x"), ctype, octets)); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
