package abi

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Compare lists everything that keeps artifact from being loaded into host;
// an empty answer means that it fits. proc is what the process has loaded
// since it started, or nil for nothing.
//
// The order is that of [MismatchKind]. What differs at the bottom comes first:
// where not even the machine or the Go release is the same, hashes say nothing
// and are left out. Causes come before their effects: settings and module
// versions that explain differing hashes precede them, and stay out where all
// hashes agree, for then they made no difference. [Headline] picks what to
// show to people.
//
// Host and artifact are only read.
func Compare(host, artifact *Fingerprint, proc *Process) []Mismatch {
	if proc == nil {
		proc = &Process{}
	}
	c := comparison{host: host, artifact: artifact, proc: proc}
	c.file()
	c.platform()
	comparable := c.release()
	c.hostLoads()
	if comparable {
		c.hashes()
	} else if len(c.found) > 0 {
		c.differingFlags()
		all := map[string]bool{}
		for _, m := range c.artifact.Modules {
			all[m.Path] = true
		}
		c.differingModules(all)
	}
	c.hardFlags()
	c.pluginPath()
	c.poisoned()
	slices.SortStableFunc(c.found, func(a, b Mismatch) int { return cmp.Compare(a.Kind, b.Kind) })
	return c.found
}

// comparison collects the mismatches of one call.
type comparison struct {
	host, artifact *Fingerprint
	proc           *Process
	found          []Mismatch
}

func (c *comparison) add(m Mismatch) { c.found = append(c.found, m) }

// file: the runtime throws on anything that is not a plugin.
func (c *comparison) file() {
	if err := c.artifact.RequirePlugin(); err != nil {
		c.add(Mismatch{
			Kind: MismatchFile, What: "build mode", Host: Plugin.String(), Artifact: c.artifact.kindDetail(), Limit: limitRuntime,
			Cause: "the runtime ends a process that opens what is no Go plugin", Way: "build it with go build -buildmode=plugin, or with hotgo build",
		})
	}
}

// platform: machine, word size, C library and processor.
func (c *comparison) platform() {
	h, a := c.host, c.artifact
	differ := func(what, host, artifact, cause, way string) {
		if host != artifact && host != "" && artifact != "" {
			c.add(Mismatch{
				Kind: MismatchPlatform, What: what, Host: host, Artifact: artifact,
				Rule: "HG0091", Limit: limitLoader, Cause: cause, Way: way,
			})
		}
	}
	const elsewhere = "it was built for another platform"
	differ("machine", h.Machine, a.Machine, elsewhere, "build it with GOARCH="+h.Machine)
	differ("class", h.Class, a.Class, elsewhere, "build it with the host's GOARCH")
	differ("GOOS", h.Settings["GOOS"], a.Settings["GOOS"], elsewhere, "build it with GOOS="+h.Settings["GOOS"])
	differ("C library", libc(h.Needed), libc(a.Needed),
		"a process has one C library, and each has symbols of its own", "build it on a machine with the host's C library")
	c.versions()
	c.processor()
}

// versions compares the symbol versions that the artifact needs with those that
// the libraries define which the process has. A library that is not known is
// left out: the dynamic linker will look for it.
func (c *comparison) versions() {
	for _, lib := range slices.Sorted(maps.Keys(c.artifact.Versions)) {
		defined, known := c.proc.Libraries[lib]
		if !known {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(c.artifact.Versions[lib]), func(v string) bool { return slices.Contains(defined, v) })
		if len(missing) == 0 {
			continue
		}
		c.add(Mismatch{
			Kind: MismatchPlatform, What: lib, Host: newest(defined, missing[0]), Artifact: "needs " + strings.Join(missing, ", "),
			Rule: "HG0091", Limit: limitLoader,
			Cause: "it was linked on a machine with a newer " + lib, Way: "build it on a machine whose C library is as old as the host's",
		})
	}
}

// newest says how far the versions go that belong with like.
func newest(defined []string, like string) string {
	series, _, _ := strings.Cut(like, "_")
	for _, v := range slices.Backward(defined) {
		if name, version, ok := strings.Cut(v, "_"); ok && name == series && version != "" && version[0] >= '0' && version[0] <= '9' {
			return "up to " + v
		}
	}
	return "none of " + series
}

// processor compares the instruction set level. Package hashes do not cover
// it: such an artifact loads, and dies of SIGILL whenever it gets to the first
// instruction that the processor lacks.
func (c *comparison) processor() {
	key := processorSetting(c.artifact.Machine)
	host, want := c.host.Settings[key], c.artifact.Settings[key]
	if c.host.Machine != c.artifact.Machine || want == "" || want == host {
		return
	}
	has := host
	if c.artifact.Machine == "amd64" {
		// Levels are ordered: a lower one always runs.
		if c.proc.CPU > has {
			has = c.proc.CPU
		}
		if want <= has {
			return
		}
	}
	c.add(Mismatch{
		Kind: MismatchPlatform, What: key, Host: has, Artifact: want,
		Rule: "HG0091", Limit: limitCPU, Cause: "it may run instructions that the processor lacks", Way: "build it with " + key + "=" + host,
	})
}

// processorSetting names the build setting for the instruction set of a
// machine: GOAMD64, GOARM64, GOPPC64, …
func processorSetting(machine string) string {
	return "GO" + strings.ToUpper(strings.TrimSuffix(machine, "le"))
}

// release compares the Go release, and reports whether hashes can be compared
// at all. Another release lays out moduledata differently; reading one with
// the other's layout crashes before the runtime can tell.
func (c *comparison) release() bool {
	if c.host.GoVersion != c.artifact.GoVersion {
		m := Mismatch{
			Kind: MismatchGo, What: "go version", Host: c.host.GoVersion, Artifact: c.artifact.GoVersion,
			Rule: "HG0091", Limit: limitRuntime, Cause: "each Go release lays out plugins in its own way",
			Way: "build it with GOTOOLCHAIN=" + toolchain(c.host.GoVersion),
		}
		if toolchain(c.host.GoVersion) == toolchain(c.artifact.GoVersion) { // "go1.26.8-X:name"
			m.Cause, m.Way = "the two were built with different GOEXPERIMENTs", "build it with the host's GOEXPERIMENT"
		}
		c.add(m)
	}
	return !slices.ContainsFunc(c.found, func(m Mismatch) bool {
		return m.Kind == MismatchGo || m.Kind == MismatchFile ||
			m.Kind == MismatchPlatform && (m.What == "machine" || m.What == "class" || m.What == "GOOS" || m.What == "C library")
	})
}

// toolchain gives a Go release without the experiments that follow it.
func toolchain(version string) string {
	name, _, _ := strings.Cut(version, " ")
	name, _, _ = strings.Cut(name, "-X:") // programs of releases have that form
	return name
}

// hostLoads: a program can load plugins only if it was linked dynamically, with
// cgo, and with package plugin in it, for that makes the linker export symbols.
func (c *comparison) hostLoads() {
	h := c.host
	add := func(host, way, command string) {
		m := Mismatch{
			Kind: MismatchHost, What: "plugin support", Host: host, Artifact: "needs it", Limit: limitRuntime,
			Cause: "no plugin loads into this program, whatever is done to the plugin", Way: way,
		}
		if command != "" && h.Package != commandLine {
			m.prepare = command + " " + h.Package
		}
		c.add(m)
	}
	switch {
	case h.Kind != Executable:
		add("not a program: "+h.kindDetail(), "name the program that loads the artifact", "")
	case h.Settings["CGO_ENABLED"] == "0":
		add("built with CGO_ENABLED=0", "build the host with cgo and a C compiler", "CGO_ENABLED=1 go build")
	case h.Interp == "":
		add("statically linked", "build the host without -static", "go build")
	case len(h.Packages) == 0:
		add("exports no package hashes", `import "plugin" in the host, or github.com/hotgo/hotgo/pkg/reloader/auto, and build it again`, "")
	}
}

// commandLine is the import path that go build gives to files that were named.
const commandLine = "command-line-arguments"

// hashes compares each package of the artifact with whoever defined it first:
// the host, else the earliest artifact. The runtime does the same and stops at
// the first difference.
func (c *comparison) hashes() {
	var differ []rankedMismatch
	againstHost := false
	twoVersions := map[string]bool{} // packages whose module has two
	for _, pkg := range slices.Sorted(maps.Keys(c.artifact.Packages)) {
		hash := c.artifact.Packages[pkg]
		first, ok := c.firstDefiner(pkg)
		if !ok || first.hash == hash {
			continue
		}
		m := c.explainPackage(pkg, hash, first)
		differ = append(differ, m)
		againstHost = againstHost || first.fp == c.host
		twoVersions[pkg] = m.rank == rankModule
	}
	if againstHost {
		c.differingFlags()
	}
	c.differingModules(twoVersions)
	slices.SortStableFunc(differ, func(a, b rankedMismatch) int { return cmp.Compare(a.rank, b.rank) })
	for _, m := range differ {
		if m.rank == rankOwn && differ[0].rank < rankOwn {
			m.followed(differ[0].rank)
		}
		c.add(m.Mismatch)
	}
}

// firstDefiner tells whose copy of a package is the one in use.
func (c *comparison) firstDefiner(pkg string) (definer, bool) {
	if hash, ok := c.host.Packages[pkg]; ok {
		return definer{hash: hash, fp: c.host}, true
	}
	d, ok := c.proc.packages[pkg]
	return d, ok
}

// pluginPath: the runtime refuses a path that is taken ("plugin already
// loaded"), after it has mapped the file.
func (c *comparison) pluginPath() {
	path := c.artifact.PluginPath
	if by, ok := c.proc.paths[path]; ok && path != "" {
		c.add(Mismatch{
			Kind: MismatchPath, What: "plugin path", Host: "taken by " + by, Artifact: path, Limit: limitRuntime,
			Cause: "a process can load a plugin path once, and never again, even where that load failed",
			Way:   "build it with hotgo build, which gives every version a path of its own, or restart the host",
		})
	}
}

// poisoned: see Process.AddStuck.
func (c *comparison) poisoned() {
	for _, pkg := range slices.Sorted(maps.Keys(c.artifact.Packages)) {
		by, ok := c.proc.poisoned[pkg]
		if _, ours := c.host.Packages[pkg]; !ok || ours {
			continue
		}
		c.add(Mismatch{
			Kind: MismatchPoisoned, What: pkg, Host: "left unusable by " + by, Artifact: "contains it",
			Limit: limitRuntime, Cause: "its initialisation began and never ended, and the runtime would end the process", Way: "restart the host",
		})
	}
}
