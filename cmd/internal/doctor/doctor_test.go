package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hotgo/hotgo/cmd/internal/doctor"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func yes(b bool) *bool { return &b }

// toolchain is one that is fit.
func toolchain() *builder.Toolchain {
	return &builder.Toolchain{
		Go: "/go/bin/go", Version: "go1.26.8", GOOS: "linux", GOARCH: "amd64", Module: "/shop/go.mod", Wanted: "go1.26.0", CC: "gcc",
		Env: map[string]string{"CGO_ENABLED": "1", "GOAMD64": "v1", "GOTOOLCHAIN": "auto"},
	}
}

func server() *builder.HostBinary {
	return &builder.HostBinary{
		Package: "example.com/shop/cmd/server", GoVersion: "go1.26.8", GOOS: "linux", GOARCH: "amd64",
		Settings: map[string]string{"CGO_ENABLED": "1", "GOAMD64": "v1"}, Reloader: yes(true),
	}
}

// scene is a world in which everything is in order, and the parts that tests break.
type scene struct {
	doctor.World
	env       map[string]string
	files     map[string]string
	entries   map[string]doctor.Entry
	toolchain *builder.Toolchain
	binary    *builder.HostBinary
	plugins   []builder.Plugin
	snapshot  *builder.Snapshot
	effects   []builder.InitEffect
	hosts     []control.Status
	did       []string
}

func healthy() *scene {
	s := &scene{
		env:       map[string]string{"XDG_RUNTIME_DIR": "/run/me", "PATH": "/bin"},
		entries:   map[string]doctor.Entry{"/run/me/hotgo": {Mode: fs.ModeDir | 0o700, UID: 7, Mine: true}},
		toolchain: toolchain(), binary: server(),
		plugins:  []builder.Plugin{{Name: "pricing", ImportPath: "example.com/shop/plugins/pricing"}},
		snapshot: &builder.Snapshot{Plans: []*builder.Plan{{Link: "thin", Private: []string{"p"}}}, WatchDirs: []string{"/shop", "/shop/p"}},
		files: map[string]string{
			"/proc/sys/fs/inotify/max_user_watches": "8192\n", "/proc/sys/fs/inotify/max_user_instances": "128\n",
			"/proc/cpuinfo": "flags : lm cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3\n",
		},
	}
	s.World = doctor.World{
		GOOS: "linux", WorkDir: "/shop", TempDir: "/tmp", Artifacts: "/cache/hotgo", HostNamed: true,
		Getenv: func(name string) string { return s.env[name] },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := s.files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		Lstat: func(path string) (doctor.Entry, error) {
			if e, ok := s.entries[path]; ok {
				return e, nil
			}
			return doctor.Entry{}, fs.ErrNotExist
		},
		FileSystem: func(string) (doctor.FileSystem, error) { return doctor.FileSystem{Free: 1 << 40}, nil },
		Chmod: func(path string, mode fs.FileMode) error {
			s.did = append(s.did, fmt.Sprintf("chmod %o %s", mode, path))
			return nil
		},
		OpenFiles:  func() (uint64, error) { return 1024, nil },
		Watches:    func() doctor.Watches { return doctor.Watches{Watches: 100, Instances: 3} },
		SocketDirs: func() []string { return []string{"/run/me/hotgo", "/tmp/hotgo-7"} },
		CheckDir: func(dir string) error {
			if e := s.entries[dir]; !e.Mine || e.Mode.Perm()&0o022 != 0 {
				return errors.New("others can write there")
			}
			return nil
		},
		CheckPath: func(path string) error {
			if len(path) > 107 {
				return fmt.Errorf("the socket's path has %d bytes, the system allows 107", len(path))
			}
			return nil
		},
		Stale:       func(string) []string { return nil },
		RemoveStale: func(string) []string { return nil },
		Leftovers:   func(string) ([]string, error) { return nil, nil },
		RemoveLeft:  func(string) ([]string, error) { return nil, nil },
		Toolchain:   func(context.Context) (*builder.Toolchain, error) { return s.toolchain, nil },
		TryCompiler: func(context.Context, *builder.Toolchain) (builder.Compiler, error) {
			return builder.Compiler{Version: "gcc: gcc 12.2.0", Linker: "GNU ld 2.40"}, nil
		},
		ReadKey:     func(string) (doctor.SigningKey, error) { return doctor.SigningKey{ID: "AC84F464E122951"}, nil },
		Running:     func(context.Context) []control.Status { return s.hosts },
		ReadHost:    func(string) (*builder.HostBinary, error) { return s.binary, nil },
		InitEffects: func(*builder.Plan) []builder.InitEffect { return s.effects },
		FindHost:    func(context.Context) (builder.Host, error) { return builder.Host{Binary: "/shop/server"}, nil },
		Embeds:      func(context.Context, string) (bool, error) { return true, nil },
		FindPlugins: func(context.Context, builder.Host) ([]builder.Plugin, error) { return s.plugins, nil },
		Snapshot: func(context.Context, builder.Host, []builder.Plugin) (*builder.Snapshot, error) {
			return s.snapshot, nil
		},
		DescribeError: func(err error) (string, string, []control.Diagnostic) { return err.Error(), "hotgo build", nil },
	}
	return s
}

// trusting is a host that takes what these keys sign, beside one that takes all.
func trusting(ids ...string) []control.Status {
	return []control.Status{{Name: "free", PID: 1}, {Name: "shop", PID: 812, TrustedKeys: append([]string{}, ids...)}}
}

func (s *scene) socketMode(perm fs.FileMode, mine bool) {
	s.entries["/run/me/hotgo"] = doctor.Entry{Mode: fs.ModeDir | perm, UID: 8, Mine: mine}
}

func (s *scene) on(fs doctor.FileSystem) {
	s.FileSystem = func(string) (doctor.FileSystem, error) { return fs, nil }
}

// findings breaks a healthy world in one way each. The golden file has what is
// then not in order, and nothing else may be.
var findings = []struct {
	name  string
	ids   string // of the checks that are not ok
	spoil func(*scene)
}{
	{"nothing is wrong", "", func(*scene) {}},
	{"no go command", "toolchain.release cgo.enabled cgo.compiler env.goflags env.build host.program host.reloader host.dynamic host.release host.flags host.thin host.sources module.plugins", func(s *scene) {
		s.Toolchain = func(context.Context) (*builder.Toolchain, error) {
			return nil, fmt.Errorf("find go: %w", exec.ErrNotFound)
		}
	}},
	{"older release", "toolchain.release platform.support host.release host.thin host.sources", func(s *scene) {
		s.toolchain.Version, s.toolchain.Wanted = "go1.25.3", ""
		s.toolchain.NoThin = "thin artifacts are for Go 1.26 and 1.27, not go1.25.3"
	}},
	{"newer release", "toolchain.release platform.support", func(s *scene) {
		s.toolchain.Version, s.binary.GoVersion = "go1.28.0", "go1.28.0"
		s.toolchain.NoThin = "thin artifacts are for Go 1.26 and 1.27, not go1.28.0"
	}},
	{"unnamed release", "toolchain.release", func(s *scene) {
		s.toolchain.Version, s.binary.GoVersion = "devel", "devel"
	}},
	{"release with a known issue", "toolchain.release host.release", func(s *scene) {
		s.toolchain.Version, s.binary.GoVersion = "go1.27.1", "go1.27.1"
		s.toolchain.KnownIssue = "go1.27.1 can corrupt types (go.dev/issue/81303)"
		s.binary.KnownIssue = s.toolchain.KnownIssue
	}},
	{"toolchain kept from switching", "toolchain.switch", func(s *scene) {
		s.toolchain.Wanted, s.toolchain.Env["GOTOOLCHAIN"] = "go1.27.1", "local"
	}},
	{"another system", "platform.support", func(s *scene) {
		s.toolchain.NoLoad = "hosts load artifacts on linux, not on darwin"
	}},
	{"no compiler", "cgo.enabled cgo.compiler", func(s *scene) {
		s.toolchain.Env["CGO_ENABLED"] = "0"
		s.TryCompiler = func(context.Context, *builder.Toolchain) (builder.Compiler, error) {
			return builder.Compiler{}, fmt.Errorf("gcc: %w", exec.ErrNotFound)
		}
	}},
	{"compiler without headers", "cgo.compiler", func(s *scene) {
		s.TryCompiler = func(context.Context, *builder.Toolchain) (builder.Compiler, error) {
			return builder.Compiler{}, &builder.BuildError{Plugin: "gcc", Output: "probe.c:1:10: fatal error: stdlib.h: No such file or directory\nmore"}
		}
	}},
	{"cgo off", "cgo.enabled", func(s *scene) {
		s.toolchain.Env["CGO_ENABLED"], s.env["CGO_ENABLED"] = "0", "0"
	}},
	{"flags that break", "env.goflags", func(s *scene) {
		s.toolchain.Env["GOFLAGS"], s.env["GOFLAGS"] = "-mod=mod -overlay=o.json -tags=x", "set"
	}},
	{"flags that change", "env.goflags", func(s *scene) { s.toolchain.Env["GOFLAGS"] = "'-ldflags=-s -w' -asan" }},
	{"flags that make hosts static", "env.goflags", func(s *scene) { s.toolchain.Env["GOFLAGS"] = "-ldflags=-extldflags=-static" }},
	{"flags that hotgo follows", "", func(s *scene) { s.toolchain.Env["GOFLAGS"] = "-trimpath -race=false -buildvcs=false -tags=a,b" }},
	{"processor and other variables", "env.build host.flags", func(s *scene) {
		s.toolchain.Env["GOAMD64"], s.toolchain.Env["GOEXPERIMENT"], s.env["CGO_CFLAGS"] = "v3", "synctest", "-O0"
		s.binary.Settings["GOAMD64"] = "v3"
	}},
	{"unknown variable", "env.hotgo", func(s *scene) { s.UnknownHotgo = []string{"HOTGO_TAGGS is not a setting"} }},
	{"key and hosts that trust it", "", func(s *scene) { s.SignKey, s.hosts = "/k/deploy.key", trusting("AC84F464E122951") }},
	{"key with a password", "", func(s *scene) {
		s.SignKey, s.hosts = "/k/deploy.key", trusting("AC84F464E122951")
		s.ReadKey = func(string) (doctor.SigningKey, error) { return doctor.SigningKey{}, nil }
	}},
	{"no key for hosts that want one", "sign.key", func(s *scene) { s.hosts = trusting("AC84F464E122951", "1F") }},
	{"hosts that trust another key", "sign.key", func(s *scene) { s.SignKey, s.hosts = "/k/deploy.key", trusting("1F") }},
	{"hosts that trust nobody", "sign.key", func(s *scene) { s.SignKey, s.hosts = "/k/deploy.key", trusting() }},
	{"key that cannot be read", "sign.key", func(s *scene) {
		s.SignKey, s.hosts = "/k/deploy.key", trusting("1F")
		s.ReadKey = func(path string) (doctor.SigningKey, error) {
			return doctor.SigningKey{}, &builder.KeyError{Path: path, Message: "the key cannot be read", Err: fs.ErrNotExist}
		}
	}},
	{"key that others can read", "sign.key", func(s *scene) {
		s.SignKey = "/k/deploy.key"
		s.ReadKey = func(string) (doctor.SigningKey, error) {
			return doctor.SigningKey{ID: "1F", Warning: "others may read the secret key /k/deploy.key (mode 0644)"}, nil
		}
	}},
	{"watches used up", "watch.inotify", func(s *scene) {
		s.Watches = func() doctor.Watches { return doctor.Watches{Watches: 8191, Instances: 3} }
	}},
	{"watches nearly used up", "watch.inotify", func(s *scene) {
		s.Watches = func() doctor.Watches { return doctor.Watches{Watches: 8000, Instances: 3} }
	}},
	{"instances used up", "watch.inotify", func(s *scene) {
		s.Watches = func() doctor.Watches { return doctor.Watches{Instances: 128} }
	}},
	{"polling needs no watches", "", func(s *scene) {
		s.Polls = true
		s.Watches = func() doctor.Watches { return doctor.Watches{Watches: 9000, Instances: 128} }
		s.on(doctor.FileSystem{Name: "nfs", Free: 1 << 40})
	}},
	{"network file system", "watch.events", func(s *scene) { s.on(doctor.FileSystem{Name: "9p", Free: 1 << 40}) }},
	{"socket directory open to others", "socket.dir", func(s *scene) { s.socketMode(0o777, true) }},
	{"socket directory readable by others", "socket.dir", func(s *scene) { s.socketMode(0o755, true) }},
	{"socket directory of another user", "socket.dir", func(s *scene) { s.socketMode(0o700, false) }},
	{"socket in a directory of everybody's", "socket.dir", func(s *scene) {
		s.env["HOTGO_SOCKET"] = "/tmp/shop.sock"
		s.entries["/tmp"] = doctor.Entry{Mode: fs.ModeDir | fs.ModeSticky | 0o777, Mine: true}
	}},
	{"socket in the home directory", "", func(s *scene) {
		s.env["HOTGO_SOCKET"] = "/home/me/shop.sock"
		s.entries["/home/me"] = doctor.Entry{Mode: fs.ModeDir | 0o755, Mine: true}
	}},
	{"runtime directory that is not used", "socket.dir", func(s *scene) { s.env["XDG_RUNTIME_DIR"] = "/run/root" }},
	{"long socket path", "socket.path", func(s *scene) { s.env["HOTGO_SOCKET"] = "/" + strings.Repeat("a/", 60) + "x.sock" }},
	{"stale socket", "socket.stale", func(s *scene) {
		s.Stale = func(dir string) []string { return []string{dir + "/shop-1.sock"} }
	}},
	{"store that cannot be written", "store.dir store.leftovers", func(s *scene) {
		s.Leftovers = func(dir string) ([]string, error) {
			return nil, errors.New("open store " + dir + ": read-only file system")
		}
	}},
	{"leftovers in the store", "store.leftovers", func(s *scene) {
		s.Leftovers = func(dir string) ([]string, error) { return []string{dir + "/.tmp/pricing-x"}, nil }
	}},
	{"no room", "store.dir temp.dir", func(s *scene) { s.on(doctor.FileSystem{Free: 5 << 20}) }},
	{"noexec", "temp.dir", func(s *scene) { s.on(doctor.FileSystem{NoExec: true, Free: 1 << 40}) }},
	{"few descriptors", "limit.files", func(s *scene) { s.OpenFiles = func() (uint64, error) { return 64, nil } }},
	{"no module", "host.program host.reloader host.dynamic host.release host.flags host.thin host.sources module.plugins", func(s *scene) {
		s.HostNamed, s.toolchain.Module = false, ""
	}},
	{"several hosts", "host.program host.reloader host.dynamic host.release host.flags host.thin host.sources", func(s *scene) {
		s.HostNamed = false
		s.FindHost = func(context.Context) (builder.Host, error) {
			return builder.Host{}, &builder.AmbiguousError{What: "host", Candidates: []string{"a", "b"}}
		}
	}},
	{"host that is a package", "host.dynamic host.release host.flags host.thin host.sources", func(s *scene) {
		s.FindHost = func(context.Context) (builder.Host, error) { return builder.Host{Package: "./server"}, nil }
	}},
	{"package without the reloader", "host.reloader host.dynamic host.release host.flags host.thin host.sources", func(s *scene) {
		s.FindHost = func(context.Context) (builder.Host, error) { return builder.Host{Package: "./server"}, nil }
		s.Embeds = func(context.Context, string) (bool, error) { return false, nil }
	}},
	{"host without the reloader", "host.reloader", func(s *scene) { s.binary.Reloader = yes(false) }},
	{"host without cgo", "host.reloader host.dynamic host.thin host.sources", func(s *scene) {
		s.binary.Reloader, s.binary.Settings["CGO_ENABLED"], s.binary.Static = nil, "0", true
		s.binary.Unfit = &builder.ConflictError{
			Message: "the host cannot load plugins", Limit: "the Go runtime", Next: "CGO_ENABLED=1 go build example.com/shop/cmd/server",
			Evidence: []builder.Mismatch{{What: "CGO_ENABLED", Host: "0", Artifact: "1"}},
		}
	}},
	{"static host", "host.dynamic host.thin host.sources", func(s *scene) {
		s.binary.Static = true
		s.binary.Unfit = &builder.ConflictError{Message: "the host cannot load plugins", Limit: "the Go runtime"}
	}},
	{"host of another release", "host.release host.thin host.sources", func(s *scene) { s.binary.GoVersion = "go1.27.2" }},
	{"host that takes no thin artifacts", "host.thin", func(s *scene) { s.binary.NoThin = "the host was built with -asan" }},
	{"the same where nothing else is wanted", "host.thin", func(s *scene) {
		s.ThinOnly, s.binary.NoThin = true, "the host was built with -asan"
	}},
	{"host of unknown sources", "host.sources", func(s *scene) { s.snapshot.Assumed = true }},
	{"host whose sources changed", "host.sources", func(s *scene) {
		s.snapshot.HostChanges = []builder.HostChange{{ImportPath: "example.com/shop/cart", Files: []string{"/shop/cart/cart.go"}}}
	}},
	{"plugin that registers", "plugin.init", func(s *scene) {
		s.effects = []builder.InitEffect{{
			Code: "HG0041", Symbol: "pricing.init", Panics: true,
			At: builder.Diagnostic{File: "/shop/p/p.go", Line: 7, Col: 2, Message: "http.HandleFunc is called"},
		}, {At: builder.Diagnostic{File: "/shop/p/p.go", Line: 9, Col: 2, Message: "a goroutine is started"}}}
	}},
	{"plugin that cannot be planned", "plugin.plan plugin.init", func(s *scene) {
		s.snapshot.Plans[0] = nil
		s.snapshot.Errors = map[string]error{"pricing": errors.New("plugin pricing has cgo, and the module is vendored")}
	}},
	{"module that does not load", "host.sources module.plugins", func(s *scene) {
		s.FindPlugins = func(context.Context, builder.Host) ([]builder.Plugin, error) { return nil, errors.New("import cycle") }
	}},
}

// TestEachFindingIsFoundAndNothingElse: what is broken is reported with reason and
// next step, and what is not is ok.
func TestEachFindingIsFoundAndNothingElse(t *testing.T) {
	var all bytes.Buffer
	for _, f := range findings {
		s := healthy()
		f.spoil(s)
		checks := doctor.Run(t.Context(), s.World)
		var ids []string
		bad := slices.DeleteFunc(slices.Clone(checks), func(c doctor.Check) bool { return c.Result == doctor.OK })
		for _, c := range bad {
			ids = append(ids, c.ID)
			if (c.Result == doctor.Warning || c.Result == doctor.Problem) && c.Why == "" {
				t.Errorf("%s: %s does not say why it matters", f.name, c.ID)
			}
			if c.Result == doctor.Problem && c.Next == "" {
				t.Errorf("%s: %s has no next step", f.name, c.ID)
			}
		}
		if got := strings.Join(ids, " "); got != f.ids {
			t.Errorf("%s: not in order are %q, want %q", f.name, got, f.ids)
		}
		fmt.Fprintf(&all, "# %s\n", f.name)
		if err := ui.Doctor(&all, bad, ui.DoctorOptions{}); err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n")
	}
	path := filepath.Join("testdata", "findings.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// TestLookingChangesNothing: without Fix, no effect is used, whatever is wrong.
func TestLookingChangesNothing(t *testing.T) {
	for _, f := range findings {
		s := healthy()
		s.RemoveStale = func(string) []string { t.Error("removed sockets"); return nil }
		s.RemoveLeft = func(string) ([]string, error) { t.Error("removed leftovers"); return nil, nil }
		f.spoil(s)
		doctor.Run(t.Context(), s.World)
		if len(s.did) > 0 {
			t.Errorf("%s: %q", f.name, s.did)
		}
	}
}

// TestFixSaysExactlyWhatItDid: what can be fixed is, is ok afterwards, and each
// step is told.
func TestFixSaysExactlyWhatItDid(t *testing.T) {
	s := healthy()
	s.socketMode(0o777, true)
	s.Stale = func(dir string) []string { return []string{dir + "/a.sock", dir + "/b.sock"} }
	s.RemoveStale = func(dir string) []string { return []string{dir + "/a.sock"} } // b began to listen
	s.Leftovers = func(dir string) ([]string, error) { return []string{dir + "/x", dir + "/y"}, nil }
	s.RemoveLeft = func(dir string) ([]string, error) { return []string{dir + "/x"}, errors.New("y is busy") }
	checks := doctor.Run(t.Context(), s.World)
	doctor.Fix(checks)
	got := map[string]string{}
	for _, c := range checks {
		if len(c.Fixed) > 0 {
			got[c.ID] = string(c.Result) + ": " + strings.Join(c.Fixed, ", ")
		}
	}
	want := map[string]string{
		"socket.dir":      "ok: chmod 700 /run/me/hotgo",
		"socket.stale":    "ok: removed /run/me/hotgo/a.sock, removed /tmp/hotgo-7/a.sock",
		"store.leftovers": "problem: removed /cache/hotgo/x",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fixed (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"chmod 700 /run/me/hotgo"}, s.did); d != "" {
		t.Errorf("done (-want +got):\n%s", d)
	}
}

// TestOnlyProblemsAreShownWhenQuiet, and everything with its evidence when verbose.
func TestOnlyProblemsAreShownWhenQuiet(t *testing.T) {
	s := healthy()
	s.binary.Reloader = yes(false)
	s.snapshot.Assumed = true
	checks := doctor.Run(t.Context(), s.World)
	var quiet, verbose bytes.Buffer
	if err := ui.Doctor(&quiet, checks, ui.DoctorOptions{Quiet: true}); err != nil {
		t.Fatal(err)
	}
	if got := quiet.String(); !strings.HasPrefix(got, "problem  host.reloader  ") || strings.Count(got, "\n") != 3 {
		t.Errorf("quiet:\n%s", got)
	}
	if err := ui.Doctor(&verbose, checks, ui.DoctorOptions{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(verbose.String(), "         linker  GNU ld 2.40\n") {
		t.Errorf("verbose:\n%s", verbose.String())
	}
}
