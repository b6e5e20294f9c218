package abi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// This file has the words for what the hashes and settings show: host and
// command line say the same of the same mismatch.

// flagAdvice says why a build setting counts, and how the host has it.
func flagAdvice(key, host string) (cause, way string) {
	way = "build it with " + key + "=" + host
	switch {
	case slices.Contains(hardFlags, key):
		return "the sanitizer's runtime has to be in all of a process or in none of it", way
	case key == "-trimpath":
		return "the names of source files are part of what the runtime compares, and -trimpath changes them all", way
	case key == "-tags":
		return "build tags choose the files of packages that both have", tagged(way, host)
	case key == "-pgo":
		return "a profile decides what the compiler inlines; go build takes default.pgo of the main package by itself", tagged(way, cmp.Or(host, "off"))
	case key == "-gcflags" || key == "-asmflags" || key == "-compiler":
		return "what the compiler makes of packages that both have depends on it", tagged(way, host)
	case key == "-cover":
		return "coverage counters are compiled into packages that both have", way
	case key == "CGO_ENABLED":
		return "packages that both have are built from other files without cgo", way
	case strings.HasPrefix(key, "CGO_"):
		return "the C compiler's flags are part of packages that use cgo", tagged(way, host)
	case key == "GOEXPERIMENT" || key == "GOFIPS140":
		return "it changes the standard library", tagged(way, host)
	}
	return "it may change packages that both have", tagged(way, host)
}

// tagged gives way where the host has a value, else the advice to have none.
func tagged(way, host string) string {
	if host != "" {
		return way
	}
	return "build it without, as the host was"
}

// moduleAdvice says why a module in two versions is a problem, and what to do. fp is
// whose copy counts.
func (m *Mismatch) moduleAdvice(fp *Fingerprint, host, artifact Module) {
	if fp.fromSource(host) {
		// The compiler labels files by module and version then, and labels are
		// part of the hash: equal sources do not help.
		m.Cause = "the host was built from the sources of this module, and for the artifact it is a dependency: files of dependencies have other names, by require and by replace"
		m.Way = "build it in that module, or in a workspace that has both (go work init, go work use)"
		dir := "DIR"
		if artifact.Replace != nil && artifact.Replace.Version == "" {
			dir = artifact.Replace.Path
		}
		m.prepare = "go work use . " + dir
		return
	}
	m.Cause = "a process has one copy of a package, in the version that came first"
	switch {
	case artifact.Replace != nil && host.Replace == nil:
		m.Way = "build it without the replacement"
		m.prepare = "go mod edit -dropreplace=" + host.Path
	case host.Replace != nil:
		m.Way = "build it with the host's replacement"
	default:
		m.Way = "build it with the version that was there first"
		m.prepare = "go get " + host.Path + "@" + host.Version
	}
}

// Unloadable is the mismatch for a file that cannot be read as what it should
// be, nil for an err that says nothing about the file's content.
func Unloadable(err *Error) *Mismatch {
	m := &Mismatch{
		Kind: MismatchFile, What: "file", Host: "takes Go plugins", Artifact: strings.TrimSpace(string(err.Reason) + ": " + err.Detail), Limit: limitRuntime,
		Way: "build it again, with go build -buildmode=plugin or hotgo build",
	}
	if err.Detail == "" {
		m.Artifact = string(err.Reason)
	}
	switch err.Reason {
	case Unreadable:
		return nil
	case Truncated:
		m.Cause, m.Limit = "a process that maps it ends with SIGBUS at the first page that is missing", limitLoader
		m.Way = "copy it again, whole, or build it again"
	case NotELF, NotGo, NotPlugin:
		m.Cause = "the runtime ends a process that opens what is no Go plugin"
	case Malformed, TooLarge:
		m.Cause = "the file is damaged, or made to look like a plugin"
	}
	return m
}

// Damaged is the mismatch for a file whose bytes are not those that were written
// with its manifest. err says what differs.
func Damaged(err error) Mismatch {
	return Mismatch{
		Kind: MismatchFile, What: "file", Host: "takes whole artifacts", Artifact: "damaged", Limit: "hotgo: every byte of an artifact is checked",
		Cause: err.Error(), Way: "copy it again, or build it again",
	}
}

// OtherBuild is the mismatch of an artifact that was linked against the host with
// that build ID, nil where host is it. Such an artifact contains what that one
// lacked, and takes for granted what that one had.
func OtherBuild(host *Fingerprint, build string) *Mismatch {
	if build == host.BuildID && build != "" {
		return nil
	}
	return &Mismatch{
		Kind: MismatchBuild, What: "build id", Host: cmp.Or(host.BuildID, "none"), Artifact: cmp.Or(build, "none"), Rule: "HG0092", Limit: limitThin,
		Cause: "it was linked against another build of this host", Way: "build it for this host, or with --link full for several builds",
	}
}

// Doubts lists what does not keep the artifact out and may go wrong afterwards.
// What [Compare] refuses is not among it.
func Doubts(host, artifact *Fingerprint, proc *Process) []Mismatch {
	var found []Mismatch
	key := processorSetting(artifact.Machine)
	if h, a := host.Settings[key], artifact.Settings[key]; key == "GOAMD64" && h != "" && host.Machine == artifact.Machine && a > h && proc != nil && a <= proc.CPU {
		found = append(found, Mismatch{
			Kind: MismatchPlatform, Weight: Warns, What: key, Host: h, Artifact: a, Limit: limitCPU,
			Cause: "this processor has " + proc.CPU + ", others that run the host may not", Way: "build it with " + key + "=" + h,
		})
	}
	if issue := KnownIssue(host.GoVersion); issue != "" {
		found = append(found, Mismatch{
			Kind: MismatchRelease, Weight: Warns, What: "go version", Host: toolchain(host.GoVersion), Limit: limitRuntime,
			Cause: issue, Way: "build host and plugins with a later release",
		})
	}
	return found
}

// Next gives the command that gets past what [Compare] found. host is how people
// name the host to hotgo build, pkg the plugin's package.
func Next(found []Mismatch, host, pkg string) string {
	build := "hotgo build --host " + host + " " + pkg
	at := slices.IndexFunc(found, func(m Mismatch) bool { return m.Weight == Refuses })
	if at < 0 {
		return ""
	}
	switch first := found[at]; {
	case first.Kind == MismatchHost, first.Kind == MismatchSymbol:
		return cmp.Or(first.prepare, first.Way)
	case first.Kind == MismatchPath, first.Kind == MismatchPoisoned:
		return "restart the host"
	case first.Rule == "HG0090":
		return newHost
	case first.Kind == MismatchGo && toolchain(first.Host) != toolchain(first.Artifact):
		return "GOTOOLCHAIN=" + toolchain(first.Host) + " " + build
	}
	var steps []string
	for _, m := range found {
		if m.Kind == MismatchModule && m.prepare != "" {
			steps = append(steps, m.prepare)
		}
	}
	return strings.Join(append(steps, build), " && ")
}

// KnownIssue gives one sentence on what is wrong with plugins in that Go
// release, or "".
func KnownIssue(goVersion string) string {
	switch toolchain(goVersion) {
	case "go1.27.0", "go1.27", "go1.27.1":
		// https://go.dev/issue/81303
		return fmt.Sprintf("%s can corrupt types of the standard library when a process loads several plugins (go.dev/issue/81303)", toolchain(goVersion))
	}
	return ""
}
