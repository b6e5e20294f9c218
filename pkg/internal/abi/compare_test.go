package abi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// hostAndPlugin gives the fingerprints of two binaries that fit, to be changed.
func hostAndPlugin(t *testing.T) (h, p *Fingerprint) {
	t.Helper()
	h, p = mustRead(t, host().build()), mustRead(t, plugin().build())
	if found := Compare(h, p, nil); len(found) > 0 {
		t.Fatalf("host and plugin do not fit to begin with: %v", found)
	}
	return h, p
}

// lines writes mismatches as "kind what|host|artifact".
func lines(found []Mismatch) []string {
	names := map[MismatchKind]string{
		MismatchFile: "file", MismatchPlatform: "platform", MismatchGo: "go", MismatchHost: "host", MismatchFlag: "flag",
		MismatchModule: "module", MismatchPackage: "package", MismatchPath: "path", MismatchPoisoned: "poisoned",
	}
	var out []string
	for _, m := range found {
		out = append(out, fmt.Sprintf("%s %s|%s|%s", names[m.Kind], m.What, m.Host, m.Artifact))
	}
	return out
}

const (
	textHash  = "0300000000000000"
	otherHash = "ff00000000000000"
)

func TestCompareListsWhatDiffers(t *testing.T) {
	other := Hash{0xff}
	for _, c := range []struct {
		name   string
		change func(h, p *Fingerprint, proc *Process)
		want   []string
	}{
		{"nothing", func(h, p *Fingerprint, _ *Process) {}, nil},
		{"the machine", func(h, p *Fingerprint, _ *Process) { p.Machine, p.Settings["GOARCH"] = "arm64", "arm64" }, []string{"platform machine|amd64|arm64"}},
		{"the word size", func(h, p *Fingerprint, _ *Process) { p.Class = "ELF32" }, []string{"platform class|ELF64|ELF32"}},
		{"the C library", func(h, p *Fingerprint, _ *Process) { p.Needed = []string{"libc.musl-x86_64.so.1"} }, []string{"platform C library|glibc|musl"}},
		{"the C library, in a plugin without one", func(h, p *Fingerprint, _ *Process) { p.Needed = nil }, nil},
		{"the Go release, and then no hashes", func(h, p *Fingerprint, _ *Process) {
			p.GoVersion = "go1.27.1"
			p.Packages["runtime"] = other
			p.Settings["-trimpath"] = "true"
			p.Modules[0].Version = "v0.23.0"
		}, []string{"go go version|go1.26.8|go1.27.1", "flag -trimpath|false|true", "module example.com/text|v0.22.0|v0.23.0"}},
		{"a plugin for a host without cgo", func(h, p *Fingerprint, _ *Process) { h.Settings["CGO_ENABLED"] = "0" }, []string{
			"host plugin support|built with CGO_ENABLED=0|needs it",
		}},
		{"a static host", func(h, p *Fingerprint, _ *Process) { h.Interp = "" }, []string{
			"host plugin support|statically linked|needs it",
		}},
		{"a host without package plugin", func(h, p *Fingerprint, _ *Process) { h.Packages = nil }, []string{
			"host plugin support|exports no package hashes|needs it",
		}},
		{"a host that is a plugin", func(h, p *Fingerprint, _ *Process) { h.Kind, h.Settings["-buildmode"] = Plugin, "plugin" }, []string{
			"host plugin support|not a program: built with -buildmode=plugin|needs it",
		}},
		{"an artifact that is no plugin", func(h, p *Fingerprint, _ *Process) { p.Kind, p.Settings["-buildmode"] = Other, "c-shared" }, []string{
			"file build mode|plugin|built with -buildmode=c-shared",
		}},
		{"flags without effect", func(h, p *Fingerprint, _ *Process) { p.Settings["-tags"] = "debug"; p.Settings["-ldflags"] = "-s" }, nil},
		{"the race detector, whatever the hashes say", func(h, p *Fingerprint, _ *Process) { p.Settings["-race"] = "true" }, []string{
			"flag -race|false|true",
		}},
		{"flags that changed the standard library", func(h, p *Fingerprint, _ *Process) {
			p.Settings["-trimpath"], p.Settings["-race"], p.Settings["-ldflags"], p.Settings["vcs.time"] = "true", "true", "-s", "now"
			h.Settings["CGO_CFLAGS"] = "-O2" // which -trimpath hides
			p.Packages["runtime"], p.Packages["example.com/text"] = other, other
		}, []string{
			"flag -race|false|true", "flag -trimpath|false|true",
			"package runtime|0100000000000000|" + otherHash, "package example.com/text|" + textHash + "|" + otherHash,
		}},
		{"a module's version", func(h, p *Fingerprint, _ *Process) {
			p.Modules[0].Version = "v0.23.0"
			p.Packages["example.com/text"] = other
		}, []string{"module example.com/text|v0.22.0|v0.23.0", "package example.com/text|" + textHash + "|" + otherHash}},
		{"a module's version, without effect", func(h, p *Fingerprint, _ *Process) { p.Modules[0].Version = "v0.23.0" }, nil},
		{"a module that is replaced", func(h, p *Fingerprint, _ *Process) {
			p.Modules[0].Replace = &Module{Path: "../text"}
			p.Packages["example.com/text"] = other
		}, []string{
			"module example.com/text|v0.22.0|v0.22.0 => ../text",
			"package example.com/text|" + textHash + "|" + otherHash,
		}},
		{"a package of the host's own", func(h, p *Fingerprint, _ *Process) {
			h.Packages["example.com/shop/rules"], p.Packages["example.com/shop/rules"] = Hash{1}, other
		}, []string{"package example.com/shop/rules|0100000000000000|" + otherHash}},
		{"hashes, likeliest cause first", func(h, p *Fingerprint, _ *Process) {
			p.Modules = append(p.Modules, Module{Path: "example.com/zz", Version: "v1.0.0"})
			h.Modules = append(h.Modules, Module{Path: "example.com/zz", Version: "v2.0.0"})
			for _, pkg := range []string{"example.com/shop/rules", "example.com/zz/a", "example.com/text/b", "fmt"} {
				h.Packages[pkg], p.Packages[pkg] = Hash{1}, other
			}
		}, []string{
			"module example.com/zz|v2.0.0|v1.0.0",
			"package fmt|0100000000000000|" + otherHash, "package example.com/zz/a|0100000000000000|" + otherHash,
			"package example.com/text/b|0100000000000000|" + otherHash, "package example.com/shop/rules|0100000000000000|" + otherHash,
		}},
		{"a package that an earlier artifact brought, of another version", func(h, p *Fingerprint, proc *Process) {
			first := &Fingerprint{
				PluginPath: "first", Packages: map[string]Hash{"example.com/lib": {9}},
				Modules: []Module{{Path: "example.com/lib", Version: "v1.0.0"}},
			}
			proc.Add(first, "first.so", false)
			p.Packages["example.com/lib"] = other
			p.Modules = append(p.Modules, Module{Path: "example.com/lib", Version: "v1.1.0"})
			p.Settings["-tags"] = "debug" // the host fits, so its flags explain nothing
		}, []string{
			"module example.com/lib|v1.0.0 (from first.so)|v1.1.0",
			"package example.com/lib|0900000000000000 (from first.so)|" + otherHash,
		}},
		{"the host's copy of a package counts, not an artifact's", func(h, p *Fingerprint, proc *Process) {
			proc.Add(&Fingerprint{Packages: map[string]Hash{"example.com/text": other}}, "first.so", true)
		}, nil},
		{"the earliest artifact counts", func(h, p *Fingerprint, proc *Process) {
			p.Packages["example.com/lib"] = other
			proc.Add(&Fingerprint{PluginPath: "1", Packages: map[string]Hash{"example.com/lib": other}}, "1.so", false)
			proc.Add(&Fingerprint{PluginPath: "2", Packages: map[string]Hash{"example.com/lib": {1}}}, "2.so", false)
		}, nil},
		{"the plugin path is taken", func(h, p *Fingerprint, proc *Process) { proc.Add(p, "first.so", false) }, []string{
			"path plugin path|taken by first.so|example.com/shop/pricing",
		}},
		{"the plugin path is taken by a load that failed", func(h, p *Fingerprint, proc *Process) {
			first := *p
			first.Packages = nil
			proc.Add(&first, "first.so", true)
		}, []string{"path plugin path|taken by first.so|example.com/shop/pricing"}},
		{"a package that the runtime would not let in", func(h, p *Fingerprint, proc *Process) {
			p.Packages["example.com/lib"] = other
			proc.Add(&Fingerprint{PluginPath: "1", Packages: map[string]Hash{"example.com/lib": other, "runtime": {1}}}, "1.so", true)
		}, []string{"poisoned example.com/lib|left unusable by 1.so|contains it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, p := hostAndPlugin(t)
			proc := &Process{}
			c.change(h, p, proc)
			if got := lines(Compare(h, p, proc)); !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func TestProcessorHasToKnowTheInstructions(t *testing.T) {
	for _, c := range []struct {
		host, artifact, cpu string
		fits                bool
	}{
		{"v1", "v1", "", true},
		{"v3", "v1", "", true},
		{"v1", "v3", "", false},
		{"v1", "v3", "v2", false},
		{"v1", "v3", "v3", true},
		{"v2", "v3", "v4", true},
		{"v3", "v3", "v1", true}, // the host runs, so whoever says v1 is wrong
	} {
		h, p := hostAndPlugin(t)
		h.Settings["GOAMD64"], p.Settings["GOAMD64"] = c.host, c.artifact
		if found := Compare(h, p, &Process{CPU: c.cpu}); len(found) == 0 != c.fits {
			t.Errorf("host %s, artifact %s, processor %q: %v, want fit %v", c.host, c.artifact, c.cpu, found, c.fits)
		}
	}
	h, p := hostAndPlugin(t)
	h.Machine, p.Machine = "arm64", "arm64"
	p.Settings["GOARM64"] = "v9.0"
	if found := Compare(h, p, nil); len(found) != 1 || found[0].What != "GOARM64" {
		t.Errorf("GOARM64 differs: %v", found)
	}
}

// Changes to what was compared or recorded must not show in earlier answers,
// and comparing must not change what is compared.
func TestCompareOnlyReads(t *testing.T) {
	h, p := hostAndPlugin(t)
	proc := &Process{}
	proc.Add(p, "first.so", true)
	before := lines(Compare(h, p, proc))
	if again := lines(Compare(h, p, proc)); !slices.Equal(before, again) {
		t.Errorf("first %q, then %q", before, again)
	}
}

func TestEveryMismatchSaysWhoSetTheLimit(t *testing.T) {
	h, p := hostAndPlugin(t)
	proc := &Process{}
	proc.Add(p, "first.so", true)
	p2 := *p
	p2.Packages = maps.Clone(p.Packages)
	p2.Packages["runtime"] = Hash{0xff}
	p2.Settings = map[string]string{"-race": "true", "GOAMD64": "v4"}
	for _, m := range Compare(h, &p2, proc) {
		if m.Limit == "" || m.What == "" || m.Artifact == "" && m.Host == "" {
			t.Errorf("%+v lacks something", m)
		}
	}
}

func TestOnlyPackagesThatAreStuckArePoisoned(t *testing.T) {
	h, p := hostAndPlugin(t)
	p.Packages["example.com/a"], p.Packages["example.com/b"] = Hash{1}, Hash{2}
	failed := *p
	failed.PluginPath = "example.com/failed"
	proc := &Process{}
	proc.AddStuck(&failed, "failed.so", []string{"example.com/b"})
	want := []string{"poisoned example.com/b|left unusable by failed.so|contains it"}
	if got := lines(Compare(h, p, proc)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	proc.Recovered("other.so")
	if got := lines(Compare(h, p, proc)); !slices.Equal(got, want) {
		t.Errorf("after another recovered: got %q, want %q", got, want)
	}
	proc.Recovered("failed.so")
	if got := lines(Compare(h, p, proc)); len(got) != 0 {
		t.Errorf("after it recovered: got %q", got)
	}
}

func TestHeadlineLeavesOutWhatOtherLinesExplain(t *testing.T) {
	pkg := func(name, rule string) Mismatch {
		return Mismatch{Kind: MismatchPackage, What: name, Rule: rule, Host: "1", Artifact: "2"}
	}
	flag := Mismatch{Kind: MismatchFlag, What: "-trimpath", Host: "true", Artifact: "false"}
	module := Mismatch{Kind: MismatchModule, What: "example.com/text", Host: "v1", Artifact: "v2"}
	for _, c := range []struct {
		name  string
		found []Mismatch
		limit int
		want  []string
	}{
		{"flags explain the standard library", []Mismatch{flag, pkg("fmt", "HG0091"), pkg("example.com/text", "HG0091")}, 9, []string{"flag -trimpath|true|false"}},
		{"a module explains its packages", []Mismatch{module, pkg("example.com/text/a", "HG0091")}, 9, []string{"module example.com/text|v1|v2"}},
		{"flags do not explain changed source", []Mismatch{flag, pkg("shop/rules", "HG0090")}, 9, []string{"flag -trimpath|true|false", "package shop/rules|1|2"}},
		{"nothing explains them", []Mismatch{pkg("fmt", "HG0091"), pkg("io", "HG0091"), pkg("os", "HG0091")}, 2, []string{"package fmt|1|2", "package io|1|2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lines(Headline(c.found, c.limit)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCPULevelIsTheHighestThatIsWhole(t *testing.T) {
	const (
		v1 = "fpu cx8 sse sse2 lm"
		v2 = v1 + " cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
		v3 = v2 + " avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
		v4 = v3 + " avx512f avx512bw avx512cd avx512dq avx512vl"
	)
	for _, c := range []struct{ flags, want string }{
		{"", ""},
		{"fpu sse", ""},
		{v1, "v1"},
		{v2, "v2"},
		{v3, "v3"},
		{v4, "v4"},
		{strings.Replace(v4, " fma", "", 1), "v2"},
		{strings.Replace(v4, " avx512vl", "", 1), "v3"},
	} {
		info := "processor\t: 0\nmodel name\t: x\nflags\t\t: " + c.flags + "\nbugs\t\t: avx2\n\nprocessor\t: 1\nflags\t\t: lm\n"
		if got := CPULevel(info); got != c.want {
			t.Errorf("CPULevel(%q) = %q, want %q", c.flags, got, c.want)
		}
	}
	if got := CPULevel("Processor : AArch64\nFeatures : fp asimd\n"); got != "" {
		t.Errorf("CPULevel of an ARM = %q", got)
	}
}

func TestKnownIssueNamesTheReleases(t *testing.T) {
	for version, want := range map[string]bool{"go1.27.0": true, "go1.27.1": true, "go1.27.1 X:foo": true, "go1.26.8": false, "go1.27.10": false} {
		if got := KnownIssue(version) != ""; got != want {
			t.Errorf("KnownIssue(%s) = %q", version, KnownIssue(version))
		}
	}
}
