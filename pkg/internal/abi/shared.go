package abi

import (
	"maps"
	"slices"
)

// SharedPackage is a package of a plugin that the process has from an earlier
// artifact.
type SharedPackage struct {
	Package string
	By      string // the artifact that brought it first
}

// Shared lists the packages of artifact that an earlier artifact, not the host's
// binary, brought with the same hash, and whose source may have changed since all
// the same, sorted. The dynamic linker binds artifact to the variables, interface
// tables and function values of the earlier one, and the runtime does not run their
// initialisers again; direct calls run the artifact's own code. Hashes leave out the
// bodies of functions that are not inlined, and variables' values
// (https://go.dev/issue/20554; seen with Go 1.26.8).
//
// Left out is what has one text for each version: the standard library, and
// modules that come from their version. So are plugins' main packages, which no
// two artifacts can share.
func (p *Process) Shared(host, artifact *Fingerprint) []SharedPackage {
	var shared []SharedPackage
	for _, pkg := range slices.Sorted(maps.Keys(artifact.Packages)) {
		first, ok := p.packages[pkg]
		_, ours := host.Packages[pkg]
		if ok && !ours && first.hash == artifact.Packages[pkg] && pkg != artifact.PluginPath && artifact.editable(pkg) {
			shared = append(shared, SharedPackage{Package: pkg, By: first.by})
		}
	}
	return shared
}

// editable reports whether the build took a package from a source tree rather than
// from the module cache. The main module may have a version for all that: the go
// command takes it from the version control system.
func (f *Fingerprint) editable(pkg string) bool {
	m, ok := f.moduleOf(pkg)
	switch {
	case !ok:
		return !isStd(pkg)
	case m.Path == f.Main.Path:
		return true
	case m.Replace != nil:
		return m.Replace.Version == ""
	}
	return m.Version == "" || m.Version == "(devel)"
}
