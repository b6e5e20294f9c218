package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

const noModule = "this is not a Go module: there is no go.mod"

// module is what the builder says about the module and its host.
type module struct {
	none     string // why there is nothing to say, "" if there is
	host     builder.Host
	hostErr  error
	binary   *builder.HostBinary // nil where the host is a package, or cannot be read
	fileErr  error
	plugins  []builder.Plugin
	err      error // of finding plugins, or of the snapshot
	snapshot *builder.Snapshot
	dirs     []string // what a watch would watch
}

// examine asks the builder. Nothing is compiled.
func (w World) examine(ctx context.Context, t *builder.Toolchain) module {
	var m module
	if t == nil {
		m.none = "the go command cannot be asked"
		return m
	}
	if w.NoBuilder != "" {
		m.none = w.NoBuilder
		return m
	}
	outside := t.Module == "" && t.Env["GOWORK"] == ""
	if outside && !w.HostNamed {
		m.none = noModule
		return m
	}
	m.host, m.hostErr = w.FindHost(ctx)
	if m.host.Binary != "" {
		m.binary, m.fileErr = w.ReadHost(m.host.Binary)
	}
	if outside {
		return m
	}
	if m.plugins, m.err = w.FindPlugins(ctx, m.host); m.err != nil {
		return m
	}
	host := m.host
	if m.fileErr != nil || m.binary != nil && (m.binary.Unfit != nil || m.binary.GoVersion != t.Version) {
		host = builder.Host{} // what is wrong with it is told with the host
	}
	if m.snapshot, m.err = w.Snapshot(ctx, host, m.plugins); m.err == nil {
		m.dirs = m.snapshot.WatchDirs
	}
	return m
}

// module looks at what is to be replaced.
func (w World) module(m module) []Check {
	const id = "module.plugins"
	switch {
	case m.none != "":
		return []Check{skipped(id, "%s", m.none)}
	case m.err != nil:
		text, next, places := w.DescribeError(m.err)
		return []Check{{ID: id, Result: Problem, What: text, Why: "nothing can be built for reload", Places: places, Next: next}}
	case m.snapshot == nil:
		return []Check{skipped(id, "%s", noModule)}
	case len(m.plugins) == 0:
		return []Check{ok(id, "there is no plugin: the host's own code is patched")}
	}
	var names []string
	for _, p := range m.plugins {
		names = append(names, p.Name)
	}
	checks := []Check{ok(id, "%d: %s", len(names), join(names))}
	for i, p := range m.plugins {
		if i < len(m.snapshot.Plans) {
			checks = append(checks, w.plugin(p, m.snapshot.Plans[i], m.snapshot.Errors[p.Name])...)
		}
	}
	return checks
}

// plugin says whether one plugin can be built for reload, and what its
// initialisers do every time.
func (w World) plugin(p builder.Plugin, plan *builder.Plan, err error) []Check {
	if plan != nil {
		err = plan.Obstacle()
	}
	if err != nil {
		text, next, places := w.DescribeError(err)
		return []Check{
			{ID: "plugin.plan", Subject: p.Name, Result: Problem, What: text, Why: "it cannot be built for reload", Places: places, Next: next},
			{ID: "plugin.init", Subject: p.Name, Result: Skipped, What: "it cannot be built"},
		}
	}
	built := ok("plugin.plan", "a fresh identity for %s, linked %s", count(len(plan.Private), "package"), plan.Link)
	built.Subject = p.Name
	if plan.Reason != "" {
		built.What += ": " + plan.Reason
	}
	for _, path := range plan.Shared {
		built.Facts = append(built.Facts, Fact{What: path, Is: "shared with the host"})
	}
	for _, path := range plan.Foreign() {
		built.Facts = append(built.Facts, Fact{What: path, Is: "has cgo, assembly or //go:linkname: swapped, never patched"})
	}
	initial := ok("plugin.init", "nothing is known to happen twice when it is initialised again")
	initial.Subject = p.Name
	effects := w.InitEffects(plan)
	if len(effects) == 0 {
		return []Check{built, initial}
	}
	initial.Result, initial.What = Warning, "its initialisers reach beyond the plugin, and run again with each generation"
	initial.Why = "what an earlier generation, or the host's built-in, registered is still there; patches run no initialiser"
	for _, e := range effects {
		if e.Code != "" {
			initial.Code = e.Code
		}
		initial.Places = append(initial.Places, control.Diagnostic(e.At))
	}
	initial.Next = "move it to the host, or into HotStart, whose context ends with the generation"
	if slices.ContainsFunc(effects, func(e builder.InitEffect) bool { return e.Panics }) {
		initial.What += "; one of them panics then, so that a swap fails"
	}
	return []Check{built, initial}
}

// join lists names, the first few where there are many.
func join(names []string) string {
	const most = 8
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
