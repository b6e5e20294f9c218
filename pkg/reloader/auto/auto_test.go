package auto

import (
	"errors"
	"os"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func TestMain(m *testing.M) {
	code := m.Run()
	host.Close()
	os.Exit(code)
}

func TestProgramStartsWhateverTheEnvironmentSays(t *testing.T) {
	t.Setenv("HOTGO_NAME", "shop")
	t.Setenv("HOTGO_DIR", "/dev/null/no")
	t.Setenv("HOTGO_SOCKET", "/dev/null/no.sock")
	var complaints []error
	h := start(reloader.New, func(err error) { complaints = append(complaints, err) })
	defer h.Close()
	if len(complaints) != 1 {
		t.Errorf("complaints: %v", complaints)
	}
	if h.Socket() != "" {
		t.Errorf("socket %q", h.Socket())
	}
	if price := reloader.Bind(h, "pricing", "Price", 3); price.Get() != 3 {
		t.Error("the built-in does not serve")
	}
}

func TestSocketIsGivenUpBeforeTheRest(t *testing.T) {
	t.Setenv("HOTGO_NAME", "shop")
	var tried []reloader.Options
	h := start(func(o reloader.Options) (*reloader.Host, error) {
		tried = append(tried, o)
		if !o.NoSocket {
			return nil, errors.New("no socket here")
		}
		return reloader.New(o)
	}, func(error) {})
	defer h.Close()
	if len(tried) != 2 || h.Name() != "shop" {
		t.Errorf("tried %+v", tried)
	}
}

func TestImportStartsAHost(t *testing.T) {
	if Host() == nil {
		t.Fatal("no host")
	}
}
