package auto

import (
	"errors"
	"os"
	"path/filepath"
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

func TestMistypedWishNotToRestoreIsOne(t *testing.T) {
	for value, want := range map[string]reloader.Restore{
		"": "", "off": reloader.RestoreOff, "later": reloader.RestoreLater, "at-start": reloader.RestoreAtStart,
		"of": reloader.RestoreOff, "strict": reloader.RestoreOff,
	} {
		t.Setenv("HOTGO_RESTORE", value)
		t.Setenv("HOTGO_SOCKET", "/dev/null/no.sock")
		var complaints []error
		var tried []reloader.Options
		h := start(func(o reloader.Options) (*reloader.Host, error) {
			tried = append(tried, o)
			return reloader.New(o)
		}, func(err error) { complaints = append(complaints, err) })
		h.Close()
		if len(tried) < 2 || tried[0].Restore != want || tried[1].Restore != want {
			t.Errorf("%q: tried %+v", value, tried)
		}
		if mistyped := value == "of" || value == "strict"; mistyped != (len(complaints) == 2) {
			t.Errorf("%q: complaints %v", value, complaints)
		}
	}
}

func TestKeysComeFromTheEnvironmentAsTextAndAsFiles(t *testing.T) {
	const key = "RWRRKRJORk/ICgel/BW+P+EA9dMmgnTDLFLHcMOwFLXHksW7fKeTUjfy"
	file := filepath.Join(t.TempDir(), "deploy.pub")
	if err := os.WriteFile(file, []byte("untrusted comment: minisign public key AC84F464E122951\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := file + ".link"
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	nothing := file + ".none"
	for list, want := range map[string]int{
		key: 1, file: 1, link: 1, key + string(os.PathListSeparator) + file: 2,
		"": 0, "RWQkey": 0, nothing: 0, key + string(os.PathListSeparator) + nothing: 0, "/dev/zero": 0,
	} {
		t.Setenv(keysVariable, list)
		var complaints []error
		h := start(func(o reloader.Options) (*reloader.Host, error) {
			if o.TrustedKeys == nil {
				t.Errorf("%q: a host that trusts everybody is tried", list)
			}
			if !o.NoSocket {
				return nil, errors.New("no socket here")
			}
			return reloader.New(o)
		}, func(err error) { complaints = append(complaints, err) })
		st := h.Status()
		h.Close()
		if got := len(st.TrustedKeys); got != min(want, 1) || st.TrustedKeys == nil || want == 0 != (len(complaints) == 2) {
			t.Errorf("%q gives %q; said: %v", list, st.TrustedKeys, complaints)
		}
	}
}

func TestImportStartsAHost(t *testing.T) {
	if Host() == nil {
		t.Fatal("no host")
	}
}
