package builder

import (
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

func TestAnotherGoReleaseIsRefusedWithBothNames(t *testing.T) {
	env := &gotool.Environment{GOVERSION: "go1.26.8"}
	host := &abi.Fingerprint{GoVersion: "go1.27.1", Exports: true, Settings: map[string]string{}}
	_, err := followHost(Options{}, env, host, "")
	c := asConflict(t, err)
	if m := c.Evidence[0]; m.What != "go version" || m.Host != "go1.27.1" || m.Artifact != "go1.26.8" || m.Rule != "HG0091" {
		t.Errorf("evidence %+v", c.Evidence)
	}
	if c.Next != "GOTOOLCHAIN=go1.27.1 hotgo build" {
		t.Errorf("next: %s", c.Next)
	}
	// An experiment or a vendor's suffix is no other release.
	host.GoVersion = "go1.26.8 X:greenteagc"
	if _, err := followHost(Options{}, env, host, ""); err != nil {
		t.Error(err)
	}
}

func TestSettingsOfTheHostAreSpelledOut(t *testing.T) {
	host := &abi.Fingerprint{GoVersion: "go1.26.8", Exports: true, Settings: map[string]string{
		"-race": "true", "-asan": "true", "-gcflags": "all=-N -l", "-asmflags": "all=-D=X", "GOAMD64": "v3", "GOEXPERIMENT": "jsonv2",
		"CGO_CFLAGS": "", "CGO_LDFLAGS": "-O2", "GOOS": "linux", "GOARCH": "amd64",
	}}
	s, err := followHost(Options{}, &gotool.Environment{GOVERSION: "go1.26.8"}, host, "")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(s.flags, " ")
	// What the host leaves off is passed too, because GOFLAGS may turn it on.
	if want := "-race=true -trimpath=false -tags= -asan=true -asmflags=all=-D=X -gcflags=all=-N -l -pgo=off"; got != want {
		t.Errorf("flags\n%s\nwant\n%s", got, want)
	}
	for _, kv := range []string{"GOAMD64=v3", "GOEXPERIMENT=jsonv2", "CGO_CFLAGS=", "CGO_LDFLAGS=-O2", "CGO_ENABLED=1"} {
		if !slices.Contains(s.env, kv) {
			t.Errorf("environment lacks %s: %v", kv, s.env)
		}
	}
	if slices.ContainsFunc(s.env, func(kv string) bool { return strings.HasPrefix(kv, "CGO_CPPFLAGS=") }) {
		t.Error("a setting that the host does not record was set")
	}
	if got := strings.Join(s.list, " "); got != "-race=true -tags= -asan=true" {
		t.Errorf("go list gets %s", got)
	}
}

func TestCoverageAndOtherCompilersAreRefused(t *testing.T) {
	for key, value := range map[string]string{"-cover": "true", "-compiler": "gccgo", "CGO_ENABLED": "0"} {
		host := &abi.Fingerprint{GoVersion: "go1.26.8", Exports: true, Settings: map[string]string{key: value}}
		_, err := followHost(Options{}, &gotool.Environment{GOVERSION: "go1.26.8"}, host, "")
		if c := asConflict(t, err); c.Evidence[0].What != key || c.Evidence[0].Host != value {
			t.Errorf("%s: %+v", key, c)
		}
	}
}

func TestProfileOfTheHostIsUsed(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.Write("server/default.pgo", pgoProfile(t))
	for _, flags := range [][]string{nil, {"-trimpath"}} {
		f.buildHost(flags...)
		b := f.builder(Options{})
		p, err := f.plan(b, "./plugins/pricing")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(p.Flags, "-pgo="+f.Root+"/server/default.pgo") {
			t.Errorf("flags %v", p.Flags)
		}
	}
	// Without the file nothing can be built to match.
	f.Write("server/default.pgo", "")
	f.buildHost("-pgo=off")
	b := f.builder(Options{})
	p, err := f.plan(b, "./plugins/pricing")
	if err != nil || !slices.Contains(p.Flags, "-pgo=off") {
		t.Errorf("%v, flags %v", err, p.Flags)
	}
	host := &abi.Fingerprint{GoVersion: "go1.26.8", Exports: true, Settings: map[string]string{"-pgo": "/gone/default.pgo"}}
	s, err := followHost(Options{}, &gotool.Environment{GOVERSION: "go1.26.8"}, host, f.Root)
	if err != nil || s.pgoBroken != "/gone/default.pgo" {
		t.Errorf("got %+v, %v", s, err)
	}
}

// A host built with the race detector takes a plugin built with it.
func TestRaceHostTakesRacePlugin(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost("-race")
	a := f.build(f.builder(Options{}), "./plugins/pricing")
	if a.Manifest.Flags["-race"] != "true" {
		t.Errorf("flags %v", a.Manifest.Flags)
	}
	if got := f.run(a); got != "api one" {
		t.Errorf("got %s", got)
	}
}

func TestOverlayOfTheUserIsRefused(t *testing.T) {
	f := newFixture(t, simplePlugin)
	f.buildHost()
	f.Write("overlay.json", "{}")
	f.Env = append(f.Env, "GOFLAGS=-overlay="+f.Root+"/overlay.json")
	_, err := f.plan(f.builder(Options{}), "./plugins/pricing")
	if c := asConflict(t, err); c.Evidence[0].What != "GOFLAGS" {
		t.Errorf("got %+v", c)
	}
}

func TestExperimentsAreNoOtherRelease(t *testing.T) {
	for _, v := range []string{"go1.26.8", "go1.26.8-X:nogreenteagc", "go1.26.8 X:nogreenteagc"} {
		if got := toolchain(v); got != "go1.26.8" {
			t.Errorf("%q: %q", v, got)
		}
	}
}
