package abi

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// This file says why hashes differ. What it says is a guess from the build
// infos of both files: they leave out what -trimpath hides, -mod and go.work.

// What the first difference is made of, likeliest root cause first. Hashes
// cover what a package takes from those it imports, so one cause at the bottom
// shows in everything above it.
const (
	rankStd     = iota // flags, environment
	rankModule         // a module in two versions
	rankOutside        // a module in one version, built differently
	rankOwn            // the host's own module
)

// rankedMismatch is the mismatch of one package with the rank of its cause.
type rankedMismatch struct {
	Mismatch
	rank int
}

// explainPackage makes the mismatch of one package with its first definer.
func (c *comparison) explainPackage(pkg string, hash Hash, first definer) rankedMismatch {
	m := Mismatch{
		Kind: MismatchPackage, What: pkg, Host: first.hash.String() + first.from(), Artifact: hash.String(),
		Rule: "HG0091", Limit: limitRuntime, Way: rebuild,
	}
	host, inHost := first.fp.moduleOf(pkg)
	artifact, inArtifact := c.artifact.moduleOf(pkg)
	rank := rankOutside
	switch {
	case !inHost && !inArtifact && isStd(pkg):
		rank = rankStd
		m.Cause = "the standard library differs: the two were built with different flags or in different environments"
	case inHost && inArtifact && first.fp.fromSource(host) && c.artifact.fromSource(artifact):
		rank = rankOwn
		m.Rule = "HG0090"
		m.Cause, m.Way = "its source changed since the host was built"+revisions(first.fp, c.artifact), newHost
	case inHost && inArtifact && (host.String() != artifact.String() || first.fp.fromSource(host) != c.artifact.fromSource(artifact)):
		rank = rankModule
		m.moduleAdvice(first.fp, host, artifact)
	case inHost != inArtifact:
		m.Cause = "only one of the two knows the module it is from"
	default:
		m.Cause = "the same version, built differently: with other flags, or from changed files"
	}
	return rankedMismatch{m, rank}
}

// followed takes back that a package's own source must have changed: what lies below
// it differs, too, first of all what has the given rank.
func (m *rankedMismatch) followed(rank int) {
	m.Rule, m.Way = "HG0091", rebuild
	m.Cause = "other packages differ, and it may import them; whether its source changed as well does not show"
	if rank == rankStd {
		m.Cause = "it was built differently, as the standard library was; whether its source changed as well does not show"
	}
}

// rebuild is the way out where the builder does the rest.
const rebuild = "build it for this host: the builder follows the host's flags and versions"

// newHost is the way out where no artifact can bring a change.
const newHost = "restart the host with a new build (hotgo run does it)"

// revisions names the commits of both builds, where they are known and differ.
func revisions(host, artifact *Fingerprint) string {
	const short = 12
	h, a := host.Settings["vcs.revision"], artifact.Settings["vcs.revision"]
	if h == a || len(h) < short || len(a) < short {
		return ""
	}
	return " (host at " + h[:short] + ", artifact at " + a[:short] + ")"
}

// from names the artifact that a definer stands for; the host goes without.
func (d definer) from() string {
	if d.by == "" {
		return ""
	}
	return " (from " + d.by + ")"
}

// fromSource reports whether a module was built from its source tree: the main
// module, which newer releases give a version of its own, or one of a workspace.
func (f *Fingerprint) fromSource(m Module) bool {
	return m.Replace == nil && (m.Path == f.Main.Path || m.Version == "" || m.Version == "(devel)")
}

// differingModules adds the modules of the given packages that have two
// versions, each once.
func (c *comparison) differingModules(packages map[string]bool) {
	seen := map[string]bool{}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		if !packages[pkg] {
			continue
		}
		first, ok := c.firstDefiner(pkg)
		if !ok {
			first = definer{fp: c.host} // a module's path where it has no package
		}
		host, ok1 := first.fp.moduleOf(pkg)
		artifact, ok2 := c.artifact.moduleOf(pkg)
		id := host.Path + first.from()
		source, sameSource := first.fp.fromSource(host), c.artifact.fromSource(artifact)
		if !ok1 || !ok2 || seen[id] || host.String() == artifact.String() && source == sameSource {
			continue
		}
		seen[id] = true
		m := Mismatch{
			Kind: MismatchModule, What: host.Path, Host: host.String() + first.from(), Artifact: artifact.String(),
			Rule: "HG0091", Limit: limitRuntime,
		}
		if host.String() == artifact.String() {
			m.Host, m.Artifact = sourced(m.Host, source), sourced(m.Artifact, sameSource)
		}
		m.moduleAdvice(first.fp, host, artifact)
		c.add(m)
	}
}

// sourced tells one version of a module, as its sources and as a dependency.
func sourced(version string, source bool) string {
	if source {
		return version + " (main module)"
	}
	return version + " (dependency)"
}

// moduleOf gives the module that a package belongs to: the one with the
// longest path that the import path begins with.
func (f *Fingerprint) moduleOf(pkg string) (Module, bool) {
	var best Module
	consider := func(m Module) {
		if m.Path != "" && len(m.Path) > len(best.Path) && (pkg == m.Path || strings.HasPrefix(pkg, m.Path+"/")) {
			best = m
		}
	}
	consider(f.Main)
	for _, m := range f.Modules {
		consider(m)
	}
	return best, best.Path != ""
}

// isStd reports whether an import path outside all known modules is one of the
// standard library.
func isStd(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// hardFlags are differences that no artifact survives, whatever the hashes
// say: the sanitizers' runtimes have to be in all of a process or in none.
var hardFlags = []string{"-race", "-msan", "-asan"}

// hardFlags adds them where differingFlags has not.
func (c *comparison) hardFlags() {
	for _, key := range hardFlags {
		listed := slices.ContainsFunc(c.found, func(m Mismatch) bool { return m.Kind == MismatchFlag && m.What == key })
		if !listed {
			c.flag(key)
		}
	}
}

// differingFlags adds the build settings that both builds do not share, those
// with an influence on package hashes.
func (c *comparison) differingFlags() {
	keys := map[string]bool{}
	for key := range c.host.Settings {
		keys[key] = true
	}
	for key := range c.artifact.Settings {
		keys[key] = true
	}
	trimmed := c.host.Settings["-trimpath"] == "true" || c.artifact.Settings["-trimpath"] == "true"
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key != processorSetting(c.host.Machine) && explains(key, trimmed) {
			c.flag(key)
		}
	}
}

// explains reports whether a build setting can be why hashes differ.
func explains(key string, trimmed bool) bool {
	switch {
	case key == "-buildmode", key == "-ldflags", key == "DefaultGODEBUG", key == "GOOS", key == "GOARCH",
		strings.HasPrefix(key, "vcs"):
		return false
	case key == "CGO_ENABLED":
		return true
	case strings.HasPrefix(key, "CGO_"):
		// With -trimpath on either side its build info leaves these out.
		return !trimmed
	}
	return true
}

// flag adds one build setting if it differs.
func (c *comparison) flag(key string) {
	host, artifact := setting(c.host, key), setting(c.artifact, key)
	if host == artifact {
		return
	}
	cause, way := flagAdvice(key, host)
	c.add(Mismatch{
		Kind: MismatchFlag, What: key, Host: cmp.Or(host, "none"), Artifact: cmp.Or(artifact, "none"), Rule: "HG0091", Limit: limitRuntime, Cause: cause, Way: way,
	})
}

// setting gives a build setting as people write it: boolean flags that are
// absent are false, others are empty.
func setting(f *Fingerprint, key string) string {
	v := f.Settings[key]
	if v == "" {
		switch key {
		case "-race", "-msan", "-asan", "-trimpath", "-cover":
			return "false"
		}
	}
	return v
}

// Headline picks at most limit mismatches to show to people. It leaves out the
// hashes that something else on the list explains: all of them where a module
// has two versions, or where flags differ and with them the standard library.
func Headline(found []Mismatch, limit int) []Mismatch {
	has := func(is func(Mismatch) bool) bool { return slices.ContainsFunc(found, is) }
	modules := has(func(m Mismatch) bool { return m.Kind == MismatchModule })
	flags := has(func(m Mismatch) bool { return m.Kind == MismatchFlag })
	std := has(func(m Mismatch) bool { return m.Kind == MismatchPackage && m.Rule == "HG0091" && isStd(m.What) })
	explained := modules || flags && std

	var picked []Mismatch
	for _, m := range found {
		if len(picked) < limit && !(explained && m.Kind == MismatchPackage) {
			picked = append(picked, m)
		}
	}
	return picked
}
