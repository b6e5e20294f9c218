package builder

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

var update = flag.Bool("update", false, "write what is found into testdata as what is wanted")

// fitting gives a report about a host and an artifact that fit, to be changed. They
// are values: no file is read.
func fitting() (*Report, *abi.Process) {
	settings := func(mode string) map[string]string {
		return map[string]string{
			"-buildmode": mode, "-compiler": "gc", "CGO_ENABLED": "1", "GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1",
		}
	}
	modules := func() []abi.Module {
		return []abi.Module{{Path: "golang.org/x/text", Version: "v0.21.0"}, {Path: "example.com/shared", Version: "v1.2.0"}}
	}
	packages := func() map[string]abi.Hash {
		return map[string]abi.Hash{
			"runtime": {1}, "fmt": {2}, "golang.org/x/text/language": {3}, "example.com/shared": {4}, "example.com/shop/cart": {5},
		}
	}
	host := &abi.Fingerprint{
		Kind: abi.Executable, Class: "ELF64", Machine: "amd64", Interp: "/lib64/ld-linux-x86-64.so.2", GoVersion: "go1.26.8",
		Package: "example.com/shop/server", Main: abi.Module{Path: "example.com/shop", Version: "(devel)"}, Modules: modules(),
		Settings: settings("exe"), BuildID: "action/content", Packages: packages(), Exports: true, Needed: []string{"libc.so.6"},
	}
	file := &abi.Fingerprint{
		Kind: abi.Plugin, Class: "ELF64", Machine: "amd64", GoVersion: "go1.26.8",
		Package: "example.com/shop/plugins/greet", Main: abi.Module{Path: "example.com/shop", Version: "(devel)"}, Modules: modules(),
		Settings: settings("plugin"), Packages: packages(), PluginPath: "example.com/shop/plugins/greet/hotgo_3fa91c2b4d5e",
		Symbols: map[string]abi.SymbolKind{"Hello": abi.Func}, Needed: []string{"libc.so.6"},
		Versions: map[string][]string{"libc.so.6": {"GLIBC_2.34"}},
	}
	r := &Report{
		Artifact: Artifact{Path: "greet-3fa91c2b4d5e.so", Manifest: Manifest{
			Plugin: "greet", Package: "example.com/shop/plugins/greet", Link: "full",
			Symbols: []artifact.Symbol{{Name: "Hello", Kind: "func", Type: "func() string"}},
		}},
		Package: "example.com/shop/plugins/greet", host: host, file: file,
	}
	return r, &abi.Process{CPU: "v3"}
}

// other gives packages of a file another hash.
func other(fp *abi.Fingerprint, packages ...string) {
	for _, pkg := range packages {
		fp.Packages[pkg] = abi.Hash{0xff}
	}
}

// earlier is an artifact that a process has loaded before.
func earlier() *abi.Fingerprint {
	return &abi.Fingerprint{
		PluginPath: "example.com/shop/plugins/greet/hotgo_3fa91c2b4d5e", Packages: map[string]abi.Hash{"example.com/brought": {9}},
		Modules: []abi.Module{{Path: "example.com/brought", Version: "v1.0.0"}},
	}
}

// Every cause in the words that people read. testdata/verify.golden is meant to be
// read: does each message say what is wrong, why, and what to do?
func TestEveryCauseIsExplained(t *testing.T) {
	// differs makes host and artifact differ in a build setting, and with it in the
	// hashes of everything.
	differs := func(key, host, artifact string) func(*Report, *abi.Process) {
		return func(r *Report, _ *abi.Process) {
			r.host.Settings[key], r.file.Settings[key] = host, artifact
			other(r.file, "runtime", "fmt", "example.com/shared")
		}
	}
	reads := func(reason abi.Reason, detail string) func(*Report, *abi.Process) {
		return func(r *Report, _ *abi.Process) {
			r.file, r.Package, r.Artifact.Manifest = nil, "", Manifest{}
			r.Add(*abi.Unloadable(&abi.Error{Reason: reason, Detail: detail}))
		}
	}
	all := []struct {
		name   string
		change func(r *Report, proc *abi.Process)
	}{
		{"nothing differs", func(*Report, *abi.Process) {}},
		{"a file that was cut", reads(abi.Truncated, "section headers at bytes 22688 to 24224 of 10000")},
		{"a text", reads(abi.NotELF, `it begins with "modu"`)},
		{"a C library", reads(abi.NotGo, "it has no section .go.buildinfo")},
		{"tables that contradict each other", reads(abi.Malformed, "build id of 70000 bytes")},
		{"a shared object of another build mode", func(r *Report, _ *abi.Process) {
			r.file.Kind, r.file.Settings["-buildmode"] = abi.Other, "c-shared"
		}},
		{"bytes that changed", func(r *Report, _ *abi.Process) {
			r.Add(abi.Damaged(fmt.Errorf("%w: its code has digest sha256:00, the manifest says sha256:11", artifact.ErrDamaged)))
		}},
		{"no manifest", func(r *Report, _ *abi.Process) {
			r.Artifact.Manifest, r.Foreign = Manifest{}, true
			r.Add(foreign())
		}},
		{"another machine", func(r *Report, _ *abi.Process) {
			r.file.Machine, r.file.Settings["GOARCH"] = "arm64", "arm64"
		}},
		{"musl", func(r *Report, _ *abi.Process) { r.file.Needed = []string{"libc.musl-x86_64.so.1"} }},
		{"an older C library", func(r *Report, proc *abi.Process) {
			proc.Libraries = map[string][]string{"libc.so.6": {"GLIBC_2.2.5", "GLIBC_2.31", "GLIBC_PRIVATE"}}
		}},
		{"GOAMD64 above the processor", func(r *Report, _ *abi.Process) { r.file.Settings["GOAMD64"] = "v4" }},
		{"GOAMD64 above the host's", func(r *Report, _ *abi.Process) { r.file.Settings["GOAMD64"] = "v3" }},
		{"another Go release", func(r *Report, _ *abi.Process) { r.file.GoVersion = "go1.27.1" }},
		{"another GOEXPERIMENT", func(r *Report, _ *abi.Process) { r.file.GoVersion = "go1.26.8 X:greenteagc" }},
		{"a Go release with a fault", func(r *Report, _ *abi.Process) { r.host.GoVersion, r.file.GoVersion = "go1.27.1", "go1.27.1" }},
		{"a host without cgo", func(r *Report, _ *abi.Process) {
			r.host.Settings["CGO_ENABLED"], r.host.Packages, r.host.Interp = "0", nil, ""
		}},
		{"a static host", func(r *Report, _ *abi.Process) { r.host.Interp = "" }},
		{"a host without package plugin", func(r *Report, _ *abi.Process) { r.host.Packages = nil }},
		{"a host that is a plugin", func(r *Report, _ *abi.Process) {
			r.host.Kind, r.host.Settings["-buildmode"] = abi.Plugin, "plugin"
		}},
		{"a thin artifact for another build", func(r *Report, _ *abi.Process) {
			r.Artifact.Manifest.Link, r.Artifact.Manifest.HostBuild = "thin", "other/content"
		}},
		{"a patch for another build", func(r *Report, _ *abi.Process) {
			r.Artifact.Manifest.Link, r.Artifact.Manifest.HostBuild = "thin", "other/content"
			r.Artifact.Manifest.Patch = &artifact.Patch{}
		}},
		{"a patch of a generation, for a binary", func(r *Report, _ *abi.Process) {
			r.Artifact.Manifest.Patch = &artifact.Patch{Base: strings.Repeat("3fa91c2b4d5e", 5)}
		}},
		{"-race", differs("-race", "", "true")},
		{"-asan, where no hash shows it", func(r *Report, _ *abi.Process) { r.file.Settings["-asan"] = "true" }},
		{"-trimpath", differs("-trimpath", "true", "")},
		{"-tags", differs("-tags", "", "debug")},
		{"-gcflags", differs("-gcflags", "all=-l", "")},
		{"-pgo", differs("-pgo", "/src/shop/default.pgo", "")},
		{"-cover", differs("-cover", "true", "")},
		{"CGO_CFLAGS", differs("CGO_CFLAGS", "-O2", "-O0")},
		{"GOEXPERIMENT", differs("GOEXPERIMENT", "greenteagc", "")},
		{"a setting that a later release brings", differs("GONEW", "1", "")},
		{"the standard library, with no flag to blame", func(r *Report, _ *abi.Process) { other(r.file, "runtime") }},
		{"a dependency's version", func(r *Report, _ *abi.Process) {
			r.file.Modules[0].Version = "v0.22.0"
			other(r.file, "golang.org/x/text/language")
		}},
		{"a dependency that is replaced", func(r *Report, _ *abi.Process) {
			r.file.Modules[0].Replace = &abi.Module{Path: "../text"}
			other(r.file, "golang.org/x/text/language")
		}},
		{"one version, built differently", func(r *Report, _ *abi.Process) { other(r.file, "example.com/shared") }},
		{"the host's module as a dependency", func(r *Report, _ *abi.Process) {
			r.file.Main = abi.Module{Path: "example.com/plugins", Version: "(devel)"}
			r.file.Modules = append(r.file.Modules, abi.Module{Path: "example.com/shop", Version: "v1.4.0"})
			other(r.file, "example.com/shop/cart")
		}},
		{"the host's module by replace", func(r *Report, _ *abi.Process) {
			r.file.Main = abi.Module{Path: "example.com/plugins", Version: "(devel)"}
			r.file.Modules = append(r.file.Modules, abi.Module{Path: "example.com/shop", Version: "v0.0.0", Replace: &abi.Module{Path: "../shop"}})
			other(r.file, "example.com/shop/cart")
		}},
		{"the host's module in the version that it has", func(r *Report, _ *abi.Process) {
			r.host.Main.Version = "v1.4.0"
			r.file.Main = abi.Module{Path: "example.com/plugins", Version: "(devel)"}
			r.file.Modules = append(r.file.Modules, abi.Module{Path: "example.com/shop", Version: "v1.4.0"})
			other(r.file, "example.com/shop/cart")
		}},
		{"a dependency that the host replaces", func(r *Report, _ *abi.Process) {
			r.host.Modules[0].Replace = &abi.Module{Path: "example.com/fork", Version: "v0.21.1"}
			other(r.file, "golang.org/x/text/language")
		}},
		{"source of the host's own", func(r *Report, _ *abi.Process) { other(r.file, "example.com/shop/cart") }},
		{"source of the host's own, in two commits", func(r *Report, _ *abi.Process) {
			r.host.Main.Version, r.file.Main.Version = "v1.4.0", "v1.4.1-0.20260101000000-0123456789ab+dirty"
			r.host.Settings["vcs.revision"] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			r.file.Settings["vcs.revision"] = "0123456789abcdef0123456789abcdef01234567"
			other(r.file, "example.com/shop/cart")
		}},
		{"the host's own package above a dependency that differs", func(r *Report, _ *abi.Process) {
			r.file.Modules[0].Version = "v0.22.0"
			other(r.file, "golang.org/x/text/language", "example.com/shop/cart")
		}},
		{"the host's own package under other flags", func(r *Report, proc *abi.Process) {
			differs("-trimpath", "true", "")(r, proc)
			other(r.file, "example.com/shop/cart")
		}},
		{"a dependency that an earlier artifact brought", func(r *Report, proc *abi.Process) {
			first := earlier()
			first.PluginPath = "first"
			proc.Add(first, "greet-77aa10c0ffee.so", false)
			r.file.Packages["example.com/brought"] = abi.Hash{0xff}
			r.file.Modules = append(r.file.Modules, abi.Module{Path: "example.com/brought", Version: "v1.1.0"})
		}},
		{"a plugin path that is taken", func(r *Report, proc *abi.Process) { proc.Add(earlier(), "/srv/greet.so", false) }},
		{"a package whose initialisation panicked", func(r *Report, proc *abi.Process) {
			first := earlier()
			first.PluginPath = "first"
			proc.AddStuck(first, "generation 3 of greet", []string{"example.com/brought"})
			r.file.Packages["example.com/brought"] = abi.Hash{9}
		}},
		{"a symbol that is gone", func(r *Report, _ *abi.Process) {
			r.Host.Bound = []BoundSymbol{{Name: "Hello", Type: "func() string"}, {Name: "Bye", Type: "func() string"}}
		}},
		{"a symbol of another type", func(r *Report, _ *abi.Process) {
			r.Host.Bound = []BoundSymbol{{Name: "Hello", Type: "func(string) string"}}
		}},
		{"several at once", func(r *Report, proc *abi.Process) {
			differs("-trimpath", "true", "")(r, proc)
			r.file.Modules[0].Version = "v0.22.0"
			other(r.file, "golang.org/x/text/language")
			r.file.Settings["GOAMD64"] = "v4"
			proc.Add(earlier(), "/srv/greet.so", false)
		}},
	}
	var b strings.Builder
	for _, c := range all {
		r, proc := fitting()
		c.change(r, proc)
		r.judge(proc)
		if (c.name == "nothing differs") != (len(r.Mismatches) == 0) {
			t.Errorf("%s: found %+v", c.name, r.Mismatches)
		}
		fmt.Fprintf(&b, "# %s\n%s\n", c.name, told(r))
	}
	golden(t, filepath.Join("testdata", "verify.golden"), b.String())
}

// told writes a report in the order in which people are told: all that was found,
// with causes, who set the limit, what to do.
func told(r *Report) string {
	var b strings.Builder
	if r.Fits() {
		fmt.Fprintf(&b, "%s fits ./server\n", r.Name())
	} else {
		fmt.Fprintf(&b, "%s would not load into ./server\n", r.Name())
	}
	for _, m := range r.Mismatches {
		weight := ""
		if m.Weight != Refuses {
			weight = m.Weight.String() + ": "
		}
		fmt.Fprintf(&b, "  %s%s | host %s | artifact %s | %s %s\n", weight, m.What, m.Host, m.Artifact, m.Kind, m.Rule)
		fmt.Fprintf(&b, "    why:   %s\n    do:    %s\n    limit: %s\n", m.Cause, m.Way, m.Limit)
	}
	if shown := r.Headline(9); len(shown) < len(r.Mismatches) && len(shown) > 0 {
		b.WriteString("headline:")
		for _, m := range shown {
			b.WriteString(" " + m.What)
		}
		b.WriteString("\n")
	}
	if next := r.Next("./server"); next != "" {
		b.WriteString("next: " + next + "\n")
	}
	return b.String()
}

// golden compares got with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test -update writes it); got:\n%s", path, got)
	}
}
