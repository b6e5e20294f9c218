package ssh

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for target, want := range map[string]Address{
		"ssh://web1":                         {Machine: Machine{Host: "web1"}},
		"ssh://web1/":                        {Machine: Machine{Host: "web1"}},
		"ssh://deploy@web1.example:2222":     {Machine: Machine{User: "deploy", Host: "web1.example", Port: "2222"}},
		"ssh://[2001:db8::1]:22/shop":        {Machine: Machine{Host: "2001:db8::1", Port: "22"}, What: "shop"},
		"ssh://web1/shop":                    {Machine: Machine{Host: "web1"}, What: "shop"},
		"ssh://web1/812":                     {Machine: Machine{Host: "web1"}, What: "812"},
		"ssh://web1/shop-?":                  {Machine: Machine{Host: "web1"}, What: "shop-?"},
		"ssh://web1/shop.sock":               {Machine: Machine{Host: "web1"}, What: "/shop.sock"},
		"ssh://web1/run/hotgo/shop-812.sock": {Machine: Machine{Host: "web1"}, What: "/run/hotgo/shop-812.sock"},
		"ssh://web1/run/hotgo/shop-*.sock":   {Machine: Machine{Host: "web1"}, What: "/run/hotgo/shop-*.sock"},
	} {
		if got, err := Parse(target); err != nil || got != want {
			t.Errorf("%s is %+v, %v", target, got, err)
		}
	}
	for _, target := range []string{
		"web1", "ssh:web1", "ssh://", "ssh:///run/x.sock", "ssh://-oProxyCommand=x/", "ssh://-l@web1", "ssh://we b1", "ssh://$(x)",
		"ssh://web1:", "ssh://web1:ssh", "ssh://web1:123456", "ssh://[::1", "ssh://[web1]", "ssh://user:password@web1", "ssh://@web1",
		"ssh://web1/run/a:b.sock", "ssh://web1/run/%h.sock", "ssh://web1/run/${HOME}.sock", "ssh://web1/run/a\nb.sock", `ssh://web1/run/a\.sock`, "ssh://web1/run/[a.sock",
	} {
		if got, err := Parse(target); err == nil {
			t.Errorf("%q is %+v", target, got)
		}
	}
}

// What is a target has to reach ssh as what it is, and not as an option, a token or
// something for a shell.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ssh://web1", "ssh://deploy@web1.example:2222/run/hotgo/shop-*.sock", "ssh://[::1]:22/shop", "ssh://-x", "ssh://a@b@c", "ssh://h/%h.sock", "ssh://h//a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		a, err := Parse(target)
		if err != nil {
			return
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%q is %+v, which is written %q, which is %+v, %v", target, a, a.String(), again, err)
		}
		for _, word := range []string{a.Machine.Host, a.Machine.User, a.Machine.Port} {
			if strings.HasPrefix(word, "-") || strings.ContainsAny(word, " \t\n'\"`$%\\;&|<>(){}*?!#~\x00") {
				t.Errorf("%q has the word %q", target, word)
			}
		}
		if strings.ContainsAny(a.What, ":\\%$\n\x00") {
			t.Errorf("%q has the path %q", target, a.What)
		}
	})
}

// listen makes a socket; without an owner it stays behind.
func listen(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListFindsWhatAShellMayMean(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no POSIX shell")
	}
	dir, err := os.MkdirTemp("", "hg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	odd := filepath.Join(dir, "it's; echo $(id) *")
	all := []string{
		filepath.Join(dir, "run", "hotgo", "shop-1.sock"),
		filepath.Join(dir, "srv", "a", "shop.sock"), filepath.Join(dir, "srv", "b", "shop.sock"),
		filepath.Join(dir, "shop-a.sock"), filepath.Join(dir, "shop-b.sock"), filepath.Join(dir, "shop-1.sock"),
	}
	for _, s := range all {
		listen(t, s)
	}
	if err := os.MkdirAll(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"no.sock", "run/hotgo/no.sock"} {
		if err := os.WriteFile(filepath.Join(dir, s), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		what string
		want []string
	}{
		{"", all[:1]},
		{dir + "/srv/*/shop.sock", all[1:3]},
		{dir + "/shop-[a-z].sock", all[3:5]},
		{dir + "/shop-[^a-z].sock", all[5:]},
		{dir + "/shop-?.sock", all[3:]},
		{odd + "/*.sock", nil},
	} {
		a := Address{What: tc.what}
		var patterns []string
		if tc.what != "" {
			patterns = []string{tc.what}
		}
		cmd := exec.Command(sh)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "TMPDIR=" + dir}
		cmd.Stdin = strings.NewReader("echo 'Welcome!'\n" + listScript(tc.what == "", patterns) + "echo bye\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		listed, ok := readList(string(out))
		var got []string
		for _, s := range listed {
			if tc.what == "" || a.Matches(s) {
				got = append(got, s)
			}
		}
		slices.Sort(got)
		slices.Sort(tc.want)
		if !ok || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, want %q, of\n%s", tc.what, got, tc.want, out)
		}
	}
}

func TestListThatBreaksOffIsNone(t *testing.T) {
	for _, out := range []string{"", "Welcome!\n", "hotgo: sockets\n/a.sock\n", "hotgo: sockets\n/a.sock\nhotgo: en"} {
		if got, ok := readList(out); ok {
			t.Errorf("%q is %q", out, got)
		}
	}
	got, ok := readList("hi\nhotgo: sockets\n/a.sock\n/a.sock\nb.sock\n/%h.sock\nhotgo: end\n/c.sock\n")
	if !ok || !slices.Equal(got, []string{"/a.sock"}) {
		t.Errorf("%q, %v", got, ok)
	}
}
