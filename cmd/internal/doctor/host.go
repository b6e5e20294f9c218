package doctor

import (
	"context"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// host looks at the program that is to load artifacts.
func (w World) host(ctx context.Context, t *builder.Toolchain, m module) []Check {
	ids := []string{"host.program", "host.reloader", "host.dynamic", "host.release", "host.flags", "host.thin", "host.sources"}
	all := func(from int, why string) []Check {
		var checks []Check
		for _, id := range ids[from:] {
			checks = append(checks, skipped(id, "%s", why))
		}
		return checks
	}
	const unbuilt = "there is no binary yet: --host BIN looks at one"
	what := m.host.Binary
	if what == "" {
		what = m.host.Package
	}
	switch {
	case m.none != "":
		return all(0, m.none)
	case m.hostErr != nil:
		text, next, _ := w.DescribeError(m.hostErr)
		program := Check{ID: ids[0], Result: Warning, What: text, Why: "what loads artifacts is a program that embeds the reloader", Next: next}
		if w.HostNamed {
			program.Result = Problem
		}
		return append([]Check{program}, all(1, "no host is known")...)
	case m.fileErr != nil:
		program := Check{ID: ids[0], Result: Problem, What: m.fileErr.Error(), Why: "a host is a Go program", Next: "go build, and hotgo doctor --host BIN"}
		return append([]Check{program}, all(1, "the host cannot be read")...)
	case m.binary == nil:
		return append([]Check{ok(ids[0], "package %s", what), w.packageEmbeds(ctx, m.host.Package)}, all(2, unbuilt)...)
	}
	b := m.binary
	checks := []Check{ok(ids[0], "%s (%s)", what, b.Package), skipped(ids[1], "the file does not tell"), dynamic(b), sameRelease(t, b), w.flags(b)}
	if b.Reloader != nil {
		checks[1] = embeds(*b.Reloader, b.Package)
	}
	if b.Unfit != nil || t != nil && b.GoVersion != t.Version {
		return append(checks, all(5, "nothing that is built here loads into it")...)
	}
	thin := ok("host.thin", "artifacts for it are linked thin, and it can be patched")
	if b.NoThin != "" {
		thin.Result, thin.What = Warning, b.NoThin
		thin.Why = "artifacts are linked in full: slower, some megabytes each. The host's own code is not patched"
		if w.ThinOnly {
			thin.Result, thin.Why, thin.Next = Problem, "link is set to thin, so nothing is built for it", "hotgo config view, then link: auto"
		}
	}
	return append(checks, thin, sources(m))
}

func (w World) packageEmbeds(ctx context.Context, pkg string) Check {
	yes, err := w.Embeds(ctx, pkg)
	if err != nil {
		text, next, places := w.DescribeError(err)
		return Check{ID: "host.reloader", Result: Problem, What: text, Why: "the host does not build", Places: places, Next: next}
	}
	return embeds(yes, pkg)
}

func embeds(yes bool, pkg string) Check {
	if yes {
		return ok("host.reloader", "it embeds the reloader")
	}
	return Check{
		ID: "host.reloader", Result: Problem, What: pkg + " does not import the reloader",
		Why:  "nothing in it listens for artifacts or loads them",
		Next: `add to its main package: import _ "github.com/hotgo/hotgo/pkg/reloader/auto"`,
	}
}

func dynamic(b *builder.HostBinary) Check {
	if b.Unfit == nil {
		return ok("host.dynamic", "it was linked with cgo, dynamically, and has what plugins are linked to")
	}
	c := Check{
		ID: "host.dynamic", Result: Problem, What: b.Unfit.Message, Why: "a limit of " + b.Unfit.Limit + ": it refuses every artifact", Next: b.Unfit.Next,
	}
	if b.Static && b.Settings["CGO_ENABLED"] == "1" {
		c.What, c.Next = "the host is linked statically", "go build without -static in -ldflags, GOFLAGS and CGO_LDFLAGS"
		c.Facts = []Fact{{What: "dynamic linker", Is: "none", Need: "one"}}
		return c
	}
	for _, m := range b.Unfit.Evidence {
		c.Facts = append(c.Facts, Fact{What: m.What, Is: m.Host, Need: strings.Replace(m.Artifact, "needed", "some", 1)})
	}
	return c
}

func sameRelease(t *builder.Toolchain, b *builder.HostBinary) Check {
	c := ok("host.release", "it was built with %s", b.GoVersion)
	switch {
	case t == nil:
	case b.GoVersion != t.Version:
		c.Result, c.What = Problem, "it was built with another Go release than the one here"
		c.Why = "the Go runtime loads plugins of its own release only"
		c.Facts = []Fact{{What: "Go", Is: t.Version, Need: b.GoVersion}}
		c.Next = "GOTOOLCHAIN=" + b.GoVersion + " hotgo build, or build the host again"
	case b.KnownIssue != "":
		c.Result, c.What = Warning, b.KnownIssue
		c.Why, c.Next = "a host that loads two artifacts may be hit, and so may its data", "build the host with another release"
	}
	return c
}

// flags looks at the host's build settings that matter for more than hashes.
func (w World) flags(b *builder.HostBinary) Check {
	c := ok("host.flags", "its build settings fit this machine")
	if level, has := b.Settings["GOAMD64"], w.cpu(); b.GOARCH == "amd64" && has != "" && level > has {
		c.Result, c.What = Problem, "it was built for a newer processor"
		c.Why = "it dies of SIGILL at the first instruction that this one lacks"
		c.Facts = []Fact{{What: "GOAMD64", Is: level, Need: "at most " + has}}
		c.Next = "GOAMD64=" + has + " go build " + b.Package
		return c
	}
	for _, flag := range []string{"-race", "-trimpath", "-tags", "-gcflags", "-pgo", "GOEXPERIMENT", "GOAMD64"} {
		if v := b.Settings[flag]; v != "" {
			c.Facts = append(c.Facts, Fact{What: flag, Is: v})
		}
	}
	if b.Settings["-race"] == "true" {
		c.What += "; it has the race detector, so artifacts get it too"
	}
	return c
}

// sources says whether the host still is what the sources say.
func sources(m module) Check {
	const id = "host.sources"
	switch {
	case m.snapshot == nil:
		return skipped(id, "the sources of the module could not be read")
	case len(m.snapshot.HostChanges) > 0:
		c := Check{
			ID: id, Result: Warning, What: "its sources changed since it was built",
			Why: "hotgo patches such changes into it, or says that they take a restart", Next: "hotgo diff",
		}
		for _, change := range m.snapshot.HostChanges {
			for _, file := range change.Files {
				c.Places = append(c.Places, control.Diagnostic{File: file, Message: "changed"})
			}
		}
		return c
	case m.snapshot.Assumed:
		return Check{
			ID: id, Result: Warning, Code: "HG0094", What: "nobody wrote down what it was built from; it is taken to be these sources",
			Why:  "an edit made before now cannot be told from none. Where the sources are not the binary's, patches are refused",
			Next: "build it by hotgo run, or name its revision: hotgo diff --base REV",
		}
	}
	return ok(id, "what it was built from is known, and these are the sources")
}
